//! Which of an owner's assets look nearly like one: by the hashes of their pictures, along indexes.
//!
//! Two ways lead to them. What is near at any time ([`COPY_DISTANCE`]) has at least one quarter of the hash with at most one
//! bit turned (`PictureHash::quarters_near`; M. Norouzi, A. Punjani, D. Fleet, Fast Search in Hamming Space with Multi-Index
//! Hashing, 2012), so 17 values are looked up of each of four quarters. What is near only among pictures of the
//! same minutes is found among these. Each look-up is bounded: where an owner has more than [`ALIKE`] pictures with the same
//! quarter, as a camera makes that never moves, the newest are looked at; of the same minutes, the nearest
//! [`NEIGHBOURS`] on either side.
//!
//! Rows belong to assets, not to blobs, so that a question never meets what other owners have, whether they share bytes
//! or not.

use std::collections::BTreeMap;

use safelight_model::clock::Micros;
#[cfg(doc)]
use safelight_model::near::COPY_DISTANCE;
use safelight_model::near::{PictureHash, QUARTERS, RETAKE_MICROS, is_near};

use crate::assets::{self, Asset};
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::Value;
use crate::values;

#[cfg(test)]
mod plans;
mod unhashed;

pub use unhashed::{Unhashed, unhashed, unscored};

/// Of pictures with the same quarter so many are looked at.
pub const ALIKE: usize = 100;
/// Of pictures taken before one, and of those taken after it, so many are looked at.
pub const NEIGHBOURS: usize = 100;

/// An asset and how far its picture is from that of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// The asset.
    pub asset: Asset,
    /// In how many of 64 bits the hashes differ.
    pub distance: u32,
}

/// Notes the hash of the blob `of` for every asset whose primary file is in the blob `held`.
async fn note(tx: &mut Tx<'_>, tenant_id: &str, held: &str, of: &str) -> Result<(), CatalogError> {
    // The kind is compared so that no planner without statistics takes `resources_primary` for it.
    tx.exec(
        "INSERT INTO asset_hashes (tenant_id, asset_id, owner_id, picture_hash)
         SELECT a.tenant_id, a.asset_id, a.owner_id, b.picture_hash
           FROM blobs b CROSS JOIN resources r CROSS JOIN assets a
          WHERE b.tenant_id = $1 AND b.blob_id = $3 AND b.picture_hash IS NOT NULL
            AND r.tenant_id = $1 AND r.blob_id = $2 AND r.kind || '' = 'primary'
            AND a.tenant_id = r.tenant_id AND a.asset_id = r.asset_id AND a.state <> 'deleted'
         ON CONFLICT (tenant_id, asset_id) DO UPDATE SET picture_hash = excluded.picture_hash",
        values![tenant_id, held, of],
    )
    .await?;
    Ok(())
}

/// A blob has its hash: so have the assets that hold it.
pub(crate) async fn hashed(
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

/// Gives a live blob its hash where it was inspected before there were any, or notes that it has none, so that nobody looks for
/// one again. `false` if it has one, or is no longer live.
///
/// # Errors
/// What the database says.
pub async fn hash_later(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    hash: Option<PictureHash>,
    at: Micros,
) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE blobs SET picture_hash = $3, hash_sought_at = $4
              WHERE tenant_id = $1 AND blob_id = $2 AND state = 'live' AND picture_hash IS NULL",
            values![tenant_id, blob_id, hash.map(PictureHash::to_stored), at],
        )
        .await?;
    if changed == 1 && hash.is_some() {
        hashed(tx, tenant_id, blob_id).await?;
    }
    Ok(changed == 1)
}

/// The hash of an asset's picture. `None` if it has none.
async fn hash_of(tx: &mut Tx<'_>, asset: &Asset) -> Result<Option<PictureHash>, CatalogError> {
    let row = tx
        .row(
            "SELECT picture_hash FROM asset_hashes WHERE tenant_id = $1 AND asset_id = $2",
            values![&asset.tenant_id, &asset.asset_id],
        )
        .await?;
    row.map(|r| r.int(0).map(PictureHash::from_stored))
        .transpose()
}

/// The pictures of an owner that have a quarter of this hash but for one bit at most.
fn alike(asset: &Asset, hash: PictureHash, on_postgres: bool) -> (String, Vec<Value>) {
    let mut values = vec![Value::from(&asset.tenant_id), Value::from(&asset.owner_id)];
    let mut arms = Vec::new();
    for index in 0..QUARTERS {
        // Without statistics SQLite takes a tenant to have ten pictures, and reads them in the order that is asked for: all of
        // them, for each of the values.
        let by = match on_postgres {
            true => String::new(),
            false => format!("INDEXED BY asset_hashes_by_{index}"),
        };
        for quarter in hash.quarters_near(index) {
            values.push(i64::from(quarter).into());
            arms.push(format!(
                "SELECT asset_id, picture_hash
                   FROM (SELECT asset_id, picture_hash FROM asset_hashes {by}
                          WHERE tenant_id = $1 AND owner_id = $2 AND quarter_{index} = ${}
                          ORDER BY asset_id DESC LIMIT {ALIKE}) AS arm",
                values.len()
            ));
        }
    }
    (arms.join(" UNION ALL "), values)
}

/// Where pictures are looked for in time.
#[derive(Clone, Copy, Debug)]
enum Side {
    Before,
    After,
}

/// The pictures of an owner that were taken shortly before or after this one.
fn neighbours(asset: &Asset, side: Side, on_postgres: bool) -> (String, Vec<Value>) {
    // As in lists: without statistics the planner would go through all of a tenant's.
    let by = match on_postgres {
        true => "",
        false => "INDEXED BY assets_by_time",
    };
    let (than, until, order) = match side {
        Side::Before => ("<", ">=", " DESC"),
        Side::After => (">", "<=", ""),
    };
    let at = asset.taken_at();
    let end = match side {
        Side::Before => at.0.saturating_sub(RETAKE_MICROS),
        Side::After => at.0.saturating_add(RETAKE_MICROS),
    };
    let sql = format!(
        "SELECT n.asset_id, h.picture_hash, n.taken_at
           FROM (SELECT a.tenant_id, a.asset_id, a.taken_at FROM assets a {by}
                  WHERE a.tenant_id = $1 AND a.owner_id = $2 AND (a.taken_at, a.asset_id) {than} ($3, $4)
                    AND a.taken_at {until} $5
                  ORDER BY a.taken_at{order}, a.asset_id{order} LIMIT {NEIGHBOURS}) AS n
           CROSS JOIN asset_hashes h
          WHERE h.tenant_id = n.tenant_id AND h.asset_id = n.asset_id"
    );
    let values = vec![
        Value::from(&asset.tenant_id),
        Value::from(&asset.owner_id),
        at.into(),
        Value::from(&asset.asset_id),
        end.into(),
    ];
    (sql, values)
}

/// The owner's assets whose pictures are near that of `asset`, by [`is_near`]: the nearest first, then those nearest in
/// time; at most `limit`. No tombstones. `None` if its picture has no hash, and nothing can be said.
///
/// # Errors
/// What the database says.
pub async fn near(
    tx: &mut Tx<'_>,
    asset: &Asset,
    limit: usize,
) -> Result<Option<Vec<Near>>, CatalogError> {
    let Some(hash) = hash_of(tx, asset).await? else {
        return Ok(None);
    };
    let at = asset.taken_at();
    let mut found: BTreeMap<String, u32> = BTreeMap::new();
    let (sql, values) = alike(asset, hash, tx.is_postgres());
    for row in tx.rows(&sql, &values).await? {
        let distance = hash.distance(PictureHash::from_stored(row.int(1)?));
        // Whenever it was taken: what is near only in time is found below.
        if is_near(distance, Micros(i64::MIN), Micros(i64::MAX)) {
            found.insert(row.text(0)?, distance);
        }
    }
    for side in [Side::Before, Side::After] {
        let (sql, values) = neighbours(asset, side, tx.is_postgres());
        for row in tx.rows(&sql, &values).await? {
            let distance = hash.distance(PictureHash::from_stored(row.int(1)?));
            if is_near(distance, at, row.at(2)?) {
                found.insert(row.text(0)?, distance);
            }
        }
    }
    found.remove(&asset.asset_id);
    let mut nearest: Vec<(u32, String)> = found.into_iter().map(|(id, d)| (d, id)).collect();
    nearest.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.cmp(&a.1)));
    // Tombstones among them are left out below, and those as far are put in the order of time.
    nearest.truncate(limit.saturating_mul(2));
    let ids: Vec<&str> = nearest.iter().map(|(_, id)| id.as_str()).collect();
    let mut assets = assets::of_ids(tx, &asset.tenant_id, &ids).await?;
    let mut near: Vec<Near> = nearest
        .iter()
        .filter_map(|(distance, id)| {
            let asset = assets.remove(id)?;
            let distance = *distance;
            Some(Near { asset, distance })
        })
        .filter(|near| near.asset.owner_id == asset.owner_id)
        .collect();
    near.sort_by_key(|near| {
        let apart = near.asset.taken_at().0.abs_diff(at.0);
        (near.distance, apart)
    });
    near.truncate(limit);
    Ok(Some(near))
}
