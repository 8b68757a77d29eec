//! Removes an object.

use crate::{ObjectKey, Objects, StoreError, StoreErrorKind};

impl Objects {
    /// Removes the object under `key`. One that is not there is a success.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let asked = self
            .inner
            .client
            .delete_object()
            .bucket(&self.inner.bucket)
            .key(key.as_str())
            .send()
            .await;
        match asked.map_err(|e| StoreError::of("delete object", e)) {
            Ok(_) => Ok(()),
            Err(e) if *e.kind() == StoreErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        }
    }
}
