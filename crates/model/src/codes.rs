//! The closed list of error codes. Each has a page in `docs/errors`.

/// A stable error code, the same in problem responses, asset reasons, jobs and documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// No valid credential came with the request.
    Unauthorized,
    /// The credential does not allow this.
    Forbidden,
    /// There is no such thing, or not for this caller.
    NotFound,
    /// The request's content is wrong.
    ValidationFailed,
    /// A write came without its `Idempotency-Key`.
    IdempotencyKeyMissing,
    /// The first request with this key is still running.
    IdempotencyKeyInFlight,
    /// This key came with another payload before.
    IdempotencyKeyMismatch,
    /// Somebody changed it since the caller read it.
    RevisionMismatch,
    /// The upload's time is over, or it was given up.
    UploadExpired,
    /// Bytes are missing.
    UploadIncomplete,
    /// Bytes were sent for another offset than the upload's.
    UploadOffsetMismatch,
    /// The owner has these bytes already; the upload ended without them.
    UploadMerged,
    /// The asset was deleted.
    AssetDeleted,
    /// The capture was deleted.
    CaptureDeleted,
    /// The bytes that arrived are more or fewer than declared.
    SizeMismatch,
    /// The bytes that arrived are not those declared.
    ChecksumMismatch,
    /// This kind of file cannot be decoded.
    UnsupportedMediaType,
    /// No cleaned original can be made of this file.
    NotCleanable,
    /// The file is damaged.
    MediaCorrupt,
    /// The picture has more pixels than allowed.
    PixelLimitExceeded,
    /// The animation has more pictures than allowed.
    FrameLimitExceeded,
    /// The clip is longer than allowed.
    DurationLimitExceeded,
    /// The file or body is larger than allowed.
    ByteLimitExceeded,
    /// Decoding took longer than allowed.
    DecodeTimeout,
    /// Decoding took more memory than allowed.
    DecodeMemory,
    /// The decoder died on this file.
    DecodeCrashed,
    /// A scanner or moderator withheld this.
    ContentQuarantined,
    /// A retention rule keeps this.
    RetentionForbids,
    /// A legal hold keeps this.
    LegalHold,
    /// The owner or tenant has used up its share.
    QuotaExceeded,
    /// Too many requests from this caller.
    RateLimited,
    /// The server is at capacity.
    Overloaded,
    /// The object store does not answer.
    StoreUnavailable,
    /// The database does not answer.
    CatalogUnavailable,
    /// No space is left.
    DiskFull,
    /// Events are not sent to this address.
    WebhookAddressRefused,
    /// The receiver of a webhook cannot be reached.
    WebhookUnreachable,
    /// The receiver of a webhook does not answer in time.
    WebhookTimeout,
    /// The receiver of a webhook does not take the event.
    WebhookRejected,
    /// The event was forgotten before it was delivered.
    EventForgotten,
    /// A fault of the server's own.
    Internal,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 41] = [
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::ValidationFailed,
        Self::IdempotencyKeyMissing,
        Self::IdempotencyKeyInFlight,
        Self::IdempotencyKeyMismatch,
        Self::RevisionMismatch,
        Self::UploadExpired,
        Self::UploadIncomplete,
        Self::UploadOffsetMismatch,
        Self::UploadMerged,
        Self::AssetDeleted,
        Self::CaptureDeleted,
        Self::SizeMismatch,
        Self::ChecksumMismatch,
        Self::UnsupportedMediaType,
        Self::NotCleanable,
        Self::MediaCorrupt,
        Self::PixelLimitExceeded,
        Self::FrameLimitExceeded,
        Self::DurationLimitExceeded,
        Self::ByteLimitExceeded,
        Self::DecodeTimeout,
        Self::DecodeMemory,
        Self::DecodeCrashed,
        Self::ContentQuarantined,
        Self::RetentionForbids,
        Self::LegalHold,
        Self::QuotaExceeded,
        Self::RateLimited,
        Self::Overloaded,
        Self::StoreUnavailable,
        Self::CatalogUnavailable,
        Self::DiskFull,
        Self::WebhookAddressRefused,
        Self::WebhookUnreachable,
        Self::WebhookTimeout,
        Self::WebhookRejected,
        Self::EventForgotten,
        Self::Internal,
    ];

    /// The code as it stands on the wire and in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::ValidationFailed => "validation_failed",
            Self::IdempotencyKeyMissing => "idempotency_key_missing",
            Self::IdempotencyKeyInFlight => "idempotency_key_in_flight",
            Self::IdempotencyKeyMismatch => "idempotency_key_mismatch",
            Self::RevisionMismatch => "revision_mismatch",
            Self::UploadExpired => "upload_expired",
            Self::UploadIncomplete => "upload_incomplete",
            Self::UploadOffsetMismatch => "upload_offset_mismatch",
            Self::UploadMerged => "upload_merged",
            Self::AssetDeleted => "asset_deleted",
            Self::CaptureDeleted => "capture_deleted",
            Self::SizeMismatch => "size_mismatch",
            Self::ChecksumMismatch => "checksum_mismatch",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::NotCleanable => "not_cleanable",
            Self::MediaCorrupt => "media_corrupt",
            Self::PixelLimitExceeded => "pixel_limit_exceeded",
            Self::FrameLimitExceeded => "frame_limit_exceeded",
            Self::DurationLimitExceeded => "duration_limit_exceeded",
            Self::ByteLimitExceeded => "byte_limit_exceeded",
            Self::DecodeTimeout => "decode_timeout",
            Self::DecodeMemory => "decode_memory",
            Self::DecodeCrashed => "decode_crashed",
            Self::ContentQuarantined => "content_quarantined",
            Self::RetentionForbids => "retention_forbids",
            Self::LegalHold => "legal_hold",
            Self::QuotaExceeded => "quota_exceeded",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::StoreUnavailable => "store_unavailable",
            Self::CatalogUnavailable => "catalog_unavailable",
            Self::DiskFull => "disk_full",
            Self::WebhookAddressRefused => "webhook_address_refused",
            Self::WebhookUnreachable => "webhook_unreachable",
            Self::WebhookTimeout => "webhook_timeout",
            Self::WebhookRejected => "webhook_rejected",
            Self::EventForgotten => "event_forgotten",
            Self::Internal => "internal",
        }
    }

    /// One short sentence for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Unauthorized => "No valid credential came with the request",
            Self::Forbidden => "The credential does not allow this",
            Self::NotFound => "There is no such thing, or not for this caller",
            Self::ValidationFailed => "The request's content is wrong",
            Self::IdempotencyKeyMissing => "A write came without its Idempotency-Key",
            Self::IdempotencyKeyInFlight => "The first request with this key is still running",
            Self::IdempotencyKeyMismatch => "This key came with another payload before",
            Self::RevisionMismatch => "Somebody changed it since the caller read it",
            Self::UploadExpired => "The upload's time is over, or it was given up",
            Self::UploadIncomplete => "Bytes are missing",
            Self::UploadOffsetMismatch => "Bytes were sent for another offset than the upload's",
            Self::UploadMerged => "The owner has these bytes already: nothing more is to be sent",
            Self::AssetDeleted => "The asset was deleted",
            Self::CaptureDeleted => "The capture was deleted",
            Self::SizeMismatch => "The bytes that arrived are more or fewer than declared",
            Self::ChecksumMismatch => "The bytes that arrived are not those declared",
            Self::UnsupportedMediaType => "This kind of file cannot be decoded",
            Self::NotCleanable => "No cleaned original can be made of this file",
            Self::MediaCorrupt => "The file is damaged",
            Self::PixelLimitExceeded => "The picture has more pixels than allowed",
            Self::FrameLimitExceeded => "The animation has more pictures than allowed",
            Self::DurationLimitExceeded => "The clip is longer than allowed",
            Self::ByteLimitExceeded => "The file or body is larger than allowed",
            Self::DecodeTimeout => "Decoding took longer than allowed",
            Self::DecodeMemory => "Decoding took more memory than allowed",
            Self::DecodeCrashed => "The decoder died on this file",
            Self::ContentQuarantined => "A scanner or moderator withheld this",
            Self::RetentionForbids => "A retention rule keeps this",
            Self::LegalHold => "A legal hold keeps this",
            Self::QuotaExceeded => "The owner or tenant has used up its share",
            Self::RateLimited => "Too many requests from this caller",
            Self::Overloaded => "The server is at capacity",
            Self::StoreUnavailable => "The object store does not answer",
            Self::CatalogUnavailable => "The database does not answer",
            Self::DiskFull => "No space is left",
            Self::WebhookAddressRefused => "Events are not sent to this address",
            Self::WebhookUnreachable => "The receiver of a webhook cannot be reached",
            Self::WebhookTimeout => "The receiver of a webhook does not answer in time",
            Self::WebhookRejected => "The receiver of a webhook does not take the event",
            Self::EventForgotten => "The event was forgotten before it was delivered",
            Self::Internal => "A fault of the server's own",
        }
    }

    /// The code of this text, if it is one of the list.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == text)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(code));
        }
        assert_eq!(Code::parse("no_such_code"), None);
    }
}
