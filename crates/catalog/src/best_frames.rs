//! What pictures measure, and which frame of a capture is the best one by it.
//!
//! Nothing is stored of which is best but what was last told: it is found by looking at a capture's members, so that who is deleted or
//! merged is right at once.

use std::collections::{BTreeMap, BTreeSet};

use safelight_model::best_frame::{self, Frame, FrameScores};
use safelight_model::clock::Micros;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::Row;
use crate::values;

#[cfg(test)]
mod plans;

/// Of how many captures that hold a blob it is told which frame is the best one: the newest.
pub const RETOLD: i64 = 100;

pub(crate) fn read(r: &Row, first: usize) -> Result<Option<FrameScores>, CatalogError> {
    let Some(sharpness) = r.maybe_int(first)? else {
        return Ok(None);
    };
    Ok(Some(FrameScores {
        // What is stored was checked.
        sharpness: u32::try_from(sharpness).unwrap_or(0),
        mean_luma: u8::try_from(r.int(first + 1)?).unwrap_or(0),
        dark_permille: u16::try_from(r.int(first + 2)?).unwrap_or(0),
        bright_permille: u16::try_from(r.int(first + 3)?).unwrap_or(0),
        faces: r.maybe_int(first + 4)?.and_then(|n| u8::try_from(n).ok()),
    }))
}

/// Gives a live blob its scores, or notes that nothing was measured, so that nobody does it again. `false` if it has some, or is no
/// longer live.
///
/// # Errors
/// What the database says.
pub async fn score(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    scores: Option<FrameScores>,
    at: Micros,
) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE blobs SET sharpness = $3, mean_luma = $4, dark_permille = $5, bright_permille = $6, scores_sought_at = $7,
                    faces = $8
              WHERE tenant_id = $1 AND blob_id = $2 AND state = 'live' AND sharpness IS NULL",
            values![
                tenant_id,
                blob_id,
                scores.map(|s| i64::from(s.sharpness)),
                scores.map(|s| i64::from(s.mean_luma)),
                scores.map(|s| i64::from(s.dark_permille)),
                scores.map(|s| i64::from(s.bright_permille)),
                at,
                scores.and_then(|s| s.faces).map(i64::from)
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// What the frames of a capture measure that can be shown, and which of them is the best one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// By asset.
    pub scores: BTreeMap<String, FrameScores>,
    /// The asset of the best frame; `None` if none was measured, or the capture has no other asset.
    pub best: Option<String>,
}

const FRAMES_SQL: &str = "SELECT m.position, m.role, m.asset_id, a.state, b.sharpness, b.mean_luma, b.dark_permille, b.bright_permille,
            b.faces
       FROM capture_assets m
       JOIN assets a ON a.tenant_id = m.tenant_id AND a.asset_id = m.asset_id
       LEFT JOIN resources r ON r.tenant_id = m.tenant_id AND r.asset_id = m.asset_id AND r.kind = 'primary'
       LEFT JOIN blobs b ON b.tenant_id = r.tenant_id AND b.blob_id = r.blob_id
      WHERE m.tenant_id = $1 AND m.capture_id = $2
      ORDER BY m.position";

/// Looks at the frames of a capture.
///
/// # Errors
/// What the database says.
pub async fn of_capture(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    capture_id: &str,
) -> Result<Frames, CatalogError> {
    let mut scores = BTreeMap::new();
    let (mut frames, mut at) = (Vec::new(), BTreeMap::new());
    let mut members = BTreeSet::new();
    for row in tx.rows(FRAMES_SQL, values![tenant_id, capture_id]).await? {
        let (position, role, asset_id) = (row.int(0)?, row.text(1)?, row.text(2)?);
        members.insert(asset_id.clone());
        let Some(measured) = read(&row, 4)?.filter(|_| role != "clip") else {
            continue;
        };
        // Deny by default: of nothing else is anything shown.
        if row.text(3)? != "ready" {
            continue;
        }
        frames.push(Frame {
            position,
            is_key: role == "key",
            scores: measured,
        });
        scores.insert(asset_id.clone(), measured);
        at.insert(position, asset_id);
    }
    // Where there is one there is nothing to choose.
    let best = best_frame::best(&frames)
        .filter(|_| members.len() > 1)
        .and_then(|position| at.remove(&position));
    Ok(Frames { scores, best })
}

/// A capture whose best frame is another one than was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retold {
    /// The capture.
    pub capture_id: String,
    /// Its owner.
    pub owner_id: String,
    /// The asset of its best frame.
    pub best_asset_id: String,
}

const HOLDING_SQL: &str = "SELECT DISTINCT m.capture_id
       FROM resources r
       CROSS JOIN capture_assets m
      WHERE r.tenant_id = $1 AND r.blob_id = $2
        AND m.tenant_id = $1 AND m.asset_id = r.asset_id AND m.asset_id <> ''
      ORDER BY m.capture_id DESC LIMIT $3";

/// Looks which frame is the best one of each of the newest captures that hold a blob, and notes it as told where it is another one than
/// before: the caller tells of these in the same transaction.
///
/// # Errors
/// What the database says.
pub async fn retell(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
) -> Result<Vec<Retold>, CatalogError> {
    let mut holding = Vec::new();
    for row in tx
        .rows(HOLDING_SQL, values![tenant_id, blob_id, RETOLD])
        .await?
    {
        holding.push(row.text(0)?);
    }
    // Always in the same order, so that two never wait for each other in a ring.
    holding.sort_unstable();
    let mut retold = Vec::new();
    for capture_id in holding {
        // Held first: of two frames that are measured at once, the second is compared with the first.
        let held = tx
            .row(
                "UPDATE captures SET best_asset_id = best_asset_id
                  WHERE tenant_id = $1 AND capture_id = $2 AND deleted_at IS NULL
                  RETURNING owner_id, best_asset_id",
                values![tenant_id, &capture_id],
            )
            .await?;
        let Some(row) = held else { continue };
        let (owner_id, told) = (row.text(0)?, row.maybe_text(1)?);
        let best = of_capture(tx, tenant_id, &capture_id).await?.best;
        let Some(best_asset_id) = best.filter(|best| told.as_ref() != Some(best)) else {
            continue;
        };
        tx.exec(
            "UPDATE captures SET best_asset_id = $3 WHERE tenant_id = $1 AND capture_id = $2",
            values![tenant_id, &capture_id, &best_asset_id],
        )
        .await?;
        retold.push(Retold {
            capture_id,
            owner_id,
            best_asset_id,
        });
    }
    Ok(retold)
}
