//! Begins a multipart upload.

use aws_sdk_s3::types::ChecksumAlgorithm;

use crate::{Metadata, ObjectKey, Objects, StoreError};

impl Objects {
    /// Begins a multipart upload and returns the store's id for it. With `checksums` every part
    /// must come with its SHA-256: some stores refuse parts without one from then on. Ask for them
    /// only where [`Capabilities::binds_part_sha256`](crate::Capabilities::binds_part_sha256), and
    /// keep that with the upload.
    ///
    /// # Errors
    /// [`StoreError`]. After an unavailable store the upload may exist; nothing was stored in it.
    pub async fn create_multipart(
        &self,
        key: &ObjectKey,
        content_type: Option<&str>,
        metadata: &Metadata,
        checksums: bool,
    ) -> Result<String, StoreError> {
        const OPERATION: &str = "create multipart upload";
        let answer = self
            .inner
            .client
            .create_multipart_upload()
            .bucket(&self.inner.bucket)
            .key(key.as_str())
            .set_content_type(content_type.map(str::to_owned))
            .set_metadata(Some(metadata.clone().into_iter().collect()))
            .set_checksum_algorithm(checksums.then_some(ChecksumAlgorithm::Sha256))
            .send()
            .await
            .map_err(|e| StoreError::of(OPERATION, e).of_bucket())?;
        answer
            .upload_id
            .filter(|id| !id.is_empty())
            .ok_or_else(|| StoreError::nonsense(OPERATION, "the answer has no upload id"))
    }
}
