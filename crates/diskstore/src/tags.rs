//! Tags of an object.

use std::collections::BTreeMap;

use http::StatusCode;
use s3s::dto::{Tag, TagSet};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use serde::{Deserialize, Serialize};

// The limits of Amazon S3, in its user guide under "Object tagging".
const MOST_TAGS: usize = 10;
const LONGEST_KEY_CHARS: usize = 128;
const LONGEST_VALUE_CHARS: usize = 256;

/// Tags within the limits of S3, by their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Tags(BTreeMap<String, String>);

impl Tags {
    /// Reads `x-amz-tagging`, which is written like the query of a URL.
    pub(crate) fn of_header(header: Option<&str>) -> S3Result<Self> {
        let mut tags = Self::default();
        for pair in header.unwrap_or_default().split('&') {
            if pair.is_empty() {
                continue;
            }
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            tags.add(decode(key)?, decode(value)?)?;
        }
        Ok(tags)
    }

    /// Reads the body of PutObjectTagging.
    pub(crate) fn of_set(set: TagSet) -> S3Result<Self> {
        let mut tags = Self::default();
        for tag in set {
            let (Some(key), Some(value)) = (tag.key, tag.value) else {
                return Err(s3_error!(
                    MalformedXML,
                    "A tag needs a Key and a Value, which may be empty."
                ));
            };
            tags.add(key, value)?;
        }
        Ok(tags)
    }

    /// Whether all of these are among them.
    pub(crate) fn include(&self, wanted: &BTreeMap<String, String>) -> bool {
        wanted
            .iter()
            .all(|(key, value)| self.0.get(key) == Some(value))
    }

    /// As GetObjectTagging answers.
    pub(crate) fn to_set(&self) -> TagSet {
        self.0
            .iter()
            .map(|(key, value)| Tag {
                key: Some(key.clone()),
                value: Some(value.clone()),
            })
            .collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of tags for `x-amz-tagging-count`, which is left out if there
    /// are none.
    pub(crate) fn count(&self) -> Option<i32> {
        i32::try_from(self.0.len()).ok().filter(|count| *count > 0)
    }

    fn add(&mut self, key: String, value: String) -> S3Result<()> {
        if key.starts_with("aws:") {
            return Err(s3_error!(
                InvalidTag,
                "System tags cannot be added or updated by a requester."
            ));
        }
        if key.is_empty() || key.chars().count() > LONGEST_KEY_CHARS || !key.chars().all(is_allowed)
        {
            return Err(s3_error!(
                InvalidTag,
                "The TagKey you have provided is invalid."
            ));
        }
        if value.chars().count() > LONGEST_VALUE_CHARS || !value.chars().all(is_allowed) {
            return Err(s3_error!(
                InvalidTag,
                "The TagValue you have provided is invalid."
            ));
        }
        if self.0.insert(key, value).is_some() {
            return Err(s3_error!(
                InvalidTag,
                "Cannot provide multiple Tags with the same key."
            ));
        }
        if self.0.len() > MOST_TAGS {
            return Err(too_many());
        }
        Ok(())
    }
}

fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || " +-=._:/@".contains(c)
}

fn too_many() -> S3Error {
    let mut error = S3Error::with_message(
        S3ErrorCode::Custom("BadRequest".into()),
        "Object tags cannot be greater than 10.",
    );
    error.set_status_code(StatusCode::BAD_REQUEST);
    error
}

fn decode(text: &str) -> S3Result<String> {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text)
        .decode_utf8()
        .map(|text| text.into_owned())
        .map_err(|_| {
            s3_error!(
                InvalidArgument,
                "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates."
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(header: &str) -> Result<Vec<(String, String)>, String> {
        Tags::of_header(Some(header))
            .map(|tags| tags.0.into_iter().collect())
            .map_err(|error| error.code().as_str().to_owned())
    }

    #[test]
    fn a_header_is_read_like_a_query() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(parse(""), Ok(vec![]));
        assert_eq!(
            parse("b=2&a=1&empty=&bare"),
            Ok(vec![
                pair("a", "1"),
                pair("b", "2"),
                pair("bare", ""),
                pair("empty", "")
            ])
        );
        assert_eq!(
            parse("a%20b+c=%C3%A4%2F%3D%2B"),
            Ok(vec![pair("a b c", "\u{e4}/=+")])
        );
    }

    #[test]
    fn limits_are_those_of_s3() {
        let many = |count: usize| {
            let pairs: Vec<String> = (0..count).map(|n| format!("k{n}=v")).collect();
            parse(&pairs.join("&")).map(|tags| tags.len())
        };
        assert_eq!(many(10), Ok(10));
        assert_eq!(many(11), Err("BadRequest".to_owned()));
        let long = |key: usize, value: usize| {
            parse(&format!("{}={}", "%C3%A4".repeat(key), "v".repeat(value))).map(|tags| tags.len())
        };
        assert_eq!(long(128, 256), Ok(1));
        for wrong in [
            long(129, 1),
            long(1, 257),
            long(0, 1),
            parse("a=1&a=2").map(|tags| tags.len()),
            parse("aws:x=1").map(|tags| tags.len()),
            parse("a%00=1").map(|tags| tags.len()),
            parse("a=%3C").map(|tags| tags.len()),
        ] {
            assert_eq!(wrong, Err("InvalidTag".to_owned()));
        }
        assert_eq!(parse("a=%FF"), Err("InvalidArgument".to_owned()));
    }
}
