//! `GET /v1/assets/{id}/near`: an owner's assets that look nearly like one of his.
//!
//! Found when it is asked, by the catalog's indexes, and kept nowhere: what is deleted, merged or given another capture time
//! is right at once. Nothing is merged by it.

use safelight_api::assets as wire;
use safelight_catalog::near::{self, Near};
use safelight_model::limits;
use serde::Deserialize;

use super::read_asset::{Fields, ReadAssetError, look_up, render_small, standing};
use crate::context::{Context, Owner};
use crate::governance::decide::Viewer;

/// The query, as it came.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct NearQuery {
    limit: Option<i64>,
    fields: Option<String>,
}

/// The assets of `owner` that look nearly like this one of his, the nearest first.
///
/// # Errors
/// If the query is wrong, there is no such asset, or the catalog fails.
pub async fn find_near(
    context: &Context,
    owner: &Owner,
    viewer: Viewer,
    asset_id: &str,
    query: &NearQuery,
) -> Result<wire::NearAssets, ReadAssetError> {
    let fields = &Fields::parse(query.fields.as_deref())?;
    let (default, most) = limits::NEAR;
    let limit = query.limit.unwrap_or(default);
    if !(1..=most).contains(&limit) {
        let why = format!("limit must be from 1 to {most}");
        return Err(ReadAssetError::Query("limit", why));
    }
    let mut reader = context.catalog.reader().await?;
    let tx = &mut reader.tx();
    let asset = standing(tx, owner, asset_id).await?;
    let found = near::near(tx, &asset, usize::try_from(limit).unwrap_or(0)).await?;
    let comparable = found.is_some();
    let (distances, near): (Vec<u32>, Vec<_>) = found
        .unwrap_or_default()
        .into_iter()
        .map(|Near { asset, distance }| (distance, asset))
        .unzip();
    let shown = look_up(tx, near, fields, fields.has("renditions")).await?;
    let items = distances
        .into_iter()
        .zip(&shown)
        .map(|(distance, found)| wire::NearAsset {
            distance,
            asset: render_small(context, found, viewer, fields),
        })
        .collect();
    Ok(wire::NearAssets {
        asset_id: asset.asset_id,
        comparable,
        items,
    })
}
