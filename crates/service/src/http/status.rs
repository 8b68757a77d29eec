//! The one table from codes to HTTP.

use http::StatusCode;
use safelight_model::codes::Code;

/// The status of a code.
#[must_use]
pub(super) fn status(code: Code) -> StatusCode {
    match code {
        Code::IdempotencyKeyMissing => StatusCode::BAD_REQUEST,
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::Forbidden | Code::ContentQuarantined | Code::QuotaExceeded => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::IdempotencyKeyInFlight
        | Code::UploadIncomplete
        | Code::UploadOffsetMismatch
        | Code::UploadMerged
        | Code::RetentionForbids
        | Code::LegalHold => StatusCode::CONFLICT,
        Code::RevisionMismatch => StatusCode::PRECONDITION_FAILED,
        Code::UploadExpired | Code::AssetDeleted | Code::CaptureDeleted => StatusCode::GONE,
        Code::ByteLimitExceeded => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::ValidationFailed
        | Code::IdempotencyKeyMismatch
        | Code::SizeMismatch
        | Code::ChecksumMismatch
        | Code::NotCleanable
        | Code::MediaCorrupt
        | Code::PixelLimitExceeded
        | Code::FrameLimitExceeded
        | Code::DurationLimitExceeded
        | Code::DecodeTimeout
        | Code::DecodeMemory
        | Code::DecodeCrashed
        | Code::WebhookAddressRefused => StatusCode::UNPROCESSABLE_ENTITY,
        // What became of deliveries; no request is answered so.
        Code::WebhookUnreachable | Code::WebhookRejected | Code::EventForgotten => {
            StatusCode::BAD_GATEWAY
        }
        Code::WebhookTimeout => StatusCode::GATEWAY_TIMEOUT,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Overloaded | Code::StoreUnavailable | Code::CatalogUnavailable => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Code::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// After how many seconds a repetition makes sense; `None` where the same request fails again.
#[must_use]
pub(super) fn retry_after_s(code: Code) -> Option<u32> {
    match code {
        Code::IdempotencyKeyInFlight | Code::RateLimited | Code::Overloaded => Some(1),
        Code::StoreUnavailable | Code::CatalogUnavailable => Some(2),
        Code::DiskFull => Some(60),
        _ => None,
    }
}

/// Whether the cause is the server's own and stays in its logs.
#[must_use]
pub(super) fn is_internal(code: Code) -> bool {
    matches!(
        code,
        Code::Internal | Code::StoreUnavailable | Code::CatalogUnavailable | Code::DiskFull
    )
}
