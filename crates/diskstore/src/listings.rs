//! Directories of keys as they were read, kept for as long as nothing in them changes.
//!
//! Reading and ordering a directory costs as much as it holds, and a listing comes back to it page after page. What is
//! kept is exact: whoever changes a name in a directory says so before anybody is told of the change, and what was
//! read before that is not used any more.

use std::collections::HashMap;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::fault::Fault;
use crate::keypath::{Name, decode_name};
use crate::record::Summary;

/// So many directories share a count of changes that the others' rarely disturb one.
const STRIPES: usize = 1024;
/// What may be kept, in bytes, about.
const MOST_BYTES: usize = 8 << 20;
/// What an entry takes besides its names, about: its own fields, and what becomes known of its object.
const ENTRY_BYTES: usize = 240;

/// The directories that are kept.
pub(crate) struct Listings {
    hasher: RandomState,
    changes: Vec<AtomicU64>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    listings: HashMap<PathBuf, (u64, Arc<Listing>)>,
    bytes: usize,
}

/// The names in a directory of keys, in the order of the keys.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub entries: Vec<Entry>,
    bytes: usize,
}

/// A name.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The bytes that it adds to those that its directory stands for.
    pub adds: Box<[u8]>,
    /// Whether it is the end of a key.
    pub leaf: bool,
    pub file_name: Box<str>,
    summary: OnceLock<Arc<Summary>>,
}

impl Listings {
    pub(crate) fn none() -> Self {
        Self {
            hasher: RandomState::new(),
            changes: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            kept: Mutex::default(),
        }
    }

    /// To be called after a name in a directory has changed and before anybody is told.
    pub(crate) fn changed(&self, dir: &Path) {
        self.count(dir).fetch_add(1, Ordering::SeqCst);
    }

    /// To be called after directories below one have changed that are too many to name.
    pub(crate) fn all_changed(&self) {
        for count in &self.changes {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// What a directory holds; `None` if there is none.
    pub(crate) fn read(&self, dir: &Path) -> io::Result<Option<Arc<Listing>>> {
        let count = self.count(dir).load(Ordering::SeqCst);
        if let Some((then, listing)) = self.lock().listings.get(dir)
            && *then == count
        {
            return Ok(Some(Arc::clone(listing)));
        }
        let Some(listing) = Listing::read(dir)? else {
            return Ok(None);
        };
        let listing = Arc::new(listing);
        if listing.bytes <= MOST_BYTES {
            self.keep(dir, count, &listing);
        }
        Ok(Some(listing))
    }

    fn keep(&self, dir: &Path, count: u64, listing: &Arc<Listing>) {
        let mut kept = self.lock();
        if let Some((_, former)) = kept.listings.remove(dir) {
            kept.bytes -= former.bytes;
        }
        if kept.bytes + listing.bytes > MOST_BYTES {
            *kept = Kept::default();
        }
        kept.bytes += listing.bytes;
        kept.listings
            .insert(dir.to_owned(), (count, Arc::clone(listing)));
    }

    fn count(&self, dir: &Path) -> &AtomicU64 {
        let hash = self.hasher.hash_one(dir);
        &self.changes[(hash % STRIPES as u64) as usize]
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listing {
    /// Reads and orders a directory; `None` if there is none.
    fn read(dir: &Path) -> io::Result<Option<Self>> {
        let names = match fs::read_dir(dir) {
            Ok(names) => names,
            // What is no directory is not of this store.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(None);
            }
            Err(error) => {
                tracing::warn!(%error, dir = %dir.display(), "a directory cannot be listed");
                return Err(error);
            }
        };
        let mut entries = Vec::new();
        let mut bytes = dir.as_os_str().len();
        for name in names {
            let Ok(file_name) = name?.file_name().into_string() else {
                continue;
            };
            let (adds, leaf) = match decode_name(&file_name) {
                Some(Name::Leaf(bytes)) => (bytes, true),
                Some(Name::Dir(bytes)) => (bytes, false),
                None => continue,
            };
            bytes += ENTRY_BYTES + adds.len() + file_name.len();
            entries.push(Entry {
                adds: adds.into(),
                leaf,
                file_name: file_name.into(),
                summary: OnceLock::new(),
            });
        }
        entries.sort_unstable_by(|a, b| a.order().cmp(&b.order()));
        Ok(Some(Self { entries, bytes }))
    }
}

impl Entry {
    /// A leaf and a directory add the same bytes only where a segment was cut: the key that ends there comes before
    /// those that go on. Leaves of one key differ in the id of the upload.
    fn order(&self) -> (&[u8], bool, &str) {
        (&self.adds, !self.leaf, &self.file_name)
    }

    /// What a listing says of the object, whose file has this path; `None` if there is none any more.
    pub(crate) fn summary(
        &self,
        path: impl FnOnce() -> PathBuf,
    ) -> Result<Option<Arc<Summary>>, Fault> {
        if let Some(summary) = self.summary.get() {
            return Ok(Some(Arc::clone(summary)));
        }
        let Some(summary) = Summary::of_file(&path())? else {
            return Ok(None);
        };
        Ok(Some(Arc::clone(
            self.summary.get_or_init(|| Arc::new(summary)),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(listing: &Listing) -> Vec<&str> {
        listing.entries.iter().map(|e| &*e.file_name).collect()
    }

    #[test]
    fn what_was_read_is_kept_until_something_changes() {
        let dir = tempfile::tempdir().unwrap();
        let listings = Listings::none();
        fs::write(dir.path().join("b="), b"").unwrap();
        fs::write(dir.path().join("a="), b"").unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        let first = listings.read(dir.path()).unwrap().unwrap();
        assert_eq!(names(&first), ["a=", "a", "b="]);
        let again = listings.read(dir.path()).unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        fs::write(dir.path().join("c="), b"").unwrap();
        listings.changed(dir.path());
        let third = listings.read(dir.path()).unwrap().unwrap();
        assert_eq!(names(&third), ["a=", "a", "b=", "c="]);
        listings.all_changed();
        let fourth = listings.read(dir.path()).unwrap().unwrap();
        assert!(!Arc::ptr_eq(&third, &fourth));
        assert!(listings.read(&dir.path().join("x")).unwrap().is_none());
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let dir = tempfile::tempdir().unwrap();
        let listings = Listings::none();
        for n in 0..40 {
            let path = dir.path().join(n.to_string());
            fs::create_dir(&path).unwrap();
            fs::write(path.join("a="), b"").unwrap();
            let listing = Listing {
                bytes: MOST_BYTES / 4,
                ..Listing::read(&path).unwrap().unwrap()
            };
            listings.keep(&path, 0, &Arc::new(listing));
            let kept = listings.lock();
            assert!(kept.bytes <= MOST_BYTES && kept.listings.contains_key(&path));
            let sum: usize = kept.listings.values().map(|(_, l)| l.bytes).sum();
            assert_eq!(sum, kept.bytes);
        }
    }
}
