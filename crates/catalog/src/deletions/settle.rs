//! When a deletion is complete: found by looking, after each removal and by the janitor.

use std::time::Duration;

use safelight_model::clock::Micros;

use super::{Deletion, find, read, with_merged};
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// After so long the janitor looks at a deletion whether it is complete, and after ever longer where it stays incomplete.
pub(super) const LOOK: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// The assets whose deletions wait for a blob.
///
/// # Errors
/// What the database says.
pub async fn of_blob(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
) -> Result<Vec<String>, CatalogError> {
    tx.rows(
        "SELECT asset_id FROM deletion_blobs WHERE tenant_id = $1 AND blob_id = $2 ORDER BY asset_id",
        values![tenant_id, blob_id],
    )
    .await?
    .iter()
    .map(|r| r.text(0))
    .collect()
}

/// The blobs that a deletion waits for.
///
/// # Errors
/// What the database says.
pub async fn waits_for(tx: &mut Tx<'_>, deletion: &Deletion) -> Result<Vec<String>, CatalogError> {
    tx.rows(
        "SELECT b.blob_id FROM deletion_blobs d CROSS JOIN blobs b
          WHERE d.tenant_id = $1 AND d.asset_id = $2
            AND b.tenant_id = d.tenant_id AND b.blob_id = d.blob_id AND b.state <> 'gone' ORDER BY b.blob_id",
        values![&deletion.tenant_id, &deletion.asset_id],
    )
    .await?
    .iter()
    .map(|r| r.text(0))
    .collect()
}

/// Deletions that are to be looked at, the longest due first.
///
/// # Errors
/// What the database says.
pub async fn due(tx: &mut Tx<'_>, now: Micros, limit: i64) -> Result<Vec<Deletion>, CatalogError> {
    tx.rows(
        "SELECT tenant_id, asset_id, owner_id, deleted_at, completed_at FROM deletions
          WHERE look_at IS NOT NULL AND look_at <= $1 ORDER BY look_at LIMIT $2",
        values![now, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Has a deletion looked at again later, the later the older it is.
///
/// # Errors
/// What the database says.
pub async fn put_off(
    tx: &mut Tx<'_>,
    deletion: &Deletion,
    now: Micros,
) -> Result<(), CatalogError> {
    let waited = now.since(deletion.deleted_at) / 4;
    tx.exec(
        "UPDATE deletions SET look_at = $3 WHERE tenant_id = $1 AND asset_id = $2 AND completed_at IS NULL",
        values![
            &deletion.tenant_id,
            &deletion.asset_id,
            now.plus(waited.clamp(LOOK.0, LOOK.1))
        ],
    )
    .await?;
    Ok(())
}

/// Completes a deletion if nothing is left of it; the deletion, if that was now. Else it is looked at again later.
///
/// # Errors
/// What the database says.
pub async fn settle(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    asset_id: &str,
    now: Micros,
) -> Result<Option<Deletion>, CatalogError> {
    // Held first: of two that removed the last things the later sees what the other did.
    let held = tx
        .exec(
            "UPDATE deletions SET look_at = look_at
              WHERE tenant_id = $1 AND asset_id = $2 AND completed_at IS NULL",
            values![tenant_id, asset_id],
        )
        .await?;
    if held != 1 {
        return Ok(None);
    }
    let Some(deletion) = find(tx, tenant_id, asset_id).await? else {
        return Ok(None);
    };
    if is_left(tx, &deletion).await? {
        put_off(tx, &deletion, now).await?;
        return Ok(None);
    }
    tx.exec(
        "UPDATE deletions SET completed_at = $3, look_at = NULL WHERE tenant_id = $1 AND asset_id = $2",
        values![tenant_id, asset_id, now],
    )
    .await?;
    tx.exec(
        "DELETE FROM deletion_blobs WHERE tenant_id = $1 AND asset_id = $2",
        values![tenant_id, asset_id],
    )
    .await?;
    Ok(Some(Deletion {
        completed_at: Some(now),
        ..deletion
    }))
}

/// Whether something of a deleted asset may still be at the store.
async fn is_left(tx: &mut Tx<'_>, deletion: &Deletion) -> Result<bool, CatalogError> {
    if !waits_for(tx, deletion).await?.is_empty() {
        return Ok(true);
    }
    let tenant_id = &deletion.tenant_id;
    for asset_id in with_merged(tx, tenant_id, &deletion.asset_id).await? {
        let left = tx
            .row(
                "SELECT u.upload_id FROM uploads u
                  WHERE u.tenant_id = $1 AND u.asset_id = $2
                    AND (u.state IN ('open', 'completing') OR (u.state IN ('aborted', 'expired') AND u.cleared_at IS NULL)
                         OR (SELECT COUNT(*) FROM append_segments s
                              WHERE s.tenant_id = u.tenant_id AND s.upload_id = u.upload_id) > 0)
                  LIMIT 1",
                values![tenant_id, asset_id],
            )
            .await?;
        if left.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
