//! The halves of Live Photos: a still and a clip of one owner that name the same key show each other.
//!
//! Nothing is stored of which belong together: the other half is found by looking, so that whichever comes first, and whoever is
//! deleted or merged, it is right at once. Of several, as when a still was edited and sent again, the oldest is the one. Rows belong to
//! assets, not to blobs, so that a question never meets what other owners have, whether they share bytes or not.
//!
//! Who tells of a half that comes or goes has to know of the others. Of two that come at once each could miss the other, so whoever
//! writes a row holds its key until the end of the transaction, and only then looks.

use std::collections::BTreeMap;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::{Row, Value};
use crate::values;

#[cfg(test)]
mod plans;

/// So many other halves are told of one that comes or goes.
pub const TOLD: i64 = 100;

const STILL: &str = "still";
const MOTION: &str = "motion";

/// Which half of a Live Photo some bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveHalf {
    /// What both halves share.
    pub key: String,
    /// Whether it is the clip.
    pub is_motion: bool,
}

impl LiveHalf {
    /// The half as it is stored.
    pub(crate) fn name(&self) -> &'static str {
        match self.is_motion {
            true => MOTION,
            false => STILL,
        }
    }
}

/// The two assets of a Live Photo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// The picture.
    pub still: String,
    /// The clip.
    pub motion: String,
}

pub(crate) fn read(r: &Row, first: usize) -> Result<Option<LiveHalf>, CatalogError> {
    let (key, half) = (r.maybe_text(first)?, r.maybe_text(first + 1)?);
    Ok(key.zip(half).map(|(key, half)| LiveHalf {
        key,
        is_motion: half == MOTION,
    }))
}

/// Who holds a blob, with what another says. Without statistics SQLite would go through all of a tenant's resources.
fn holders(on_postgres: bool) -> String {
    let by = match on_postgres {
        true => "",
        false => "INDEXED BY resources_by_blob",
    };
    format!(
        "FROM blobs b CROSS JOIN resources r {by} CROSS JOIN assets a
          WHERE b.tenant_id = $1 AND b.blob_id = $3 AND b.live_key IS NOT NULL AND b.reason_code IS NULL
            AND r.tenant_id = $1 AND r.blob_id = $2 AND r.kind || '' = 'primary'
            AND a.tenant_id = r.tenant_id AND a.asset_id = r.asset_id AND a.state <> 'deleted'"
    )
}

/// Notes which half the blob `of` is for every asset whose primary file is in the blob `held`.
async fn note(tx: &mut Tx<'_>, tenant_id: &str, held: &str, of: &str) -> Result<(), CatalogError> {
    let from = holders(tx.is_postgres());
    let values = values![tenant_id, held, of];
    // SQLite has one writer.
    if tx.is_postgres() {
        let sql = format!(
            "{HOLD} FROM (SELECT DISTINCT a.tenant_id, a.owner_id, b.live_key {from} ORDER BY a.owner_id) AS h"
        );
        tx.rows(&sql, values).await?;
    }
    let sql = format!(
        "INSERT INTO live_halves (tenant_id, asset_id, owner_id, live_key, half)
         SELECT a.tenant_id, a.asset_id, a.owner_id, b.live_key, b.live_half {from}
         ON CONFLICT (tenant_id, asset_id) DO UPDATE SET live_key = excluded.live_key, half = excluded.half"
    );
    tx.exec(&sql, values).await?;
    Ok(())
}

/// Holds the keys of rows `h` of an owner until the end of the transaction. Of two keys with the same hash one waits for the other too,
/// which is harmless.
const HOLD: &str = "SELECT CAST(pg_advisory_xact_lock(hashtextextended(
       h.tenant_id || '/' || h.owner_id || '/' || h.live_key, 28)) AS TEXT)";

/// A blob has its key: so have the assets that hold it.
pub(crate) async fn noted(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
) -> Result<(), CatalogError> {
    note(tx, tenant_id, blob_id, blob_id).await
}

/// What holds the blob `from` is about to hold `to`.
pub(crate) async fn joining(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    from: &str,
    to: &str,
) -> Result<(), CatalogError> {
    note(tx, tenant_id, from, to).await
}

/// Says which half a blob is that was inspected before that was read.
pub(crate) async fn note_later(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    half: &LiveHalf,
) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE blobs SET live_key = $3, live_half = $4 WHERE tenant_id = $1 AND blob_id = $2",
        values![tenant_id, blob_id, half.key.as_str(), half.name()],
    )
    .await?;
    noted(tx, tenant_id, blob_id).await
}

const OTHERS_SQL: &str = "SELECT o.asset_id
       FROM live_halves h CROSS JOIN live_halves o CROSS JOIN assets a
      WHERE h.tenant_id = $1 AND h.asset_id = $2
        AND o.tenant_id = $1 AND o.owner_id = h.owner_id AND o.live_key = h.live_key
        AND o.half = CASE h.half WHEN 'still' THEN 'motion' ELSE 'still' END
        AND a.tenant_id = $1 AND a.asset_id = o.asset_id AND a.state = 'ready'
      ORDER BY o.asset_id LIMIT $3";

/// The assets that are the other half of this one, and are shown: at most [`TOLD`], the oldest first.
///
/// # Errors
/// What the database says.
pub async fn others_of(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    asset_id: &str,
) -> Result<Vec<String>, CatalogError> {
    tx.rows(OTHERS_SQL, values![tenant_id, asset_id, TOLD])
        .await?
        .iter()
        .map(|row| row.text(0))
        .collect()
}

/// The same of an asset that is about to be deleted: its key is held first, as by those that come.
pub(crate) async fn parting(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    asset_id: &str,
) -> Result<Vec<String>, CatalogError> {
    if tx.is_postgres() {
        let sql = format!("{HOLD} FROM live_halves h WHERE h.tenant_id = $1 AND h.asset_id = $2");
        tx.rows(&sql, values![tenant_id, asset_id]).await?;
    }
    others_of(tx, tenant_id, asset_id).await
}

/// The question for the other halves of so many assets.
fn pairs(places: &[String]) -> String {
    format!(
        "SELECT h.asset_id, h.half,
                (SELECT o.asset_id FROM live_halves o CROSS JOIN assets a
                  WHERE o.tenant_id = $1 AND o.owner_id = h.owner_id AND o.live_key = h.live_key
                    AND o.half = CASE h.half WHEN 'still' THEN 'motion' ELSE 'still' END
                    AND a.tenant_id = $1 AND a.asset_id = o.asset_id AND a.state = 'ready'
                  ORDER BY o.asset_id LIMIT 1)
           FROM live_halves h WHERE h.tenant_id = $1 AND h.asset_id IN ({})",
        places.join(", ")
    )
}

/// The Live Photos that these assets are halves of, by asset: those whose other half is shown.
///
/// # Errors
/// What the database says.
pub async fn of_assets(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    asset_ids: &[&str],
) -> Result<BTreeMap<String, Live>, CatalogError> {
    let mut found = BTreeMap::new();
    if asset_ids.is_empty() {
        return Ok(found);
    }
    // Filled up to a power of two with its last, so that few distinct statements are prepared.
    let places: Vec<String> = (1..=asset_ids.len().next_power_of_two())
        .map(|n| format!("${}", n.min(asset_ids.len()) + 1))
        .collect();
    let mut values = vec![Value::from(tenant_id)];
    values.extend(asset_ids.iter().map(|id| Value::from(*id)));
    for row in tx.rows(&pairs(&places), &values).await? {
        let (asset_id, half) = (row.text(0)?, row.text(1)?);
        let Some(other) = row.maybe_text(2)? else {
            continue;
        };
        let this = asset_id.clone();
        let live = match half == MOTION {
            true => Live {
                still: other,
                motion: this,
            },
            false => Live {
                still: this,
                motion: other,
            },
        };
        found.insert(asset_id, live);
    }
    Ok(found)
}
