//! Assets.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use safelight_api::assets::{Asset, AssetPage, GrantOriginal, OriginalGranted};
use safelight_api::problem::Problem;
use safelight_model::lifecycle;
use serde::Deserialize;

use super::answered;
use crate::delivery::grant_original;
use crate::delivery::read_asset::{self, Fields};
use crate::http::body::Body;
use crate::http::idempotency::{Write, fingerprint, under_key};
use crate::http::problem::Refused;
use crate::http::request::{IdempotencyKey, Media, Path, Query};
use crate::http::room::Held;
use crate::http::router::AppState;
use crate::http::wait::{Seen, Wish, wait};
use crate::insights::follow::Scope;

/// The query of reading one asset.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct ReadQuery {
    fields: Option<String>,
}

/// The query of listing.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct ListQuery {
    limit: Option<i64>,
    cursor: Option<String>,
    fields: Option<String>,
}

/// One asset: state, reason and progress; more by `fields`.
#[utoipa::path(
    get, path = "/v1/assets/{asset_id}", tag = "assets",
    params(
        ("asset_id" = String, Path, description = "The asset"),
        ("fields" = Option<String>, Query, description = "Of thumbhash, capture, original, renditions, times; separated by commas"),
        ("Prefer" = Option<String>, Header, description = "`wait=20`: answer when it changes, or when it is settled, after so many seconds at the latest (at most 25)"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what the caller has: with it, `wait` waits until there is something else")
    ),
    responses(
        (status = 200, body = Asset),
        (status = 304, description = "The caller has it"),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn read(
    State(state): State<AppState>,
    media: Media,
    Path(asset_id): Path<String>,
    Query(query): Query<ReadQuery>,
    held: Held,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let fields = Fields::parse(query.fields.as_deref())?;
    let (context, owner, id, fields) = (&state.context, &media.owner, asset_id.as_str(), &fields);
    let read = || async move {
        let asset = read_asset::read_asset(context, owner, id, fields).await?;
        Ok::<_, Refused>(Seen {
            settled: lifecycle::State::parse(&asset.state).is_none_or(|s| s.is_settled()),
            scope: Scope::Asset(asset.asset_id.clone()),
            body: asset,
        })
    };
    wait(&state, owner, &held, &Wish::of(&headers), read).await
}

/// The owner's assets, the newest first.
#[utoipa::path(
    get, path = "/v1/assets", tag = "assets",
    params(
        ("limit" = Option<i64>, Query, description = "50 by default, 200 at most"),
        ("cursor" = Option<String>, Query, description = "The next_cursor of the page before"),
        ("fields" = Option<String>, Query, description = "Of thumbhash, capture, original, renditions, times; separated by commas")
    ),
    responses(
        (status = 200, body = AssetPage),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    media: Media,
    Query(query): Query<ListQuery>,
) -> Result<Json<AssetPage>, Refused> {
    let fields = Fields::parse(query.fields.as_deref())?;
    let page = read_asset::list_assets(
        &state.context,
        &media.owner,
        query.limit,
        query.cursor.as_deref(),
        &fields,
    )
    .await?;
    Ok(Json(page))
}

/// Grants access to the original, for a time.
#[utoipa::path(
    post, path = "/v1/assets/{asset_id}/grants", tag = "assets", request_body = GrantOriginal,
    params(
        ("asset_id" = String, Path, description = "The asset"),
        ("Idempotency-Key" = String, Header, description = "The same for every repetition of this request")
    ),
    responses(
        (status = 201, body = OriginalGranted),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn grant(
    State(state): State<AppState>,
    media: Media,
    Path(asset_id): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    body: Body<GrantOriginal>,
) -> Result<Response, Refused> {
    let (context, owner, id, ttl_s) = (
        &state.context,
        &media.owner,
        asset_id.as_str(),
        body.value.ttl_s,
    );
    let write = Write {
        caller: &media.caller,
        key,
        operation: "grant",
        fingerprint: fingerprint("grant", id, &body.raw),
    };
    let grant =
        || async move { Ok(grant_original::grant_original(context, owner, id, ttl_s).await?) };
    let run = async {
        grant()
            .await
            .map(|granted: OriginalGranted| (id.to_owned(), granted))
    };
    let (value, replayed) = under_key(context, write, run, |_| grant()).await?;
    Ok(answered(StatusCode::CREATED, value, replayed))
}
