//! Lists the multipart uploads that the store holds and that are not completed.

use aws_sdk_s3::operation::list_multipart_uploads::ListMultipartUploadsOutput;
use aws_sdk_s3::types::EncodingType;
use safelight_model::clock::Micros;

use crate::clock::AnswerDate;
use crate::list::micros;
use crate::url_encoded::decoded;
use crate::{Objects, StoreError, StoreErrorKind};

const OPERATION: &str = "list multipart uploads";

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
    /// The uploads. Pages follow one another by key; within one some stores have no order.
    pub uploads: Vec<ListedUpload>,
    /// Key and id to ask for the next page with; `None` after the last.
    pub next: Option<(String, String)>,
    /// When the store answered, by its own clock and to the second; `None` if it does not say.
    pub answered_at: Option<Micros>,
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
        let id = after.map(|(_, id)| id).filter(|id| !id.is_empty());
        let key = after.map(|(key, _)| key);
        let date = AnswerDate::default();
        let answer = match self.uploads_page(key, id, limit, &date).await {
            // A store that does not take its own marker (the Versity S3 Gateway 1.8) goes on behind the key.
            Err(error) if id.is_some() && is_refused(&error) => {
                self.uploads_page(key, None, limit, &date).await?
            }
            answer => answer?,
        };
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
        if answer.is_truncated != Some(true) {
            return Ok(UploadsPage {
                uploads,
                next: None,
                answered_at: self.answered_at(&date),
            });
        }
        // As the store says it: not every store lists a page in order.
        let key = answer.next_key_marker.filter(|key| !key.is_empty());
        let key = key.and_then(|key| decoded(key, encoding));
        let next = key.map(|key| (key, answer.next_upload_id_marker.unwrap_or_default()));
        if next.is_none() {
            return Err(StoreError::nonsense(
                OPERATION,
                "a page that is not the last does not say where the next begins",
            ));
        }
        Ok(UploadsPage {
            uploads,
            next,
            answered_at: self.answered_at(&date),
        })
    }

    async fn uploads_page(
        &self,
        key: Option<&str>,
        id: Option<&str>,
        limit: u16,
        date: &AnswerDate,
    ) -> Result<ListMultipartUploadsOutput, StoreError> {
        self.inner
            .client
            .list_multipart_uploads()
            .bucket(&self.inner.bucket)
            .encoding_type(EncodingType::Url)
            .set_key_marker(key.map(str::to_owned))
            .set_upload_id_marker(id.map(str::to_owned))
            .max_uploads(i32::from(limit.clamp(1, 1000)))
            .customize()
            .interceptor(date.clone())
            .send()
            .await
            .map_err(|e| StoreError::of(OPERATION, e).of_bucket())
    }
}

fn is_refused(error: &StoreError) -> bool {
    matches!(error.kind(), StoreErrorKind::Invalid(code) if code == "InvalidArgument")
}
