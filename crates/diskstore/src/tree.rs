//! Directories that come and go, and names in them that last.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use crate::disk::{Disk, OpenDir};
use crate::listings::{Bounds, Listings};

/// When so many directories are known to be on the disk, all are forgotten;
/// the price is one sync each.
const MOST_KNOWN: usize = 1 << 16;
/// How often a directory may vanish under a rename before that is an error.
const ATTEMPTS: usize = 16;

/// Remembers which directories are known to be on the disk, with all above
/// them. Only these are renamed into.
pub(crate) struct Tree {
    /// What is above it is not this store's concern.
    root: PathBuf,
    disk: Disk,
    known: RwLock<HashSet<PathBuf>>,
    listings: Listings,
    /// Directories whose last sync failed.
    unsettled: Mutex<HashSet<PathBuf>>,
    /// Whether there may be such.
    is_unsettled: AtomicBool,
}

impl Tree {
    /// A tree below a directory, which is made if there is none. Of its listings so much is kept.
    pub(crate) fn below(disk: &Disk, root: &Path, kept: Bounds) -> io::Result<Self> {
        let missing: Vec<&Path> = root
            .ancestors()
            .take_while(|above| !above.as_os_str().is_empty() && !above.is_dir())
            .collect();
        for made in missing.into_iter().rev() {
            disk.make_dir(made)?;
            let above = parent(made)?;
            let here = Path::new(".");
            disk.sync_dir(if above.as_os_str().is_empty() {
                here
            } else {
                above
            })?;
        }
        let root = fs::canonicalize(root)?;
        let listings = Listings::none(disk, root.join("tmp"), kept);
        Ok(Self {
            root,
            disk: disk.clone(),
            known: RwLock::default(),
            listings,
            unsettled: Mutex::default(),
            is_unsettled: AtomicBool::new(false),
        })
    }

    /// The directory, as it is really called.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What its directories hold.
    pub(crate) fn listings(&self) -> &Listings {
        &self.listings
    }

    /// Renames `from` to `to`, makes the directories above `to` where they are
    /// missing, and returns when the name is on the disk.
    pub(crate) fn publish(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(to, || self.disk.rename(from, to))
    }

    /// Makes an empty file, and the directories above it where they are missing,
    /// and returns when its name is on the disk.
    pub(crate) fn touch(&self, path: &Path) -> io::Result<()> {
        self.change(path, || self.disk.create(path).map(drop))
    }

    /// Changes a name in its directory, which is made if there is none, and
    /// returns when it is on the disk.
    fn change(&self, path: &Path, work: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let dir = parent(path)?;
        for _ in 0..ATTEMPTS {
            {
                let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
                if dir == self.root || known.contains(dir) {
                    let changed = self
                        .disk
                        .open_dir(dir)
                        .and_then(|opened| work().map(|()| opened));
                    self.touched(path);
                    drop(known);
                    match changed {
                        Ok(opened) => return self.sync(dir, &opened),
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            self.make(dir)?;
        }
        Err(io::Error::other("the directory vanishes again and again"))
    }

    /// Returns when the names in a directory are on the disk. If that fails they are seen nevertheless, so it is noted
    /// that they may not last.
    fn sync(&self, dir: &Path, opened: &OpenDir) -> io::Result<()> {
        let synced = opened.sync();
        if synced.is_err() {
            self.unsettled().insert(dir.to_owned());
            self.is_unsettled.store(true, Ordering::SeqCst);
        }
        synced
    }

    /// Whether the names in a directory are known to last.
    pub(crate) fn is_settled(&self, dir: &Path) -> bool {
        !self.is_unsettled.load(Ordering::SeqCst) || !self.unsettled().contains(dir)
    }

    /// Has the names in a directory last if it is not known that they do. To be called before they are told of.
    pub(crate) fn settle(&self, dir: &Path) -> io::Result<()> {
        if !self.is_unsettled.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut unsettled = self.unsettled();
        if unsettled.contains(dir) {
            match self.disk.sync_dir(dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            unsettled.remove(dir);
        }
        self.is_unsettled
            .store(!unsettled.is_empty(), Ordering::SeqCst);
        Ok(())
    }

    fn unsettled(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.unsettled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a directory and those above it, and returns when they are on the
    /// disk.
    pub(crate) fn make(&self, dir: &Path) -> io::Result<()> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() > MOST_KNOWN {
            known.clear();
        }
        let mut missing = Vec::new();
        for above in dir.ancestors() {
            if above == self.root || (known.contains(above) && above.is_dir()) {
                break;
            }
            missing.push(above);
        }
        for made in missing.into_iter().rev() {
            match self.disk.make_dir(made) {
                // What was known of one of this name is not so of it.
                Ok(()) => self.listings.forget(made),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            let above = parent(made)?;
            self.touched(made);
            self.disk.sync_dir(above)?;
            known.insert(made.to_owned());
        }
        Ok(())
    }

    /// Renames a directory away. Whoever publishes below its old name meanwhile
    /// does so before or makes that directory again; callers hold them off.
    pub(crate) fn withdraw(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let renamed = self.disk.rename(from, to);
        self.listings.forget_below(from);
        self.touched(from);
        renamed?;
        known.retain(|dir| !dir.starts_with(from));
        Ok(())
    }

    /// Removes a file and returns when its name is gone from the disk, then
    /// the directories that this left empty, up to `floor`. `false` if there
    /// was no such file.
    pub(crate) fn remove(&self, path: &Path, floor: &Path) -> io::Result<bool> {
        let dir = parent(path)?;
        let removed = self
            .disk
            .open_dir(dir)
            .and_then(|opened| self.disk.remove_file(path).map(|()| opened));
        self.touched(path);
        match removed {
            Ok(opened) => self.sync(dir, &opened)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
        if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none()) {
            self.prune(dir, floor);
        }
        Ok(true)
    }

    /// Removes a file, whose name may come back after a loss of power.
    pub(crate) fn drop_name(&self, path: &Path) -> io::Result<()> {
        let removed = self.disk.remove_file(path);
        self.touched(path);
        removed
    }

    /// Has listings know that a name may have changed.
    fn touched(&self, path: &Path) {
        if let (Some(dir), Some(file_name)) = (path.parent(), path.file_name()) {
            self.listings.touched(dir, file_name);
        }
    }

    /// Removes a directory if it is empty, then those above it that this left
    /// empty, up to `floor`.
    pub(crate) fn prune(&self, dir: &Path, floor: &Path) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for above in dir.ancestors() {
            if above == floor || !above.starts_with(floor) || self.disk.remove_dir(above).is_err() {
                break;
            }
            known.remove(above);
            self.listings.forget(above);
            self.touched(above);
        }
    }
}

fn parent(path: &Path) -> io::Result<&Path> {
    path.parent()
        .ok_or_else(|| io::Error::other("a path without a directory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_come_and_go() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().join("a/b");
        let tree = Tree::below(&Disk::default(), &root, Bounds::default()).unwrap();
        let floor = tree.root().join("floor");
        tree.make(&floor).unwrap();
        let target = floor.join("a/b/c/file");
        for _ in 0..2 {
            let source = tree.root().join("source");
            fs::write(&source, b"x").unwrap();
            tree.publish(&source, &target).unwrap();
            assert!(target.exists() && !source.exists());
            assert!(tree.remove(&target, &floor).unwrap());
            assert!(!floor.join("a").exists() && floor.exists());
            assert!(!tree.remove(&target, &floor).unwrap());
        }
    }

    #[test]
    fn a_directory_that_others_removed_is_made_again() {
        let base = tempfile::tempdir().unwrap();
        let tree = Tree::below(&Disk::default(), base.path(), Bounds::default()).unwrap();
        let target = tree.root().join("a/b/file");
        for _ in 0..2 {
            let source = tree.root().join("source");
            fs::write(&source, b"x").unwrap();
            tree.publish(&source, &target).unwrap();
            fs::remove_dir_all(tree.root().join("a")).unwrap();
        }
    }

    #[test]
    fn below_a_directory_that_was_renamed_away_nothing_is_known() {
        let base = tempfile::tempdir().unwrap();
        let tree = Tree::below(&Disk::default(), base.path(), Bounds::default()).unwrap();
        let target = tree.root().join("a/b/file");
        let publish = || {
            let source = tree.root().join("source");
            fs::write(&source, b"x").unwrap();
            tree.publish(&source, &target).unwrap();
        };
        publish();
        let aside = tree.root().join("aside");
        tree.withdraw(&tree.root().join("a"), &aside).unwrap();
        assert!(!target.exists() && aside.join("b/file").exists());
        publish();
        assert!(target.exists());
    }

    #[test]
    fn writers_and_removers_of_one_directory_do_not_lose_a_file() {
        let base = tempfile::tempdir().unwrap();
        let tree = Tree::below(&Disk::default(), base.path(), Bounds::default()).unwrap();
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let (tree, base) = (&tree, tree.root());
                scope.spawn(move || {
                    for _ in 0..25 {
                        let source = base.join(format!("source{worker}"));
                        fs::write(&source, b"x").unwrap();
                        let target = base.join(format!("o/d/{worker}"));
                        tree.publish(&source, &target).unwrap();
                        assert!(target.exists());
                        assert!(tree.remove(&target, &base.join("o")).unwrap());
                    }
                });
            }
        });
    }
}
