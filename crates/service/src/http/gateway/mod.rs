//! The gateway: the only role that takes media bytes. Requests run as long as their bodies come, so they are not
//! surrounded as those of the API are.

mod access;
mod content;
mod fields;
mod finish;
mod give_up;
mod key;
mod look;
mod rufh;
mod tus;

use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{HeaderName, HeaderValue};
use safelight_api::paths;
use safelight_model::codes::Code;
use safelight_model::ids;
use tower_http::catch_panic::CatchPanicLayer;

use super::cors;
use super::problem::{Refused, finish};
use super::router::{AppState, panicked};
use super::surround::method_label;

/// The gateway's routes.
pub(super) fn routes(state: &AppState) -> Router<AppState> {
    Router::new()
        .route(paths::RUFH, any(rufh::creation))
        .route(paths::RUFH_UPLOAD, any(rufh::upload))
        .route(paths::TUS, any(tus::creation))
        .route(paths::TUS_UPLOAD, any(tus::upload))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(state.clone(), surround))
}

/// Runs a request to its end, whether or not its caller still listens: what was received is flushed.
async fn surround(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let request_id = state.context.fresh_id(ids::REQUEST);
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", |p| p.as_str())
        .to_owned();
    let method = request.method().clone();
    let page = cors::asked(&method, request.headers());
    let running = state.gateway.running.spawn(next.run(request));
    let response = running.await.unwrap_or_else(|_| {
        Refused::because(
            Code::Internal,
            "the server made a mistake; name this request_id to its operator",
        )
        .into_response()
    });
    let mut response = finish(response, &request_id);
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        let name = HeaderName::from_static(paths::REQUEST_ID);
        response.headers_mut().insert(name, value);
    }
    if let Some(page) = page {
        cors::allow(page, response.headers_mut());
    }
    let labels = [
        ("route", route),
        ("method", method_label(&method).to_owned()),
        ("status", response.status().as_u16().to_string()),
    ];
    metrics::counter!("safelight_http_requests_total", &labels).increment(1);
    tracing::debug!(
        request_id,
        method = labels[1].1,
        route = labels[0].1,
        status = labels[2].1,
        ms = began.elapsed().as_millis(),
        "gateway request"
    );
    response
}

#[cfg(any(fuzzing, test))]
/// Reads the head of a request in both protocols.
pub(super) fn fuzz_fields(headers: &http::HeaderMap) {
    let _ = fields::filename(headers);
    let _ = fields::repr_sha256(headers);
    rufh::fuzz_head(headers);
    tus::fuzz_head(headers);
}
