//! The keys of a bucket in the order of their bytes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fault::Fault;
use crate::keypath::{first_dir, prefix_dir};
use crate::listings::{Batch, Entry, Listings, Place};
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
    batch: Batch,
    /// Which entry of the batch comes next.
    at: usize,
    /// Where the next batch begins, if not after this one.
    seeks: Option<Place>,
}

/// What a walk has come to.
pub(crate) enum Step {
    Key(Found),
    /// All keys that begin with this; there is one at least.
    Common(String),
}

/// A key that a walk has come to.
pub(crate) struct Found {
    pub key: Vec<u8>,
    dir: PathBuf,
    entry: Arc<Entry>,
}

impl Found {
    /// Its file.
    pub(crate) fn path(&self) -> PathBuf {
        self.entry.path(&self.dir)
    }

    /// What a listing says of the object that it holds; `None` if there is none any more.
    pub(crate) fn summary(&self) -> Result<Option<Arc<Summary>>, Fault> {
        self.entry.summary(&self.dir)
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
        walk.enter(listings, path, base.to_vec())?;
        Ok(walk)
    }

    /// The directories without entries that it came through, perhaps with some that have entries.
    pub(crate) fn into_empty(self) -> Vec<PathBuf> {
        self.empty
    }

    /// Skips the rest of the keys that begin with this, as the last one did that was found.
    pub(crate) fn skip_past(&mut self, common: &[u8]) {
        self.resume = Resume::Past(common.to_vec());
        while let Some(frame) = self.stack.last_mut() {
            if frame.base.starts_with(common) {
                self.stack.pop();
                continue;
            }
            if let Some(rest) = common.strip_prefix(frame.base.as_slice()) {
                frame.skip_past(rest);
            }
            return;
        }
    }

    /// Goes on in a directory, from where something may be wanted of it on.
    fn enter(&mut self, listings: &Listings, path: PathBuf, base: Vec<u8>) -> io::Result<()> {
        let Some(place) = self.first_place(&base) else {
            return Ok(());
        };
        let Some(batch) = listings.read(&path, &place)? else {
            return Ok(());
        };
        if batch.entries.is_empty() && batch.is_last {
            self.empty.push(path);
            return Ok(());
        }
        self.stack.push(Frame {
            path,
            base,
            batch,
            at: 0,
            seeks: None,
        });
        Ok(())
    }

    /// Where something may be wanted of a directory that stands for these bytes; `None` if nothing is.
    fn first_place(&self, base: &[u8]) -> Option<Place> {
        let (resume, is_past) = match &self.resume {
            Resume::Start => (None, false),
            Resume::From(key) | Resume::After(key) => (Some(key), false),
            Resume::Past(key) => (Some(key), true),
        };
        let mut first = Vec::new();
        for (wanted, is_past) in [(Some(&self.prefix), false), (resume, is_past)] {
            let Some(wanted) = wanted else { continue };
            let Some(rest) = wanted.strip_prefix(base) else {
                if base < wanted.as_slice() {
                    return None;
                }
                continue;
            };
            let place = match first_dir(rest) {
                // A directory that leads there comes before it.
                Some((name, more)) if !more.is_empty() => name.adds.to_vec(),
                _ if is_past && !rest.is_empty() => behind(rest)?,
                Some((name, _)) => name.adds.to_vec(),
                None => rest.to_vec(),
            };
            first = first.max(place);
        }
        Some(Place::at(&first))
    }

    /// The next key.
    pub(crate) fn next(&mut self, listings: &Listings) -> io::Result<Option<Found>> {
        match self.next_or_common(listings, None)? {
            Some(Step::Key(found)) => Ok(Some(found)),
            // Without a delimiter there is none.
            Some(Step::Common(_)) | None => Ok(None),
        }
    }

    /// The next key, or what all keys in the next directory have in common up to the first delimiter behind the prefix;
    /// the walk then goes on behind them. What is so for a single key is left to the caller.
    pub(crate) fn next_or_common(
        &mut self,
        listings: &Listings,
        delimiter: Option<&str>,
    ) -> io::Result<Option<Step>> {
        while let Some(frame) = self.stack.last_mut() {
            let Some(entry) = frame.next(listings)? else {
                self.stack.pop();
                continue;
            };
            let bytes = [frame.base.as_slice(), &entry.name.adds].concat();
            if !bytes.starts_with(&self.prefix) && bytes > self.prefix {
                // So do all that come after it here.
                self.stack.pop();
                continue;
            }
            if entry.is_leaf() {
                if bytes.starts_with(&self.prefix) && !self.resume.skips_key(&bytes) {
                    return Ok(Some(Step::Key(Found {
                        key: bytes,
                        dir: frame.path.clone(),
                        entry,
                    })));
                }
            } else if (bytes.starts_with(&self.prefix) || self.prefix.starts_with(&bytes))
                && !self.resume.skips_dir(&bytes)
            {
                let path = entry.path(&frame.path);
                if let Some(common) = self.common(&bytes, delimiter)
                    && listings.surely_holds_a_key(&path)?
                {
                    self.skip_past(common.as_bytes());
                    return Ok(Some(Step::Common(common)));
                }
                self.enter(listings, path, bytes)?;
            }
        }
        Ok(None)
    }

    /// What all keys that begin with these bytes have in common up to the delimiter, if that is in them and all of these
    /// keys are wanted.
    fn common(&self, bytes: &[u8], delimiter: Option<&str>) -> Option<String> {
        let resumes_within = match &self.resume {
            Resume::Start => false,
            Resume::From(key) | Resume::After(key) | Resume::Past(key) => key.starts_with(bytes),
        };
        let rest = bytes.strip_prefix(self.prefix.as_slice())?;
        let at = memchr::memmem::find(rest, delimiter?.as_bytes())?;
        let end = self.prefix.len() + at + delimiter?.len();
        let common = str::from_utf8(&bytes[..end]).ok()?;
        (!resumes_within).then(|| common.to_owned())
    }
}

impl Frame {
    /// The next entry.
    fn next(&mut self, listings: &Listings) -> io::Result<Option<Arc<Entry>>> {
        if self.at == self.batch.entries.len() && !self.batch.is_last {
            let after = self.batch.entries.last().map(|last| &last.name);
            let place = match (self.seeks.take(), after) {
                (Some(place), _) => place,
                (None, Some(last)) => Place::After(last.clone()),
                (None, None) => return Ok(None),
            };
            let Some(batch) = listings.read(&self.path, &place)? else {
                return Ok(None);
            };
            (self.batch, self.at) = (batch, 0);
        }
        let entry = self.batch.entries.get(self.at).map(Arc::clone);
        self.at += usize::from(entry.is_some());
        Ok(entry)
    }

    /// Skips all entries that add less than these bytes, or begin with them.
    fn skip_past(&mut self, adds: &[u8]) {
        let Some(behind) = behind(adds) else {
            self.at = self.batch.entries.len();
            self.batch.is_last = true;
            return;
        };
        let ahead = &self.batch.entries[self.at..];
        self.at += ahead.partition_point(|entry| *entry.name.adds < *behind);
        if self.at == self.batch.entries.len() {
            self.seeks = Some(Place::at(&behind));
        }
    }
}

/// The first bytes that come after all that begin with these.
fn behind(bytes: &[u8]) -> Option<Vec<u8>> {
    let last = bytes.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut behind = bytes[..=last].to_vec();
    behind[last] += 1;
    Some(behind)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::disk::Disk;
    use crate::keypath::object_path;
    use crate::listings::Bounds;

    fn walk(objects: &Path, prefix: &str, resume: Resume) -> Vec<String> {
        let (scratch, bounds) = (objects.join("none"), Bounds::default());
        let listings = Listings::none(&Disk::default(), scratch, bounds);
        walk_of(&listings, objects, prefix, resume)
    }

    fn walk_of(listings: &Listings, objects: &Path, prefix: &str, resume: Resume) -> Vec<String> {
        let mut walk = Walk::start(listings, objects, prefix, resume).unwrap();
        let mut keys = Vec::new();
        while let Some(found) = walk.next(listings).unwrap() {
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

        #[test]
        fn common_prefixes_are_those_of_the_keys(
            keys in prop::collection::btree_set(near_key(), 1..40),
            changes in prop::collection::vec((near_key(), any::<bool>()), 0..8),
            prefix in near_key(),
            cut in 0_usize..6,
            delimiter in prop_oneof![Just("/"), Just("a"), Just("a/"), Just("!")],
            after in prop::option::of(near_key()),
            bounds in prop_oneof![Just(Bounds::smallest()), Just(Bounds::default())],
        ) {
            let dir = tempfile::tempdir().unwrap();
            let objects = dir.path().join("objects");
            let disk = Disk::default();
            let tree = crate::tree::Tree::below(&disk, dir.path(), bounds).unwrap();
            for made in ["tmp", "objects"] {
                tree.make(&tree.root().join(made)).unwrap();
            }
            let objects = tree.root().join(objects.file_name().unwrap());
            let prefix: String = prefix.chars().take(cut).collect();
            let mut there = keys.clone();
            for key in &keys {
                tree.touch(&object_path(&objects, key)).unwrap();
            }
            let expected = |there: &BTreeSet<String>| -> Vec<String> {
                let keys = there.iter();
                let keys = keys.filter(|key| {
                    key.starts_with(&prefix) && after.as_ref().is_none_or(|after| *key > after)
                });
                let folded = keys.map(|key| match key[prefix.len()..].find(delimiter) {
                    Some(at) => key[..prefix.len() + at + delimiter.len()].to_owned(),
                    None => key.clone(),
                });
                folded.collect::<BTreeSet<_>>().into_iter().collect()
            };
            let listed = || -> Vec<String> {
                let listings = tree.listings();
                let resume = match &after {
                    Some(after) => Resume::After(after.clone().into_bytes()),
                    None => Resume::Start,
                };
                let mut walk = Walk::start(listings, &objects, &prefix, resume).unwrap();
                let mut found = Vec::new();
                while let Some(step) = walk.next_or_common(listings, Some(delimiter)).unwrap() {
                    let key = match step {
                        Step::Common(common) => {
                            found.push(common);
                            continue;
                        }
                        Step::Key(key) => String::from_utf8(key.key).unwrap(),
                    };
                    match key[prefix.len()..].find(delimiter) {
                        Some(at) => {
                            let common = &key[..prefix.len() + at + delimiter.len()];
                            walk.skip_past(common.as_bytes());
                            found.push(common.to_owned());
                        }
                        None => found.push(key),
                    }
                }
                found
            };
            prop_assert_eq!(listed(), expected(&there));
            for (key, is_put) in changes {
                let path = object_path(&objects, &key);
                if is_put && there.insert(key.clone()) {
                    tree.touch(&path).unwrap();
                } else if !is_put {
                    let was_there = there.remove(&key);
                    prop_assert_eq!(was_there, path.exists() && tree.remove(&path, &objects).unwrap());
                }
                prop_assert_eq!(listed(), expected(&there));
            }
            prop_assert_eq!(walk_of(tree.listings(), &objects, &prefix, Resume::Start).len(),
                there.iter().filter(|key| key.starts_with(&prefix)).count());
        }
    }
}
