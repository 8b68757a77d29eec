//! What is known of an object, a part and an upload.

use std::collections::BTreeMap;
use std::path::Path;

use s3s::{S3Result, dto, s3_error};
use serde::{Deserialize, Serialize};

use crate::checksum::{Algorithm, Checksums, Coverage};
use crate::cors::CorsRule;
use crate::events::Subscription;
use crate::fault::Fault;
use crate::lifecycle::LifecycleRule;
use crate::sealed;
use crate::tags::Tags;

/// The most user metadata of an object.
const MOST_METADATA_BYTES: usize = 2048;

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

impl Attributes {
    /// Refuses more user metadata than S3 has: 2 KiB, names and values together.
    pub(crate) fn check(&self) -> S3Result<()> {
        let bytes: usize = self.metadata.iter().map(|(k, v)| k.len() + v.len()).sum();
        if bytes > MOST_METADATA_BYTES {
            return Err(s3_error!(
                MetadataTooLarge,
                "Your metadata headers exceed the maximum allowed metadata size."
            ));
        }
        Ok(())
    }
}

/// An object. Its bytes stand before the record, or in the parts it lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectRecord {
    pub key: String,
    pub size_bytes: u64,
    pub etag: String,
    pub modified_us: i64,
    pub attributes: Attributes,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    pub checksums: Checksums,
    pub coverage: Coverage,
    pub manifest: Option<Manifest>,
}

/// What is listed as the ETag of an object whose record is damaged. No object has it.
const DAMAGED_ETAG: &str = "damaged";

/// What a listing says of an object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Summary {
    pub size_bytes: u64,
    pub etag: String,
    pub modified_us: i64,
    checksums: Checksums,
    pub coverage: Coverage,
}

impl Summary {
    /// That of the object in a file; `None` if there is none. One whose record is damaged is listed nevertheless, so
    /// that who compares a copy with this store does not take it for deleted.
    pub(crate) fn of_file(path: &Path) -> Result<Option<Self>, Fault> {
        match sealed::open::<Self>(path) {
            Ok(sealed) => Ok(sealed.map(|sealed| sealed.record)),
            Err(Fault::Io(error)) => Err(Fault::Io(error)),
            Err(error @ Fault::Damaged { .. }) => {
                tracing::error!(%error, "an object is listed without what is known of it");
                Ok(Some(Self {
                    size_bytes: 0,
                    etag: DAMAGED_ETAG.to_owned(),
                    modified_us: 0,
                    checksums: Checksums::new(),
                    coverage: Coverage::FullObject,
                }))
            }
        }
    }

    /// Whether nothing is known of the object.
    pub(crate) fn is_damaged(&self) -> bool {
        self.etag == DAMAGED_ETAG
    }

    /// The algorithms of its checksums.
    pub(crate) fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.checksums.keys().copied()
    }
}

/// The files that hold an object's bytes, in order, where its record does not
/// stand behind them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The upload in whose directory they are.
    pub upload_id: String,
    pub parts: Vec<PartRecord>,
    /// Whether a client uploaded these parts. If not, the object came in one
    /// piece and its record was rewritten since.
    #[serde(default = "yes")]
    pub uploaded: bool,
}

/// In the first format nothing was rewritten.
fn yes() -> bool {
    true
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
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
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

impl UploadRecord {
    /// That of an upload which could have made this object.
    pub(crate) fn of_object(object: &ObjectRecord) -> Self {
        let algorithm = object.checksums.keys().next();
        Self {
            key: object.key.clone(),
            initiated_us: object.modified_us,
            attributes: object.attributes.clone(),
            tags: object.tags.clone(),
            algorithm: algorithm.copied().unwrap_or(Algorithm::Crc64nvme),
            coverage: object.coverage,
            declared: false,
        }
    }
}

impl ObjectRecord {
    /// The upload whose parts hold the bytes.
    pub(crate) fn upload_id(&self) -> Option<&str> {
        self.manifest.as_ref().map(|m| m.upload_id.as_str())
    }

    /// The parts that a client uploaded, if it did so in parts.
    pub(crate) fn uploaded_parts(&self) -> Option<&[PartRecord]> {
        let manifest = self.manifest.as_ref().filter(|m| m.uploaded)?;
        Some(&manifest.parts)
    }

    /// The ETag as a response carries it.
    pub(crate) fn e_tag(&self) -> dto::ETag {
        dto::ETag::Strong(self.etag.clone())
    }
}

/// Takes the attributes out of the input of an operation that makes an object,
/// if they are within the limits.
macro_rules! attributes_of {
    ($input:expr) => {{
        let attributes = $crate::record::Attributes {
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
        };
        attributes.check().map(|()| attributes)
    }};
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
    fn parts_of_the_first_format_were_uploaded() {
        let manifest: Manifest = serde_json::from_str(r#"{"upload_id":"x","parts":[]}"#).unwrap();
        assert!(manifest.uploaded);
    }

    #[test]
    fn the_encoding_of_the_transfer_is_not_stored() {
        let stored = |text: &str| stored_encoding(Some(text.to_owned()));
        assert_eq!(stored("aws-chunked"), None);
        assert_eq!(stored("gzip,aws-chunked").as_deref(), Some("gzip"));
        assert_eq!(stored("br, gzip").as_deref(), Some("br,gzip"));
        assert_eq!(stored_encoding(None), None);
    }
}
