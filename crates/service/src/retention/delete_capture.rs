//! `DELETE /v1/captures/{id}`: an owner deletes a capture with what it brought.
//!
//! One transaction deletes those of its assets that no other capture holds, as `delete_asset` does each, and makes a tombstone of it,
//! so that its reference brings nothing back. An asset that another capture holds stays, and is that one's: whoever sent the same
//! picture twice, and deletes one of the two captures, still has the other.

use safelight_api::captures as wire;
use safelight_catalog::deletions::{self, Meant};
use safelight_catalog::{Tx, captures};
use safelight_model::lifecycle::State;

use super::delete_asset::{DeleteError, delete};
use crate::context::{Context, Owner};
use crate::insights::record::record_of_capture;

/// Deletes a capture of `owner`; its id. Doing so twice is harmless.
///
/// # Errors
/// If there is none, or the catalog fails.
pub async fn delete_capture(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    capture_id: &str,
) -> Result<String, DeleteError> {
    let tenant_id = &owner.tenant_id;
    let capture = captures::find(tx, tenant_id, capture_id)
        .await?
        .filter(|c| c.owner_id == owner.owner_id)
        .ok_or(DeleteError::NotFound("capture"))?;
    if capture.deleted_at.is_some() {
        return Ok(capture.capture_id);
    }
    let members = captures::members(tx, tenant_id, capture_id).await?;
    let mut asset_ids: Vec<String> = members.into_iter().map(|m| m.asset_id).collect();
    asset_ids.sort();
    asset_ids.dedup();
    deletions::hold_all(tx, tenant_id, &asset_ids).await?;
    for asset_id in &asset_ids {
        delete(tx, context, owner, asset_id, Meant::Capture(capture_id)).await?;
    }
    if deletions::bury_capture(tx, tenant_id, capture_id, context.now()).await? {
        record_of_capture(tx, context, "capture.deleted", owner, capture_id).await?;
    }
    Ok(capture.capture_id)
}

/// How a deleted capture of `owner` is answered.
///
/// # Errors
/// If there is none, or the catalog fails.
pub async fn read_capture_deletion(
    context: &Context,
    owner: &Owner,
    capture_id: &str,
) -> Result<wire::CaptureDeleted, DeleteError> {
    let mut reader = context.catalog.reader().await?;
    let tx = &mut reader.tx();
    let capture = captures::find(tx, &owner.tenant_id, capture_id)
        .await?
        .filter(|c| c.owner_id == owner.owner_id);
    let (capture, deleted_at) = capture
        .and_then(|c| c.deleted_at.map(|at| (c, at)))
        .ok_or(DeleteError::NotFound("capture"))?;
    let members = deletions::of_capture(tx, &owner.tenant_id, capture_id).await?;
    let is_left = members.iter().any(|m| m.is_left);
    let last = members.iter().filter_map(|m| m.completed_at).max();
    let completed_at = (!is_left).then(|| last.map_or(deleted_at, |at| at.max(deleted_at)));
    Ok(wire::CaptureDeleted {
        capture_id: capture.capture_id,
        state: State::Deleted.as_str().to_owned(),
        deleted_at: deleted_at.rfc3339(),
        completed_at: completed_at.map(|at| at.rfc3339()),
        assets: members
            .into_iter()
            .map(|m| wire::CaptureAssetDeleted {
                asset_id: m.asset_id,
                state: m.state,
            })
            .collect(),
    })
}
