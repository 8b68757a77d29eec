//! Asks what stands under a key.

use aws_sdk_s3::types::ChecksumMode;
use safelight_model::clock::Micros;

use crate::list::micros;
use crate::{Metadata, ObjectKey, Objects, Part, StoreError, StoreErrorKind, sha256};

/// What the store says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectHead {
    /// Its length.
    pub size_bytes: i64,
    /// Its ETag, verbatim.
    pub etag: String,
    /// When it was stored, by the store's clock.
    pub modified_at: Option<Micros>,
    /// Its media type, where one was stored.
    pub content_type: Option<String>,
    /// What it says of itself.
    pub metadata: Metadata,
    /// The SHA-256 of its bytes, where it was stored in one piece with it.
    pub sha256_hex: Option<String>,
    /// S3's checksum of the parts' checksums (base64, a hyphen, their number), where it was stored
    /// in parts with them.
    pub composite_sha256: Option<String>,
}

impl ObjectHead {
    /// Whether this object can only be the one made of `parts`, as far as the store lets us see:
    /// the length, and the parts' hashes where both sides know them.
    #[must_use]
    pub fn holds(&self, parts: &[Part]) -> bool {
        let length: i128 = parts.iter().map(|part| i128::from(part.size_bytes)).sum();
        if i128::from(self.size_bytes) != length {
            return false;
        }
        let hashes: Option<Vec<&str>> = parts
            .iter()
            .map(|part| part.sha256_hex.as_deref())
            .collect();
        match (&self.composite_sha256, hashes) {
            (Some(stored), Some(hashes)) => {
                sha256::composite(hashes.into_iter()).as_ref() == Some(stored)
            }
            _ => true,
        }
    }
}

impl Objects {
    /// What stands under `key`; `None` when nothing does. A missing bucket is an error, so that a
    /// store that lost it is not taken for an empty one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectHead>, StoreError> {
        const OPERATION: &str = "head object";
        let asked = self
            .inner
            .client
            .head_object()
            .bucket(&self.inner.bucket)
            .key(key.as_str())
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        let answer = match asked.map_err(|e| StoreError::of(OPERATION, e)) {
            Ok(answer) => answer,
            Err(e) if *e.kind() == StoreErrorKind::NotFound => {
                // The answer to a HEAD has no body that would tell a missing bucket.
                self.probe().await?;
                return Ok(None);
            }
            Err(e) => return Err(e),
        };
        let (Some(size_bytes), Some(etag)) = (answer.content_length, answer.e_tag) else {
            return Err(StoreError::nonsense(
                OPERATION,
                "the answer lacks a length or an ETag",
            ));
        };
        let checksum = answer.checksum_sha256;
        Ok(Some(ObjectHead {
            size_bytes,
            etag,
            modified_at: answer.last_modified.and_then(micros),
            content_type: answer.content_type,
            metadata: answer.metadata.unwrap_or_default().into_iter().collect(),
            sha256_hex: checksum.as_deref().and_then(sha256::hex_of_base64),
            composite_sha256: checksum.filter(|text| text.contains('-')),
        }))
    }
}
