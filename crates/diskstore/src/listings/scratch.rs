//! Files without a name, for orders that do not fit into memory.
//!
//! They are made in `tmp/` and lose their name at once, so they are gone with the process, however that ends. Nothing in
//! them is ever synced or read by a later process.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bounds::Bounds;
use crate::disk::{Disk, DiskFile};

/// After a failure so many attempts are not made, so that a full disk is not filled again for each page.
const ATTEMPTS_PASSED_OVER: usize = 64;
/// Of so many directories; when they are more all are tried again.
const MOST_PASSED_OVER: usize = 256;

/// Where they are made.
pub(super) struct Scratch {
    disk: Disk,
    dir: PathBuf,
    next: AtomicU64,
    passed_over: Mutex<HashMap<PathBuf, usize>>,
    used: Arc<Used>,
}

/// What there is of them.
#[derive(Default)]
struct Used {
    files: AtomicUsize,
    bytes: AtomicU64,
}

/// One that is being written, or was.
pub(super) struct ScratchFile {
    file: DiskFile,
    counted: Counted,
    bytes: u64,
    dir: PathBuf,
    most_bytes: u64,
    room_bytes: u64,
}

impl Scratch {
    pub(super) fn in_dir(disk: &Disk, dir: PathBuf) -> Self {
        Self {
            disk: disk.clone(),
            dir,
            next: AtomicU64::new(0),
            passed_over: Mutex::default(),
            used: Arc::default(),
        }
    }

    pub(super) fn files(&self) -> usize {
        self.used.files.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.used.bytes.load(Ordering::Relaxed)
    }

    /// Whether it is worth an attempt with this directory.
    pub(super) fn is_worth_it(&self, dir: &Path) -> bool {
        let mut passed_over = self.passed_over();
        match passed_over.get_mut(dir) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        }
    }

    /// Takes note that this directory's order could not be written.
    pub(super) fn failed(&self, dir: &Path, error: &io::Error) {
        tracing::warn!(%error, dir = %dir.display(), "the order of a directory is not kept; a page costs a look at all of it");
        let mut passed_over = self.passed_over();
        if passed_over.len() >= MOST_PASSED_OVER {
            passed_over.clear();
        }
        passed_over.insert(dir.to_owned(), ATTEMPTS_PASSED_OVER);
    }

    #[cfg(test)]
    pub(super) fn try_again(&self) {
        self.passed_over().clear();
    }

    fn passed_over(&self) -> MutexGuard<'_, HashMap<PathBuf, usize>> {
        self.passed_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn create(&self, bounds: &Bounds) -> io::Result<ScratchFile> {
        let counted = Counted::one_of(&self.used, bounds.files)
            .ok_or_else(|| io::Error::other("there are too many scratch files"))?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!("order.{number}"));
        let file = self.disk.create(&path)?;
        self.disk.remove_file(&path)?;
        Ok(ScratchFile {
            file,
            counted,
            bytes: 0,
            dir: self.dir.clone(),
            most_bytes: bounds.scratch_bytes,
            room_bytes: bounds.room_bytes,
        })
    }
}

impl ScratchFile {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends these bytes, if there is room.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let count = bytes.len() as u64;
        if self.counted.used.bytes.load(Ordering::Relaxed) + count > self.most_bytes {
            return Err(io::Error::other("scratch files take too much room"));
        }
        let system = rustix::fs::statvfs(&self.dir)?;
        if system.f_bavail.saturating_mul(system.f_frsize) < self.room_bytes.saturating_add(count) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write(bytes)?;
        self.bytes += count;
        let used = &self.counted.used;
        used.bytes.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    /// Reads what was written.
    pub(super) fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_at(bytes, at)
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        let used = &self.counted.used;
        used.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// One of the files that there may be.
struct Counted {
    used: Arc<Used>,
}

impl Counted {
    fn one_of(used: &Arc<Used>, most: usize) -> Option<Self> {
        let more = |files| (files < most).then_some(files + 1);
        used.files
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()?;
        Some(Self {
            used: Arc::clone(used),
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.used.files.fetch_sub(1, Ordering::Relaxed);
    }
}
