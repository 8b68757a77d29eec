//! Keys as paths, and back. The crate's header has the rules.

use std::path::{Path, PathBuf};

use crate::ids::Ids;

/// A segment is cut after each so many bytes. Percent-encoded they still fit
/// into a file name of 255 bytes.
pub(crate) const CHUNK_BYTES: usize = 64;
const EMPTY: &str = "%";

/// What a name in a directory of keys stands for. Names are in the order of the keys that they lead to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    /// The bytes that it adds to those that the directories above it stand for.
    pub adds: Box<[u8]>,
    pub kind: Kind,
    /// That of a leaf that stands for an upload; empty else.
    pub upload_id: Box<str>,
}

/// The same, borrowed, in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NameRef<'a> {
    pub adds: &'a [u8],
    pub kind: Kind,
    pub upload_id: &'a str,
}

/// Which kind of name it is. The key that ends with some bytes comes before those that go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The end of a key.
    Leaf,
    /// A directory for the rest of a segment; what it adds ends in `/`.
    Segment,
    /// A directory for a piece of a long segment.
    Piece,
}

impl Name {
    /// The first of all names that add these bytes.
    pub(crate) fn first_of(adds: &[u8]) -> Self {
        Self {
            adds: adds.into(),
            kind: Kind::Leaf,
            upload_id: "".into(),
        }
    }

    pub(crate) fn borrow(&self) -> NameRef<'_> {
        NameRef {
            adds: &self.adds,
            kind: self.kind,
            upload_id: &self.upload_id,
        }
    }

    /// As it is written in its directory.
    pub(crate) fn file_name(&self) -> String {
        let mut text = match self.kind {
            Kind::Segment => encode(self.adds.strip_suffix(b"/").unwrap_or(&self.adds)),
            Kind::Leaf | Kind::Piece => encode(&self.adds),
        };
        match self.kind {
            Kind::Leaf => {
                text.push('=');
                text.push_str(&self.upload_id);
            }
            Kind::Segment if text.is_empty() => text.push_str(EMPTY),
            Kind::Segment => {}
            Kind::Piece => text.push('+'),
        }
        text
    }
}

impl NameRef<'_> {
    pub(crate) fn to_name(self) -> Name {
        Name {
            adds: self.adds.into(),
            kind: self.kind,
            upload_id: self.upload_id.into(),
        }
    }
}

/// The file of a key below the directory of all objects.
pub(crate) fn object_path(objects: &Path, key: &str) -> PathBuf {
    let (mut path, rest) = descend(objects, key.as_bytes());
    let mut name = encode(rest);
    name.push('=');
    path.push(name);
    path
}

/// The file of one of the uploads to a key, below the directory of all that are
/// pending.
pub(crate) fn pending_path(pending: &Path, key: &str, upload_id: &str) -> PathBuf {
    let mut path = object_path(pending, key).into_os_string();
    path.push(upload_id);
    path.into()
}

/// The deepest directory below which every key with this prefix is, and the
/// bytes of the prefix that it stands for.
pub(crate) fn prefix_dir<'a>(objects: &Path, prefix: &'a [u8]) -> (PathBuf, &'a [u8]) {
    let (path, rest) = descend(objects, prefix);
    (path, &prefix[..prefix.len() - rest.len()])
}

/// Goes down as far as the bytes name directories; returns what is left.
fn descend<'a>(objects: &Path, bytes: &'a [u8]) -> (PathBuf, &'a [u8]) {
    let mut path = objects.to_owned();
    let mut rest = bytes;
    while let Some((name, more)) = first_dir(rest) {
        path.push(name.to_name().file_name());
        rest = more;
    }
    (path, rest)
}

/// The directory that leads to keys which begin with these bytes, if they are enough to tell, and the bytes behind it.
pub(crate) fn first_dir(bytes: &[u8]) -> Option<(NameRef<'_>, &[u8])> {
    let slash = bytes.iter().position(|byte| *byte == b'/');
    let (kind, end) = if slash.unwrap_or(bytes.len()) >= CHUNK_BYTES {
        (Kind::Piece, CHUNK_BYTES)
    } else {
        (Kind::Segment, slash? + 1)
    };
    let (adds, rest) = bytes.split_at(end);
    let name = NameRef {
        adds,
        kind,
        upload_id: "",
    };
    Some((name, rest))
}

/// What a name stands for; `None` if this store does not write such a name.
pub(crate) fn decode_name(name: &str) -> Option<Name> {
    let mut adds = Vec::new();
    let (kind, upload_id) = decode_name_onto(name, &mut adds)?;
    Some(Name {
        adds: adds.into(),
        kind,
        upload_id: upload_id.into(),
    })
}

/// The same. Appends the bytes that the name adds, some of them also if it is none; tells the rest.
pub(crate) fn decode_name_onto<'a>(name: &'a str, adds: &mut Vec<u8>) -> Option<(Kind, &'a str)> {
    if name == EMPTY {
        adds.push(b'/');
        return Some((Kind::Segment, ""));
    }
    if let Some((leaf, upload_id)) = name.split_once('=') {
        let known = upload_id.is_empty() || Ids::is_id(upload_id);
        return (known && decode_onto(leaf, adds)).then_some((Kind::Leaf, upload_id));
    }
    if let Some(piece) = name.strip_suffix('+') {
        return decode_onto(piece, adds).then_some((Kind::Piece, ""));
    }
    decode_onto(name, adds).then(|| {
        adds.push(b'/');
        (Kind::Segment, "")
    })
}

/// Whether a byte is written as it is, but for a dot at the beginning.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.')
}

fn encode(bytes: &[u8]) -> String {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() + 8);
    for (at, byte) in bytes.iter().copied().enumerate() {
        if is_plain(byte) && !(at == 0 && byte == b'.') {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    text
}

/// Appends what a text was encoded from; `false` if it was not encoded so.
fn decode_onto(text: &str, bytes: &mut Vec<u8>) -> bool {
    if text.bytes().all(is_plain) && !text.starts_with('.') {
        bytes.extend_from_slice(text.as_bytes());
        return true;
    }
    let from = bytes.len();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        if *first == b'%' {
            let Some((digits, more)) = more.split_at_checked(2) else {
                return false;
            };
            let (Some(high), Some(low)) = (hex_digit(digits[0]), hex_digit(digits[1])) else {
                return false;
            };
            bytes.push(high << 4 | low);
            rest = more;
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    encode(&bytes[from..]) == text
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a path back, name by name.
    fn decode_path(path: &Path) -> Vec<u8> {
        let mut key = Vec::new();
        for name in path {
            let text = name.to_str().unwrap();
            let name = decode_name(text).unwrap();
            assert_eq!(name.file_name(), text);
            key.extend(name.adds);
        }
        key
    }

    fn odd_key() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("/".to_owned()),
            Just("..".to_owned()),
            Just(".".to_owned()),
            Just("%2e=+".to_owned()),
            Just("\0\n\u{7f}".to_owned()),
            Just("A".to_owned()),
            "[a-z]{60,70}",
            "é{30,40}",
            any::<String>(),
        ];
        prop::collection::vec(piece, 1..8)
            .prop_map(|pieces| pieces.concat())
            .prop_map(|mut key| {
                while key.len() > 1024 {
                    key.pop();
                }
                key
            })
    }

    proptest! {
        #[test]
        fn a_key_has_one_path_and_the_path_one_key(key in odd_key()) {
            let path = object_path(Path::new(""), &key);
            prop_assert_eq!(decode_path(&path), key.as_bytes());
            for name in &path {
                let name = name.to_str().unwrap();
                prop_assert!(!name.is_empty() && name.len() <= 255);
                prop_assert!(!name.starts_with('.'));
                prop_assert!(name.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase()));
            }
        }

        #[test]
        fn keys_are_below_the_directory_of_their_prefixes(key in odd_key(), at in 0_usize..1024) {
            let prefix = &key.as_bytes()[..at.min(key.len())];
            let (dir, base) = prefix_dir(Path::new("x"), prefix);
            prop_assert!(object_path(Path::new("x"), &key).starts_with(&dir));
            prop_assert!(prefix.starts_with(base));
        }
    }

    #[test]
    fn an_upload_has_the_path_of_its_key() {
        let id = "0123456789abcdef0123456789abcdef";
        let path = pending_path(Path::new("x"), "a/B", id);
        assert_eq!(path, Path::new("x/a/%42=0123456789abcdef0123456789abcdef"));
        let name = path.file_name().and_then(|name| name.to_str()).unwrap();
        let decoded = decode_name(name).unwrap();
        assert_eq!(
            (&*decoded.adds, decoded.kind),
            (b"B".as_slice(), Kind::Leaf)
        );
        assert_eq!((&*decoded.upload_id, &*decoded.file_name()), (id, name));
        assert!(name.len() <= 255);
        assert_eq!(decode_name("b=else"), None);
        let longest = pending_path(Path::new(""), &"A".repeat(CHUNK_BYTES - 1), id);
        assert!(longest.as_os_str().len() <= 255);
    }

    #[test]
    fn paths_are_as_the_header_says() {
        let path = |key: &str| object_path(Path::new(""), key).to_str().unwrap().to_owned();
        assert_eq!(path("a"), "a=");
        assert_eq!(path("a/b"), "a/b=");
        assert_eq!(path("a/"), "a/=");
        assert_eq!(path("/"), "%/=");
        assert_eq!(path("../A"), "%2e./%41=");
        assert_eq!(path(&"a".repeat(64)), format!("{}+/=", "a".repeat(64)));
        assert_eq!(
            path(&format!("{}/b", "a".repeat(64))),
            format!("{}+/%/b=", "a".repeat(64))
        );
    }
}
