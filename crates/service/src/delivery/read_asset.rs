//! `GET /v1/assets` and `GET /v1/assets/{id}`: small by default, more by `fields`.

use std::collections::BTreeMap;

use safelight_api::assets as wire;
use safelight_catalog::assets::{self, Asset};
use safelight_catalog::renditions::{self, Rendition};
use safelight_catalog::{CatalogError, Tx};
use safelight_model::codes::Code;
use safelight_model::{ids, limits, preset};

use super::links;
use crate::context::{Context, Owner};
use crate::governance::decide::{Wanted, decide};

/// What can be asked for with `fields`.
pub const FIELDS: [&str; 5] = ["thumbhash", "capture", "original", "renditions", "times"];

/// Why an asset cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadAssetError {
    /// There is no such asset of this owner.
    #[error("there is no such asset")]
    NotFound,
    /// The query is wrong.
    #[error("{1}")]
    Query(&'static str, String),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl ReadAssetError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound => Code::NotFound,
            Self::Query(..) => Code::ValidationFailed,
            Self::Catalog(e) => e.code(),
        }
    }

    /// Which parameter is wrong.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Query(field, _) => Some(field),
            _ => None,
        }
    }
}

/// Which fields are asked for.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<String>);

impl Fields {
    /// Reads `fields=a,b`.
    ///
    /// # Errors
    /// If one is unknown.
    pub fn parse(text: Option<&str>) -> Result<Self, ReadAssetError> {
        let named: Vec<String> = text
            .unwrap_or_default()
            .split(',')
            .filter(|f| !f.is_empty())
            .map(str::to_owned)
            .collect();
        match named.iter().find(|f| !FIELDS.contains(&f.as_str())) {
            Some(unknown) => Err(ReadAssetError::Query(
                "fields",
                format!("{unknown:?} is not a field: use {}", FIELDS.join(", ")),
            )),
            None => Ok(Self(named)),
        }
    }

    fn has(&self, field: &str) -> bool {
        self.0.iter().any(|f| f == field)
    }
}

/// One asset of `owner`.
///
/// # Errors
/// If there is none, or the catalog fails.
pub async fn read_asset(
    context: &Context,
    owner: &Owner,
    asset_id: &str,
    fields: &Fields,
) -> Result<wire::Asset, ReadAssetError> {
    let mut reader = context.catalog.reader().await?;
    let asset = assets::standing_for(&mut reader.tx(), &owner.tenant_id, asset_id)
        .await?
        .filter(|a| a.owner_id == owner.owner_id)
        .ok_or(ReadAssetError::NotFound)?;
    let made = made_of(&mut reader.tx(), &asset).await?;
    Ok(render(context, &asset, &made, fields))
}

async fn made_of(tx: &mut Tx<'_>, asset: &Asset) -> Result<Vec<Rendition>, CatalogError> {
    match &asset.blob {
        Some(blob) => renditions::of_blob(tx, &asset.tenant_id, &blob.blob_id).await,
        None => Ok(Vec::new()),
    }
}

/// A page of an owner's assets, the newest first.
///
/// # Errors
/// If the query is wrong, or the catalog fails.
pub async fn list_assets(
    context: &Context,
    owner: &Owner,
    limit: Option<i64>,
    cursor: Option<&str>,
    fields: &Fields,
) -> Result<wire::AssetPage, ReadAssetError> {
    let (default, most) = limits::PAGE;
    let limit = limit.unwrap_or(default);
    if !(1..=most).contains(&limit) {
        return Err(ReadAssetError::Query(
            "limit",
            format!("limit must be from 1 to {most}"),
        ));
    }
    if cursor.is_some_and(|c| !ids::is(ids::ASSET, c)) {
        return Err(ReadAssetError::Query(
            "cursor",
            "cursor must be a next_cursor of an earlier page".into(),
        ));
    }
    let mut reader = context.catalog.reader().await?;
    let tx = &mut reader.tx();
    let page = assets::list(tx, &owner.tenant_id, &owner.owner_id, cursor, limit + 1).await?;
    let mut found = Vec::with_capacity(page.len());
    for asset in page {
        let made = if fields.has("renditions") {
            made_of(tx, &asset).await?
        } else {
            Vec::new()
        };
        found.push((asset, made));
    }
    let more = found.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if more {
        found.pop();
    }
    let next_cursor = more
        .then(|| found.last().map(|(a, _)| a.asset_id.clone()))
        .flatten();
    let mut items: Vec<wire::Asset> = found
        .iter()
        .map(|(a, made)| render(context, a, made, fields))
        .collect();
    if !fields.has("renditions") {
        items.iter_mut().for_each(|a| a.progress = None);
    }
    Ok(wire::AssetPage { items, next_cursor })
}

fn reason(code: Option<&String>, detail: Option<&String>) -> Option<wire::Reason> {
    code.map(|code| wire::Reason {
        code: code.clone(),
        detail: detail.cloned(),
    })
}

fn render(context: &Context, asset: &Asset, made: &[Rendition], fields: &Fields) -> wire::Asset {
    let viewable = decide(asset, Wanted::Rendition).is_ok();
    let link = |name: &str, version: i64| {
        let preset = preset::find(name, u32::try_from(version).ok()?)?;
        viewable.then(|| links::rendition(context, &asset.public_id, preset))
    };
    let blob = asset.blob.as_ref();
    let ready = made.iter().filter(|r| r.state == "ready").count();
    wire::Asset {
        asset_id: asset.asset_id.clone(),
        state: asset.state.as_str().to_owned(),
        reason: reason(asset.reason_code.as_ref(), asset.reason_detail.as_ref()),
        progress: (!asset.state.is_settled() || viewable).then(|| wire::Progress {
            renditions_ready: u32::try_from(ready).unwrap_or(0),
            renditions_total: u32::try_from(preset::ALL.len()).unwrap_or(0),
        }),
        cover_url: link(preset::COVER.name, i64::from(preset::COVER.version)),
        thumbhash: fields
            .has("thumbhash")
            .then(|| {
                blob.and_then(|b| b.thumbhash.clone())
                    .or_else(|| asset.preview.clone())
            })
            .flatten(),
        capture_id: fields.has("capture").then(|| asset.capture_id.clone()),
        original: fields.has("original").then(|| wire::Original {
            filename: asset.filename.clone(),
            mime: blob
                .and_then(|b| b.mime.clone())
                .or_else(|| asset.mime.clone()),
            size_bytes: asset.size_bytes,
            sha256: blob.and_then(|b| b.sha256.clone()),
            width: blob.and_then(|b| b.width),
            height: blob.and_then(|b| b.height),
        }),
        renditions: fields.has("renditions").then(|| {
            made.iter()
                .map(|r| {
                    let rendition = wire::Rendition {
                        state: r.state.clone(),
                        url: if r.state == "ready" {
                            link(&r.preset, r.version)
                        } else {
                            None
                        },
                        width: r.width,
                        height: r.height,
                        size_bytes: r.size_bytes,
                        reason: reason(r.reason_code.as_ref(), r.reason_detail.as_ref()),
                    };
                    (r.preset.clone(), rendition)
                })
                .collect::<BTreeMap<_, _>>()
        }),
        times: fields.has("times").then(|| wire::Times {
            created_at: asset.created_at.rfc3339(),
            uploaded_at: asset.uploaded_at.map(|t| t.rfc3339()),
            viewable_at: asset.viewable_at.map(|t| t.rfc3339()),
            updated_at: asset.updated_at.rfc3339(),
        }),
    }
}
