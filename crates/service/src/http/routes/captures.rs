//! Captures.

use axum::extract;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use safelight_api::captures::{Capture, CaptureDeleted, CaptureInitiated, InitiateCapture};
use safelight_api::problem::Problem;
use safelight_model::codes::Code;
use safelight_model::lifecycle::State;

use super::answered;
use crate::http::body::Body;
use crate::http::idempotency::{Write, fingerprint, in_one_commit_perhaps};
use crate::http::problem::Refused;
use crate::http::request::{IdempotencyKey, MaybeKey, Media, Path};
use crate::http::room::Held;
use crate::http::router::AppState;
use crate::http::wait::{Seen, Wish, wait};
use crate::insights::follow::Scope;
use crate::intake::initiate_capture::{self, Key};
use crate::intake::read_capture;
use crate::retention::delete_capture;

/// Initiates a capture: one request for a whole burst. Bytes that the owner has are not asked for again.
#[utoipa::path(
    post, path = "/v1/captures", tag = "captures", request_body = InitiateCapture,
    params(("Idempotency-Key" = String, Header, description = "The same for every repetition of this request")),
    responses(
        (status = 201, body = CaptureInitiated, description = "Made, or made before under this key or client_ref"),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn initiate(
    extract::State(state): extract::State<AppState>,
    media: Media,
    IdempotencyKey(key): IdempotencyKey,
    body: Body<InitiateCapture>,
) -> Result<Response, Refused> {
    let key = Key {
        caller: media.caller.caller,
        key,
        fingerprint: fingerprint("initiate", "", &body.raw),
    };
    let (value, replayed) = initiate_capture::initiate_capture(
        &state.context,
        &state.initiations,
        &media.owner,
        key,
        &body.value,
    )
    .await?;
    Ok(answered(StatusCode::CREATED, value, replayed))
}

/// A capture with its assets and their open uploads.
#[utoipa::path(
    get, path = "/v1/captures/{capture_id}", tag = "captures",
    params(
        ("capture_id" = String, Path, description = "The capture"),
        ("Prefer" = Option<String>, Header, description = "`wait=20`: answer when it changes, or when all its assets are settled, after so many seconds at the latest (at most 25)"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what the caller has: with it, `wait` waits until there is something else")
    ),
    responses(
        (status = 200, body = Capture),
        (status = 304, description = "The caller has it"),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn read(
    extract::State(state): extract::State<AppState>,
    media: Media,
    Path(capture_id): Path<String>,
    held: Held,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let (context, owner, id) = (&state.context, &media.owner, capture_id.as_str());
    let read = || async move {
        let capture = read_capture::read_capture(context, owner, id).await?;
        let settled = |state: &str| State::parse(state).is_none_or(State::is_settled);
        let scope = Scope::Capture {
            capture_id: capture.capture_id.clone(),
            assets: capture.assets.iter().map(|a| a.asset_id.clone()).collect(),
        };
        Ok::<_, Refused>(Seen {
            settled: capture.assets.iter().all(|a| settled(&a.state)),
            scope,
            revision: None,
            body: capture,
        })
    };
    wait(&state, owner, &held, &Wish::of(&headers), read).await
}

/// Deletes a capture, whatever states its assets are in: each of them that no other capture holds goes as by its own deletion, and
/// uploads that are under way end. From the answer on nobody is given anything of it, and its `client_ref` is answered 410.
/// Deleting twice is harmless, and answers the same.
#[utoipa::path(
    delete, path = "/v1/captures/{capture_id}", tag = "captures",
    params(
        ("capture_id" = String, Path, description = "The capture"),
        ("Idempotency-Key" = Option<String>, Header, description = "Optional: deleting twice is harmless")
    ),
    responses(
        (status = 202, body = CaptureDeleted, description = "It is deleted, now or before; `completed_at` tells whether the bytes are gone"),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn delete(
    extract::State(state): extract::State<AppState>,
    media: Media,
    Path(capture_id): Path<String>,
    MaybeKey(key): MaybeKey,
) -> Result<Response, Refused> {
    let Media { caller, owner } = &media;
    let mut tries = 0;
    let (capture_id, replayed) = loop {
        let write = key
            .clone()
            .map(|key| Write::of(caller, key, "delete_capture", &capture_id, &[]));
        let (context, of, id) = (state.context.clone(), owner.clone(), capture_id.clone());
        let done = in_one_commit_perhaps(&state.context, write, move |tx| {
            Box::pin(async move { delete_capture::delete_capture(tx, &context, &of, &id).await })
        })
        .await;
        match done {
            // Others had hold of it in this instant.
            Err(refused) if refused.code == Code::Overloaded && tries < 3 => tries += 1,
            other => break other?,
        }
    };
    let deleted = delete_capture::read_capture_deletion(&state.context, owner, &capture_id).await?;
    Ok(answered(StatusCode::ACCEPTED, deleted, replayed))
}
