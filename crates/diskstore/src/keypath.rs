//! Keys as paths, and back. The crate's header has the rules.

use std::path::{Path, PathBuf};

use crate::ids::Ids;

/// A segment is cut after each so many bytes. Percent-encoded they still fit
/// into a file name of 255 bytes.
pub(crate) const CHUNK_BYTES: usize = 64;
const EMPTY: &str = "%";

/// What a name in a directory of keys stands for: the bytes that it adds to
/// those that the directories above it stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    /// The end of a key, with or without the id of an upload to it.
    Leaf(Vec<u8>),
    /// Bytes that more keys begin with; a segment's end if it ends in `/`.
    Dir(Vec<u8>),
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
    loop {
        let end = rest.iter().position(|byte| *byte == b'/');
        if end.unwrap_or(rest.len()) >= CHUNK_BYTES {
            let (chunk, more) = rest.split_at(CHUNK_BYTES);
            path.push(encode(chunk) + "+");
            rest = more;
        } else if let Some(end) = end {
            path.push(if end == 0 {
                EMPTY.to_owned()
            } else {
                encode(&rest[..end])
            });
            rest = &rest[end + 1..];
        } else {
            return (path, rest);
        }
    }
}

/// What a name stands for; `None` if this store does not write such a name.
pub(crate) fn decode_name(name: &str) -> Option<Name> {
    if name == EMPTY {
        return Some(Name::Dir(b"/".to_vec()));
    }
    if let Some((leaf, upload_id)) = name.split_once('=') {
        let known = upload_id.is_empty() || Ids::is_id(upload_id);
        return decode(leaf).filter(|_| known).map(Name::Leaf);
    }
    if let Some(chunk) = name.strip_suffix('+') {
        return decode(chunk).map(Name::Dir);
    }
    let mut bytes = decode(name)?;
    bytes.push(b'/');
    Some(Name::Dir(bytes))
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

fn decode(text: &str) -> Option<Vec<u8>> {
    if text.bytes().all(is_plain) && !text.starts_with('.') {
        return Some(text.as_bytes().to_vec());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        if *first == b'%' {
            let (digits, more) = more.split_at_checked(2)?;
            bytes.push(hex_digit(digits[0])? << 4 | hex_digit(digits[1])?);
            rest = more;
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    (encode(&bytes) == text).then_some(bytes)
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
            match decode_name(name.to_str().unwrap()).unwrap() {
                Name::Leaf(bytes) | Name::Dir(bytes) => key.extend(bytes),
            }
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
        assert_eq!(decode_name(name), Some(Name::Leaf(b"B".to_vec())));
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
