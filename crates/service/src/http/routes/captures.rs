//! Captures.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use safelight_api::captures::{Capture, CaptureInitiated, InitiateCapture};
use safelight_api::problem::Problem;

use super::answered;
use crate::http::body::Body;
use crate::http::idempotency::fingerprint;
use crate::http::problem::Refused;
use crate::http::request::{IdempotencyKey, Media, Path};
use crate::http::router::AppState;
use crate::intake::initiate_capture::{self, Key};
use crate::intake::read_capture;

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
    State(state): State<AppState>,
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
    params(("capture_id" = String, Path, description = "The capture")),
    responses(
        (status = 200, body = Capture),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn read(
    State(state): State<AppState>,
    media: Media,
    Path(capture_id): Path<String>,
) -> Result<Json<Capture>, Refused> {
    Ok(Json(
        read_capture::read_capture(&state.context, &media.owner, &capture_id).await?,
    ))
}
