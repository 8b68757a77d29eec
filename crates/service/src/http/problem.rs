//! Errors on their way out: a code, a status, a page, a request id. The cause is logged once here,
//! and never returned.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use safelight_api::problem::{MEDIA_TYPE, Problem};
use safelight_catalog::CatalogError;
use safelight_model::codes::Code;
use safelight_objects::StoreError;

use super::status::{is_internal, retry_after_s, status};
use crate::delivery::grant_original::GrantError;
use crate::delivery::read_asset::ReadAssetError;
use crate::delivery::serve_media::ServeError;
use crate::governance::api_keys::KeyError;
use crate::governance::authenticate::Unauthenticated;
use crate::governance::tokens::MintError;
use crate::insights::follow::FollowError;
use crate::insights::webhooks::endpoints::WebhookError;
use crate::intake::abort_upload::AbortError;
use crate::intake::append::error::AppendError;
use crate::intake::complete_upload::CompleteUploadError;
use crate::intake::initiate_capture::InitiateError;
use crate::intake::read_capture::ReadError;
use crate::intake::read_event::NoEvent;
use crate::intake::sign_urls::SignError;
use crate::library::albums::AlbumError;
use crate::library::patch_asset::PatchError;
use crate::retention::delete_asset::DeleteError;

/// An error that has a stable code.
pub trait Coded: std::error::Error {
    /// The code.
    fn stable_code(&self) -> Code;
    /// Where in the request the fault is.
    fn fault(&self) -> Option<String> {
        None
    }
    /// The asset that the caller is to go by.
    fn asset(&self) -> Option<String> {
        None
    }
}

macro_rules! coded {
    ($($error:ty),* $(,)?) => { $(impl Coded for $error {
        fn stable_code(&self) -> Code { self.code() }
    })* };
    (with_asset $($error:ty),* $(,)?) => { $(impl Coded for $error {
        fn stable_code(&self) -> Code { self.code() }
        fn asset(&self) -> Option<String> { self.asset_id().map(str::to_owned) }
    })* };
    (with_field $($error:ty),* $(,)?) => { $(impl Coded for $error {
        fn stable_code(&self) -> Code { self.code() }
        fn fault(&self) -> Option<String> { self.field().map(str::to_owned) }
    })* };
}

coded!(
    CatalogError,
    AbortError,
    CompleteUploadError,
    DeleteError,
    FollowError,
    GrantError,
    KeyError,
    MintError,
    ReadError,
    ServeError,
    StoreError,
    Unauthenticated
);
coded!(with_asset AppendError);
coded!(with_field AlbumError, InitiateError, PatchError, ReadAssetError, WebhookError);

impl Coded for SignError {
    fn stable_code(&self) -> Code {
        self.code()
    }
    fn fault(&self) -> Option<String> {
        self.field().map(str::to_owned)
    }
    fn asset(&self) -> Option<String> {
        self.asset_id().map(str::to_owned)
    }
}

/// What a handler answers when it cannot do what was asked.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The code.
    pub code: Code,
    /// For the caller.
    pub detail: String,
    /// Where in the request the fault is.
    pub field: Option<String>,
    /// The asset that the caller is to go by.
    pub asset_id: Option<Box<str>>,
    /// The status that a protocol gives this problem, in place of its code's.
    pub status: Option<StatusCode>,
    /// The type that a protocol gives this problem, in place of its page.
    pub kind: Option<&'static str>,
    /// Further members of the problem that a protocol asks for.
    pub members: Box<[(&'static str, i64)]>,
    /// For the log.
    cause: Option<Box<str>>,
}

impl Refused {
    /// A refusal with its detail.
    #[must_use]
    pub fn because(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            field: None,
            asset_id: None,
            status: None,
            kind: None,
            members: Box::default(),
            cause: None,
        }
    }
}

impl Coded for NoEvent {
    fn stable_code(&self) -> Code {
        Code::ValidationFailed
    }
    fn fault(&self) -> Option<String> {
        (!self.field.is_empty()).then(|| self.field.clone())
    }
}

impl<E: Coded> From<E> for Refused {
    fn from(error: E) -> Self {
        let code = error.stable_code();
        if !is_internal(code) {
            return Self {
                code,
                detail: error.to_string(),
                field: error.fault(),
                asset_id: error.asset().map(Into::into),
                status: None,
                kind: None,
                members: Box::default(),
                cause: None,
            };
        }
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(deeper) = source {
            cause.push_str(": ");
            cause.push_str(&deeper.to_string());
            source = deeper.source();
        }
        let detail = match code {
            Code::StoreUnavailable => "the object store does not answer; try again shortly",
            Code::CatalogUnavailable => "the database does not answer; try again shortly",
            Code::DiskFull => "the server has no space left; its operator must make some",
            _ => "the server made a mistake; name this request_id to its operator",
        };
        Self {
            code,
            detail: detail.to_owned(),
            field: None,
            asset_id: None,
            status: None,
            kind: None,
            members: Box::default(),
            cause: Some(cause.into()),
        }
    }
}

impl IntoResponse for Refused {
    /// Leaves the body to [`finish`], which knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.status.unwrap_or(status(self.code)).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the body of a refusal, and logs its cause.
pub(super) fn finish(mut response: Response, request_id: &str) -> Response {
    let Some(refused) = response.extensions_mut().remove::<Refused>() else {
        return response;
    };
    match &refused.cause {
        Some(cause) => tracing::error!(
            request_id,
            code = refused.code.as_str(),
            cause,
            "request failed"
        ),
        None => tracing::debug!(
            request_id,
            code = refused.code.as_str(),
            detail = refused.detail,
            "request refused"
        ),
    }
    let code = refused.code;
    let problem = Problem {
        kind: refused
            .kind
            .map_or_else(|| format!("/docs/errors/{code}"), str::to_owned),
        title: code.title().to_owned(),
        status: response.status().as_u16(),
        detail: refused.detail,
        code: code.as_str().to_owned(),
        request_id: request_id.to_owned(),
        field: refused.field,
        asset_id: refused.asset_id.map(Into::into),
    };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts
        .headers
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    parts
        .headers
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = retry_after_s(code) {
        parts
            .headers
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if code == Code::Unauthorized {
        parts
            .headers
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    let mut problem = serde_json::to_value(&problem).unwrap_or_default();
    for (name, value) in refused.members.into_vec() {
        problem[name] = value.into();
    }
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    Response::from_parts(parts, Body::from(body))
}
