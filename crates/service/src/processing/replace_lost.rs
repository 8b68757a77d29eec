//! Bytes came again whose original the store has lost: they take its place.
//!
//! A blob is stored bytes under a key that never changes, so the lost one is not given another: it is doomed, and all that
//! held it holds the one that came, in one transaction.

use safelight_catalog::blobs::{self, Blob};
use safelight_catalog::jobs::Job;
use safelight_catalog::sweeps::{self, FindingKind};
use safelight_catalog::{CatalogError, Tx, assets};
use safelight_model::job::JobKind;

use crate::context::{Context, Owner};
use crate::insights::record::{Told, record};
use crate::queue::enqueue::enqueue;

/// Has everything that holds `lost`, on which the caller holds, point to `blob` from now on. `false`, and nothing is changed,
/// if one of the two is no longer live.
pub(super) async fn replace_lost(
    tx: &mut Tx<'_>,
    context: &Context,
    job: &Job,
    blob: &Blob,
    lost: &Blob,
) -> Result<bool, CatalogError> {
    let tenant_id = job.tenant_id.as_str();
    if blobs::hold(tx, tenant_id, &blob.blob_id).await?.is_none() {
        return Ok(false);
    }
    let holders = assets::of_blob(tx, tenant_id, &lost.blob_id).await?;
    if !blobs::merge(tx, tenant_id, &lost.blob_id, &blob.blob_id).await? {
        return Ok(false);
    }
    sweeps::close(
        tx,
        tenant_id,
        FindingKind::MissingOriginal,
        &lost.object_key,
    )
    .await?;
    for asset in &holders {
        let owner = Owner {
            tenant_id: tenant_id.to_owned(),
            owner_id: asset.owner_id.clone(),
        };
        let told = Told {
            kind: "asset.updated",
            owner: &owner,
            asset_id: &asset.asset_id,
        };
        record(tx, context, told).await?;
    }
    let owner = Owner {
        tenant_id: tenant_id.to_owned(),
        owner_id: job.owner_id.clone(),
    };
    // Its renditions: those of the blob that came are made anew.
    enqueue(tx, context, JobKind::Purge, &owner, &lost.blob_id).await?;
    tracing::warn!(
        lost = lost.object_key,
        key = blob.object_key,
        assets = holders.len(),
        "an original that the store has lost came again, and took its place"
    );
    Ok(true)
}
