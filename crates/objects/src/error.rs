//! What can go wrong with a store, and whether and when trying again makes sense.

use std::error::Error;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use safelight_model::codes::Code;

type Source = Box<dyn Error + Send + Sync + 'static>;

/// How a request to the store failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// No answer, or one that says to try again. The request may have been carried out.
    Unavailable,
    /// The store asks us to send less.
    SlowDown,
    /// The store has no space left.
    Full,
    /// The store refuses our credentials, or our clock.
    Denied,
    /// There is no such bucket.
    NoBucket,
    /// There is no such object or upload.
    NotFound,
    /// The object is not the one that the condition names.
    PreconditionFailed,
    /// Another request for the same key is in the way.
    Conflict,
    /// The object has no such bytes.
    RangeNotSatisfiable,
    /// The bytes that arrived are not those that were sent.
    DigestMismatch,
    /// What the store holds of the object is not what was written; it says so rather than give it out.
    Damaged,
    /// The store refuses the request for another reason: its code.
    Invalid(String),
    /// The request could not be made at all.
    Unsendable,
}

/// A request to the store that failed.
#[derive(Debug, thiserror::Error)]
#[error("object store: {operation}: {kind:?}: {detail}")]
pub struct StoreError {
    operation: &'static str,
    kind: StoreErrorKind,
    detail: String,
    retry_after: Option<Duration>,
    #[source]
    source: Option<Source>,
}

impl StoreError {
    /// How it failed.
    #[must_use]
    pub fn kind(&self) -> &StoreErrorKind {
        &self.kind
    }

    /// Whether trying again makes sense, and not before when. What an operator must mend first
    /// (space, credentials, a missing bucket) is worth trying again, but not soon.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        const SOON: Duration = Duration::from_secs(1);
        const LATER: Duration = Duration::from_secs(5);
        const AFTER_REPAIR: Duration = Duration::from_secs(60);
        let usual = match self.kind {
            StoreErrorKind::Unavailable
            | StoreErrorKind::Conflict
            | StoreErrorKind::DigestMismatch => SOON,
            StoreErrorKind::SlowDown => LATER,
            StoreErrorKind::Full | StoreErrorKind::Denied | StoreErrorKind::NoBucket => {
                AFTER_REPAIR
            }
            StoreErrorKind::NotFound
            | StoreErrorKind::PreconditionFailed
            | StoreErrorKind::RangeNotSatisfiable
            | StoreErrorKind::Damaged
            | StoreErrorKind::Invalid(_)
            | StoreErrorKind::Unsendable => return None,
        };
        Some(self.retry_after.unwrap_or(usual))
    }

    /// The stable code for users. A failed precondition means that an original is not the one
    /// that was pinned when it was taken in.
    #[must_use]
    pub fn code(&self) -> Code {
        match self.kind {
            StoreErrorKind::Unavailable
            | StoreErrorKind::SlowDown
            | StoreErrorKind::Denied
            | StoreErrorKind::NoBucket
            | StoreErrorKind::Conflict => Code::StoreUnavailable,
            StoreErrorKind::Full => Code::DiskFull,
            StoreErrorKind::PreconditionFailed | StoreErrorKind::DigestMismatch => {
                Code::ChecksumMismatch
            }
            StoreErrorKind::RangeNotSatisfiable => Code::ValidationFailed,
            StoreErrorKind::NotFound
            | StoreErrorKind::Damaged
            | StoreErrorKind::Invalid(_)
            | StoreErrorKind::Unsendable => Code::Internal,
        }
    }

    /// An answer that breaks the protocol: worth trying again, since a proxy may have made it.
    pub(crate) fn nonsense(operation: &'static str, detail: &str) -> Self {
        Self {
            operation,
            kind: StoreErrorKind::Unavailable,
            detail: detail.to_owned(),
            retry_after: None,
            source: None,
        }
    }

    /// An object that is not the one that was asked for, as a store that looks at conditions would
    /// have said.
    pub(crate) fn other_object(operation: &'static str, wanted: &str, found: &str) -> Self {
        Self {
            operation,
            kind: StoreErrorKind::PreconditionFailed,
            detail: format!("the object is {found}, not {wanted}"),
            retry_after: None,
            source: None,
        }
    }

    /// A body that broke off.
    pub(crate) fn broken_off(operation: &'static str, source: impl Into<Source>) -> Self {
        let source = source.into();
        Self {
            operation,
            kind: StoreErrorKind::Unavailable,
            detail: innermost(source.as_ref()),
            retry_after: None,
            source: Some(source),
        }
    }

    /// A request that could not be made.
    pub(crate) fn unsendable(operation: &'static str, source: impl Into<Source>) -> Self {
        let source = source.into();
        Self {
            operation,
            kind: StoreErrorKind::Unsendable,
            detail: innermost(source.as_ref()),
            retry_after: None,
            source: Some(source),
        }
    }

    /// The same error about a request that names no object: what was not found is the bucket.
    pub(crate) fn of_bucket(mut self) -> Self {
        if self.kind == StoreErrorKind::NotFound {
            self.kind = StoreErrorKind::NoBucket;
        }
        self
    }

    /// The SDK's error in our terms, its cause kept.
    pub(crate) fn of<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let status = error.raw_response().map(|r| r.status().as_u16());
        let retry_after = error
            .raw_response()
            .and_then(|r| r.headers().get("retry-after"))
            .and_then(|text| text.trim().parse().ok())
            .map(Duration::from_secs);
        let kind = match &error {
            SdkError::ConstructionFailure(_) => StoreErrorKind::Unsendable,
            SdkError::ServiceError(_) => classify(status.unwrap_or(0), error.code()),
            _ => StoreErrorKind::Unavailable,
        };
        let detail = match (error.code(), error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_owned(),
            (None, _) => match status {
                Some(status) => format!("{} (HTTP {status})", innermost(&error)),
                None => innermost(&error),
            },
        };
        Self {
            operation,
            kind,
            detail,
            retry_after,
            source: Some(Box::new(error)),
        }
    }
}

/// The last cause of a chain, which says most.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

/// What an error answer means: by the store's code where it is a known one (Complete puts errors
/// into a 200), else by the status.
fn classify(status: u16, code: Option<&str>) -> StoreErrorKind {
    use StoreErrorKind as Kind;
    match code.unwrap_or_default() {
        "NoSuchBucket" => return Kind::NoBucket,
        "NoSuchKey" | "NoSuchUpload" => return Kind::NotFound,
        "PreconditionFailed" => return Kind::PreconditionFailed,
        "ConditionalRequestConflict" | "OperationAborted" => return Kind::Conflict,
        "InvalidRange" => return Kind::RangeNotSatisfiable,
        "SlowDown" | "Throttling" | "ThrottlingException" | "TooManyRequests" => {
            return Kind::SlowDown;
        }
        "InsufficientCapacity" | "XMinioStorageFull" | "QuotaExceeded" => return Kind::Full,
        "InternalError" | "ServiceUnavailable" | "RequestTimeout" => return Kind::Unavailable,
        "ObjectDamaged" => return Kind::Damaged,
        // Asking again does not make a store learn it.
        "NotImplemented" => return Kind::Invalid("NotImplemented".to_owned()),
        "BadDigest"
        | "InvalidDigest"
        | "XAmzContentSHA256Mismatch"
        | "XAmzContentChecksumMismatch" => return Kind::DigestMismatch,
        _ => {}
    }
    match status {
        401 | 403 => Kind::Denied,
        404 => Kind::NotFound,
        408 => Kind::Unavailable,
        409 => Kind::Conflict,
        412 => Kind::PreconditionFailed,
        416 => Kind::RangeNotSatisfiable,
        429 => Kind::SlowDown,
        501 => Kind::Invalid(code.unwrap_or("NotImplemented").to_owned()),
        507 => Kind::Full,
        200..=299 | 500..=599 => Kind::Unavailable,
        _ => Kind::Invalid(code.unwrap_or("none").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        use StoreErrorKind as Kind;
        for (status, code, kind) in [
            (404, Some("NoSuchBucket"), Kind::NoBucket),
            (404, Some("NoSuchUpload"), Kind::NotFound),
            (404, None, Kind::NotFound),
            (200, Some("InternalError"), Kind::Unavailable),
            (200, Some("Whatever"), Kind::Unavailable),
            (503, Some("SlowDown"), Kind::SlowDown),
            (503, None, Kind::Unavailable),
            (507, Some("Anything"), Kind::Full),
            (403, Some("QuotaExceeded"), Kind::Full),
            (403, Some("RequestTimeTooSkewed"), Kind::Denied),
            (400, Some("BadDigest"), Kind::DigestMismatch),
            (
                400,
                Some("InvalidPart"),
                Kind::Invalid("InvalidPart".to_owned()),
            ),
            (301, None, Kind::Invalid("none".to_owned())),
            (
                501,
                Some("NotImplemented"),
                Kind::Invalid("NotImplemented".to_owned()),
            ),
            (501, None, Kind::Invalid("NotImplemented".to_owned())),
        ] {
            assert_eq!(classify(status, code), kind, "{status} {code:?}");
        }
    }
}
