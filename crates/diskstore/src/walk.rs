//! The keys of a bucket in the order of their bytes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fault::Fault;
use crate::keypath::prefix_dir;
use crate::listings::{Entry, Listing, Listings};
use crate::record::Summary;

/// Where a walk goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resume {
    /// From the first key.
    Start,
    /// From this key on.
    From(Vec<u8>),
    /// After this key.
    After(Vec<u8>),
    /// After all keys that begin with this.
    Past(Vec<u8>),
}

impl Resume {
    fn skips_key(&self, key: &[u8]) -> bool {
        match self {
            Self::Start => false,
            Self::From(first) => key < first.as_slice(),
            Self::After(last) => key <= last.as_slice(),
            Self::Past(last) => key <= last.as_slice() || key.starts_with(last),
        }
    }

    /// Whether it skips all keys that begin with these bytes.
    fn skips_dir(&self, base: &[u8]) -> bool {
        match self {
            Self::Start => false,
            Self::From(last) | Self::After(last) => {
                base < last.as_slice() && !last.starts_with(base)
            }
            Self::Past(last) => {
                base.starts_with(last) || (base < last.as_slice() && !last.starts_with(base))
            }
        }
    }
}

/// A walk over the keys with a prefix, one directory at a time.
pub(crate) struct Walk {
    prefix: Vec<u8>,
    resume: Resume,
    stack: Vec<Frame>,
    /// Directories in which nothing was.
    empty: Vec<PathBuf>,
}

struct Frame {
    path: PathBuf,
    base: Vec<u8>,
    listing: Arc<Listing>,
    /// Which of its entries comes next.
    at: usize,
}

/// A key that a walk has come to.
pub(crate) struct Found {
    pub key: Vec<u8>,
    dir: PathBuf,
    listing: Arc<Listing>,
    at: usize,
}

impl Found {
    /// Its file.
    pub(crate) fn path(&self) -> PathBuf {
        match self.listing.entries.get(self.at) {
            Some(entry) => self.dir.join(&*entry.file_name),
            None => self.dir.clone(),
        }
    }

    /// What a listing says of the object that it holds; `None` if there is none any more.
    pub(crate) fn summary(&self) -> Result<Option<Arc<Summary>>, Fault> {
        match self.listing.entries.get(self.at) {
            Some(entry) => entry.summary(|| self.path()),
            None => Ok(None),
        }
    }
}

impl Walk {
    /// A walk over the keys below a directory of objects.
    pub(crate) fn start(
        listings: &Listings,
        objects: &Path,
        prefix: &str,
        resume: Resume,
    ) -> io::Result<Self> {
        let prefix = prefix.as_bytes().to_vec();
        let (path, base) = prefix_dir(objects, &prefix);
        let mut walk = Self {
            resume,
            stack: Vec::new(),
            empty: Vec::new(),
            prefix: prefix.clone(),
        };
        if let Some(listing) = listings.read(&path)? {
            walk.enter(path, base.to_vec(), listing);
        }
        Ok(walk)
    }

    /// The directories without entries that it came through.
    pub(crate) fn into_empty(self) -> Vec<PathBuf> {
        self.empty
    }

    /// Skips the rest of the keys that begin with this.
    pub(crate) fn skip_past(&mut self, common: &[u8]) {
        self.resume = Resume::Past(common.to_vec());
    }

    /// Goes on in a directory, from where something may be wanted of it on.
    fn enter(&mut self, path: PathBuf, base: Vec<u8>, listing: Arc<Listing>) {
        let comes_before = |entry: &Entry| {
            let bytes = [base.as_slice(), &entry.adds].concat();
            let leads_to = |wanted: &[u8]| !entry.leaf && wanted.starts_with(&bytes);
            (bytes < self.prefix && !leads_to(&self.prefix))
                || match &self.resume {
                    Resume::Start => false,
                    Resume::From(key) | Resume::After(key) | Resume::Past(key) => {
                        bytes < *key && !leads_to(key)
                    }
                }
        };
        let at = listing.entries.partition_point(comes_before);
        self.stack.push(Frame {
            path,
            base,
            listing,
            at,
        });
    }

    /// The next key.
    pub(crate) fn next(&mut self, listings: &Listings) -> io::Result<Option<Found>> {
        while let Some(frame) = self.stack.last_mut() {
            let at = frame.at;
            let Some(entry) = frame.listing.entries.get(at) else {
                self.stack.pop();
                continue;
            };
            frame.at += 1;
            let bytes = [frame.base.as_slice(), &entry.adds].concat();
            if !bytes.starts_with(&self.prefix) && bytes > self.prefix {
                // So do all that come after it here.
                self.stack.pop();
                continue;
            }
            if entry.leaf {
                if bytes.starts_with(&self.prefix) && !self.resume.skips_key(&bytes) {
                    return Ok(Some(Found {
                        key: bytes,
                        dir: frame.path.clone(),
                        listing: Arc::clone(&frame.listing),
                        at,
                    }));
                }
            } else if (bytes.starts_with(&self.prefix) || self.prefix.starts_with(&bytes))
                && !self.resume.skips_dir(&bytes)
            {
                let path = frame.path.join(&*entry.file_name);
                match listings.read(&path)? {
                    Some(listing) if listing.entries.is_empty() => self.empty.push(path),
                    Some(listing) => self.enter(path, bytes, listing),
                    None => {}
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::keypath::object_path;

    fn walk(objects: &Path, prefix: &str, resume: Resume) -> Vec<String> {
        let listings = Listings::none();
        let mut walk = Walk::start(&listings, objects, prefix, resume).unwrap();
        let mut keys = Vec::new();
        while let Some(found) = walk.next(&listings).unwrap() {
            keys.push(String::from_utf8(found.key).unwrap());
        }
        keys
    }

    fn near_key() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("/".to_owned()),
            Just("a".to_owned()),
            Just("!".to_owned()),
            Just("B".to_owned()),
            Just("é".to_owned()),
            Just("a".repeat(62)),
        ];
        prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_walk_gives_the_keys_in_order(
            keys in prop::collection::btree_set(near_key(), 1..40),
            prefix in near_key(),
            cut in 0_usize..6,
            after in near_key(),
        ) {
            let dir = tempfile::tempdir().unwrap();
            for key in &keys {
                let path = object_path(dir.path(), key);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, b"").unwrap();
            }
            let prefix: String = prefix.chars().take(cut).collect();
            let expected = |keep: &dyn Fn(&String) -> bool| -> Vec<String> {
                keys.iter()
                    .filter(|key| key.starts_with(&prefix) && keep(key))
                    .cloned()
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect()
            };
            prop_assert_eq!(walk(dir.path(), &prefix, Resume::Start), expected(&|_| true));
            prop_assert_eq!(
                walk(dir.path(), &prefix, Resume::From(after.clone().into_bytes())),
                expected(&|key| *key >= after)
            );
            prop_assert_eq!(
                walk(dir.path(), &prefix, Resume::After(after.clone().into_bytes())),
                expected(&|key| *key > after)
            );
            prop_assert_eq!(
                walk(dir.path(), &prefix, Resume::Past(after.clone().into_bytes())),
                expected(&|key| *key > after && !key.starts_with(&after))
            );
        }
    }
}
