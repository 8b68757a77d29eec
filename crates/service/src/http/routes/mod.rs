//! One file a resource. Each handler: read the request, call the stage, answer.

pub(super) mod assets;
pub(super) mod captures;
pub(super) mod events;
pub(super) mod keys;
pub(super) mod media;
pub(super) mod operations;
pub(super) mod store_events;
pub(super) mod uploads;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode};
use safelight_api::paths;
use serde::Serialize;

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
