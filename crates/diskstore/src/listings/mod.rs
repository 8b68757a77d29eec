//! Directories of keys in order, kept current.
//!
//! Reading and ordering a directory costs as much as it holds, and a listing comes back to it page after page. So what
//! was ordered is kept: in memory if that is little, else in scratch files. It is exact: whoever changes a name in a
//! directory says so before anybody is told of the change ([`Listings::touched`]), and then what is kept of that name is
//! brought in line with what is there. While a directory is being read such changes are noted, and looked at when it is
//! ordered. So what is kept never depends on what reading a directory shows of changes meanwhile, nor on the order in
//! which they are told, nor on whether they failed.
//!
//! What is kept is bounded in all ([`Bounds`]); what was not listed for the longest time goes first. If a directory can
//! be kept nowhere, a page costs one look at all of its names, with bounded memory.

mod arena;
mod bounds;
mod build;
mod dir;
mod entry;
mod merge;
mod names;
mod order;
mod run;
mod scratch;
mod select;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use bounds::Bounds;
pub(crate) use entry::Entry;

use crate::disk::Disk;
use crate::keypath::{Kind, Name, NameRef, decode_name};
use build::{Built, Workshop};
use dir::{Dir, State};
use order::Order;
use scratch::Scratch;
use select::select;
use slots::Slots;

/// So many large directories may be ordered at a time.
const TURNS: usize = 2;
/// So many scratch files more can be made without giving anything up, for what changed and for merging.
const SPARE_FILES: usize = 4;

/// The directories that are kept.
pub(crate) struct Listings {
    shared: Arc<Shared>,
}

struct Shared {
    bounds: Bounds,
    scratch: Scratch,
    dirs: Mutex<HashMap<PathBuf, Arc<Dir>>>,
    /// The memory of all that is kept, about.
    memory_bytes: Arc<AtomicUsize>,
    /// Counts what is listed, so that it is known what was listed before what.
    listed: AtomicU64,
    turns: Slots,
    /// Runs are merged one directory at a time.
    is_merging: AtomicBool,
}

/// Names of a directory, in order.
#[derive(Debug)]
pub(crate) struct Batch {
    pub entries: Vec<Arc<Entry>>,
    /// Whether none comes after them.
    pub is_last: bool,
}

/// A place between the names of a directory.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// Before this name.
    Before(Name),
    /// After this name.
    After(Name),
}

impl Place {
    /// Before all names.
    pub(crate) fn start() -> Self {
        Self::at(b"")
    }

    /// Before all names that add these bytes or greater ones.
    pub(crate) fn at(adds: &[u8]) -> Self {
        Self::Before(Name::first_of(adds))
    }

    /// Whether a name comes behind it.
    pub(crate) fn is_reached_by(&self, name: NameRef<'_>) -> bool {
        match self {
            Self::Before(first) => first.borrow() <= name,
            Self::After(last) => last.borrow() < name,
        }
    }
}

impl Listings {
    /// None yet. Scratch files are made in a directory that is there when the first is needed.
    pub(crate) fn none(disk: &Disk, scratch: PathBuf, bounds: Bounds) -> Self {
        Self {
            shared: Arc::new(Shared {
                bounds,
                scratch: Scratch::in_dir(disk, scratch),
                dirs: Mutex::default(),
                memory_bytes: Arc::default(),
                listed: AtomicU64::new(0),
                turns: Slots::of(TURNS),
                is_merging: AtomicBool::new(false),
            }),
        }
    }

    /// To be called after a name in a directory may have changed, also if that failed, and before anybody is told.
    pub(crate) fn touched(&self, dir: &Path, file_name: &OsStr) {
        let Some(kept) = self.shared.find(dir) else {
            return;
        };
        // What is no name of this store is not listed.
        let Some(name) = file_name.to_str().and_then(decode_name) else {
            return;
        };
        let is_kept = {
            let mut state = kept.lock();
            match &mut *state {
                State::Building(noted) => {
                    noted.note(name, self.shared.bounds.noted_changes);
                    true
                }
                State::Kept(order) => {
                    let updated = dir::update(order, dir, name)
                        .and_then(|()| order.settle(&self.shared.scratch, &self.shared.bounds));
                    let is_due = order.due().is_some();
                    kept.measure(order);
                    match updated {
                        Ok(()) if is_due => {
                            drop(state);
                            self.shared.merge_aside(dir, &kept);
                            true
                        }
                        Ok(()) => true,
                        Err(error) => {
                            tracing::warn!(%error, dir = %dir.display(), "the order of a directory is given up");
                            false
                        }
                    }
                }
                State::Over => true,
            }
        };
        if !is_kept {
            self.forget(dir);
        }
        self.shared.make_room(SPARE_FILES, 0, Some(dir));
    }

    /// To be called after a directory has come or gone, and before anybody is told.
    pub(crate) fn forget(&self, dir: &Path) {
        let removed = self.shared.lock().remove(dir);
        if let Some(removed) = removed {
            removed.end();
        }
    }

    /// The same if with it all below it have.
    pub(crate) fn forget_below(&self, dir: &Path) {
        let mut dirs = self.shared.lock();
        let removed: Vec<Arc<Dir>> = dirs
            .extract_if(|path, _| path.starts_with(dir))
            .map(|(_, removed)| removed)
            .collect();
        drop(dirs);
        for removed in removed {
            removed.end();
        }
    }

    /// Names of a directory from a place on; `None` if there is no such directory. Blocks.
    pub(crate) fn read(&self, dir: &Path, from: &Place) -> io::Result<Option<Batch>> {
        let shared = &self.shared;
        loop {
            let (kept, is_ours) = shared.find_or_begin(dir);
            if is_ours {
                return self.build(dir, &kept, from);
            }
            let state = kept.wait();
            let State::Kept(order) = &*state else {
                continue;
            };
            match order.batch(from, shared.bounds.batch_names) {
                Ok(batch) => {
                    kept.is_listed(shared.listed.fetch_add(1, Ordering::Relaxed));
                    return Ok(Some(batch));
                }
                Err(error) => {
                    tracing::warn!(%error, dir = %dir.display(), "the order of a directory is given up");
                    drop(state);
                    self.forget(dir);
                }
            }
        }
    }

    /// Whether a directory holds a key, as far as that is told by a look at the first names that come. Not if it is
    /// doubtful.
    pub(crate) fn surely_holds_a_key(&self, dir: &Path) -> io::Result<bool> {
        let mut dir = dir.to_owned();
        loop {
            let first = match self.shared.first_known(&dir) {
                Some(first) => first,
                None => names::leaf_or_any(&dir)?,
            };
            match first {
                Some(name) if name.kind == Kind::Leaf => return Ok(true),
                Some(name) => dir.push(name.file_name()),
                None => return Ok(false),
            }
        }
    }

    /// Names of a directory that nobody has in order.
    fn build(&self, dir: &Path, kept: &Arc<Dir>, from: &Place) -> io::Result<Option<Batch>> {
        let shared = &self.shared;
        let ours = Ours {
            listings: self,
            dir,
            kept,
        };
        let workshop = Workshop {
            dir,
            scratch: &shared.scratch,
            bounds: &shared.bounds,
            turns: &shared.turns,
            make_room: &|files, bytes| shared.make_room(files, bytes, Some(dir)),
        };
        let order = match workshop.build()? {
            Built::Gone => return Ok(None),
            Built::Order(order) => order,
            Built::TooLarge => {
                // Others need not wait for what will not come.
                drop(ours);
                return select(dir, from, shared.bounds.selected_names);
            }
        };
        let batch = ours.keep(order, |order| order.batch(from, shared.bounds.batch_names))?;
        shared.make_room(0, 0, Some(dir));
        match batch {
            Ok(batch) => Ok(Some(batch)),
            Err(error) => {
                tracing::warn!(%error, dir = %dir.display(), "the order of a directory cannot be read");
                self.forget(dir);
                select(dir, from, shared.bounds.selected_names)
            }
        }
    }
}

/// A directory that this thread is ordering. Whatever comes of it, nobody waits for ever.
struct Ours<'a> {
    listings: &'a Listings,
    dir: &'a Path,
    kept: &'a Arc<Dir>,
}

impl Ours<'_> {
    /// Brings an order in line with what changed meanwhile, and keeps it if all of that is known. Tells what is wanted
    /// of it.
    fn keep<T>(self, mut order: Order, wanted: impl FnOnce(&Order) -> T) -> io::Result<T> {
        let shared = &self.listings.shared;
        let mut state = self.kept.lock();
        let noted = match &mut *state {
            State::Building(noted) => noted.take(),
            _ => None,
        };
        let Some(noted) = noted else {
            return Ok(wanted(&order));
        };
        for name in noted {
            dir::update(&mut order, self.dir, name)?;
        }
        let wanted = wanted(&order);
        if let Err(error) = order.settle(&shared.scratch, &shared.bounds) {
            shared.scratch.failed(self.dir, &error);
            return Ok(wanted);
        }
        self.kept
            .is_listed(shared.listed.fetch_add(1, Ordering::Relaxed));
        self.kept.measure(&order);
        *state = State::Kept(order);
        Ok(wanted)
    }
}

impl Drop for Ours<'_> {
    fn drop(&mut self) {
        if self.kept.is_building() {
            self.listings.shared.remove(self.dir, self.kept);
            self.kept.end();
        }
        self.kept.wake();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Arc<Dir>>> {
        self.dirs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, dir: &Path) -> Option<Arc<Dir>> {
        self.lock().get(dir).map(Arc::clone)
    }

    /// The first name of a directory, if it is kept.
    fn first_known(&self, dir: &Path) -> Option<Option<Name>> {
        let kept = self.find(dir)?;
        let State::Kept(order) = &*kept.lock() else {
            return None;
        };
        let batch = order.batch(&Place::start(), 1).ok()?;
        Some(batch.entries.first().map(|entry| entry.name.clone()))
    }

    /// Whether it is this thread that has to order it.
    fn find_or_begin(&self, dir: &Path) -> (Arc<Dir>, bool) {
        let mut dirs = self.lock();
        if let Some(kept) = dirs.get(dir) {
            return (Arc::clone(kept), false);
        }
        let kept = Arc::new(Dir::building(&self.memory_bytes));
        dirs.insert(dir.to_owned(), Arc::clone(&kept));
        (kept, true)
    }

    /// Removes a directory unless another thread has begun anew with it.
    fn remove(&self, dir: &Path, kept: &Arc<Dir>) {
        let mut dirs = self.lock();
        if dirs.get(dir).is_some_and(|other| Arc::ptr_eq(other, kept)) {
            dirs.remove(dir);
        }
    }

    /// Gives up what was not listed for the longest time until all bounds hold, with so many files and bytes more.
    fn make_room(&self, files: usize, bytes: u64, but: Option<&Path>) {
        let memory = self.memory_bytes.load(Ordering::Relaxed);
        let mut over_memory = memory.saturating_sub(self.bounds.memory_bytes);
        let mut over_files = (self.scratch.files() + files).saturating_sub(self.bounds.files);
        let mut over_bytes =
            (self.scratch.bytes() + bytes).saturating_sub(self.bounds.scratch_bytes);
        if over_memory == 0 && over_files == 0 && over_bytes == 0 {
            return;
        }
        if over_memory > 0 {
            // Some more, so that this is seldom done.
            over_memory += self.bounds.memory_bytes / 4;
        }
        let mut dirs = self.lock();
        let mut by_age: Vec<(u64, PathBuf)> = dirs
            .iter()
            .filter(|(path, kept)| but != Some(path.as_path()) && !kept.is_building())
            .map(|(path, kept)| (kept.listed(), path.clone()))
            .collect();
        by_age.sort_unstable();
        let mut removed = Vec::new();
        for (_, path) in by_age {
            if over_memory == 0 && over_files == 0 && over_bytes == 0 {
                break;
            }
            if let Some(kept) = dirs.remove(&path) {
                let size = kept.size();
                over_memory = over_memory.saturating_sub(size.memory_bytes);
                over_files = over_files.saturating_sub(size.files);
                over_bytes = over_bytes.saturating_sub(size.scratch_bytes);
                removed.push(kept);
            }
        }
        drop(dirs);
        for kept in removed {
            kept.end();
        }
    }

    /// Merges the runs of a directory in a thread of its own, if no other is at it.
    fn merge_aside(self: &Arc<Self>, dir: &Path, kept: &Arc<Dir>) {
        if self.is_merging.swap(true, Ordering::Relaxed) {
            return;
        }
        let merging = Merging(Arc::clone(self));
        let (dir, kept) = (dir.to_owned(), Arc::clone(kept));
        let work = move || {
            if let Err(error) = merging.0.merge(&kept) {
                // Else it would be tried again at every change.
                merging.0.scratch.failed(&dir, &error);
                merging.0.remove(&dir, &kept);
                kept.end();
            }
        };
        let thread = std::thread::Builder::new().name("order-merge".to_owned());
        if let Err(error) = thread.spawn(work) {
            tracing::warn!(%error, "the order of a directory stays in many pieces");
        }
    }

    fn merge(&self, kept: &Dir) -> io::Result<()> {
        loop {
            let due = match &*kept.lock() {
                State::Kept(order) => order.due(),
                _ => None,
            };
            let Some(due) = due else {
                return Ok(());
            };
            let run = due.merge(&self.scratch, &self.bounds)?;
            let mut state = kept.lock();
            let State::Kept(order) = &mut *state else {
                return Ok(());
            };
            if !order.merged(&due, run) {
                return Ok(());
            }
            kept.measure(order);
        }
    }
}

/// While it is held, no other directory's runs are merged.
struct Merging(Arc<Shared>);

impl Drop for Merging {
    fn drop(&mut self) {
        self.0.is_merging.store(false, Ordering::Relaxed);
    }
}
