//! What surrounds every request: an id, a time limit, a limit on how many are under way, metrics.

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue};
use safelight_api::paths;
use safelight_model::codes::Code;
use safelight_model::{ids, limits};

use super::problem::{Refused, finish};
use super::room::{Held, Waited};
use super::router::AppState;

/// Runs a request within its limits and finishes its answer.
pub(super) async fn surround(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let request_id = state.context.fresh_id(ids::REQUEST);
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", |p| p.as_str())
        .to_owned();
    let method = request.method().clone();
    let response = match state.room.clone().try_acquire_owned() {
        Ok(permit) => {
            let held = Held::of(permit);
            let mut request = request;
            request.extensions_mut().insert(held.clone());
            let answer = within(limits::REQUEST_TIME, next.run(request));
            if method.is_safe() {
                answer.await
            } else {
                to_its_end(answer, held).await
            }
        }
        Err(_) => Refused::because(
            Code::Overloaded,
            "the server is at capacity: try again shortly",
        )
        .into_response(),
    };
    let mut response = finish(response, &request_id);
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response
            .headers_mut()
            .insert(HeaderName::from_static(paths::REQUEST_ID), value);
    }
    let labels = [
        ("route", route),
        ("method", method_label(&method).to_owned()),
        ("status", response.status().as_u16().to_string()),
    ];
    metrics::counter!("safelight_http_requests_total", &labels).increment(1);
    // How long a request was held back at its own wish says nothing of the server.
    if response.extensions().get::<Waited>().is_none() {
        metrics::histogram!("safelight_http_request_seconds", &labels[..2])
            .record(began.elapsed().as_secs_f64());
    }
    tracing::debug!(
        request_id,
        method = labels[1].1,
        route = labels[0].1,
        status = labels[2].1,
        "request"
    );
    response
}

/// Runs a write to its end, whether or not its caller still listens: one that went away comes back and
/// asks what became of it.
async fn to_its_end(
    answer: impl Future<Output = Response> + Send + 'static,
    held: Held,
) -> Response {
    let running = tokio::spawn(async move {
        let answer = answer.await;
        drop(held);
        answer
    });
    running.await.unwrap_or_else(|_| {
        Refused::because(
            Code::Internal,
            "the server made a mistake; name this request_id to its operator",
        )
        .into_response()
    })
}

async fn within(limit: Duration, answer: impl Future<Output = Response>) -> Response {
    tokio::time::timeout(limit, answer)
        .await
        .unwrap_or_else(|_| {
            Refused::because(
                Code::Overloaded,
                "the request took too long and was given up: try again",
            )
            .into_response()
        })
}

/// A method as a label: any token is a method, and labels must not be the caller's to invent.
pub(super) fn method_label(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "DELETE" => "DELETE",
        _ => "other",
    }
}
