//! Why nothing, or not all, was appended.

use safelight_catalog::CatalogError;
use safelight_catalog::uploads::{Upload, UploadState};
use safelight_model::codes::Code;
use safelight_objects::StoreError;

use crate::context::Context;
use crate::intake::complete_upload::CompleteUploadError;
use crate::intake::sign_urls::{SignError, is_deleted};

/// Why nothing, or not all, was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no such upload that is appended to, or not for this caller.
    #[error("there is no such upload")]
    NotFound,
    /// Its time is over, or it was given up.
    #[error("this upload has ended: begin another")]
    Ended,
    /// Its owner has its bytes in this asset.
    #[error("asset {0} has these bytes already: nothing more is to be sent")]
    Merged(String),
    /// A newer request has the upload, in this process or another.
    #[error("a newer request took this upload over: ask for its offset")]
    Lost,
    /// The scratch directory's budget is used up.
    #[error("the gateway is at capacity: try again shortly")]
    NoRoom,
    /// The file would be empty.
    #[error("an empty file is not taken")]
    Empty,
    /// The length is not the one that was declared before, or not what the bytes come to.
    #[error("this upload has {declared_bytes} bytes, not {wanted_bytes}")]
    Length {
        /// What was declared before.
        declared_bytes: i64,
        /// What this request makes of it.
        wanted_bytes: i64,
    },
    /// The file is larger than allowed.
    #[error("at most {max_bytes} bytes are taken")]
    TooLarge {
        /// What is allowed.
        max_bytes: i64,
    },
    /// The request's bytes are not those of its digest; none was appended.
    #[error("the bytes are not those of the digest that came with them; none was appended")]
    Digest,
    /// The scratch directory cannot be used.
    #[error("the scratch directory cannot be used")]
    Scratch(#[source] std::io::Error),
    /// The store has lost bytes that were acknowledged.
    #[error("the store no longer has bytes that it had")]
    Missing,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The upload could not be begun at the store.
    #[error(transparent)]
    Upload(#[from] SignError),
    /// All bytes are there, and the upload was not completed.
    #[error(transparent)]
    Complete(#[from] CompleteUploadError),
}

impl AppendError {
    /// Why nothing more can be appended to an upload that is not open any more.
    pub(super) async fn closed(context: &Context, upload: &Upload) -> Self {
        match (
            is_deleted(context, upload).await,
            upload.state,
            &upload.merged_into,
        ) {
            (Err(error), ..) => Self::Catalog(error),
            (Ok(true), ..) => Self::Upload(SignError::Deleted),
            (_, UploadState::Merged, Some(asset_id)) => Self::Merged(asset_id.clone()),
            _ => Self::Ended,
        }
    }

    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound => Code::NotFound,
            Self::Ended => Code::UploadExpired,
            Self::Merged(_) => Code::UploadMerged,
            Self::Lost | Self::NoRoom => Code::Overloaded,
            Self::Empty => Code::ValidationFailed,
            Self::Length { .. } => Code::SizeMismatch,
            Self::TooLarge { .. } => Code::ByteLimitExceeded,
            Self::Digest => Code::ChecksumMismatch,
            Self::Scratch(error) => match error.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    Code::DiskFull
                }
                _ => Code::Internal,
            },
            Self::Missing => Code::Internal,
            Self::Store(e) => e.code(),
            Self::Catalog(e) => e.code(),
            Self::Upload(e) => e.code(),
            Self::Complete(e) => e.code(),
        }
    }

    /// The asset that has the bytes.
    #[must_use]
    pub fn asset_id(&self) -> Option<&str> {
        match self {
            Self::Merged(asset_id) => Some(asset_id),
            Self::Upload(e) => e.asset_id(),
            _ => None,
        }
    }
}
