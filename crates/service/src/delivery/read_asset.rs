//! `GET /v1/assets/{id}`, and how an asset is shown: small by default, more by `fields`.

use std::collections::{BTreeMap, BTreeSet};

use safelight_api::assets as wire;
use safelight_catalog::assets::{self, Asset};
use safelight_catalog::file_metadata::{self, Kept};
use safelight_catalog::live_halves::{self, Live};
use safelight_catalog::renditions::{self, Rendition};
use safelight_catalog::{CatalogError, Tx, albums, metadata};
use safelight_imaging::MediaType;
use safelight_model::codes::Code;
use safelight_model::lifecycle::State;
use safelight_model::metadata::Moment;
use safelight_model::preset::Label;
use safelight_model::tenant_presets::TenantPresets;
use safelight_model::variant::MOTION;
use safelight_model::{preset, variant};

use super::links::File;
use super::{links, show_metadata};
use crate::context::{Context, Owner};
use crate::governance::decide::{Viewer, Wanted, decide, shows_private};

/// What can be asked for with `fields`.
pub const FIELDS: [&str; 15] = [
    "thumbhash",
    "capture",
    "original",
    "renditions",
    "scores",
    "times",
    "title",
    "captured_at",
    "location",
    "metadata",
    "live",
    "visibility",
    "tags",
    "albums",
    "revision",
];

/// Why an asset cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadAssetError {
    /// There is no such asset of this owner.
    #[error("there is no such asset")]
    NotFound,
    /// It was deleted.
    #[error("this asset was deleted")]
    Deleted,
    /// The capture that was asked for was deleted.
    #[error("this capture was deleted")]
    CaptureDeleted,
    /// There is no such album or capture of this owner.
    #[error("there is no such {0}")]
    NoGroup(&'static str),
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
            Self::NotFound | Self::NoGroup(_) => Code::NotFound,
            Self::Deleted => Code::AssetDeleted,
            Self::CaptureDeleted => Code::CaptureDeleted,
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

    /// All that the owner says of an asset, and its revision.
    #[must_use]
    pub fn said() -> Self {
        let said = [
            "title",
            "captured_at",
            "location",
            "visibility",
            "tags",
            "revision",
        ];
        Self(said.map(str::to_owned).to_vec())
    }

    pub(super) fn has(&self, field: &str) -> bool {
        self.0.iter().any(|f| f == field)
    }
}

/// An asset as it is shown.
#[derive(Debug)]
pub struct Shown {
    /// What is shown of it.
    pub asset: wire::Asset,
    /// Raised by each change of what its owner says of it.
    pub revision: i64,
}

/// An asset with what else is shown of it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) asset: Asset,
    pub(super) made: Vec<Rendition>,
    pub(super) tags: BTreeSet<String>,
    pub(super) albums: BTreeSet<String>,
    pub(super) told: Option<Kept>,
    pub(super) live: Option<Live>,
}

/// The asset of `owner` that stands for this one.
///
/// # Errors
/// If there is none, it was deleted, or the catalog fails.
pub(super) async fn standing(
    tx: &mut Tx<'_>,
    owner: &Owner,
    asset_id: &str,
) -> Result<Asset, ReadAssetError> {
    let asset = assets::standing_for(tx, &owner.tenant_id, asset_id)
        .await?
        .filter(|a| a.owner_id == owner.owner_id)
        .ok_or(ReadAssetError::NotFound)?;
    match asset.state {
        State::Deleted => Err(ReadAssetError::Deleted),
        _ => Ok(asset),
    }
}

/// One asset of `owner`.
///
/// # Errors
/// If there is none, it was deleted, or the catalog fails.
pub async fn read_asset(
    context: &Context,
    owner: &Owner,
    viewer: Viewer,
    asset_id: &str,
    fields: &Fields,
) -> Result<Shown, ReadAssetError> {
    let mut reader = context.catalog.reader().await?;
    let tx = &mut reader.tx();
    let asset = standing(tx, owner, asset_id).await?;
    let found = look_up(tx, vec![asset], fields, true).await?;
    let found = found.first().ok_or(ReadAssetError::NotFound)?;
    Ok(Shown {
        asset: render(context, found, viewer, fields),
        revision: found.asset.revision,
    })
}

/// Looks up what is to be shown of these assets of one tenant; their renditions too `with_renditions`.
pub(super) async fn look_up(
    tx: &mut Tx<'_>,
    of: Vec<Asset>,
    fields: &Fields,
    with_renditions: bool,
) -> Result<Vec<Found>, CatalogError> {
    let tenant_id = of.first().map(|a| a.tenant_id.clone()).unwrap_or_default();
    let ids: Vec<&str> = of.iter().map(|a| a.asset_id.as_str()).collect();
    let mut tags = match fields.has("tags") {
        true => metadata::tags_of(tx, &tenant_id, &ids).await?,
        false => BTreeMap::new(),
    };
    let mut albums = match fields.has("albums") {
        true => albums::of_assets(tx, &tenant_id, &ids).await?,
        false => BTreeMap::new(),
    };
    let mut live = match fields.has("live") {
        true => live_halves::of_assets(tx, &tenant_id, &ids).await?,
        false => BTreeMap::new(),
    };
    let blobs = of.iter().filter_map(|a| a.blob.as_ref());
    let blobs: Vec<&str> = blobs.map(|b| b.blob_id.as_str()).collect();
    let told = match fields.has("metadata") {
        true => file_metadata::of_blobs(tx, &tenant_id, &blobs).await?,
        false => BTreeMap::new(),
    };
    let mut found = Vec::with_capacity(of.len());
    for asset in of {
        found.push(Found {
            // Copies of the same bytes hold one blob.
            told: asset
                .blob
                .as_ref()
                .and_then(|blob| told.get(&blob.blob_id).cloned()),
            made: match &asset.blob {
                Some(blob) if with_renditions => {
                    renditions::of_blob(tx, &asset.tenant_id, &blob.blob_id).await?
                }
                _ => Vec::new(),
            },
            tags: tags.remove(&asset.asset_id).unwrap_or_default(),
            albums: albums.remove(&asset.asset_id).unwrap_or_default(),
            live: live.remove(&asset.asset_id),
            asset,
        });
    }
    Ok(found)
}

fn reason(code: Option<&String>, detail: Option<&String>) -> Option<wire::Reason> {
    code.map(|code| wire::Reason {
        code: code.clone(),
        detail: detail.cloned(),
    })
}

/// An asset as it is shown among others.
pub(super) fn render_small(
    context: &Context,
    found: &Found,
    viewer: Viewer,
    fields: &Fields,
) -> wire::Asset {
    let mut item = render(context, found, viewer, fields);
    if !fields.has("renditions") {
        item.progress = None;
    }
    // In a list an asset is small; who reads it alone is told why in words.
    if let Some(reason) = &mut item.reason {
        reason.detail = None;
    }
    item
}

/// How many renditions there are to be.
fn expected(found: &Found) -> usize {
    let blob = found.asset.blob.as_ref();
    let known = blob.and_then(|b| b.mime.as_deref());
    let mime = known.or(found.asset.mime.as_deref());
    let is_clip = mime
        .and_then(MediaType::of_mime)
        .is_some_and(MediaType::is_clip);
    match is_clip {
        true => preset::OF_EVERY_CLIP.len(),
        false => preset::OF_EVERY_PICTURE.len(),
    }
}

/// Of each preset the row that is shown: by the tenant's present version if that is there, else the newest that is, else what becomes of
/// the present one. Of alternatives none but the clip in a motion photo, which is something else than its picture.
fn shown<'a>(made: &'a [Rendition], own: &TenantPresets) -> BTreeMap<&'a str, &'a Rendition> {
    let standing = |r: &Rendition| {
        let is_present = r.version == i64::from(own.version(&r.preset));
        (r.state == "ready", is_present, r.version)
    };
    let mut shown: BTreeMap<&str, &Rendition> = BTreeMap::new();
    let motion = variant::slot(&MOTION.label());
    for row in made {
        let name = match row.preset.as_str() {
            preset if preset == motion => MOTION.name,
            preset if variant::is_alternative(preset) => continue,
            preset => preset,
        };
        let best = shown.entry(name).or_insert(row);
        if standing(row) > standing(best) {
            *best = row;
        }
    }
    shown
}

/// An asset as it is shown alone.
pub(super) fn render(
    context: &Context,
    found: &Found,
    viewer: Viewer,
    fields: &Fields,
) -> wire::Asset {
    let Found { asset, made, .. } = found;
    let said = &asset.metadata;
    let viewable = decide(asset, Wanted::Rendition).is_ok();
    let link = |file: File| viewable.then(|| links::derived(context, &asset.public_id, file));
    let own = context.presets(&asset.tenant_id);
    let blob = asset.blob.as_ref();
    let made = shown(made, &own);
    // What is made when somebody asks for it makes an asset none the more ready.
    let is_counted = |(name, r): &(&&str, &&Rendition)| {
        r.state == "ready" && ![preset::CLEANED, MOTION.name].contains(name)
    };
    let ready = made.iter().filter(is_counted).count();
    // Not everything has these.
    let more = [preset::SQUARE, preset::HLS];
    let more = more.iter().filter(|p| made.contains_key(p.name)).count();
    let total = expected(found) + more;
    wire::Asset {
        asset_id: asset.asset_id.clone(),
        state: asset.state.as_str().to_owned(),
        reason: reason(asset.reason_code.as_ref(), asset.reason_detail.as_ref()),
        progress: (!asset.state.is_settled() || viewable).then(|| wire::Progress {
            renditions_ready: u32::try_from(ready).unwrap_or(0),
            renditions_total: u32::try_from(total).unwrap_or(0),
        }),
        cover_url: link(File::Rendition(preset::COVER.label())),
        auto_url: fields
            .has("renditions")
            .then(|| link(File::AnySize))
            .flatten(),
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
                .map(|(name, r)| {
                    let version = u32::try_from(r.version).unwrap_or(0);
                    let label = variant::of_slot(&r.preset, version);
                    let label = label.filter(|_| r.state == "ready");
                    // Who asks for the present version has it made.
                    let sized = label.filter(|l| l.name != MOTION.name);
                    let present = sized.map(|l| Label {
                        version: own.version(l.name),
                        ..l
                    });
                    let rendition = wire::Rendition {
                        state: r.state.clone(),
                        url: label.and_then(|l| link(File::Rendition(l))),
                        auto_url: present.and_then(|l| link(File::AnyFormat(l))),
                        width: r.width,
                        height: r.height,
                        size_bytes: r.size_bytes,
                        reason: reason(r.reason_code.as_ref(), r.reason_detail.as_ref()),
                    };
                    ((*name).to_owned(), rendition)
                })
                .collect::<BTreeMap<_, _>>()
        }),
        scores: blob
            .and_then(|b| b.scores)
            .filter(|_| viewable && fields.has("scores"))
            .map(Into::into),
        times: fields.has("times").then(|| wire::Times {
            created_at: asset.created_at.rfc3339(),
            uploaded_at: asset.uploaded_at.map(|t| t.rfc3339()),
            viewable_at: asset.viewable_at.map(|t| t.rfc3339()),
            updated_at: asset.updated_at.rfc3339(),
        }),
        title: said.title.clone().filter(|_| fields.has("title")),
        captured_at: said
            .captured_at
            .filter(|_| fields.has("captured_at"))
            .map(Moment::rfc3339),
        location: said
            .location
            .filter(|_| fields.has("location"))
            .map(show_metadata::location),
        metadata: fields
            .has("metadata")
            .then(|| {
                let policy = context.settings.metadata_policies.of(&asset.tenant_id);
                let with_private = shows_private(policy, viewer);
                show_metadata::metadata(found.told.as_ref(), said, with_private)
            })
            .flatten(),
        live: found
            .live
            .clone()
            .filter(|_| viewable)
            .map(|live| wire::LivePhoto {
                still: live.still,
                motion: live.motion,
            }),
        visibility: fields
            .has("visibility")
            .then(|| said.visibility.as_str().to_owned()),
        tags: fields
            .has("tags")
            .then(|| found.tags.iter().cloned().collect()),
        albums: fields
            .has("albums")
            .then(|| found.albums.iter().cloned().collect()),
        revision: fields.has("revision").then_some(asset.revision),
    }
}
