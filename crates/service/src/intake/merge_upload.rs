//! Bytes that came by another way while an upload was under way: the upload ends, and its asset becomes the one that has
//! them.
//!
//! Looked for wherever a client asks for something of an open upload: signing, reading, appending, completing. The parts
//! that had arrived are removed as those of an upload that was given up.

use safelight_catalog::blobs::Blob;
use safelight_catalog::merge_asset::{MergeEvents, may_merge, merge_asset};
use safelight_catalog::owned_bytes::{self, Owned, Wanted};
use safelight_catalog::uploads::{self, Upload, UploadState};
use safelight_catalog::{CatalogError, Tx, assets, captures};
use safelight_model::duplicates::{DedupScope, Duplicates};
use safelight_model::{ids, preset};
use safelight_objects::ObjectKey;

use super::tell_of_upload::tell_of_upload;
use crate::context::{Context, Owner};
use crate::insights::record::{Told, record};
use crate::want_square::want_square;

/// Ends an open upload whose bytes its owner has meanwhile; the upload as it stands then. One of which no hash was
/// declared, or whose length is not known yet, stays as it is: what it will be nobody knows.
///
/// # Errors
/// If the catalog fails.
pub(super) async fn merge_if_there(
    context: &Context,
    upload: Upload,
) -> Result<Upload, CatalogError> {
    let Some(sha256) = upload.sha256.as_deref() else {
        return Ok(upload);
    };
    if upload.state != UploadState::Open || upload.size_bytes < 1 {
        return Ok(upload);
    }
    let wanted = Wanted {
        tenant_id: &upload.tenant_id,
        owner_id: &upload.owner_id,
        sha256,
        size_bytes: upload.size_bytes,
    };
    let is_shared = context.settings.dedup_scope == DedupScope::Tenant;
    let mut reader = context.catalog.reader().await?;
    let Some(there) = owned_bytes::find(&mut reader.tx(), wanted, is_shared).await? else {
        return Ok(upload);
    };
    let is_possible = may_merge_in(&mut reader.tx(), &upload, &there).await?;
    drop(reader);
    // The store is asked last, since whoever asks for something of an upload asks often.
    if !is_possible || !is_stored(context, &there).await {
        return Ok(upload);
    }
    match merge(context, &upload, &there).await {
        Ok(()) => {
            metrics::counter!("safelight_uploads_merged_total").increment(1);
            tracing::debug!(
                upload_id = upload.upload_id,
                asset_id = there.asset_id,
                "an upload ended since its owner has the bytes"
            );
        }
        Err(NotMerged::Unfit) => return Ok(upload),
        // Another was quicker with something, perhaps with this.
        Err(NotMerged::Changed) => {}
        Err(NotMerged::Catalog(error)) if error.is_contended() => {}
        Err(NotMerged::Catalog(error)) => return Err(error),
    }
    let now = uploads::find(
        &mut context.catalog.reader().await?.tx(),
        &upload.tenant_id,
        &upload.upload_id,
    )
    .await?;
    Ok(now.unwrap_or(upload))
}

/// Whether rows would let the upload end for what was found: its capture does not keep duplicates, and both assets are one
/// file.
async fn may_merge_in(
    tx: &mut Tx<'_>,
    upload: &Upload,
    there: &Owned,
) -> Result<bool, CatalogError> {
    let tenant_id = &upload.tenant_id;
    let wants = captures::duplicates_of(tx, tenant_id, &upload.asset_id).await?;
    if wants == Duplicates::Keep {
        return Ok(false);
    }
    let asset = assets::find(tx, tenant_id, &upload.asset_id).await?;
    let into = assets::find(tx, tenant_id, &there.asset_id).await?;
    match (asset, into) {
        (Some(asset), Some(into)) => may_merge(tx, &asset, &into).await,
        _ => Ok(false),
    }
}

/// Whether the store still has what was found: what arrived must not be given up for what is lost. Where the store does not
/// answer, nothing is given up.
async fn is_stored(context: &Context, there: &Owned) -> bool {
    let Ok(key) = ObjectKey::parse(&there.blob.object_key) else {
        return false;
    };
    match context.objects.head(&key).await {
        Ok(Some(object)) if object.size_bytes == there.blob.size_bytes => true,
        Ok(_) => {
            tracing::warn!(
                key = there.blob.object_key,
                "bytes are being sent whose original the store has lost"
            );
            false
        }
        Err(error) => {
            tracing::debug!(%error, "whether bytes are still there is not known");
            false
        }
    }
}

/// Why an upload was not ended.
#[derive(Debug, thiserror::Error)]
enum NotMerged {
    /// The two assets cannot be one.
    #[error("the two assets stay two")]
    Unfit,
    /// The upload, or one of the assets, changed in this instant.
    #[error("changed meanwhile")]
    Changed,
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

async fn merge(context: &Context, upload: &Upload, there: &Owned) -> Result<(), NotMerged> {
    let (context, upload, into) = (context.clone(), upload.clone(), there.asset_id.clone());
    let catalog = context.catalog.clone();
    catalog
        .write(move |tx| Box::pin(async move { merge_in(tx, &context, &upload, &into).await }))
        .await
}

async fn merge_in(
    tx: &mut Tx<'_>,
    context: &Context,
    upload: &Upload,
    into: &str,
) -> Result<(), NotMerged> {
    let now = context.now();
    // What has arrived is removed at once, and again when nothing can come any more.
    if !uploads::merge(tx, upload, into, now).await? {
        return Err(NotMerged::Changed);
    }
    let tenant_id = &upload.tenant_id;
    let asset = assets::find(tx, tenant_id, &upload.asset_id).await?;
    let into = assets::find(tx, tenant_id, into).await?;
    let (Some(asset), Some(into)) = (asset, into) else {
        return Err(NotMerged::Unfit);
    };
    // Bytes that could not be inspected meanwhile are nobody's answer.
    let has_them = |blob: &Blob| blob.sha256 == upload.sha256;
    if !into.blob.as_ref().is_some_and(has_them) {
        return Err(NotMerged::Unfit);
    }
    let (merged, carried_over) = (context.fresh_id(ids::EVENT), context.fresh_id(ids::EVENT));
    let event_ids = MergeEvents {
        merged: &merged,
        carried_over: &carried_over,
    };
    if !merge_asset(tx, &asset, &into, event_ids, now).await? {
        return Err(NotMerged::Unfit);
    }
    let owner = Owner {
        tenant_id: tenant_id.clone(),
        owner_id: upload.owner_id.clone(),
    };
    let merged_into = Some(into.asset_id.as_str());
    tell_of_upload(tx, context, upload, "upload.merged", merged_into).await?;
    let told = Told {
        kind: "asset.updated",
        owner: &owner,
        asset_id: &into.asset_id,
    };
    record(tx, context, told).await?;
    if let Some(blob) = &into.blob
        && captures::is_meant_for(tx, tenant_id, &blob.blob_id, preset::PROFILE).await?
    {
        want_square(tx, context, &owner, blob).await?;
    }
    tx.ring().await?;
    Ok(())
}
