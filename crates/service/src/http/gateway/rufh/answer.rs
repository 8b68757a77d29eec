//! Answers, in the words of the version that was spoken.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use safelight_catalog::uploads::Upload;
use safelight_model::codes::Code;

use super::head::{WITH_LENGTH, completeness};
use crate::context::Context;
use crate::http::problem::Refused;
use crate::http::router::AppState;
use crate::intake::append::error::AppendError;
use crate::intake::append::take::length_bytes;

/// Problems that the protocol has types for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The bytes belong elsewhere.
    Offset {
        /// Where the upload is.
        expected: i64,
        /// Where the request begins.
        provided: i64,
    },
    /// Lengths contradict one another.
    InconsistentLength,
    /// Bytes came for what is complete.
    Completed,
}

/// Why a request was not carried out.
pub(super) enum AnsweredBy {
    Refused(Refused),
    Problem(Problem),
    Append(AppendError),
    /// A field that cannot be read.
    Field(String),
}

impl From<Refused> for AnsweredBy {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Problem> for AnsweredBy {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<AppendError> for AnsweredBy {
    fn from(error: AppendError) -> Self {
        Self::Append(error)
    }
}

impl From<String> for AnsweredBy {
    fn from(field: String) -> Self {
        Self::Field(field)
    }
}

/// Sets a number in a header.
pub(super) fn put_count(headers: &mut HeaderMap, name: &'static str, value: i64) {
    headers.insert(name, HeaderValue::from(value));
}

/// Names the version that was spoken.
pub(super) fn versioned(mut response: Response, version: Option<u8>) -> Response {
    if let Some(version) = version {
        let name = "upload-draft-interop-version";
        response
            .headers_mut()
            .insert(name, HeaderValue::from(u16::from(version)));
    }
    response
}

/// The limits of an upload, or of one to be of whichever tenant.
pub(super) fn limits(context: &Context, upload: Option<&Upload>) -> HeaderValue {
    let most = &context.settings.media.max_file_bytes;
    let (max_bytes, life) = match upload {
        Some(upload) => (
            most.of(&upload.tenant_id),
            upload.expires_at.since(context.now()),
        ),
        None => (most.most(), context.settings.upload_life),
    };
    let text = format!("max-size={max_bytes}, max-age={}", life.as_secs());
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("max-age=0"))
}

/// Says how far an upload has come.
pub(super) fn stand(
    context: &Context,
    version: Option<u8>,
    upload: &Upload,
    offset_bytes: i64,
    is_complete: bool,
    headers: &mut HeaderMap,
) {
    let (name, value) = completeness(version, is_complete);
    headers.insert(name, HeaderValue::from_static(value));
    put_count(headers, "upload-offset", offset_bytes);
    if version.is_none_or(|v| v >= WITH_LENGTH) {
        if let Some(length) = length_bytes(upload) {
            put_count(headers, "upload-length", length);
        }
        headers.insert("upload-limit", limits(context, Some(upload)));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// The answer to HEAD.
pub(super) fn looked(
    context: &Context,
    version: Option<u8>,
    upload: &Upload,
    offset_bytes: i64,
    is_complete: bool,
) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    stand(context, version, upload, offset_bytes, is_complete, headers);
    versioned(response, version)
}

/// The answer to what was not carried out; `offset_bytes` is where the upload stands, where that is known.
pub(super) fn refused(
    state: &AppState,
    version: Option<u8>,
    by: AnsweredBy,
    offset_bytes: Option<i64>,
) -> Response {
    let mut status = None;
    let mut offset_bytes = offset_bytes;
    let refused = match by {
        AnsweredBy::Refused(refused) => refused,
        AnsweredBy::Field(why) => {
            status = Some(StatusCode::BAD_REQUEST);
            Refused::because(Code::ValidationFailed, why)
        }
        AnsweredBy::Append(AppendError::Length { .. })
        | AnsweredBy::Problem(Problem::InconsistentLength) => {
            status = Some(StatusCode::BAD_REQUEST);
            let mut refused = Refused::because(
                Code::SizeMismatch,
                "the length that was declared, and what the requests come to, contradict one another",
            );
            refused.kind = Some(INCONSISTENT_LENGTH);
            refused
        }
        AnsweredBy::Problem(Problem::Offset { expected, provided }) => {
            offset_bytes = Some(expected);
            let mut refused = Refused::because(
                Code::UploadOffsetMismatch,
                format!("the upload stands at {expected}, not at {provided}"),
            );
            refused.kind = Some(MISMATCHING_OFFSET);
            refused.members =
                Box::new([("expected-offset", expected), ("provided-offset", provided)]);
            refused
        }
        AnsweredBy::Problem(Problem::Completed) => {
            status = Some(StatusCode::BAD_REQUEST);
            let mut refused = Refused::because(
                Code::ValidationFailed,
                "this upload is complete: nothing is missing",
            );
            refused.kind = Some(COMPLETED);
            refused
        }
        AnsweredBy::Append(error) => error.into(),
    };
    let code = refused.code;
    let mut refused = refused;
    refused.status = status;
    let mut response = refused.into_response();
    let headers = response.headers_mut();
    if let Some(offset_bytes) = offset_bytes {
        put_count(headers, "upload-offset", offset_bytes);
        let (name, value) = completeness(version, false);
        headers.insert(name, HeaderValue::from_static(value));
    }
    if code == Code::ByteLimitExceeded {
        headers.insert("upload-limit", limits(&state.context, None));
    }
    versioned(response, version)
}

const MISMATCHING_OFFSET: &str =
    "https://iana.org/assignments/http-problem-types#mismatching-upload-offset";
const INCONSISTENT_LENGTH: &str =
    "https://iana.org/assignments/http-problem-types#inconsistent-upload-length";
const COMPLETED: &str = "https://iana.org/assignments/http-problem-types#completed-upload";
