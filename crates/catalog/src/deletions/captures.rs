//! Deletions of captures: each is a tombstone from then on, and those of its assets go that no other capture holds.
//!
//! Who deletes a capture holds its assets first, as who deletes an asset does, and the capture last: of two that delete captures with
//! an asset in common, the later sees that the other capture is deleted. An initiation that is about to give the asset to a further
//! capture is before it or after it in the same way.

use std::collections::{BTreeMap, BTreeSet};

use safelight_model::clock::Micros;
use safelight_model::lifecycle::State;

use super::{blobs_of, hold, hold_blob, hold_uploads};
use crate::assets::{self, Asset};
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// An asset of a deleted capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureMember {
    /// The asset.
    pub asset_id: String,
    /// The state of the asset that stands for it.
    pub state: String,
    /// Whether something of it may still be at the store since the capture was deleted.
    pub is_left: bool,
    /// When nothing of it was left, where it went with its capture or before.
    pub completed_at: Option<Micros>,
}

/// Holds these assets, and what each has, until the end of the transaction, before any of them is deleted: the uploads of all, their
/// blobs, the assets, as whoever holds more than one of these does.
///
/// # Errors
/// [`CatalogError::Contended`] if they change faster than they can be held. Else what the database says.
pub async fn hold_all(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    asset_ids: &[String],
) -> Result<(), CatalogError> {
    let mut standing = BTreeMap::new();
    for asset_id in asset_ids {
        let found = assets::standing_for(tx, tenant_id, asset_id).await?;
        if let Some(found) = found.filter(|asset| asset.state != State::Deleted) {
            standing.insert(found.asset_id.clone(), found);
        }
    }
    // Always in the same order, so that two never wait for each other in a ring.
    let mut blob_ids = BTreeSet::new();
    for asset_id in standing.keys() {
        hold_uploads(tx, tenant_id, asset_id).await?;
    }
    for asset_id in standing.keys() {
        blob_ids.extend(blobs_of(tx, tenant_id, asset_id).await?);
    }
    for blob_id in &blob_ids {
        hold_blob(tx, tenant_id, blob_id).await?;
    }
    // With what they have come to have meanwhile.
    for found in standing.values() {
        hold(tx, found).await?;
    }
    Ok(())
}

/// The oldest capture that holds an asset, but for one and those that are deleted.
pub(super) const OTHERS: &str = "SELECT m.capture_id FROM capture_assets m CROSS JOIN captures c
      WHERE m.tenant_id = $1 AND m.asset_id = $2 AND m.asset_id <> '' AND m.capture_id <> $3
        AND c.tenant_id = m.tenant_id AND c.capture_id = m.capture_id AND c.deleted_at IS NULL
      ORDER BY m.capture_id LIMIT 1";

/// Makes the asset, which is held, one of another capture that has it and is not deleted: the oldest. `false` if there is none
/// but this one.
pub(super) async fn hand_over(
    tx: &mut Tx<'_>,
    asset: &Asset,
    capture_id: &str,
) -> Result<bool, CatalogError> {
    let (tenant_id, asset_id) = (&asset.tenant_id, &asset.asset_id);
    let other = tx
        .row(OTHERS, values![tenant_id, asset_id, capture_id])
        .await?;
    let Some(other) = other else {
        return Ok(false);
    };
    tx.exec(
        "UPDATE assets SET capture_id = $4 WHERE tenant_id = $1 AND asset_id = $2 AND capture_id = $3",
        values![tenant_id, asset_id, capture_id, other.text(0)?],
    )
    .await?;
    Ok(true)
}

/// Makes a tombstone of a capture, whose assets have gone before. `false` if it is one.
///
/// # Errors
/// What the database says.
pub async fn bury_capture(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    capture_id: &str,
    at: Micros,
) -> Result<bool, CatalogError> {
    let buried = tx
        .exec(
            // No earlier than the deletions of its assets, whatever the clocks of those who noted them: that tells them from later ones.
            "UPDATE captures SET captured_at = NULL, device = NULL, network = NULL, battery = NULL, purpose = NULL,
                    deleted_at = (SELECT COALESCE(MAX(CASE WHEN d.deleted_at > $3 THEN d.deleted_at END), $3)
                                    FROM capture_assets m CROSS JOIN deletions d
                                   WHERE m.tenant_id = $1 AND m.capture_id = $2 AND d.tenant_id = m.tenant_id AND d.asset_id = m.asset_id)
              WHERE tenant_id = $1 AND capture_id = $2 AND deleted_at IS NULL",
            values![tenant_id, capture_id, at],
        )
        .await?;
    Ok(buried == 1)
}

/// The assets of a deleted capture, in order.
///
/// # Errors
/// What the database says.
pub async fn of_capture(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    capture_id: &str,
) -> Result<Vec<CaptureMember>, CatalogError> {
    let rows = tx
        .rows(
            "SELECT m.asset_id, COALESCE(s.state, a.state), d.asset_id, d.completed_at, d.deleted_at, c.deleted_at
               FROM captures c CROSS JOIN capture_assets m CROSS JOIN assets a
               LEFT JOIN assets s ON s.tenant_id = a.tenant_id AND s.asset_id = a.merged_into
               LEFT JOIN deletions d ON d.tenant_id = a.tenant_id AND d.asset_id = COALESCE(a.merged_into, a.asset_id)
              WHERE c.tenant_id = $1 AND c.capture_id = $2
                AND m.tenant_id = c.tenant_id AND m.capture_id = c.capture_id
                AND a.tenant_id = m.tenant_id AND a.asset_id = m.asset_id
              ORDER BY m.position",
            values![tenant_id, capture_id],
        )
        .await?;
    rows.iter()
        .map(|r| {
            let (deleted_at, with) = (r.maybe_at(4)?, r.maybe_at(5)?);
            // One that stayed may have been deleted since, which is another deletion.
            let is_of_it = r.maybe_text(2)?.is_some() && deleted_at <= with;
            let completed_at = r.maybe_at(3)?.filter(|_| is_of_it);
            Ok(CaptureMember {
                asset_id: r.text(0)?,
                state: r.text(1)?,
                is_left: is_of_it && completed_at.is_none(),
                completed_at,
            })
        })
        .collect()
}
