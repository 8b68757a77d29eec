//! What operators and tools ask: health, readiness, metrics, the API's description, error pages.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use safelight_model::codes::Code;

use crate::http::problem::Refused;
use crate::http::request::Path;
use crate::http::router::{AppState, description};

/// Is the process alive.
pub(in crate::http) async fn health() -> &'static str {
    "ok\n"
}

/// Can it serve: catalog and store answer.
pub(in crate::http) async fn ready(State(state): State<AppState>) -> Result<&'static str, Refused> {
    state.context.catalog.ping().await?;
    state.context.objects.probe().await?;
    Ok("ready\n")
}

/// Prometheus text.
pub(in crate::http) async fn metrics(State(state): State<AppState>) -> Response {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        state.metrics.render(),
    )
        .into_response()
}

/// The API's description.
pub(in crate::http) async fn openapi() -> Response {
    Json(description()).into_response()
}

/// The page of an error code.
pub(in crate::http) async fn error_page(Path(code): Path<String>) -> Result<Response, Refused> {
    let page = Code::parse(&code)
        .map(page)
        .ok_or_else(|| Refused::because(Code::NotFound, "there is no such error code"))?;
    Ok((
        [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")],
        page,
    )
        .into_response())
}

macro_rules! pages {
    ($($code:ident $file:literal),* $(,)?) => {
        fn page(code: Code) -> &'static str {
            match code { $(Code::$code => include_str!(concat!("../../../../../docs/errors/", $file, ".md")),)* }
        }
    };
}

pages! {
    Unauthorized "unauthorized",
    Forbidden "forbidden",
    NotFound "not_found",
    ValidationFailed "validation_failed",
    IdempotencyKeyMissing "idempotency_key_missing",
    IdempotencyKeyInFlight "idempotency_key_in_flight",
    IdempotencyKeyMismatch "idempotency_key_mismatch",
    RevisionMismatch "revision_mismatch",
    UploadExpired "upload_expired",
    UploadIncomplete "upload_incomplete",
    UploadOffsetMismatch "upload_offset_mismatch",
    UploadMerged "upload_merged",
    AssetDeleted "asset_deleted",
    CaptureDeleted "capture_deleted",
    SizeMismatch "size_mismatch",
    ChecksumMismatch "checksum_mismatch",
    UnsupportedMediaType "unsupported_media_type",
    NotCleanable "not_cleanable",
    MediaCorrupt "media_corrupt",
    PixelLimitExceeded "pixel_limit_exceeded",
    FrameLimitExceeded "frame_limit_exceeded",
    DurationLimitExceeded "duration_limit_exceeded",
    ByteLimitExceeded "byte_limit_exceeded",
    DecodeTimeout "decode_timeout",
    DecodeMemory "decode_memory",
    DecodeCrashed "decode_crashed",
    ContentQuarantined "content_quarantined",
    RetentionForbids "retention_forbids",
    LegalHold "legal_hold",
    QuotaExceeded "quota_exceeded",
    RateLimited "rate_limited",
    Overloaded "overloaded",
    StoreUnavailable "store_unavailable",
    CatalogUnavailable "catalog_unavailable",
    DiskFull "disk_full",
    WebhookAddressRefused "webhook_address_refused",
    WebhookUnreachable "webhook_unreachable",
    WebhookTimeout "webhook_timeout",
    WebhookRejected "webhook_rejected",
    EventForgotten "event_forgotten",
    Internal "internal",
}
