//! What a link leads to: an object, by rows.

use safelight_catalog::assets::{self, Asset};
use safelight_catalog::blobs::Blob;
use safelight_catalog::renditions::{self, Rendition};
use safelight_catalog::{Tx, cleaned};
use safelight_imaging::MediaType;
use safelight_model::preset::Label;
use safelight_model::variant;
use safelight_objects::ObjectKey;

use super::accept::Accepted;
use super::links::File;
use super::serve_media::ServeError;
use super::{hints, negotiate};
use crate::context::{Context, Owner};
use crate::governance::decide::{Wanted, decide};

/// What is to be sent.
pub(super) struct Source {
    pub(super) key: ObjectKey,
    pub(super) etag: String,
    pub(super) size_bytes: i64,
    pub(super) mime: String,
    pub(super) download: Option<String>,
    /// Whether something else is to be sent soon.
    pub(super) is_stopgap: bool,
    /// What it was made of; nothing if it is an original.
    pub(super) made_of: Option<MadeOf>,
}

/// Whose blob something was made of.
#[derive(Clone)]
pub(super) struct MadeOf {
    pub(super) owner: Owner,
    pub(super) blob: Blob,
}

impl MadeOf {
    fn blob_of(asset: &Asset) -> Option<Self> {
        Some(Self {
            owner: Owner {
                tenant_id: asset.tenant_id.clone(),
                owner_id: asset.owner_id.clone(),
            },
            blob: asset.blob.clone()?,
        })
    }
}

/// What is known of who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    pub(super) accepted: Accepted,
    pub(super) size: hints::Wanted,
}

/// What is sent for a link to `file`, of what there is without `broken`, a rendition that cannot be read.
///
/// # Errors
/// If there is nothing that may be given out, or the catalog fails.
pub(super) async fn find_source(
    context: &Context,
    public_id: &str,
    file: File,
    asker: Asker,
    broken: Option<&ObjectKey>,
) -> Result<Source, ServeError> {
    let (asset, named, is_growing, outcome) = {
        let mut reader = context.catalog.reader().await?;
        let tx = &mut reader.tx();
        let asset = assets::by_public_id(tx, public_id)
            .await?
            .ok_or(ServeError::NotFound)?;
        let wanted = match file {
            File::Rendition(_) | File::AnyFormat(_) | File::AnySize => Wanted::Rendition,
            File::Original | File::Cleaned(_) => Wanted::Original,
        };
        decide(&asset, wanted)?;
        let named = match file {
            File::Rendition(label) => return rendition(tx, &asset, label, broken).await,
            File::Original => return original(&asset),
            File::Cleaned(_) if broken.is_some() => return Err(ServeError::NotFound),
            File::Cleaned(media) => return cleaned_original(tx, &asset, media).await,
            File::AnyFormat(label) => Some(label),
            File::AnySize => None,
        };
        let made = made_of(tx, &asset, broken).await?;
        let own = context.presets(&asset.tenant_id);
        let size = match named {
            Some(named) => Some(named),
            None => negotiate::size(&made, asker.size, &own),
        };
        let size = size.ok_or(ServeError::NotFound)?;
        let mut outcome = match asker.size.saves {
            true => negotiate::lean(&made, size, asker.accepted, &own),
            false => negotiate::format(&made, &size, asker.accepted, &own),
        };
        if let Some(missing) = &outcome.missing
            && negotiate::is_asked_for(tx, &asset, missing).await?
        {
            outcome.missing = None;
        }
        (asset, named, negotiate::is_growing(&made, &own), outcome)
    };
    if let Some(missing) = &outcome.missing {
        negotiate::ask(context, &asset, missing).await?;
    }
    let choice = outcome.choice.ok_or(ServeError::NotFound)?;
    let source = derived(&asset, choice.row, choice.of)?;
    Ok(Source {
        is_stopgap: choice.is_stopgap || (is_growing && (named.is_none() || asker.size.saves)),
        ..source
    })
}

async fn made_of(
    tx: &mut Tx<'_>,
    asset: &Asset,
    broken: Option<&ObjectKey>,
) -> Result<Vec<Rendition>, ServeError> {
    let blob_id = asset.blob.as_ref().map_or("", |b| b.blob_id.as_str());
    let mut made = renditions::of_blob(tx, &asset.tenant_id, blob_id).await?;
    made.retain(|r| broken.is_none_or(|key| r.object_key.as_deref() != Some(key.as_str())));
    Ok(made)
}

async fn rendition(
    tx: &mut Tx<'_>,
    asset: &Asset,
    of: Label,
    broken: Option<&ObjectKey>,
) -> Result<Source, ServeError> {
    let (slot, version) = (variant::slot(&of), i64::from(of.version));
    let found = made_of(tx, asset, broken)
        .await?
        .into_iter()
        .find(|r| r.preset == slot && r.version == version && r.state == "ready")
        .ok_or(ServeError::NotFound)?;
    derived(asset, found, of)
}

fn derived(asset: &Asset, row: Rendition, of: Label) -> Result<Source, ServeError> {
    Ok(Source {
        key: parse(&row.object_key.unwrap_or_default())?,
        etag: row.etag.unwrap_or_default(),
        size_bytes: row.size_bytes.unwrap_or_default(),
        mime: of.format.mime().to_owned(),
        download: None,
        is_stopgap: false,
        made_of: MadeOf::blob_of(asset),
    })
}

/// What it was called may tell of its owner: it is called by its link.
async fn cleaned_original(
    tx: &mut Tx<'_>,
    asset: &Asset,
    media: MediaType,
) -> Result<Source, ServeError> {
    let blob_id = asset.blob.as_ref().map_or("", |b| b.blob_id.as_str());
    let found = cleaned::find(tx, &asset.tenant_id, blob_id).await?;
    let found = found.filter(|r| r.state == "ready");
    let found = found.ok_or(ServeError::NotFound)?;
    let key = parse(&found.object_key.unwrap_or_default())?;
    // The link names the kind that it was made for.
    if !key.as_str().ends_with(&format!(".{}", media.extension())) {
        return Err(ServeError::NotFound);
    }
    let name = format!("{}.{}", asset.public_id, media.extension());
    Ok(Source {
        key,
        etag: found.etag.unwrap_or_default(),
        size_bytes: found.size_bytes.unwrap_or_default(),
        mime: media.mime().to_owned(),
        download: Some(format!("attachment; filename=\"{name}\"")),
        is_stopgap: false,
        made_of: MadeOf::blob_of(asset),
    })
}

fn parse(key: &str) -> Result<ObjectKey, ServeError> {
    ObjectKey::parse(key).map_err(|e| ServeError::Unreadable(e.to_string()))
}

/// An original is for keeping, never for showing in a page: what it is called stays what it was called.
fn original(asset: &Asset) -> Result<Source, ServeError> {
    let blob = asset.blob.as_ref().ok_or(ServeError::NotFound)?;
    let name = asset.filename.as_deref().unwrap_or(&asset.asset_id);
    let encoded = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    Ok(Source {
        key: parse(&blob.object_key)?,
        etag: blob.etag.clone(),
        size_bytes: blob.size_bytes,
        mime: blob
            .mime
            .clone()
            .unwrap_or_else(|| "application/octet-stream".to_owned()),
        download: Some(format!("attachment; filename*=UTF-8''{encoded}")),
        is_stopgap: false,
        made_of: None,
    })
}
