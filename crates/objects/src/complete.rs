//! Makes an object of the parts of an upload.

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use safelight_model::codes::Code;

use crate::connect::timeouts;
use crate::{ObjectKey, Objects, Part, StoreError, StoreErrorKind, sha256};

/// An object made of parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// Its ETag, verbatim.
    pub etag: String,
}

/// Why an upload was not completed, or is not known to be.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// The store knows no such upload. It may have been completed before: look with
    /// [`Objects::head`] and compare with [`crate::ObjectHead::holds`].
    #[error("the store knows no such upload any more")]
    Gone,
    /// The store refuses these parts; nothing was made of them.
    #[error("the store refuses the parts: {reason}")]
    Refused {
        /// The store's code, such as `InvalidPart`.
        reason: String,
    },
    /// Anything else. Where [`StoreError::retry`] is some, the object may have been made all the
    /// same.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CompleteError {
    /// The stable code for users, once looking for the object has found none.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Gone => Code::UploadExpired,
            Self::Refused { .. } => Code::UploadIncomplete,
            Self::Store(error) => error.code(),
        }
    }
}

impl Objects {
    /// Makes an object of `parts`, which are those that [`Objects::list_parts`] returned.
    ///
    /// # Errors
    /// [`CompleteError`]. A second Complete of the same upload is `Gone` on some stores and
    /// succeeds on others.
    pub async fn complete(
        &self,
        key: &ObjectKey,
        store_upload_id: &str,
        parts: &[Part],
    ) -> Result<Completed, CompleteError> {
        const OPERATION: &str = "complete multipart upload";
        let parts = parts
            .iter()
            .map(|part| {
                Ok(CompletedPart::builder()
                    .part_number(i32::try_from(part.number)?)
                    .e_tag(&part.etag)
                    .set_checksum_sha256(part.sha256_hex.as_deref().and_then(sha256::base64_of_hex))
                    .build())
            })
            .collect::<Result<Vec<_>, std::num::TryFromIntError>>()
            .map_err(|e| StoreError::unsendable(OPERATION, e))?;
        let patient =
            aws_sdk_s3::Config::builder().timeout_config(timeouts(self.inner.complete_timeout));
        let asked = self
            .inner
            .client
            .complete_multipart_upload()
            .bucket(&self.inner.bucket)
            .key(key.as_str())
            .upload_id(store_upload_id)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(parts))
                    .build(),
            )
            .customize()
            .config_override(patient)
            .send()
            .await;
        let answer = match asked.map_err(|e| StoreError::of(OPERATION, e)) {
            Ok(answer) => answer,
            Err(e) => {
                return Err(match e.kind() {
                    StoreErrorKind::NotFound => CompleteError::Gone,
                    StoreErrorKind::Invalid(reason) => CompleteError::Refused {
                        reason: reason.clone(),
                    },
                    StoreErrorKind::DigestMismatch => CompleteError::Refused {
                        reason: "BadDigest".to_owned(),
                    },
                    _ => CompleteError::Store(e),
                });
            }
        };
        let etag = answer
            .e_tag
            .filter(|etag| !etag.is_empty())
            .ok_or_else(|| StoreError::nonsense(OPERATION, "the answer has no ETag"))?;
        Ok(Completed { etag })
    }
}
