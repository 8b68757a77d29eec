//! What is known of an object, a part and an upload.

use std::collections::BTreeMap;

use s3s::dto;
use serde::{Deserialize, Serialize};

use crate::checksum::{Algorithm, Checksums, Coverage};
use crate::cors::CorsRule;
use crate::events::Subscription;
use crate::lifecycle::LifecycleRule;

/// The headers that a client gave an object and gets back with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attributes {
    pub content_type: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub cache_control: Option<String>,
    /// `Expires`, in seconds since 1970.
    pub expires_s: Option<i64>,
    /// `x-amz-meta-*` without the prefix.
    pub metadata: BTreeMap<String, String>,
}

/// An object. Its bytes stand before the record, or in the parts it lists.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ObjectRecord {
    pub key: String,
    pub size_bytes: u64,
    pub etag: String,
    pub modified_us: i64,
    pub attributes: Attributes,
    pub checksums: Checksums,
    pub coverage: Coverage,
    pub manifest: Option<Manifest>,
}

/// The parts of an object that came as a multipart upload, in order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub upload_id: String,
    pub parts: Vec<PartRecord>,
}

/// A part of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    pub number: u16,
    pub size_bytes: u64,
    pub etag: String,
    pub modified_us: i64,
    pub checksums: Checksums,
}

/// What CreateMultipartUpload was told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    pub key: String,
    /// When it was begun.
    pub initiated_us: i64,
    pub attributes: Attributes,
    /// The checksum of the object that Complete will make.
    pub algorithm: Algorithm,
    pub coverage: Coverage,
    /// Whether the client chose the algorithm.
    pub declared: bool,
}

/// A bucket and its configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct BucketRecord {
    pub created_us: i64,
    /// Its CORS rules, if it has its own.
    pub cors: Option<Vec<CorsRule>>,
    pub lifecycle: Option<Vec<LifecycleRule>>,
    /// Who is told of its objects.
    #[serde(default)]
    pub notifications: Vec<Subscription>,
}

impl ObjectRecord {
    /// The upload whose parts hold the bytes.
    pub(crate) fn upload_id(&self) -> Option<&str> {
        self.manifest.as_ref().map(|m| m.upload_id.as_str())
    }

    /// The ETag as a response carries it.
    pub(crate) fn e_tag(&self) -> dto::ETag {
        dto::ETag::Strong(self.etag.clone())
    }
}

/// Takes the attributes out of the input of PutObject or
/// CreateMultipartUpload, which name them alike.
macro_rules! attributes_of {
    ($input:expr) => {
        $crate::record::Attributes {
            content_type: $input.content_type.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $crate::record::stored_encoding($input.content_encoding.take()),
            content_language: $input.content_language.take(),
            cache_control: $input.cache_control.take(),
            expires_s: $input
                .expires
                .take()
                .map(|at| time::OffsetDateTime::from(at).unix_timestamp()),
            metadata: $input
                .metadata
                .take()
                .unwrap_or_default()
                .into_iter()
                .collect(),
        }
    };
}
pub(crate) use attributes_of;

/// `Content-Encoding` without `aws-chunked`, which is of the transfer only.
pub(crate) fn stored_encoding(encoding: Option<String>) -> Option<String> {
    let kept: Vec<&str> = encoding
        .as_deref()?
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_of_the_transfer_is_not_stored() {
        let stored = |text: &str| stored_encoding(Some(text.to_owned()));
        assert_eq!(stored("aws-chunked"), None);
        assert_eq!(stored("gzip,aws-chunked").as_deref(), Some("gzip"));
        assert_eq!(stored("br, gzip").as_deref(), Some("br,gzip"));
        assert_eq!(stored_encoding(None), None);
    }
}
