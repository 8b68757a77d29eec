//! Stores an object that the server made itself.

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

use crate::{Metadata, ObjectKey, Objects, StoreError, sha256};

/// What is stored with the bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct PutOptions<'a> {
    /// The media type.
    pub content_type: Option<&'a str>,
    /// What the store answers reads with as `cache-control`.
    pub cache_control: Option<&'a str>,
    /// What the object says of itself.
    pub metadata: Option<&'a Metadata>,
    /// The bytes' SHA-256 in hex, if the caller has it already.
    pub sha256_hex: Option<&'a str>,
}

impl Objects {
    /// Stores `bytes` under `key`, replacing what was there, and returns the ETag. The store
    /// checks the bytes against their SHA-256.
    ///
    /// # Errors
    /// [`StoreError`]. After an unavailable store the object may be there; storing it again is
    /// harmless.
    pub async fn put(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        options: PutOptions<'_>,
    ) -> Result<String, StoreError> {
        const OPERATION: &str = "put object";
        let checksum = match options.sha256_hex {
            Some(hash) => sha256::base64_of_hex(hash)
                .ok_or_else(|| StoreError::unsendable(OPERATION, "not a SHA-256 in hex"))?,
            None => sha256::base64_of(&bytes),
        };
        let metadata = options
            .metadata
            .map(|all| all.clone().into_iter().collect());
        let answer = self
            .inner
            .client
            .put_object()
            .bucket(&self.inner.bucket)
            .key(key.as_str())
            .set_content_type(options.content_type.map(str::to_owned))
            .set_cache_control(options.cache_control.map(str::to_owned))
            .set_metadata(metadata)
            .checksum_sha256(checksum)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(|e| StoreError::of(OPERATION, e).of_bucket())?;
        answer
            .e_tag
            .filter(|etag| !etag.is_empty())
            .ok_or_else(|| StoreError::nonsense(OPERATION, "the answer has no ETag"))
    }
}
