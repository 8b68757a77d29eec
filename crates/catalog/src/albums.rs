//! Albums: an owner's groups of his assets.
//!
//! Whoever changes what is in an album holds its row ([`hold`]), as whoever deletes it does; who adds an asset holds
//! the asset's row too ([`crate::metadata::hold`]), and holds that first. So no row of an album's contents outlives
//! the album or the asset.

use std::collections::{BTreeMap, BTreeSet};

use safelight_model::clock::Micros;

use crate::assets::Asset;
use crate::error::CatalogError;
use crate::metadata;
use crate::transaction::Tx;
use crate::value::Row;
use crate::values;

#[cfg(test)]
mod plans;

/// An album.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Album {
    /// Its id.
    pub album_id: String,
    /// Its title.
    pub title: String,
    /// Raised by each change of its title.
    pub revision: i64,
    /// When it was made.
    pub created_at: Micros,
    /// When it, or what is in it, was last changed.
    pub updated_at: Micros,
    /// How many assets it has.
    pub asset_count: i64,
}

fn select(from: &str, condition: &str) -> String {
    format!(
        "SELECT g.album_id, g.title, g.revision, g.created_at, g.updated_at,
                (SELECT COUNT(*) FROM album_assets m WHERE m.tenant_id = g.tenant_id AND m.album_id = g.album_id)
           FROM {from} WHERE {condition}"
    )
}

fn read(r: &Row) -> Result<Album, CatalogError> {
    Ok(Album {
        album_id: r.text(0)?,
        title: r.text(1)?,
        revision: r.int(2)?,
        created_at: r.at(3)?,
        updated_at: r.at(4)?,
        asset_count: r.int(5)?,
    })
}

/// Makes an empty album.
///
/// # Errors
/// What the database says.
pub async fn insert(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    owner_id: &str,
    album_id: &str,
    title: &str,
    at: Micros,
) -> Result<(), CatalogError> {
    tx.exec(
        "INSERT INTO albums (tenant_id, album_id, owner_id, title, revision, created_at, updated_at)
         VALUES ($1, $2, $3, $4, 1, $5, $5)",
        values![tenant_id, album_id, owner_id, title, at],
    )
    .await?;
    Ok(())
}

/// An album of this owner.
///
/// # Errors
/// What the database says.
pub async fn find(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    owner_id: &str,
    album_id: &str,
) -> Result<Option<Album>, CatalogError> {
    let sql = select(
        "albums g",
        "g.tenant_id = $1 AND g.album_id = $2 AND g.owner_id = $3",
    );
    let row = tx.row(&sql, values![tenant_id, album_id, owner_id]).await?;
    row.as_ref().map(read).transpose()
}

fn list_sql(on_postgres: bool) -> String {
    // SQLite, which knows nothing of how many rows there are, would go along the primary key, through all of the tenant's.
    let from = match on_postgres {
        true => "albums g",
        false => "albums g INDEXED BY albums_by_owner",
    };
    select(
        from,
        "g.tenant_id = $1 AND g.owner_id = $2 AND g.album_id < $3 ORDER BY g.album_id DESC LIMIT $4",
    )
}

/// An owner's albums, the newest first, before `cursor` (an album id).
///
/// # Errors
/// What the database says.
pub async fn list(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    owner_id: &str,
    cursor: Option<&str>,
    limit: i64,
) -> Result<Vec<Album>, CatalogError> {
    // `~` sorts behind every id.
    let before = cursor.unwrap_or("~");
    let sql = list_sql(tx.is_postgres());
    let rows = tx
        .rows(&sql, values![tenant_id, owner_id, before, limit])
        .await?;
    rows.iter().map(read).collect()
}

/// Holds the row of an album of this owner until the end of the transaction. `false` if there is none.
///
/// # Errors
/// What the database says.
pub async fn hold(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    owner_id: &str,
    album_id: &str,
) -> Result<bool, CatalogError> {
    let held = tx
        .exec(
            "UPDATE albums SET updated_at = updated_at WHERE tenant_id = $1 AND album_id = $2 AND owner_id = $3",
            values![tenant_id, album_id, owner_id],
        )
        .await?;
    Ok(held == 1)
}

/// Gives a held album another title.
///
/// # Errors
/// What the database says.
pub async fn retitle(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    album_id: &str,
    title: &str,
    at: Micros,
) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE albums SET title = $3, revision = revision + 1, updated_at = $4 WHERE tenant_id = $1 AND album_id = $2",
        values![tenant_id, album_id, title, at],
    )
    .await?;
    Ok(())
}

/// Notes that what is in a held album was changed.
///
/// # Errors
/// What the database says.
pub async fn touch(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    album_id: &str,
    at: Micros,
) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE albums SET updated_at = $3 WHERE tenant_id = $1 AND album_id = $2",
        values![tenant_id, album_id, at],
    )
    .await?;
    Ok(())
}

/// Deletes an album of this owner; its assets stay. `false` if there is none.
///
/// # Errors
/// What the database says.
pub async fn delete(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    owner_id: &str,
    album_id: &str,
) -> Result<bool, CatalogError> {
    let deleted = tx
        .exec(
            "DELETE FROM albums WHERE tenant_id = $1 AND album_id = $2 AND owner_id = $3",
            values![tenant_id, album_id, owner_id],
        )
        .await?;
    if deleted != 1 {
        return Ok(false);
    }
    tx.exec(
        "DELETE FROM album_assets WHERE tenant_id = $1 AND album_id = $2",
        values![tenant_id, album_id],
    )
    .await?;
    Ok(true)
}

/// Puts a held asset, whose place in the order is `taken_at`, into a held album. `false` if it was in it.
///
/// # Errors
/// What the database says.
pub async fn add(
    tx: &mut Tx<'_>,
    album_id: &str,
    asset: &Asset,
    taken_at: Micros,
) -> Result<bool, CatalogError> {
    let added = tx
        .exec(
            "INSERT INTO album_assets (tenant_id, album_id, asset_id, taken_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING",
            values![&asset.tenant_id, album_id, &asset.asset_id, taken_at],
        )
        .await?;
    Ok(added == 1)
}

/// Takes an asset out of a held album. `false` if it was not in it.
///
/// # Errors
/// What the database says.
pub async fn remove(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    album_id: &str,
    asset_id: &str,
) -> Result<bool, CatalogError> {
    let removed = tx
        .exec(
            "DELETE FROM album_assets WHERE tenant_id = $1 AND album_id = $2 AND asset_id = $3",
            values![tenant_id, album_id, asset_id],
        )
        .await?;
    Ok(removed == 1)
}

/// The albums that an asset is in, in the order of their ids.
///
/// # Errors
/// What the database says.
pub async fn of_asset(tx: &mut Tx<'_>, asset: &Asset) -> Result<BTreeSet<String>, CatalogError> {
    let mut all = of_assets(tx, &asset.tenant_id, &[&asset.asset_id]).await?;
    Ok(all.remove(&asset.asset_id).unwrap_or_default())
}

/// The albums that these assets are in, by asset.
///
/// # Errors
/// What the database says.
pub async fn of_assets(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    asset_ids: &[&str],
) -> Result<BTreeMap<String, BTreeSet<String>>, CatalogError> {
    metadata::of_assets(tx, "album_assets", "album_id", tenant_id, asset_ids).await
}
