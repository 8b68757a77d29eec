//! `GET /m/{public_id}/{file}`: bytes, for whoever holds a living link.
//!
//! Every answer carries what a cache needs: the renditions of a preset version never change, so they may
//! be kept until their link ends.

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use safelight_catalog::assets::{self, Asset};
use safelight_catalog::{CatalogError, Tx, cleaned, renditions};
use safelight_imaging::MediaType;
use safelight_model::codes::Code;
use safelight_objects::{ObjectKey, StoreError};
use serde::Deserialize;

use super::links::{self, File};
use super::range::{self, Range};
use crate::context::Context;
use crate::governance::decide::{Refusal, Wanted, decide};

/// The query of a link.
#[derive(Clone, Debug, Deserialize)]
pub struct LinkQuery {
    e: i64,
    k: String,
    s: String,
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The link is not signed by us, or not for this.
    #[error("this link is not valid: ask the API for a fresh one")]
    Signature,
    /// The link's time is over.
    #[error("this link has expired: ask the API for a fresh one")]
    Expired,
    /// There is nothing here.
    #[error("there is nothing here")]
    NotFound,
    /// It may not be given out.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row is not what this version makes.
    #[error("what is stored for this cannot be read: {0}")]
    Unreadable(String),
}

impl ServeError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Signature | Self::Expired => Code::Forbidden,
            Self::NotFound => Code::NotFound,
            Self::Refused(refusal) => refusal.code(),
            Self::Catalog(e) => e.code(),
            Self::Store(e) => e.code(),
            Self::Unreadable(_) => Code::Internal,
        }
    }
}

/// What is to be sent.
struct Source {
    key: ObjectKey,
    etag: String,
    size_bytes: i64,
    mime: String,
    download: Option<String>,
}

/// Serves what a link is to.
///
/// # Errors
/// If the link is not good, or there is nothing that may be given out.
pub async fn serve_media(
    context: &Context,
    method: &Method,
    public_id: &str,
    name: &str,
    query: &LinkQuery,
    headers: &HeaderMap,
) -> Result<Response, ServeError> {
    let file = File::parse(name).ok_or(ServeError::NotFound)?;
    let signature = BASE64_URL_SAFE_NO_PAD
        .decode(&query.s)
        .map_err(|_| ServeError::Signature)?;
    let path = links::path(public_id, file);
    if !context
        .keyring
        .verify_link(&path, query.e, &query.k, &signature)
    {
        return Err(ServeError::Signature);
    }
    let left_s = query.e.saturating_sub(context.now().unix_seconds());
    if left_s <= 0 {
        return Err(ServeError::Expired);
    }
    let source = find(context, public_id, file).await?;
    let whole = u64::try_from(source.size_bytes).unwrap_or(0);
    let mut answer = Response::builder()
        .header(header::ETAG, &source.etag)
        .header(header::CACHE_CONTROL, caching(file, left_s))
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox",
        )
        .header("cross-origin-resource-policy", "cross-origin");
    if range::is_fresh(headers, &source.etag) {
        return answered(answer.status(StatusCode::NOT_MODIFIED), Body::empty());
    }
    answer = answer.header(header::CONTENT_TYPE, &source.mime);
    if let Some(disposition) = source
        .download
        .as_deref()
        .and_then(|d| HeaderValue::from_str(d).ok())
    {
        answer = answer.header(header::CONTENT_DISPOSITION, disposition);
    }
    let wanted = range::read(headers, &source.etag, whole);
    let (status, asked, length) = match wanted {
        Range::Whole => (StatusCode::OK, None, whole),
        Range::Part { first, last } => {
            answer = answer.header(
                header::CONTENT_RANGE,
                format!("bytes {first}-{last}/{whole}"),
            );
            (
                StatusCode::PARTIAL_CONTENT,
                Some((first, Some(last))),
                last - first + 1,
            )
        }
        Range::Unsatisfiable => {
            answer = answer.header(header::CONTENT_RANGE, format!("bytes */{whole}"));
            return answered(
                answer.status(StatusCode::RANGE_NOT_SATISFIABLE),
                Body::empty(),
            );
        }
    };
    answer = answer.status(status).header(header::CONTENT_LENGTH, length);
    if method == Method::HEAD {
        return answered(answer, Body::empty());
    }
    let read = context
        .objects
        .get(&source.key, asked, Some(&source.etag))
        .await?
        .ok_or_else(|| ServeError::Unreadable("the object is missing".into()))?;
    answered(answer, Body::from_stream(read.stream))
}

fn answered(answer: http::response::Builder, body: Body) -> Result<Response, ServeError> {
    answer
        .body(body)
        .map_err(|e| ServeError::Unreadable(e.to_string()))
}

fn caching(file: File, left_s: i64) -> String {
    match file {
        File::Rendition(_) => format!("public, max-age={left_s}, immutable"),
        File::Original | File::Cleaned(_) => format!("private, max-age={left_s}"),
    }
}

async fn find(context: &Context, public_id: &str, file: File) -> Result<Source, ServeError> {
    let mut reader = context.catalog.reader().await?;
    let tx = &mut reader.tx();
    let asset = assets::by_public_id(tx, public_id)
        .await?
        .ok_or(ServeError::NotFound)?;
    let wanted = match file {
        File::Rendition(_) => Wanted::Rendition,
        File::Original | File::Cleaned(_) => Wanted::Original,
    };
    decide(&asset, wanted)?;
    let preset = match file {
        File::Rendition(preset) => preset,
        File::Original => return original(&asset),
        File::Cleaned(media) => return cleaned_original(tx, &asset, media).await,
    };
    let blob_id = asset.blob.as_ref().map_or("", |b| b.blob_id.as_str());
    let made = renditions::of_blob(tx, &asset.tenant_id, blob_id).await?;
    let version = i64::from(preset.version);
    let found = made
        .into_iter()
        .find(|r| r.preset == preset.name && r.version == version && r.state == "ready")
        .ok_or(ServeError::NotFound)?;
    Ok(Source {
        key: parse(&found.object_key.unwrap_or_default())?,
        etag: found.etag.unwrap_or_default(),
        size_bytes: found.size_bytes.unwrap_or_default(),
        mime: preset.format.mime().to_owned(),
        download: None,
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
    })
}
