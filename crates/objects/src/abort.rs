//! Gives an upload up.

use crate::{ObjectKey, Objects, StoreError, StoreErrorKind};

impl Objects {
    /// Removes an upload and its parts. An upload that is not there any more is a success.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn abort(&self, key: &ObjectKey, store_upload_id: &str) -> Result<(), StoreError> {
        let asked = self
            .inner
            .client
            .abort_multipart_upload()
            .bucket(&self.inner.bucket)
            .key(key.as_str())
            .upload_id(store_upload_id)
            .send()
            .await;
        match asked.map_err(|e| StoreError::of("abort multipart upload", e)) {
            Ok(_) => Ok(()),
            Err(e) if *e.kind() == StoreErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        }
    }
}
