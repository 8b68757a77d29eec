//! Keys in listings, which are asked for URL-encoded: XML cannot carry every key that somebody may have put.

use aws_sdk_s3::types::EncodingType;
use percent_encoding::percent_decode_str;

/// The key that a store wrote so, if it says that it encodes; as it stands otherwise. `None` if it is no text.
///
/// A space may come as `+`, as Amazon S3 writes it; a plus sign never does.
pub(crate) fn decoded(key: String, encoding: Option<&EncodingType>) -> Option<String> {
    if encoding != Some(&EncodingType::Url) {
        return Some(key);
    }
    let key = key.replace('+', " ");
    let key = percent_decode_str(&key).decode_utf8().ok()?;
    Some(key.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_where_they_are_encoded() {
        let url = Some(&EncodingType::Url);
        let read = |key: &str, encoding| decoded(key.to_owned(), encoding);
        assert_eq!(
            read("o%2Fa+b%2Bc%01%0A%C3%A9", url).unwrap(),
            "o/a b+c\u{1}\n\u{e9}"
        );
        assert_eq!(read("o/a+b%2Bc", None).unwrap(), "o/a+b%2Bc");
        assert_eq!(read("%FF", url), None);
    }
}
