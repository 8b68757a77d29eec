//! Lists the multipart uploads that the store holds and that are not completed.

use aws_sdk_s3::types::EncodingType;
use safelight_model::clock::Micros;

use crate::list::micros;
use crate::url_encoded::decoded;
use crate::{Objects, StoreError};

/// An upload that is under way at the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedUpload {
    /// Its key as the store has it, which need not be one of ours.
    pub key: String,
    /// The store's id for it.
    pub store_upload_id: String,
    /// When it was begun, by the store's clock, if it says so.
    pub began_at: Option<Micros>,
}

/// A page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadsPage {
    /// The uploads, by key.
    pub uploads: Vec<ListedUpload>,
    /// Key and id to ask for the next page with; `None` after the last.
    pub next: Option<(String, String)>,
}

impl Objects {
    /// Uploads that are not completed, from behind the one of this key and id on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_uploads(
        &self,
        after: Option<(&str, &str)>,
        limit: u16,
    ) -> Result<UploadsPage, StoreError> {
        const OPERATION: &str = "list multipart uploads";
        let answer = self
            .inner
            .client
            .list_multipart_uploads()
            .bucket(&self.inner.bucket)
            .encoding_type(EncodingType::Url)
            .set_key_marker(after.map(|(key, _)| key.to_owned()))
            .set_upload_id_marker(after.map(|(_, id)| id.to_owned()))
            .max_uploads(i32::from(limit.clamp(1, 1000)))
            .send()
            .await
            .map_err(|e| StoreError::of(OPERATION, e).of_bucket())?;
        let encoding = answer.encoding_type.as_ref();
        let uploads = answer
            .uploads
            .unwrap_or_default()
            .into_iter()
            .map(|upload| {
                Some(ListedUpload {
                    key: decoded(upload.key?, encoding)?,
                    store_upload_id: upload.upload_id?,
                    began_at: upload.initiated.and_then(micros),
                })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| StoreError::nonsense(OPERATION, "an upload lacks a field"))?;
        let next = match (answer.is_truncated, uploads.last()) {
            (Some(true), None) => {
                return Err(StoreError::nonsense(
                    OPERATION,
                    "an empty page is not the last",
                ));
            }
            (Some(true), Some(last)) => Some((last.key.clone(), last.store_upload_id.clone())),
            _ => None,
        };
        Ok(UploadsPage { uploads, next })
    }
}
