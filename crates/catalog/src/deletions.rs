//! Deletions: an asset becomes a tombstone, and what is to go with it is known until it is gone.
//!
//! Whoever deletes holds the rows that others go by, always in this order: the asset's unfinished uploads, its blobs, the
//! asset. So a completion, a merge, an inspection or another capture of the same bytes comes before the deletion, and is part of
//! what goes, or after it, and finds a tombstone or a doomed blob.
//!
//! A deletion is complete when nothing of its asset is left at the store: no upload that could still leave something, no doomed
//! blob that is not gone, no segment. That is found by looking ([`settle()`]), after each removal and by the janitor.

use safelight_model::clock::Micros;
use safelight_model::lifecycle::{Event, State};

use crate::assets::{self, Asset, Transition};
use crate::blobs::SHARED;
use crate::error::CatalogError;
use crate::live_halves;
use crate::sweeps::{self, FindingKind};
use crate::transaction::Tx;
use crate::value::Row;
use crate::values;

mod captures;
#[cfg(test)]
mod plans;
mod settle;

pub use captures::{CaptureMember, bury_capture, hold_all, of_capture};
pub use settle::{due, of_blob, put_off, settle, waits_for};

/// How often it is tried to hold what changes meanwhile. An asset is merged once, and its bytes change blobs seldom.
const TRIES: usize = 4;

/// A deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// The tenant.
    pub tenant_id: String,
    /// The asset.
    pub asset_id: String,
    /// Whose it was.
    pub owner_id: String,
    /// When it was deleted.
    pub deleted_at: Micros,
    /// When nothing of its bytes was left.
    pub completed_at: Option<Micros>,
}

/// What an owner means to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meant<'a> {
    /// The asset, whatever holds it.
    Asset,
    /// This capture, and so those of its assets that none other holds which is not deleted.
    Capture(&'a str),
}

/// What became of the wish to delete an asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is no such asset of this owner.
    Nothing,
    /// This asset, which stands for the one that was asked for, was deleted before.
    Before(String),
    /// This asset, which stands for the one that was asked for, stays: another capture holds it.
    Kept(String),
    /// This asset was deleted now.
    Deleted {
        /// The asset.
        asset_id: String,
        /// The blobs that nothing points to any more: to be purged.
        doomed: Vec<String>,
        /// The assets that were the other half of its Live Photo.
        parted: Vec<String>,
    },
}

fn contended() -> CatalogError {
    CatalogError::Contended(sqlx::Error::RowNotFound)
}

/// One deletion.
///
/// # Errors
/// What the database says.
pub async fn find(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    asset_id: &str,
) -> Result<Option<Deletion>, CatalogError> {
    let row = tx
        .row(
            "SELECT tenant_id, asset_id, owner_id, deleted_at, completed_at FROM deletions
              WHERE tenant_id = $1 AND asset_id = $2",
            values![tenant_id, asset_id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

fn read(r: &Row) -> Result<Deletion, CatalogError> {
    Ok(Deletion {
        tenant_id: r.text(0)?,
        asset_id: r.text(1)?,
        owner_id: r.text(2)?,
        deleted_at: r.at(3)?,
        completed_at: r.maybe_at(4)?,
    })
}

/// Deletes the asset of `owner_id` that stands for this one, whatever state it is in: its uploads end, all that was said of it
/// and of what became it is erased, and its blobs are doomed that no other asset holds. `event_id` is that of its
/// change of state.
///
/// # Errors
/// [`CatalogError::Contended`] if it changes faster than it can be held: call again. Else what the database says.
pub async fn delete(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    owner_id: &str,
    asset_id: &str,
    meant: Meant<'_>,
    event_id: &str,
    at: Micros,
) -> Result<Outcome, CatalogError> {
    for _ in 0..TRIES {
        let found = assets::standing_for(tx, tenant_id, asset_id).await?;
        let Some(found) = found.filter(|a| a.owner_id == owner_id) else {
            return Ok(Outcome::Nothing);
        };
        if found.state == State::Deleted {
            return Ok(Outcome::Before(found.asset_id));
        }
        if let Some((asset, blob_ids)) = hold(tx, &found).await? {
            if let Meant::Capture(capture_id) = meant
                && captures::hand_over(tx, &asset, capture_id).await?
            {
                return Ok(Outcome::Kept(asset.asset_id));
            }
            let parted = live_halves::parting(tx, tenant_id, &asset.asset_id).await?;
            let doomed = bury(tx, &asset, &blob_ids, event_id, at).await?;
            return Ok(Outcome::Deleted {
                asset_id: asset.asset_id,
                doomed,
                parted,
            });
        }
    }
    Err(contended())
}

/// Holds all that an asset has until the end of the transaction; the asset as it is then, and its blobs. `None` if it was
/// deleted or merged meanwhile.
async fn hold(
    tx: &mut Tx<'_>,
    found: &Asset,
) -> Result<Option<(Asset, Vec<String>)>, CatalogError> {
    let (tenant_id, asset_id) = (&found.tenant_id, &found.asset_id);
    hold_uploads(tx, tenant_id, asset_id).await?;
    let mut held = blobs_of(tx, tenant_id, asset_id).await?;
    for _ in 0..TRIES {
        for blob_id in &held {
            hold_blob(tx, tenant_id, blob_id).await?;
        }
        // Whoever held one before may have pointed its resources to another.
        let now = blobs_of(tx, tenant_id, asset_id).await?;
        if now == held {
            let is_held = tx
                .exec(
                    "UPDATE assets SET updated_at = updated_at
                      WHERE tenant_id = $1 AND asset_id = $2 AND state <> 'deleted' AND merged_into IS NULL",
                    values![tenant_id, asset_id],
                )
                .await?;
            if is_held != 1 {
                return Ok(None);
            }
            let asset = assets::find(tx, tenant_id, asset_id).await?;
            return Ok(asset.map(|asset| (asset, held)));
        }
        held = now;
    }
    Err(contended())
}

async fn hold_uploads(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    asset_id: &str,
) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE uploads SET looks = looks
          WHERE tenant_id = $1 AND asset_id = $2 AND state IN ('open', 'completing')",
        values![tenant_id, asset_id],
    )
    .await?;
    Ok(())
}

async fn hold_blob(tx: &mut Tx<'_>, tenant_id: &str, blob_id: &str) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE blobs SET state = state WHERE tenant_id = $1 AND blob_id = $2",
        values![tenant_id, blob_id],
    )
    .await?;
    Ok(())
}

/// The blobs that an asset's resources point to.
async fn blobs_of(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    asset_id: &str,
) -> Result<Vec<String>, CatalogError> {
    tx.rows(
        "SELECT DISTINCT blob_id FROM resources
          WHERE tenant_id = $1 AND asset_id = $2 AND blob_id IS NOT NULL ORDER BY blob_id",
        values![tenant_id, asset_id],
    )
    .await?
    .iter()
    .map(|r| r.text(0))
    .collect()
}

/// The asset, and those that became it, directly or by way of others.
async fn with_merged(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    asset_id: &str,
) -> Result<Vec<String>, CatalogError> {
    let mut all = vec![asset_id.to_owned()];
    let merged =
        "SELECT asset_id FROM assets WHERE tenant_id = $1 AND merged_into = $2 ORDER BY asset_id";
    let mut looked_at = 0;
    while let Some(into) = all.get(looked_at).cloned() {
        for row in tx.rows(merged, values![tenant_id, &into]).await? {
            let became = row.text(0)?;
            if !all.contains(&became) {
                all.push(became);
            }
        }
        looked_at += 1;
    }
    Ok(all)
}

/// Makes a tombstone of an asset that is held. The blobs that nothing points to any more.
async fn bury(
    tx: &mut Tx<'_>,
    asset: &Asset,
    blob_ids: &[String],
    event_id: &str,
    at: Micros,
) -> Result<Vec<String>, CatalogError> {
    tx.outdate_mark();
    let (tenant_id, asset_id) = (&asset.tenant_id, &asset.asset_id);
    // What has arrived is removed at once, and again when nothing can come any more. A completion that is under way may still
    // make an object of it.
    tx.exec(
        "UPDATE uploads SET state = 'aborted', version = version + 1, look_at = $3, looks = 0,
                signed_until = CASE WHEN state = 'completing' AND signed_until < $3 THEN $3 ELSE signed_until END
          WHERE tenant_id = $1 AND asset_id = $2 AND state IN ('open', 'completing')",
        values![tenant_id, asset_id, at],
    )
    .await?;
    let change = Transition {
        event: Event::DeleteRequested,
        reason: None,
        event_id,
        at,
    };
    if assets::transition(tx, asset, &change).await? != Some(State::Deleted) {
        return Err(contended());
    }
    let group = with_merged(tx, tenant_id, asset_id).await?;
    for one in &group {
        erase(tx, tenant_id, one).await?;
        erase_capture(tx, tenant_id, one).await?;
    }
    tx.exec(
        "INSERT INTO deletions (tenant_id, asset_id, owner_id, deleted_at, look_at) VALUES ($1, $2, $3, $4, $5)",
        values![tenant_id, asset_id, &asset.owner_id, at, at.plus(settle::LOOK.0)],
    )
    .await?;
    let mut doomed = Vec::new();
    for blob_id in blob_ids {
        if doom(tx, tenant_id, blob_id).await? {
            tx.exec(
                "INSERT INTO deletion_blobs (tenant_id, blob_id, asset_id) VALUES ($1, $2, $3)",
                values![tenant_id, blob_id, asset_id],
            )
            .await?;
            doomed.push(blob_id.clone());
        }
    }
    // What was doomed before, as bytes that came twice: nothing took its place any more.
    for one in &group {
        tx.exec(
            "INSERT INTO deletion_blobs (tenant_id, blob_id, asset_id)
             SELECT b.tenant_id, b.blob_id, $3 FROM uploads u CROSS JOIN blobs b
              WHERE u.tenant_id = $1 AND u.asset_id = $2
                AND b.object_key = u.object_key AND b.state <> 'gone' AND b.state = 'doomed' AND b.tenant_id = $1
             ON CONFLICT DO NOTHING",
            values![tenant_id, one, asset_id],
        )
        .await?;
    }
    // Where a live blob of somebody else has the same bytes, the hash stays: by it the purge finds that one, and keeps these while
    // the store has lost those. So it does with what an upload left that ended for the sake of the same bytes.
    for one in &group {
        tx.exec(
            "UPDATE uploads SET sha256 = NULL WHERE tenant_id = $1 AND asset_id = $2 AND sha256 IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM blobs t WHERE t.tenant_id = $1 AND t.scope IN ($3, $4)
                                   AND t.sha256 = uploads.sha256 AND t.state = 'live')",
            values![tenant_id, one, &asset.owner_id, SHARED],
        )
        .await?;
    }
    tx.exec(
        "UPDATE blobs SET sha256 = NULL WHERE tenant_id = $1 AND state = 'doomed' AND sha256 IS NOT NULL
            AND blob_id IN (SELECT blob_id FROM deletion_blobs WHERE tenant_id = $1 AND asset_id = $2)
            AND NOT EXISTS (SELECT 1 FROM blobs t WHERE t.tenant_id = $1 AND t.scope IN (blobs.scope, $3, $4)
                               AND t.sha256 = blobs.sha256 AND t.state = 'live')",
        values![tenant_id, asset_id, &asset.owner_id, SHARED],
    )
    .await?;
    Ok(doomed)
}

/// Erases what an asset's rows hold of its content.
async fn erase(tx: &mut Tx<'_>, tenant_id: &str, asset_id: &str) -> Result<(), CatalogError> {
    for sql in [
        "UPDATE assets SET preview = NULL WHERE tenant_id = $1 AND asset_id = $2",
        "UPDATE resources SET blob_id = NULL, owner_id = NULL, filename = NULL, mime = NULL, size_bytes = 0, sha256 = NULL
          WHERE tenant_id = $1 AND asset_id = $2",
        // That there was an intent is what the removal of what was left goes by.
        "UPDATE uploads SET sha256 = CASE WHEN merged_into IS NULL OR cleared_at IS NOT NULL THEN NULL ELSE sha256 END,
                advice = NULL, intent = CASE WHEN intent IS NULL THEN NULL ELSE '{}' END
          WHERE tenant_id = $1 AND asset_id = $2",
    ] {
        tx.exec(sql, values![tenant_id, asset_id]).await?;
    }
    Ok(())
}

/// Erases when the capture was taken that an asset came with, once all its assets are deleted.
async fn erase_capture(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    asset_id: &str,
) -> Result<(), CatalogError> {
    let of_asset = "SELECT capture_id FROM assets WHERE tenant_id = $1 AND asset_id = $2";
    let Some(row) = tx.row(of_asset, values![tenant_id, asset_id]).await? else {
        return Ok(());
    };
    let capture_id = &row.text(0)?;
    // Held first: of two that delete its last assets the later sees what the other did.
    tx.exec(
        "UPDATE captures SET mode = mode WHERE tenant_id = $1 AND capture_id = $2",
        values![tenant_id, capture_id],
    )
    .await?;
    tx.exec(
        "UPDATE captures SET captured_at = NULL WHERE tenant_id = $1 AND capture_id = $2
            AND NOT EXISTS (SELECT 1 FROM capture_assets m
                              JOIN assets a ON a.tenant_id = m.tenant_id AND a.asset_id = m.asset_id
                             WHERE m.tenant_id = $1 AND m.capture_id = $2 AND a.state <> 'deleted')",
        values![tenant_id, capture_id],
    )
    .await?;
    Ok(())
}

/// Dooms a blob that is held, unless a resource points to it. Its hash goes at once, and what its bytes told: what is deleted is to be found by nobody who
/// asks for these bytes, and nothing took its place.
async fn doom(tx: &mut Tx<'_>, tenant_id: &str, blob_id: &str) -> Result<bool, CatalogError> {
    let doomed = tx
        .row(
            "UPDATE blobs SET state = 'doomed', sha256 = NULL, mime = NULL, width = NULL, height = NULL, thumbhash = NULL,
                    picture_hash = NULL, reason_detail = NULL, sharpness = NULL, mean_luma = NULL, dark_permille = NULL,
                    bright_permille = NULL, faces = NULL
              WHERE tenant_id = $1 AND blob_id = $2 AND state = 'live'
                AND NOT EXISTS (SELECT 1 FROM resources WHERE tenant_id = $1 AND blob_id = $2)
              RETURNING object_key",
            values![tenant_id, blob_id],
        )
        .await?;
    let Some(row) = doomed else {
        return Ok(false);
    };
    tx.exec(
        "DELETE FROM blob_metadata WHERE tenant_id = $1 AND blob_id = $2",
        values![tenant_id, blob_id],
    )
    .await?;
    sweeps::close(tx, tenant_id, FindingKind::MissingOriginal, &row.text(0)?).await?;
    Ok(true)
}
