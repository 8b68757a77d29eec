//! Putting assets into albums, and taking them out.

use std::collections::BTreeSet;

use safelight_api::albums::{AssetAdded, AssetsAdded};
use safelight_api::events::EventFacts;
use safelight_catalog::assets::{self, Asset};
use safelight_catalog::{Tx, albums, metadata};
use safelight_model::limits;

use super::albums::AlbumError;
use crate::context::{Context, Owner};
use crate::insights::record::{Told, record_with};

/// Puts assets of `owner` into his album; what is in it already stays, and what is no asset of his is passed over.
/// The album's id.
///
/// # Errors
/// If there is no such album, there are too many assets, or the catalog fails.
pub async fn add_assets(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    album_id: &str,
    asset_ids: &[String],
) -> Result<String, AlbumError> {
    if asset_ids.is_empty() || asset_ids.len() > limits::MAX_ADDED_AT_ONCE {
        let why = format!("name 1 to {} assets", limits::MAX_ADDED_AT_ONCE);
        return Err(AlbumError::Invalid("asset_ids", why));
    }
    // Always in the order of their ids, so that two requests never wait for each other in a ring.
    let mut standing = BTreeSet::new();
    for asset_id in asset_ids {
        let asset = assets::standing_for(tx, &owner.tenant_id, asset_id).await?;
        standing.extend(asset.map(|a| a.asset_id));
    }
    let mut live: Vec<Asset> = Vec::with_capacity(standing.len());
    for asset_id in standing {
        live.extend(metadata::hold(tx, &owner.tenant_id, &owner.owner_id, &asset_id).await?);
    }
    if !albums::hold(tx, &owner.tenant_id, &owner.owner_id, album_id).await? {
        return Err(AlbumError::NotFound);
    }
    let mut added = false;
    for asset in &live {
        if !albums::add(tx, album_id, asset, asset.taken_at()).await? {
            continue;
        }
        added = true;
        tell(tx, context, owner, album_id, &asset.asset_id).await?;
    }
    if added {
        albums::touch(tx, &owner.tenant_id, album_id, context.now()).await?;
        let album = albums::find(tx, &owner.tenant_id, &owner.owner_id, album_id).await?;
        if album.is_none_or(|a| a.asset_count > limits::MAX_ALBUM_ASSETS) {
            return Err(AlbumError::Invalid(
                "asset_ids",
                format!("an album has at most {} assets", limits::MAX_ALBUM_ASSETS),
            ));
        }
    }
    Ok(album_id.to_owned())
}

/// Puts one asset into an album: as [`add_assets`], but it has to be there.
///
/// # Errors
/// As [`add_assets`], and if there is no such asset.
pub async fn add_asset(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    album_id: &str,
    asset_id: &str,
) -> Result<String, AlbumError> {
    let asset = metadata::hold(tx, &owner.tenant_id, &owner.owner_id, asset_id).await?;
    let asset = asset.ok_or(AlbumError::NoAsset)?;
    add_assets(tx, context, owner, album_id, &[asset.asset_id]).await
}

/// Takes an asset out of an album of `owner`; one that is not in it is left so. The album's id.
///
/// # Errors
/// If there is no such album or asset, or the catalog fails.
pub async fn remove_asset(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    album_id: &str,
    asset_id: &str,
) -> Result<String, AlbumError> {
    let asset = assets::standing_for(tx, &owner.tenant_id, asset_id).await?;
    let asset = asset.filter(|a| a.owner_id == owner.owner_id);
    if !albums::hold(tx, &owner.tenant_id, &owner.owner_id, album_id).await? {
        return Err(AlbumError::NotFound);
    }
    let asset_id = asset.ok_or(AlbumError::NoAsset)?.asset_id;
    if albums::remove(tx, &owner.tenant_id, album_id, &asset_id).await? {
        albums::touch(tx, &owner.tenant_id, album_id, context.now()).await?;
        tell(tx, context, owner, album_id, &asset_id).await?;
    }
    Ok(album_id.to_owned())
}

async fn tell(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    album_id: &str,
    asset_id: &str,
) -> Result<(), AlbumError> {
    let told = Told {
        kind: "asset.updated",
        owner,
        asset_id,
    };
    let facts = EventFacts {
        changed: Some(vec!["albums".to_owned()]),
        album_id: Some(album_id.to_owned()),
        ..EventFacts::default()
    };
    Ok(record_with(tx, context, told, &facts).await?)
}

/// What became of the assets of a request, as it is now.
///
/// # Errors
/// If the catalog fails.
pub async fn outcome(
    context: &Context,
    owner: &Owner,
    album_id: &str,
    asset_ids: &[String],
) -> Result<AssetsAdded, AlbumError> {
    let mut reader = context.catalog.reader().await?;
    let tx = &mut reader.tx();
    let mut items = Vec::with_capacity(asset_ids.len());
    for asset_id in asset_ids {
        let asset = assets::standing_for(tx, &owner.tenant_id, asset_id).await?;
        let within = match asset.filter(|a| a.owner_id == owner.owner_id) {
            Some(asset) => albums::of_asset(tx, &asset).await?.contains(album_id),
            None => false,
        };
        items.push(AssetAdded {
            asset_id: asset_id.clone(),
            outcome: if within { "in_album" } else { "not_found" }.to_owned(),
        });
    }
    Ok(AssetsAdded { items })
}
