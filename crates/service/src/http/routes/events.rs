//! Events as they happen: server-sent events (WHATWG HTML, section 9.2).

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use safelight_api::events::CloudEvent;
use safelight_api::problem::Problem;
use serde::Deserialize;

use crate::http::problem::Refused;
use crate::http::request::{Credential, Media, Path, Query};
use crate::http::router::AppState;
use crate::http::stream::{self, Viewer};
use crate::insights::follow::Scope;

/// The query of a stream.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct StreamQuery {
    last_event_id: Option<String>,
}

/// What happens to the owner's captures, as it happens. `data` of each event is a CloudEvent.
#[utoipa::path(
    get, path = "/v1/events", tag = "events",
    params(
        ("Last-Event-ID" = Option<String>, Header, description = "Go on after this `id`; libraries send it by themselves"),
        ("last_event_id" = Option<String>, Query, description = "The same for the first connection; without both, from now on")
    ),
    responses(
        (status = 200, body = CloudEvent, content_type = "text/event-stream"),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn of_owner(
    State(state): State<AppState>,
    media: Media,
    credential: Credential,
    Query(query): Query<StreamQuery>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let from = stream::resume_from(&headers, query.last_event_id.as_deref())?;
    let viewer = Viewer {
        owner: media.owner,
        credential,
    };
    stream::open(state, viewer, Scope::Owner, from).await
}

/// What happens to one capture and its assets, as it happens.
#[utoipa::path(
    get, path = "/v1/captures/{capture_id}/events", tag = "events",
    params(
        ("capture_id" = String, Path, description = "The capture"),
        ("Last-Event-ID" = Option<String>, Header, description = "Go on after this `id`; libraries send it by themselves"),
        ("last_event_id" = Option<String>, Query, description = "The same for the first connection; without both, from now on")
    ),
    responses(
        (status = 200, body = CloudEvent, content_type = "text/event-stream"),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn of_capture(
    State(state): State<AppState>,
    media: Media,
    credential: Credential,
    Path(capture_id): Path<String>,
    Query(query): Query<StreamQuery>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let from = stream::resume_from(&headers, query.last_event_id.as_deref())?;
    let scope = Scope::capture(&state.context.catalog, &media.owner, &capture_id).await?;
    let viewer = Viewer {
        owner: media.owner,
        credential,
    };
    stream::open(state, viewer, scope, from).await
}
