//! Removes what an ended upload left at the store.
//!
//! The first time at once, so that nothing takes room that nobody wants; but a URL that was given out may still work, and
//! what came through it meanwhile is removed again. It is closed only by a look which finds nothing after nothing can
//! arrive any more. What went in parts became an object only by a completion that was begun: an object under the key of an
//! upload which this catalog never began to complete was made by one that knew more, as this one did before it was restored
//! from an older copy, and is not touched. While there is doubt about the catalog nothing is removed at all. In the end the segments of one that was appended to are doomed too; `clear_segments` removes them.

use safelight_catalog::uploads::{self, Upload};
use safelight_catalog::{CatalogError, appends, assets, blobs};
use safelight_model::plan::Transport;
use safelight_model::{limits, look};
use safelight_objects::{ObjectKey, StoreError};

use super::catalog_mark::MarkError;
use super::complete_deletions;
use super::held_back::{Goes, LOOKED_AT_AGAIN, held_back_for};
use crate::context::Context;
use crate::look::Next;

/// Looks at an upload that was given up, expired, or ended since its owner had the bytes.
///
/// # Errors
/// If the catalog fails. A store that fails has the upload looked at again later.
pub async fn clear_upload(context: &Context, upload: &Upload) -> Result<Next, CatalogError> {
    // Asked before the store is: what it says then holds for later.
    let now = context.now();
    match held_back_for(context, Goes::Upload).await {
        Ok(None) => {}
        Ok(Some(after)) => return Ok(Next::At(now.plus(after))),
        Err(error) => {
            tracing::warn!(upload_id = upload.upload_id, %error, "an ended upload is not cleared yet");
            return Ok(Next::At(look::after_failure(now, upload.looks)));
        }
    }
    match is_kept_elsewhere(context, upload).await {
        Ok(true) => {}
        Ok(false) => return Ok(Next::At(now.plus(LOOKED_AT_AGAIN))),
        Err(MarkError::Catalog(error)) => return Err(error),
        Err(MarkError::Store(error)) => {
            tracing::warn!(upload_id = upload.upload_id, %error, "an ended upload is not cleared yet");
            return Ok(Next::At(look::after_failure(now, upload.looks)));
        }
    }
    let closes_at = upload.signed_until.plus(limits::LATE_BYTES);
    match remove(context, upload).await {
        Ok(true) if closes_at <= now => {
            let (closed, of) = (upload.clone(), context.clone());
            context
                .catalog
                .write(move |tx| {
                    Box::pin(async move {
                        appends::doom_all(tx, &closed, now).await?;
                        appends::forget(tx, &closed).await?;
                        uploads::cleared(tx, &closed, now).await?;
                        complete_deletions::of_upload(tx, &of, &closed).await
                    })
                })
                .await?;
            metrics::counter!("safelight_uploads_cleared_total").increment(1);
            Ok(Next::Settled)
        }
        Ok(true) => Ok(Next::At(closes_at)),
        Ok(false) => Ok(Next::At(look::after_failure(now, upload.looks))),
        Err(error) => {
            tracing::warn!(upload_id = upload.upload_id, %error, "an ended upload is not cleared yet");
            Ok(Next::At(look::after_failure(now, upload.looks)))
        }
    }
}

/// Whether the bytes of one that ended since its owner had them are still where they were then. Where the store has lost them,
/// what came of them here may be all there is. Where the asset that had them is deleted, that holds of everybody else's who has the
/// same ones.
async fn is_kept_elsewhere(context: &Context, upload: &Upload) -> Result<bool, MarkError> {
    let Some(asset_id) = &upload.merged_into else {
        return Ok(true);
    };
    let mut reader = context.catalog.reader().await?;
    let tx = &mut reader.tx();
    let asset = assets::standing_for(tx, &upload.tenant_id, asset_id).await?;
    let in_place = match asset.and_then(|asset| asset.blob) {
        Some(blob) => vec![blob],
        // A deleted one, which is wanted nowhere.
        None => blobs::in_place_of_upload(tx, upload).await?,
    };
    drop(reader);
    for blob in in_place {
        let Ok(key) = ObjectKey::parse(&blob.object_key) else {
            continue;
        };
        if context.objects.head(&key).await?.is_none() {
            tracing::error!(
                upload_id = upload.upload_id,
                in_its_place = blob.object_key,
                "an ended upload is kept: the store has lost the bytes that were there before it"
            );
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether nothing of it is left.
async fn remove(context: &Context, upload: &Upload) -> Result<bool, StoreError> {
    let Ok(key) = ObjectKey::parse(&upload.object_key) else {
        return Ok(true);
    };
    if let Some(id) = &upload.store_upload_id {
        context.objects.abort(&key, id).await?;
        // A part that was being sent may have become one after the abort.
        let parts = context.objects.list_parts(&key, id).await?;
        if parts.is_some_and(|parts| !parts.is_empty()) {
            return Ok(false);
        }
    }
    // Also where it went in parts: a completion whose answer was lost may have made the object.
    if upload.transport == Transport::Single || upload.intent.is_some() {
        context.objects.delete(&key).await?;
    }
    Ok(true)
}
