//! Stores parts and objects whose bytes the server has in a file.

use crate::{FileSlice, Metadata, ObjectKey, Objects, StoreError};

/// How the store answers who reads an object there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Served<'a> {
    /// The media type.
    pub content_type: Option<&'a str>,
    /// The `cache-control`.
    pub cache_control: Option<&'a str>,
}

impl Objects {
    /// Stores part `number` of an upload that was begun without checksums, and returns its ETag. The store
    /// checks its MD5.
    ///
    /// # Errors
    /// [`StoreError`]. After an unavailable store the part may be there, also later: a request that was given
    /// up may still be carried out. So its number must not be used for other bytes.
    pub async fn upload_part(
        &self,
        key: &ObjectKey,
        store_upload_id: &str,
        number: i64,
        bytes: &FileSlice,
    ) -> Result<String, StoreError> {
        const OPERATION: &str = "upload part";
        let number =
            i32::try_from(number).map_err(|error| StoreError::unsendable(OPERATION, error))?;
        let answer = self
            .inner
            .client
            .upload_part()
            .bucket(&self.inner.bucket)
            .key(key.as_str())
            .upload_id(store_upload_id)
            .part_number(number)
            .content_length(bytes.size_bytes())
            .content_md5(bytes.md5(OPERATION).await?)
            .body(bytes.body())
            .send()
            .await
            .map_err(|e| StoreError::of(OPERATION, e))?;
        answer
            .e_tag
            .filter(|etag| !etag.is_empty())
            .ok_or_else(|| StoreError::nonsense(OPERATION, "the answer has no ETag"))
    }

    /// Stores bytes of a file under `key`, and returns the ETag. The store checks their MD5, and answers who reads there with what is
    /// `served`.
    ///
    /// # Errors
    /// [`StoreError`]. After an unavailable store the object may be there, also later.
    pub async fn put_slice(
        &self,
        key: &ObjectKey,
        bytes: &FileSlice,
        metadata: &Metadata,
        served: Served<'_>,
    ) -> Result<String, StoreError> {
        const OPERATION: &str = "put object";
        let answer = self
            .inner
            .client
            .put_object()
            .bucket(&self.inner.bucket)
            .key(key.as_str())
            .set_content_type(served.content_type.map(str::to_owned))
            .set_cache_control(served.cache_control.map(str::to_owned))
            .set_metadata(Some(metadata.clone().into_iter().collect()))
            .content_length(bytes.size_bytes())
            .content_md5(bytes.md5(OPERATION).await?)
            .body(bytes.body())
            .send()
            .await
            .map_err(|e| StoreError::of(OPERATION, e).of_bucket())?;
        answer
            .e_tag
            .filter(|etag| !etag.is_empty())
            .ok_or_else(|| StoreError::nonsense(OPERATION, "the answer has no ETag"))
    }
}
