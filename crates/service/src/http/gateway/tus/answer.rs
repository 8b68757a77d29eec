//! Answers in the protocol's words.

use std::time::{Duration, UNIX_EPOCH};

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use safelight_catalog::uploads::{Upload, UploadState};
use safelight_catalog::{CatalogError, appends};
use safelight_model::codes::Code;

use super::VERSION;
use crate::context::Context;
use crate::http::problem::Refused;

/// What tus answers where the bytes are not those of the checksum.
const CHECKSUM_MISMATCH: u16 = 460;

/// Sets a number in a header.
pub(super) fn put(headers: &mut HeaderMap, name: &'static str, value: i64) {
    headers.insert(name, HeaderValue::from(value));
}

/// Names the version that is spoken.
pub(super) fn spoken(mut response: Response) -> Response {
    let version = HeaderValue::from_static(VERSION);
    response.headers_mut().insert("tus-resumable", version);
    response
}

/// A request that cannot be understood.
pub(super) fn bad(why: impl Into<String>) -> Refused {
    let mut refused = Refused::because(Code::ValidationFailed, why);
    refused.status = Some(StatusCode::BAD_REQUEST);
    refused
}

/// The answer to what was not carried out.
pub(super) fn refuse(mut refused: Refused) -> Response {
    if refused.code == Code::ChecksumMismatch {
        refused.status = StatusCode::from_u16(CHECKSUM_MISMATCH).ok();
    }
    spoken(refused.into_response())
}

/// Until when an upload can be finished.
pub(super) fn expires(upload: &Upload, headers: &mut HeaderMap) {
    let seconds = u64::try_from(upload.expires_at.unix_seconds()).unwrap_or(0);
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    if let Ok(date) = HeaderValue::from_str(&date) {
        headers.insert("upload-expires", date);
    }
}

/// Says how far an upload has come.
pub(super) fn stand(upload: &Upload, offset_bytes: i64, headers: &mut HeaderMap) {
    put(headers, "upload-offset", offset_bytes);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if upload.state == UploadState::Open {
        expires(upload, headers);
    }
}

/// What was said of the file when it was created, as far as it is kept.
pub(super) async fn metadata(
    context: &Context,
    upload: &Upload,
) -> Result<Option<HeaderValue>, CatalogError> {
    let mut reader = context.catalog.reader().await?;
    let filename =
        appends::filename(&mut reader.tx(), &upload.tenant_id, &upload.resource_id).await?;
    let pairs: Vec<String> = [
        ("filename", filename.as_ref()),
        ("filetype", upload.mime.as_ref()),
        ("sha256", upload.sha256.as_ref()),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some(format!("{key} {}", BASE64_STANDARD.encode(value?))))
    .collect();
    Ok(HeaderValue::from_str(&pairs.join(","))
        .ok()
        .filter(|v| !v.is_empty()))
}
