//! Renditions and granted originals.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Method};
use safelight_api::problem::Problem;

use crate::delivery::serve_media::{LinkQuery, serve_media};
use crate::http::problem::Refused;
use crate::http::request::{Path, Query};
use crate::http::router::AppState;

/// What a signed link is to.
#[utoipa::path(
    get, path = "/m/{public_id}/{file}", tag = "media",
    params(
        ("public_id" = String, Path, description = "The asset's random id"),
        ("file" = String, Path, description = "`{preset}@{version}.{format}`; `{preset}@{version}` in the format that `Accept` asks for; `auto@1` in the size too; or `original`"),
        ("e" = i64, Query, description = "The link's end, Unix seconds"),
        ("k" = String, Query, description = "The key that signed it"),
        ("s" = String, Query, description = "The signature"),
        ("w" = Option<u32>, Query, description = "Of `auto@1`: columns of the screen to fill. Not signed")
    ),
    responses(
        (status = 200, description = "The bytes", content_type = "image/webp"),
        (status = 206, description = "A range of them"),
        (status = 304, description = "The caller has them"),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn serve(
    State(state): State<AppState>,
    method: Method,
    Path((public_id, file)): Path<(String, String)>,
    Query(query): Query<LinkQuery>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    Ok(serve_media(&state.context, &method, &public_id, &file, &query, &headers).await?)
}
