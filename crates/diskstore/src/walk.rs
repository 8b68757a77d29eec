//! The keys of a bucket in the order of their bytes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::keypath::{Name, decode_name, prefix_dir};

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
    entries: std::vec::IntoIter<Entry>,
}

struct Entry {
    /// The bytes that it adds to the base.
    adds: Vec<u8>,
    leaf: bool,
    file_name: String,
}

impl Walk {
    /// A walk over the keys below a directory of objects.
    pub(crate) fn start(objects: &Path, prefix: &str, resume: Resume) -> io::Result<Self> {
        let prefix = prefix.as_bytes().to_vec();
        let (path, base) = prefix_dir(objects, &prefix);
        let first = Frame::read(path, base.to_vec())?;
        Ok(Self {
            prefix,
            resume,
            stack: first.into_iter().collect(),
            empty: Vec::new(),
        })
    }

    /// The directories without entries that it came through.
    pub(crate) fn into_empty(self) -> Vec<PathBuf> {
        self.empty
    }

    /// Skips the rest of the keys that begin with this.
    pub(crate) fn skip_past(&mut self, common: &[u8]) {
        self.resume = Resume::Past(common.to_vec());
    }

    /// The next key and its file.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Vec<u8>, PathBuf)>> {
        while let Some(frame) = self.stack.last_mut() {
            let Some(entry) = frame.entries.next() else {
                self.stack.pop();
                continue;
            };
            let mut bytes = frame.base.clone();
            bytes.extend_from_slice(&entry.adds);
            let path = frame.path.join(&entry.file_name);
            if entry.leaf {
                if bytes.starts_with(&self.prefix) && !self.resume.skips_key(&bytes) {
                    return Ok(Some((bytes, path)));
                }
            } else if (bytes.starts_with(&self.prefix) || self.prefix.starts_with(&bytes))
                && !self.resume.skips_dir(&bytes)
                && let Some(below) = Frame::read(path, bytes)?
            {
                if below.entries.len() == 0 {
                    self.empty.push(below.path);
                } else {
                    self.stack.push(below);
                }
            }
        }
        Ok(None)
    }
}

impl Frame {
    /// Reads and orders a directory; `None` if there is none.
    fn read(path: PathBuf, base: Vec<u8>) -> io::Result<Option<Self>> {
        let listing = match fs::read_dir(&path) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut entries = Vec::new();
        for entry in listing {
            let Ok(file_name) = entry?.file_name().into_string() else {
                continue;
            };
            let (adds, leaf) = match decode_name(&file_name) {
                Some(Name::Leaf(bytes)) => (bytes, true),
                Some(Name::Dir(bytes)) => (bytes, false),
                None => continue,
            };
            entries.push(Entry {
                adds,
                leaf,
                file_name,
            });
        }
        // A leaf and a directory add the same bytes only where a segment was
        // cut: the key that ends there comes before those that go on. Leaves of
        // one key differ in the id of the upload.
        entries.sort_unstable_by(|a, b| {
            (&a.adds, !a.leaf, &a.file_name).cmp(&(&b.adds, !b.leaf, &b.file_name))
        });
        Ok(Some(Self {
            path,
            base,
            entries: entries.into_iter(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::keypath::object_path;

    fn walk(objects: &Path, prefix: &str, resume: Resume) -> Vec<String> {
        let mut walk = Walk::start(objects, prefix, resume).unwrap();
        let mut keys = Vec::new();
        while let Some((key, _)) = walk.next().unwrap() {
            keys.push(String::from_utf8(key).unwrap());
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
