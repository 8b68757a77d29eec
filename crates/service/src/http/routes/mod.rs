//! One file a resource. Each handler: read the request, call the stage, answer.

pub(super) mod albums;
pub(super) mod assets;
pub(super) mod captures;
pub(super) mod events;
pub(super) mod keys;
pub(super) mod media;
pub(super) mod operations;
pub(super) mod store_events;
pub(super) mod uploads;
pub(super) mod webhooks;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use http::{HeaderValue, StatusCode};
use safelight_api::paths;
use serde::Serialize;

use super::prefer::tag;

/// An answer to a write, marked when it was given before.
fn answered<T: Serialize>(status: StatusCode, value: T, replayed: bool) -> Response {
    let mut response = (status, Json(value)).into_response();
    if replayed {
        response.headers_mut().insert(
            paths::IDEMPOTENCY_REPLAYED,
            HeaderValue::from_static("true"),
        );
    }
    response
}

/// An answer about something at a revision.
fn tagged(mut response: Response, revision: i64) -> Response {
    if let Ok(tag) = HeaderValue::from_str(&tag(revision, "")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}
