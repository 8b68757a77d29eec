//! `GET /m/{public_id}/{file}`: bytes, for whoever holds a living link.
//!
//! Every answer carries what a cache needs: the renditions of a preset version never change, so they may
//! be kept until their link ends. What a link without a format leads to does change, as formats are made, and goes by headers of the
//! request, which `Vary` names; each format has a tag of its own.

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures::TryStreamExt as _;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use safelight_catalog::CatalogError;
use safelight_catalog::blobs::Blob;
use safelight_model::codes::Code;
use safelight_model::preset::Format;
use safelight_model::variant::HLS_MEDIA;
use safelight_objects::{ObjectKey, StoreError, StoreErrorKind};
use serde::Deserialize;

use super::accept::Accepted;
use super::find_source::{Asker, MadeOf, Source, find_source};
use super::hints::{ACCEPT_CH, VARY, VARY_OF_SIZED, Wanted};
use super::links::{self, File};
use super::negotiate::has_smaller;
use super::range::{self, Range};
use crate::context::Context;
use crate::governance::decide::Refusal;
use crate::make_again::make_again_what_was;

/// The query of a link.
#[derive(Clone, Debug, Deserialize)]
pub struct LinkQuery {
    e: i64,
    k: String,
    s: String,
    /// Columns of the screen that the picture is to fill; of links of any size, and not signed.
    w: Option<u32>,
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
    /// The store has lost it.
    #[error("the store has lost this")]
    Lost,
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
            Self::Lost | Self::Unreadable(_) => Code::Internal,
        }
    }

    /// Whether there is something else than what was stored, or nothing, which another attempt would not change.
    fn is_gone(&self) -> bool {
        let gone = [
            StoreErrorKind::PreconditionFailed,
            StoreErrorKind::Damaged,
            // It was within what was stored.
            StoreErrorKind::RangeNotSatisfiable,
        ];
        match self {
            Self::Lost => true,
            Self::Store(error) => gone.contains(error.kind()),
            _ => false,
        }
    }
}

/// How long caches keep what stands for something that is being made, in seconds.
const STOPGAP_S: i64 = 10;

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
    let asker = Asker {
        accepted: Accepted::of(headers),
        size: Wanted::of(headers, query.w),
    };
    let asked = Asked {
        method,
        public_id,
        file,
        query,
        headers,
        left_s,
    };
    let source = find_source(context, public_id, file, asker, None).await?;
    match (send(context, &asked, &source).await, &source.made_of) {
        (Err(error), Some(of)) if error.is_gone() && can_be_made(context, &of.blob).await? => {
            tracing::warn!(%error, key = source.key.as_str(), "a rendition is not what was stored, and is made again");
            make_again(context, of, &source).await?;
            // Another size or format may be there for the moment, where the link leaves that open.
            let source = Source {
                is_stopgap: true,
                ..find_source(context, public_id, file, asker, Some(&source.key)).await?
            };
            send(context, &asked, &source).await
        }
        (answer, _) => answer,
    }
}

/// Whether the original is there, as it was. If not, it may be the wrong store that answers, and what it has lost is there all the same.
async fn can_be_made(context: &Context, blob: &Blob) -> Result<bool, ServeError> {
    let key = ObjectKey::parse(&blob.object_key);
    let key = key.map_err(|e| ServeError::Unreadable(e.to_string()))?;
    Ok(context.objects.is_there(&key, &blob.etag).await?)
}

/// Has a rendition made again, unless it was while it could not be read.
async fn make_again(context: &Context, of: &MadeOf, source: &Source) -> Result<(), CatalogError> {
    let (making, of) = (context.clone(), of.clone());
    let (key, etag) = (source.key.as_str().to_owned(), source.etag.clone());
    let asked = context.catalog.write(move |tx| {
        Box::pin(async move {
            make_again_what_was(tx, &making, &of.owner, &of.blob.blob_id, (&key, &etag)).await
        })
    });
    asked.await
}

/// A request that may be answered.
struct Asked<'a> {
    method: &'a Method,
    public_id: &'a str,
    file: File,
    query: &'a LinkQuery,
    headers: &'a HeaderMap,
    /// How long the link is good for, in seconds.
    left_s: i64,
}

async fn send(
    context: &Context,
    asked: &Asked<'_>,
    source: &Source,
) -> Result<Response, ServeError> {
    let Asked {
        method,
        file,
        query,
        headers,
        left_s,
        ..
    } = *asked;
    if source.mime == Format::M3u8.mime() {
        return serve_playlist(context, asked, source).await;
    }
    let whole = u64::try_from(source.size_bytes).unwrap_or(0);
    let mut answer = guarded()
        .header(header::ETAG, &source.etag)
        .header(header::CACHE_CONTROL, caching(file, source, left_s))
        .header(header::ACCEPT_RANGES, "bytes");
    if let Some(vary) = varies_by(file, query) {
        answer = answer.header(header::VARY, vary);
    }
    if file == File::AnySize {
        answer = answer.header("accept-ch", ACCEPT_CH);
    }
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
        .ok_or(ServeError::Lost)?;
    answered(answer, Body::from_stream(read.stream))
}

/// A playlist, with the link to the file that it is of in place of its name; that ends when this one ends.
async fn serve_playlist(
    context: &Context,
    asked: &Asked<'_>,
    source: &Source,
) -> Result<Response, ServeError> {
    let left_s = asked.left_s;
    let read = context.objects.get(&source.key, None, Some(&source.etag));
    let read = read.await?.ok_or(ServeError::Lost)?;
    let stored: Vec<Bytes> = read.stream.try_collect().await?;
    let stored = String::from_utf8_lossy(&stored.concat()).into_owned();
    let media = File::Rendition(HLS_MEDIA.label());
    let signed = links::signed(context, &links::path(asked.public_id, media), asked.query.e);
    // Beside the playlist, whatever stands in front of the server.
    let (_, beside) = signed.rsplit_once('/').unwrap_or(("", &signed));
    let text = stored.replace(&media.name(), beside);
    // Without a tag: the store's is of what stands there, not of what is sent.
    let answer = guarded()
        .header(header::CACHE_CONTROL, format!("public, max-age={left_s}"))
        .header(header::CONTENT_TYPE, &source.mime)
        .header(header::CONTENT_LENGTH, text.len());
    let body = match *asked.method {
        Method::HEAD => Body::empty(),
        _ => Body::from(text),
    };
    answered(answer.status(StatusCode::OK), body)
}

/// What every answer has.
fn guarded() -> http::response::Builder {
    Response::builder()
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox",
        )
        .header("cross-origin-resource-policy", "cross-origin")
}

fn answered(answer: http::response::Builder, body: Body) -> Result<Response, ServeError> {
    answer
        .body(body)
        .map_err(|e| ServeError::Unreadable(e.to_string()))
}

fn caching(file: File, source: &Source, left_s: i64) -> String {
    match file {
        File::Rendition(_) => format!("public, max-age={left_s}, immutable"),
        File::AnyFormat(_) | File::AnySize if source.is_stopgap => {
            format!("public, max-age={}", left_s.min(STOPGAP_S))
        }
        File::AnyFormat(_) | File::AnySize => format!("public, max-age={left_s}"),
        File::Original | File::Cleaned(_) => format!("private, max-age={left_s}"),
    }
}

/// Which headers of the request the answer goes by.
fn varies_by(file: File, query: &LinkQuery) -> Option<&'static str> {
    match file {
        File::AnyFormat(label) if has_smaller(&label) => Some(VARY_OF_SIZED),
        File::AnyFormat(_) => Some("Accept"),
        File::AnySize if query.w.is_some() => Some(VARY_OF_SIZED),
        File::AnySize => Some(VARY),
        File::Rendition(_) | File::Original | File::Cleaned(_) => None,
    }
}
