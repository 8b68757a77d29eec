//! Tells when nothing of a deleted asset is left at the store.
//!
//! Asked after each removal that a deletion may have waited for, and now and then by the janitor: two removals that end in the
//! same instant may each find the other unfinished, and segments go without being asked after one by one. He also asks again
//! for what waits to be purged, should that job be dead.

use safelight_catalog::deletions::{self, Deletion};
use safelight_catalog::uploads::Upload;
use safelight_catalog::{CatalogError, Tx, assets};
use safelight_model::job::JobKind;
use safelight_model::lane::Lane;

use crate::context::{Context, Owner};
use crate::insights::record::{Told, record};
use crate::queue::enqueue::enqueue_in;

/// Deletions that are read at once.
const PAGE: i64 = 100;

/// Looks at all deletions that are due; how many are complete now. One that fails is looked at again later, and holds up no other.
///
/// # Errors
/// If the catalog fails.
pub async fn complete_deletions(context: &Context) -> Result<usize, CatalogError> {
    let (mut completed, now) = (0, context.now());
    loop {
        let mut reader = context.catalog.reader().await?;
        let due = deletions::due(&mut reader.tx(), now, PAGE).await?;
        drop(reader);
        let is_last = due.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        for deletion in due {
            match look_at(context, &deletion).await {
                Ok(is_complete) => completed += usize::from(is_complete),
                Err(error) => {
                    let asset_id = &deletion.asset_id;
                    tracing::warn!(asset_id, %error, "a deletion could not be looked at");
                    metrics::counter!("safelight_deletions_failed_total").increment(1);
                    put_off(context, deletion).await?;
                }
            }
        }
        // Each of them has another time now.
        if is_last {
            return Ok(completed);
        }
    }
}

/// Whether a deletion is complete now.
async fn look_at(context: &Context, deletion: &Deletion) -> Result<bool, CatalogError> {
    let (of, looked_at) = (context.clone(), deletion.clone());
    let is_complete = context
        .catalog
        .write(move |tx| {
            Box::pin(async move {
                let (tenant_id, asset_id) = (&looked_at.tenant_id, &looked_at.asset_id);
                complete(tx, &of, tenant_id, asset_id).await
            })
        })
        .await?;
    if !is_complete {
        ask_again(context, deletion.clone()).await?;
    }
    Ok(is_complete)
}

/// Has a deletion looked at again later. What fails here is the catalog's trouble, and the others' too.
async fn put_off(context: &Context, deletion: Deletion) -> Result<(), CatalogError> {
    let now = context.now();
    context
        .catalog
        .write(move |tx| Box::pin(async move { deletions::put_off(tx, &deletion, now).await }))
        .await
}

/// Asks for the purge of what a deletion waits for; where it is asked for already, that changes nothing. By itself, as
/// a purge that ends at this moment waits for whoever completes its deletion.
async fn ask_again(context: &Context, deletion: Deletion) -> Result<(), CatalogError> {
    let of = context.clone();
    context
        .catalog
        .write(move |tx| {
            Box::pin(async move {
                let owner = owner_of(&deletion);
                for blob_id in deletions::waits_for(tx, &deletion).await? {
                    let (lane, kind) = (Lane::Standard, JobKind::Purge);
                    enqueue_in(tx, &of, lane, kind, &owner, &blob_id).await?;
                }
                Ok(())
            })
        })
        .await
}

fn owner_of(deletion: &Deletion) -> Owner {
    Owner {
        tenant_id: deletion.tenant_id.clone(),
        owner_id: deletion.owner_id.clone(),
    }
}

/// Completes a deletion, and tells of it, if nothing is left of its asset. `false` if something is, or it was complete before,
/// or the asset is not deleted.
///
/// # Errors
/// What the catalog says.
pub(super) async fn complete(
    tx: &mut Tx<'_>,
    context: &Context,
    tenant_id: &str,
    asset_id: &str,
) -> Result<bool, CatalogError> {
    let Some(done) = deletions::settle(tx, tenant_id, asset_id, context.now()).await? else {
        return Ok(false);
    };
    let told = Told {
        kind: "deletion.completed",
        owner: &owner_of(&done),
        asset_id,
    };
    record(tx, context, told).await?;
    metrics::counter!("safelight_deletions_completed_total").increment(1);
    Ok(true)
}

/// A blob is gone.
///
/// # Errors
/// What the catalog says.
pub(super) async fn of_blob(
    tx: &mut Tx<'_>,
    context: &Context,
    tenant_id: &str,
    blob_id: &str,
) -> Result<(), CatalogError> {
    for asset_id in deletions::of_blob(tx, tenant_id, blob_id).await? {
        complete(tx, context, tenant_id, &asset_id).await?;
    }
    Ok(())
}

/// Nothing of an ended upload is left, but perhaps segments.
///
/// # Errors
/// What the catalog says.
pub(super) async fn of_upload(
    tx: &mut Tx<'_>,
    context: &Context,
    upload: &Upload,
) -> Result<(), CatalogError> {
    let asset = assets::standing_for(tx, &upload.tenant_id, &upload.asset_id).await?;
    if let Some(asset) = asset {
        complete(tx, context, &asset.tenant_id, &asset.asset_id).await?;
    }
    Ok(())
}
