//! `DELETE /v1/uploads/{id}`: the client gives an upload up.
//!
//! The asset becomes `expired` at once. The parts at the store are removed by the janitor, again and
//! again until none is left and no URL works any more, since one may still be arriving.

use safelight_api::uploads::UploadAborted;
use safelight_catalog::uploads::{self, Upload, UploadState};
use safelight_catalog::{CatalogError, Tx, assets};
use safelight_model::codes::Code;
use safelight_model::ids;
use safelight_model::lifecycle::{Event, State};

use super::sign_urls::{SignError, find, is_deleted};
use crate::context::{Context, Owner};

/// Why an upload was not aborted.
#[derive(Debug, thiserror::Error)]
pub enum AbortError {
    /// It cannot be read.
    #[error(transparent)]
    Upload(#[from] SignError),
    /// Its bytes are all there.
    #[error("this upload is already {0}: delete the asset instead")]
    Whole(&'static str),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl AbortError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Upload(e) => e.code(),
            Self::Whole(_) => Code::ValidationFailed,
            Self::Catalog(e) => e.code(),
        }
    }
}

/// Gives an upload of `owner` up. Doing so twice is harmless.
///
/// # Errors
/// If its bytes are whole already, or the catalog fails.
pub async fn abort_upload(
    context: &Context,
    owner: &Owner,
    upload_id: &str,
) -> Result<UploadAborted, AbortError> {
    loop {
        let upload = find(context, owner, upload_id).await?;
        match upload.state {
            UploadState::Completed | UploadState::Merged
                if is_deleted(context, &upload).await? =>
            {
                return Ok(UploadAborted {
                    upload_id: upload.upload_id,
                    asset_id: upload.merged_into.unwrap_or(upload.asset_id),
                    state: State::Deleted.as_str().to_owned(),
                });
            }
            UploadState::Completing | UploadState::Completed | UploadState::Merged => {
                return Err(AbortError::Whole(upload.state.as_str()));
            }
            UploadState::Open => {
                end(
                    context,
                    &upload,
                    UploadState::Aborted,
                    "the client gave the upload up",
                )
                .await?;
            }
            UploadState::Aborted | UploadState::Expired => {
                let mut reader = context.catalog.reader().await?;
                let asset = assets::find(&mut reader.tx(), &upload.tenant_id, &upload.asset_id)
                    .await?
                    .ok_or(SignError::NotFound)?;
                return Ok(UploadAborted {
                    upload_id: upload.upload_id,
                    asset_id: asset.asset_id,
                    state: asset.state.as_str().to_owned(),
                });
            }
        }
    }
}

/// Ends an open upload, and its asset with it. `false` when another was quicker.
pub(super) async fn end(
    context: &Context,
    upload: &Upload,
    to: UploadState,
    why: &'static str,
) -> Result<bool, CatalogError> {
    let (context, upload) = (context.clone(), upload.clone());
    let catalog = context.catalog.clone();
    catalog
        .write(move |tx| Box::pin(async move { end_in(tx, &context, &upload, to, why).await }))
        .await
}

async fn end_in(
    tx: &mut Tx<'_>,
    context: &Context,
    upload: &Upload,
    to: UploadState,
    why: &'static str,
) -> Result<bool, CatalogError> {
    // What has arrived is removed at once, and again when nothing can come any more.
    if !uploads::change(tx, upload, UploadState::Open, to, Some(context.now())).await? {
        return Ok(false);
    }
    tx.ring().await?;
    if let Some(asset) = assets::find(tx, &upload.tenant_id, &upload.asset_id).await? {
        let event_id = context.fresh_id(ids::EVENT);
        let change = assets::Transition {
            event: Event::UploadEnded,
            reason: Some((Code::UploadExpired, why.to_owned())),
            event_id: &event_id,
            at: context.now(),
        };
        assets::transition(tx, &asset, &change).await?;
    }
    Ok(true)
}
