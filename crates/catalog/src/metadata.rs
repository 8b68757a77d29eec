//! What an owner says of an asset: its row's own columns, and its tags.
//!
//! Whoever changes any of it, or puts the asset into an album, holds the asset's row first ([`hold`]), as does whoever
//! deletes or merges it: one of two waits, and then sees what the other did. It is counted in `revision`, not in
//! `version`: what is said of an asset and the state it is in do not get in each other's way.

use std::collections::{BTreeMap, BTreeSet};

use safelight_model::clock::Micros;
use safelight_model::limits;
use safelight_model::metadata::{Metadata, changed};

use crate::albums;
use crate::assets::{self, Asset};
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::Value;
use crate::values;

/// The asset of `owner_id` that stands for this one, as it is while its row is held until the end of the transaction.
/// `None` if there is none, or it was deleted.
///
/// # Errors
/// What the database says.
pub async fn hold(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    owner_id: &str,
    asset_id: &str,
) -> Result<Option<Asset>, CatalogError> {
    // Twice: it may be merged into another between being found and being held, and that one never is.
    for _ in 0..2 {
        let found = assets::standing_for(tx, tenant_id, asset_id).await?;
        let Some(found) = found.filter(|a| a.owner_id == owner_id) else {
            return Ok(None);
        };
        let held = tx
            .exec(
                "UPDATE assets SET updated_at = updated_at
                  WHERE tenant_id = $1 AND asset_id = $2 AND state <> 'deleted' AND merged_into IS NULL",
                values![tenant_id, &found.asset_id],
            )
            .await?;
        if held == 1 {
            return assets::find(tx, tenant_id, &found.asset_id).await;
        }
    }
    Ok(None)
}

/// Raises the revision of a held asset, and writes what is said of it from now on.
///
/// # Errors
/// What the database says.
pub async fn write(
    tx: &mut Tx<'_>,
    asset: &Asset,
    after: &Metadata,
    at: Micros,
) -> Result<(), CatalogError> {
    let (location, moment) = (after.location, after.captured_at);
    tx.exec(
        "UPDATE assets SET title = $3, captured_at = $4, captured_offset_minutes = $5, latitude_e7 = $6,
                longitude_e7 = $7, altitude_mm = $8, visibility = $9, revision = revision + 1, updated_at = $10
          WHERE tenant_id = $1 AND asset_id = $2",
        values![
            &asset.tenant_id,
            &asset.asset_id,
            &after.title,
            moment.map(|m| m.at),
            moment.and_then(|m| m.offset_minutes),
            location.map(|l| l.latitude_e7),
            location.map(|l| l.longitude_e7),
            location.and_then(|l| l.altitude_mm),
            after.visibility.as_str(),
            at
        ],
    )
    .await?;
    let taken_at = moment.map_or(asset.created_at, |m| m.at);
    if taken_at == asset.taken_at() {
        return Ok(());
    }
    for table in ["asset_tags", "album_assets"] {
        tx.exec(
            &format!("UPDATE {table} SET taken_at = $3 WHERE tenant_id = $1 AND asset_id = $2"),
            values![&asset.tenant_id, &asset.asset_id, taken_at],
        )
        .await?;
    }
    Ok(())
}

/// Has a held asset, whose place in the order is `taken_at`, have the tags `after`, where it has `before`.
///
/// # Errors
/// What the database says.
pub async fn write_tags(
    tx: &mut Tx<'_>,
    asset: &Asset,
    before: &BTreeSet<String>,
    after: &BTreeSet<String>,
    taken_at: Micros,
) -> Result<(), CatalogError> {
    for tag in before.difference(after) {
        tx.exec(
            "DELETE FROM asset_tags WHERE tenant_id = $1 AND owner_id = $2 AND tag = $3 AND asset_id = $4",
            values![&asset.tenant_id, &asset.owner_id, tag, &asset.asset_id],
        )
        .await?;
    }
    for tag in after.difference(before) {
        tx.exec(
            "INSERT INTO asset_tags (tenant_id, owner_id, tag, asset_id, taken_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
            values![&asset.tenant_id, &asset.owner_id, tag, &asset.asset_id, taken_at],
        )
        .await?;
    }
    Ok(())
}

/// The tags of an asset.
///
/// # Errors
/// What the database says.
pub async fn tags(tx: &mut Tx<'_>, asset: &Asset) -> Result<BTreeSet<String>, CatalogError> {
    let mut all = tags_of(tx, &asset.tenant_id, &[&asset.asset_id]).await?;
    Ok(all.remove(&asset.asset_id).unwrap_or_default())
}

/// The tags of these assets, by asset.
///
/// # Errors
/// What the database says.
pub async fn tags_of(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    asset_ids: &[&str],
) -> Result<BTreeMap<String, BTreeSet<String>>, CatalogError> {
    of_assets(tx, "asset_tags", "tag", tenant_id, asset_ids).await
}

/// A column of the rows that a table has of these assets, by asset.
pub(crate) async fn of_assets(
    tx: &mut Tx<'_>,
    table: &str,
    column: &str,
    tenant_id: &str,
    asset_ids: &[&str],
) -> Result<BTreeMap<String, BTreeSet<String>>, CatalogError> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    if asset_ids.is_empty() {
        return Ok(found);
    }
    // Filled up to a power of two with its last, so that few distinct statements are prepared.
    let places: Vec<String> = (1..=asset_ids.len().next_power_of_two())
        .map(|n| format!("${}", n.min(asset_ids.len()) + 1))
        .collect();
    let mut values = vec![Value::from(tenant_id)];
    values.extend(asset_ids.iter().map(|id| Value::from(*id)));
    let sql = format!(
        "SELECT asset_id, {column} FROM {table} WHERE tenant_id = $1 AND asset_id IN ({})",
        places.join(", ")
    );
    for row in tx.rows(&sql, &values).await? {
        found.entry(row.text(0)?).or_default().insert(row.text(1)?);
    }
    Ok(found)
}

/// Forgets what was said of an asset that is held and will be a tombstone: it has left its albums too, and looks like no other.
///
/// # Errors
/// What the database says.
pub(crate) async fn erase(tx: &mut Tx<'_>, asset: &Asset) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE assets SET title = NULL, captured_at = NULL, captured_offset_minutes = NULL, latitude_e7 = NULL,
                longitude_e7 = NULL, altitude_mm = NULL, visibility = 'private', revision = revision + 1
          WHERE tenant_id = $1 AND asset_id = $2",
        values![&asset.tenant_id, &asset.asset_id],
    )
    .await?;
    for table in ["asset_tags", "album_assets", "asset_hashes", "live_halves"] {
        tx.exec(
            &format!("DELETE FROM {table} WHERE tenant_id = $1 AND asset_id = $2"),
            values![&asset.tenant_id, &asset.asset_id],
        )
        .await?;
    }
    Ok(())
}

/// Has `into` say what `from` said, where it says nothing itself, and have the tags and albums of both. Both are held,
/// and `from` is about to be a tombstone. The names of what is different.
///
/// # Errors
/// What the database says.
pub(crate) async fn carry_over(
    tx: &mut Tx<'_>,
    from: &str,
    into: &Asset,
    at: Micros,
) -> Result<Vec<&'static str>, CatalogError> {
    // As they are now: both may have been changed since the caller read them.
    let from = assets::find(tx, &into.tenant_id, from).await?;
    let into = assets::find(tx, &into.tenant_id, &into.asset_id).await?;
    let (Some(from), Some(into)) = (from, into) else {
        return Ok(Vec::new());
    };
    let (said, before) = (from.metadata.clone(), &into.metadata);
    let after = Metadata {
        title: before.title.clone().or(said.title),
        captured_at: before.captured_at.or(said.captured_at),
        location: before.location.or(said.location),
        visibility: before.visibility,
    };
    let mut names = changed(before, &after);
    let tags_before = tags(tx, &into).await?;
    let mut tags_after = tags_before.clone();
    for tag in tags(tx, &from).await? {
        if tags_after.len() < limits::MAX_TAGS {
            tags_after.insert(tag);
        }
    }
    if tags_after != tags_before {
        names.push("tags");
    }
    if !names.is_empty() {
        write(tx, &into, &after, at).await?;
    }
    let taken_at = after.captured_at.map_or(into.created_at, |m| m.at);
    write_tags(tx, &into, &tags_before, &tags_after, taken_at).await?;
    let mut joined = false;
    for album_id in albums::of_asset(tx, &from).await? {
        if albums::hold(tx, &into.tenant_id, &into.owner_id, &album_id).await? {
            joined |= albums::add(tx, &album_id, &into, taken_at).await?;
        }
    }
    if joined {
        names.push("albums");
    }
    Ok(names)
}
