//! The fields of a form, and the PutObject that they ask for.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    Metadata, PutObjectInput, StreamingBlob, TagSet, Tagging, Timestamp, TimestampFormat,
};
use s3s::xml::{Deserialize as _, Deserializer};
use s3s::{S3Error, S3Request, S3Result, s3_error};

/// The longest key of S3.
const LONGEST_KEY_BYTES: usize = 1024;
const BUCKET: &str = "bucket";

/// Fields by their names in lower case.
#[derive(Debug)]
pub(super) struct Fields {
    values: BTreeMap<String, String>,
}

impl Fields {
    /// The fields of a form that was sent to a bucket. `${filename}` stands for
    /// the name of the file, if it has one; several values of one name are
    /// joined by commas.
    pub(super) fn gather(
        given: Vec<(String, String)>,
        bucket: &str,
        file_name: Option<&str>,
    ) -> S3Result<Self> {
        // Some browsers send a whole path.
        let file_name = file_name.map(|name| name.rsplit(['/', '\\']).next().unwrap_or_default());
        let mut values = BTreeMap::<String, String>::new();
        for (name, value) in given {
            let value = match file_name {
                Some(file_name) => value.replace("${filename}", file_name),
                None => value,
            };
            values
                .entry(name.to_ascii_lowercase())
                .and_modify(|before| {
                    before.push(',');
                    before.push_str(&value);
                })
                .or_insert(value);
        }
        // What the request was sent to holds, whatever the form says.
        values.insert(BUCKET.to_owned(), bucket.to_owned());
        Ok(Self { values })
    }

    pub(super) fn get(&self, name: &str) -> Option<&String> {
        self.values.get(name)
    }

    /// A field that must be there, with its name as errors write it.
    pub(super) fn require(&self, shown: &str) -> S3Result<&str> {
        match self.values.get(&shown.to_ascii_lowercase()) {
            Some(value) => Ok(value),
            None => Err(s3_error!(
                InvalidArgument,
                "Bucket POST must contain a field named '{shown}'.  If it is specified, please check the order of the fields."
            )),
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Whether the policy must say something of such a field.
    pub(super) fn needs_condition(name: &str) -> bool {
        !matches!(name, "policy" | "x-amz-signature" | "file") && !name.starts_with("x-ignore-")
    }

    /// The key that the file is for.
    pub(super) fn key(&self) -> S3Result<&str> {
        let key = self.require("key")?;
        match key.len() {
            0 => Err(s3_error!(
                InvalidArgument,
                "User key must have a length greater than 0."
            )),
            1..=LONGEST_KEY_BYTES => Ok(key),
            _ => Err(s3_error!(KeyTooLongError, "Your key is too long.")),
        }
    }

    /// The PutObject that would do the same.
    pub(super) fn request(&self, file: StreamingBlob) -> S3Result<S3Request<PutObjectInput>> {
        let mut headers = HeaderMap::new();
        let mut metadata = Metadata::default();
        for (name, value) in &self.values {
            if let Some(name) = name.strip_prefix("x-amz-meta-") {
                metadata.insert(name.to_owned(), value.clone());
            } else if let Some(name) = header_name(name) {
                let name = HeaderName::from_bytes(name.as_bytes())
                    .map_err(|_| invalid_field(name, value))?;
                let value = HeaderValue::from_str(value)
                    .map_err(|_| invalid_field(name.as_str(), value))?;
                headers.insert(name, value);
            }
        }
        let tagging = self.tagging()?;
        if let Some(tagging) = &tagging {
            let value =
                HeaderValue::from_str(tagging).map_err(|_| invalid_field("tagging", tagging))?;
            headers.insert("x-amz-tagging", value);
        }
        let text = |name: &str| self.values.get(name).cloned();
        let expires = match self.values.get("expires") {
            Some(text) => Some(
                Timestamp::parse(TimestampFormat::HttpDate, text)
                    .map_err(|_| invalid_field("Expires", text))?,
            ),
            None => None,
        };
        let input = PutObjectInput {
            bucket: self.require(BUCKET)?.to_owned(),
            key: self.key()?.to_owned(),
            body: Some(file),
            cache_control: text("cache-control"),
            content_disposition: text("content-disposition"),
            content_encoding: text("content-encoding"),
            content_language: text("content-language"),
            content_type: text("content-type"),
            expires,
            metadata: (!metadata.is_empty()).then_some(metadata),
            tagging,
            ..PutObjectInput::default()
        };
        Ok(S3Request {
            input,
            method: Method::POST,
            uri: Uri::default(),
            headers,
            extensions: http::Extensions::default(),
            credentials: None,
            region: None,
            service: None,
            trailing_headers: None,
        })
    }

    /// The tags, which a form gives as XML, as the header of PutObject has them.
    fn tagging(&self) -> S3Result<Option<String>> {
        let Some(xml) = self.values.get("tagging") else {
            return Ok(None);
        };
        let mut document = Deserializer::new(xml.as_bytes());
        let tags: TagSet = Tagging::deserialize(&mut document)
            .map_err(|_| {
                s3_error!(
                    MalformedXML,
                    "The XML you provided was not well-formed or did not validate against our published schema"
                )
            })?
            .tag_set;
        let encoded = |text: Option<String>| {
            utf8_percent_encode(&text.unwrap_or_default(), NON_ALPHANUMERIC).to_string()
        };
        let pairs: Vec<String> = tags
            .into_iter()
            .map(|tag| format!("{}={}", encoded(tag.key), encoded(tag.value)))
            .collect();
        Ok(Some(pairs.join("&")))
    }
}

/// The header of PutObject that a field stands for, if it is not one that the
/// input has.
fn header_name(field: &str) -> Option<&str> {
    match field {
        "x-amz-signature"
        | "x-amz-algorithm"
        | "x-amz-credential"
        | "x-amz-date"
        | "x-amz-security-token" => None,
        "acl" => Some("x-amz-acl"),
        "x-amz-checksum-algorithm" => Some("x-amz-sdk-checksum-algorithm"),
        "content-md5" => Some(field),
        _ => field.starts_with("x-amz-").then_some(field),
    }
}

fn invalid_field(name: &str, value: &str) -> S3Error {
    s3_error!(InvalidArgument, "The field {name} cannot be {value:?}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(given: &[(&str, &str)], file_name: Option<&str>) -> Fields {
        let given = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Fields::gather(given.collect(), "photos", file_name).unwrap()
    }

    #[test]
    fn the_name_of_the_file_is_filled_in() {
        let given = [("Key", "o/${filename}"), ("x-amz-meta-a", "${filename}")];
        for (name, key) in [
            (Some("a.jpg"), "o/a.jpg"),
            (Some("C:\\photos\\a.jpg"), "o/a.jpg"),
            (Some("../../a.jpg"), "o/a.jpg"),
            (Some(""), "o/"),
            (None, "o/${filename}"),
        ] {
            let fields = gather(&given, name);
            assert_eq!(fields.key().unwrap(), key);
        }
    }

    #[test]
    fn names_have_no_case_and_values_of_one_name_are_joined() {
        let fields = gather(&[("X-Amz-Meta-Tag", "a"), ("x-amz-meta-tag", "b")], None);
        assert_eq!(fields.get("x-amz-meta-tag").unwrap(), "a,b");
    }

    #[test]
    fn the_bucket_is_that_of_the_request() {
        let fields = gather(&[("bucket", "other")], None);
        assert_eq!(fields.require("bucket").unwrap(), "photos");
    }

    #[test]
    fn a_key_must_be_there_and_fit() {
        let code = |given: &[(&str, &str)]| {
            let error = gather(given, None).key().unwrap_err();
            error.code().as_str().to_owned()
        };
        assert_eq!(code(&[]), "InvalidArgument");
        assert_eq!(code(&[("key", "")]), "InvalidArgument");
        assert_eq!(code(&[("key", &"k".repeat(1025))]), "KeyTooLongError");
    }

    #[test]
    fn fields_become_what_put_object_has() {
        let fields = gather(
            &[
                ("key", "k"),
                ("Content-Type", "image/png"),
                ("Expires", "Wed, 21 Oct 2026 07:28:00 GMT"),
                ("acl", "private"),
                ("x-amz-meta-Name", "Ä"),
                ("x-amz-checksum-crc32", "AAAAAA=="),
                ("x-amz-date", "20260101T000000Z"),
                ("success_action_status", "201"),
                (
                    "tagging",
                    "<Tagging><TagSet><Tag><Key>a b</Key><Value>&amp;</Value></Tag></TagSet></Tagging>",
                ),
            ],
            None,
        );
        let empty = || StreamingBlob::from(s3s::Body::empty());
        let request = fields.request(empty()).unwrap();
        let input = &request.input;
        assert_eq!((input.bucket.as_str(), input.key.as_str()), ("photos", "k"));
        assert_eq!(input.content_type.as_deref(), Some("image/png"));
        assert!(input.expires.is_some());
        assert_eq!(input.metadata.as_ref().unwrap()["name"], "Ä");
        assert_eq!(input.tagging.as_deref(), Some("a%20b=%26"));
        let names: Vec<&str> = request.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(request.headers["x-amz-acl"], "private");
        assert!(names.contains(&"x-amz-checksum-crc32") && !names.contains(&"x-amz-date"));
        for wrong in [
            ("tagging", "not-xml"),
            ("expires", "soon"),
            ("x-amz-storage-class", "a\nb"),
        ] {
            assert!(
                gather(&[("key", "k"), wrong], None)
                    .request(empty())
                    .is_err()
            );
        }
    }
}
