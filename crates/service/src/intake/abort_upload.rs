//! `DELETE /v1/uploads/{id}`: the client gives an upload up.
//!
//! The asset becomes `expired` at once; or, if the client names the asset that it sends in its place, a tombstone that leads
//! there, so that nobody has one picture in his lists twice. The parts at the store are removed by the janitor, again and
//! again until none is left and no URL works any more, since one may still be arriving.

use safelight_api::uploads::UploadAborted;
use safelight_catalog::merge_asset::{MergeEvents, supersede_asset};
use safelight_catalog::uploads::{self, Upload, UploadState};
use safelight_catalog::{CatalogError, Tx, assets};
use safelight_model::codes::Code;
use safelight_model::ids;
use safelight_model::lifecycle::{Event, State};

use super::sign_urls::{SignError, find, is_deleted};
use crate::context::{Context, Owner};

/// Why an asset is expired.
const GIVEN_UP: &str = "the client gave the upload up";

/// Why an upload was not aborted.
#[derive(Debug, thiserror::Error)]
pub enum AbortError {
    /// It cannot be read.
    #[error(transparent)]
    Upload(#[from] SignError),
    /// Its bytes are all there.
    #[error("this upload is already {0}: delete the asset instead")]
    Whole(&'static str),
    /// What is named to be in its place is not there.
    #[error("superseded_by names no other asset of this owner")]
    NoSuccessor,
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
            Self::Whole(_) | Self::NoSuccessor => Code::ValidationFailed,
            Self::Catalog(e) => e.code(),
        }
    }
}

/// Gives an upload of `owner` up, perhaps since another asset is sent in its place. Doing so twice is harmless.
///
/// # Errors
/// If its bytes are whole already, there is no such other asset, or the catalog fails.
pub async fn abort_upload(
    context: &Context,
    owner: &Owner,
    upload_id: &str,
    superseded_by: Option<&str>,
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
            UploadState::Completing | UploadState::Completed => {
                return Err(AbortError::Whole(upload.state.as_str()));
            }
            UploadState::Open => match superseded_by {
                None => {
                    end(context, &upload, UploadState::Aborted, GIVEN_UP).await?;
                }
                Some(successor) => supersede(context, &upload, successor).await?,
            },
            // One that was merged is given up already: its bytes are another asset's.
            UploadState::Aborted | UploadState::Expired | UploadState::Merged => {
                let mut reader = context.catalog.reader().await?;
                let mut tx = reader.tx();
                let asset = assets::standing_for(&mut tx, &upload.tenant_id, &upload.asset_id);
                let asset = asset.await?.ok_or(SignError::NotFound)?;
                return Ok(UploadAborted {
                    upload_id: upload.upload_id,
                    asset_id: asset.asset_id,
                    state: asset.state.as_str().to_owned(),
                });
            }
        }
    }
}

/// Ends an open upload whose file is sent as another asset, which stands for its own from then on: what was said of it and its
/// albums are the other's. Where that one will not come either, or the two cannot be one, it just ends.
async fn supersede(context: &Context, upload: &Upload, successor: &str) -> Result<(), AbortError> {
    let (context, upload, successor) = (context.clone(), upload.clone(), successor.to_owned());
    let catalog = context.catalog.clone();
    catalog
        .write(move |tx| {
            Box::pin(async move { supersede_in(tx, &context, &upload, &successor).await })
        })
        .await
}

async fn supersede_in(
    tx: &mut Tx<'_>,
    context: &Context,
    upload: &Upload,
    successor: &str,
) -> Result<(), AbortError> {
    let tenant_id = &upload.tenant_id;
    let into = assets::standing_for(tx, tenant_id, successor)
        .await?
        .filter(|a| a.owner_id == upload.owner_id && a.asset_id != upload.asset_id)
        .ok_or(AbortError::NoSuccessor)?;
    let now = context.now();
    // What has arrived is removed at once, and again when nothing can come any more.
    if !uploads::change(
        tx,
        upload,
        UploadState::Open,
        UploadState::Aborted,
        Some(now),
    )
    .await?
    {
        return Ok(());
    }
    tx.ring().await?;
    let Some(asset) = assets::find(tx, tenant_id, &upload.asset_id).await? else {
        return Ok(());
    };
    let comes = !matches!(into.state, State::Expired | State::Deleted);
    let (merged, carried_over) = (context.fresh_id(ids::EVENT), context.fresh_id(ids::EVENT));
    let event_ids = MergeEvents {
        merged: &merged,
        carried_over: &carried_over,
    };
    if !comes || !supersede_asset(tx, &asset, &into, event_ids, now).await? {
        expire(tx, context, &asset, GIVEN_UP).await?;
    }
    Ok(())
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
        expire(tx, context, &asset, why).await?;
    }
    Ok(true)
}

async fn expire(
    tx: &mut Tx<'_>,
    context: &Context,
    asset: &assets::Asset,
    why: &'static str,
) -> Result<(), CatalogError> {
    let event_id = context.fresh_id(ids::EVENT);
    let change = assets::Transition {
        event: Event::UploadEnded,
        reason: Some((Code::UploadExpired, why.to_owned())),
        event_id: &event_id,
        at: context.now(),
    };
    assets::transition(tx, asset, &change).await?;
    Ok(())
}
