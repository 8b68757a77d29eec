//! Uploads.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use safelight_api::problem::Problem;
use safelight_api::uploads::{
    CompleteUpload, Replan, Replanned, SignUrls, SignedUrls, Upload, UploadAborted,
    UploadCompleted, UploadList,
};
use serde::Deserialize;

use super::answered;
use crate::http::body::Body;
use crate::http::idempotency::{Write, under_key};
use crate::http::problem::Refused;
use crate::http::request::{IdempotencyKey, Media, Path, Query};
use crate::http::router::AppState;
use crate::intake::{
    abort_upload, complete_upload, count_transfers, find_uploads, read_upload, replan_upload,
    sign_urls,
};

/// What an upload is and what has arrived of it, as the store knows it.
#[utoipa::path(
    get, path = "/v1/uploads/{upload_id}", tag = "uploads",
    params(("upload_id" = String, Path, description = "The upload")),
    responses(
        (status = 200, body = Upload),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn read(
    State(state): State<AppState>,
    media: Media,
    Path(upload_id): Path<String>,
) -> Result<Json<Upload>, Refused> {
    Ok(Json(
        read_upload::read_upload(&state.context, &media.owner, &upload_id).await?,
    ))
}

/// What unfinished uploads are asked for by.
#[derive(serde::Deserialize)]
pub(in crate::http) struct FindQuery {
    sha256: String,
}

/// The owner's unfinished uploads of a file, by its hash, for a client that lost its journal.
#[utoipa::path(
    get, path = "/v1/uploads", tag = "uploads",
    params(("sha256" = String, Query, description = "SHA-256 of the file, as it was declared")),
    responses(
        (status = 200, body = UploadList),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn find(
    State(state): State<AppState>,
    media: Media,
    Query(query): Query<FindQuery>,
) -> Result<Json<UploadList>, Refused> {
    Ok(Json(
        find_uploads::find_uploads(&state.context, &media.owner, &query.sha256).await?,
    ))
}

/// Plans an unfinished upload anew, since network or battery are others now. What has arrived stays. Asking again is
/// harmless, so no idempotency key is needed.
#[utoipa::path(
    post, path = "/v1/uploads/{upload_id}/plan", tag = "uploads", request_body = Replan,
    params(("upload_id" = String, Path, description = "The upload")),
    responses(
        (status = 200, body = Replanned),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn plan(
    State(state): State<AppState>,
    media: Media,
    Path(upload_id): Path<String>,
    body: Body<Replan>,
) -> Result<Json<Replanned>, Refused> {
    Ok(Json(
        replan_upload::replan_upload(&state.context, &media.owner, &upload_id, &body.value).await?,
    ))
}

/// Signs URLs, just in time: up to 16 parts, or the one URL of a `single` upload.
#[utoipa::path(
    post, path = "/v1/uploads/{upload_id}/urls", tag = "uploads", request_body = SignUrls,
    params(("upload_id" = String, Path, description = "The upload")),
    responses(
        (status = 200, body = SignedUrls),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn sign(
    State(state): State<AppState>,
    media: Media,
    Path(upload_id): Path<String>,
    body: Body<SignUrls>,
) -> Result<Json<SignedUrls>, Refused> {
    let urls =
        sign_urls::sign_urls(&state.context, &media.owner, &upload_id, &body.value.parts).await?;
    Ok(Json(SignedUrls { urls }))
}

/// Says that all bytes were sent. The server compares what the store holds with the plan.
#[utoipa::path(
    post, path = "/v1/uploads/{upload_id}/complete", tag = "uploads", request_body = CompleteUpload,
    params(
        ("upload_id" = String, Path, description = "The upload"),
        ("Idempotency-Key" = String, Header, description = "The same for every repetition of this request")
    ),
    responses(
        (status = 200, body = UploadCompleted),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn complete(
    State(state): State<AppState>,
    media: Media,
    Path(upload_id): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    body: Body<CompleteUpload>,
) -> Result<Response, Refused> {
    let (context, owner, id) = (&state.context, &media.owner, upload_id.as_str());
    count_transfers::check(&body.value.transfers)?;
    let write = Write::of(&media.caller, key, "complete", id, &body.raw);
    let complete = || async move {
        let done = complete_upload::complete_upload(context, owner, id).await?;
        Ok((done.upload_id.clone(), done))
    };
    // Completing what is complete tells its present state.
    let again = move |_| async move {
        complete()
            .await
            .map(|(_, done): (String, UploadCompleted)| done)
    };
    let (value, replayed) = under_key(context, write, complete(), again).await?;
    if !replayed {
        count_transfers::count(&body.value.transfers);
    }
    Ok(answered(StatusCode::OK, value, replayed))
}

/// The query of giving an upload up.
#[derive(Debug, Default, Deserialize)]
pub(in crate::http) struct AbortQuery {
    superseded_by: Option<String>,
}

/// Gives an upload up. What had arrived is removed. Its asset expires; or, if another one is named that is sent in its place, is
/// that one from then on, in lists and albums.
#[utoipa::path(
    delete, path = "/v1/uploads/{upload_id}", tag = "uploads",
    params(
        ("upload_id" = String, Path, description = "The upload"),
        ("superseded_by" = Option<String>, Query, description = "The asset that is sent in its place, of the same owner"),
        ("Idempotency-Key" = Option<String>, Header, description = "Optional: aborting twice is harmless")
    ),
    responses(
        (status = 200, body = UploadAborted),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn abort(
    State(state): State<AppState>,
    media: Media,
    Path(upload_id): Path<String>,
    Query(query): Query<AbortQuery>,
) -> Result<Json<UploadAborted>, Refused> {
    let successor = query.superseded_by.as_deref();
    Ok(Json(
        abort_upload::abort_upload(&state.context, &media.owner, &upload_id, successor).await?,
    ))
}
