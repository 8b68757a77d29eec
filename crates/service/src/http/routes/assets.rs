//! Assets.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use safelight_api::assets::{
    Asset, AssetDeleted, AssetPage, GrantOriginal, NearAssets, OriginalGranted, OriginalPending,
    PatchAsset,
};
use safelight_api::problem::Problem;
use safelight_model::codes::Code;
use safelight_model::lifecycle;
use serde::Deserialize;

use super::{answered, tagged};
use crate::delivery::find_near::{self, NearQuery};
use crate::delivery::grant_original::{GrantError, Granted};
use crate::delivery::list_assets::{self, ListQuery};
use crate::delivery::read_asset::{self, Fields, Shown};
use crate::delivery::{grant_cleaned, grant_motion, grant_original};
use crate::http::body::Body;
use crate::http::idempotency::{Write, in_one_commit_perhaps, under_key};
use crate::http::prefer::expected;
use crate::http::problem::Refused;
use crate::http::request::{IdempotencyKey, MaybeKey, Media, Path, Query};
use crate::http::room::Held;
use crate::http::router::AppState;
use crate::http::wait::{Seen, Wish, ask_until, held_back, wait};
use crate::insights::follow::Scope;
use crate::library::patch_asset;
use crate::retention::delete_asset;

/// The query of reading one asset.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct ReadQuery {
    fields: Option<String>,
}

/// One asset: state, reason and progress; more by `fields`.
#[utoipa::path(
    get, path = "/v1/assets/{asset_id}", tag = "assets",
    params(
        ("asset_id" = String, Path, description = "The asset"),
        ("fields" = Option<String>, Query, description = "Of thumbhash, capture, original, renditions, times, title, captured_at, location, metadata, visibility, tags, albums, revision; separated by commas"),
        ("Prefer" = Option<String>, Header, description = "`wait=20`: answer when it changes, or when it is settled, after so many seconds at the latest (at most 25)"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what the caller has: with it, `wait` waits until there is something else")
    ),
    responses(
        (status = 200, body = Asset, headers(("ETag" = String, description = "For `If-None-Match`, and for `If-Match` of a PATCH"))),
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
    let viewer = media.viewer();
    let read = || async move {
        let Shown { asset, revision } =
            read_asset::read_asset(context, owner, viewer, id, fields).await?;
        Ok::<_, Refused>(Seen {
            settled: lifecycle::State::parse(&asset.state).is_none_or(|s| s.is_settled()),
            scope: Scope::Asset(asset.asset_id.clone()),
            revision: Some(revision),
            body: asset,
        })
    };
    wait(&state, owner, &held, &Wish::of(&headers), read).await
}

/// The owner's assets, the newest first. Each is small; a page goes on where the one before ended.
#[utoipa::path(
    get, path = "/v1/assets", tag = "assets",
    params(
        ("limit" = Option<i64>, Query, description = "50 by default, 200 at most"),
        ("cursor" = Option<String>, Query, description = "The next_cursor of the page before, of the same list"),
        ("fields" = Option<String>, Query, description = "Of thumbhash, capture, original, renditions, times, title, captured_at, location, metadata, visibility, tags, albums, revision; separated by commas"),
        ("order" = Option<String>, Query, description = "`created` (when it was initiated), the default; or `captured` (when it was taken, where that is known)"),
        ("state" = Option<String>, Query, description = "In this state"),
        ("album" = Option<String>, Query, description = "In this album"),
        ("tag" = Option<String>, Query, description = "With this tag"),
        ("capture" = Option<String>, Query, description = "Of this capture"),
        ("type" = Option<String>, Query, description = "Of this media type: `image`, or `image/heic`"),
        ("visibility" = Option<String>, Query, description = "`private` or `public`"),
        ("captured_after" = Option<String>, Query, description = "Taken at this moment or later; where that is not known, initiated"),
        ("captured_before" = Option<String>, Query, description = "Taken before this moment"),
        ("created_after" = Option<String>, Query, description = "Initiated at this moment or later"),
        ("created_before" = Option<String>, Query, description = "Initiated before this moment")
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
    let page =
        list_assets::list_assets(&state.context, &media.owner, media.viewer(), &query).await?;
    Ok(Json(page))
}

/// The owner's assets that look nearly like this one: retakes of the same moment, and edited, resized or re-encoded copies.
/// The nearest first.
#[utoipa::path(
    get, path = "/v1/assets/{asset_id}/near", tag = "assets",
    params(
        ("asset_id" = String, Path, description = "The asset"),
        ("limit" = Option<i64>, Query, description = "50 by default, 100 at most; there are no further pages"),
        ("fields" = Option<String>, Query, description = "As in lists of assets")
    ),
    responses(
        (status = 200, body = NearAssets),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn near(
    State(state): State<AppState>,
    media: Media,
    Path(asset_id): Path<String>,
    Query(query): Query<NearQuery>,
) -> Result<Json<NearAssets>, Refused> {
    let near = find_near::find_near(
        &state.context,
        &media.owner,
        media.viewer(),
        &asset_id,
        &query,
    )
    .await?;
    Ok(Json(near))
}

/// Changes what the owner says of an asset: a merge patch (RFC 7396). What is not named stays; `null` clears.
#[utoipa::path(
    patch, path = "/v1/assets/{asset_id}", tag = "assets", request_body = PatchAsset,
    params(
        ("asset_id" = String, Path, description = "The asset"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same for every repetition of this request"),
        ("If-Match" = Option<String>, Header, description = "The ETag of what the caller has read, or its `revision` in quotes: 412 if somebody has changed it since")
    ),
    responses(
        (status = 200, body = Asset, description = "All that is said of it now", headers(("ETag" = String, description = "Its revision, for `If-Match`"))),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn patch(
    State(state): State<AppState>,
    media: Media,
    Path(asset_id): Path<String>,
    MaybeKey(key): MaybeKey,
    headers: HeaderMap,
    body: Body<PatchAsset>,
) -> Result<Response, Refused> {
    let Media { caller, owner } = &media;
    let patch = patch_asset::read_patch(&body.value)?;
    let write = key.map(|key| Write::of(caller, key, "patch_asset", &asset_id, &body.raw));
    let expected = expected(&headers);
    let (context, of) = (state.context.clone(), owner.clone());
    let (asset_id, replayed) = in_one_commit_perhaps(&state.context, write, move |tx| {
        Box::pin(async move {
            patch_asset::patch_asset(tx, &context, &of, &asset_id, &patch, &expected).await
        })
    })
    .await?;
    let Shown { asset, revision } = read_asset::read_asset(
        &state.context,
        owner,
        media.viewer(),
        &asset_id,
        &Fields::said(),
    )
    .await?;
    Ok(tagged(answered(StatusCode::OK, asset, replayed), revision))
}

/// Deletes an asset, in whatever state it is: original, renditions, unfinished uploads, and all that was said of it. From the
/// answer on nobody is given anything of it; its bytes are removed then, and `deletion.completed` tells when none is left.
/// Deleting twice is harmless, and answers the same.
#[utoipa::path(
    delete, path = "/v1/assets/{asset_id}", tag = "assets",
    params(
        ("asset_id" = String, Path, description = "The asset"),
        ("Idempotency-Key" = Option<String>, Header, description = "Optional: deleting twice is harmless")
    ),
    responses(
        (status = 202, body = AssetDeleted, description = "It is deleted, now or before; `completed_at` tells whether its bytes are gone"),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn delete(
    State(state): State<AppState>,
    media: Media,
    Path(asset_id): Path<String>,
    MaybeKey(key): MaybeKey,
) -> Result<Response, Refused> {
    let Media { caller, owner } = &media;
    let mut tries = 0;
    let (asset_id, replayed) = loop {
        let write = key
            .clone()
            .map(|key| Write::of(caller, key, "delete_asset", &asset_id, &[]));
        let (context, of, id) = (state.context.clone(), owner.clone(), asset_id.clone());
        let done = in_one_commit_perhaps(&state.context, write, move |tx| {
            Box::pin(async move { delete_asset::delete_asset(tx, &context, &of, &id).await })
        })
        .await;
        match done {
            // Others had hold of it in this instant.
            Err(refused) if refused.code == Code::Overloaded && tries < 3 => tries += 1,
            other => break other?,
        }
    };
    let deleted = delete_asset::read_deletion(&state.context, owner, &asset_id).await?;
    Ok(answered(StatusCode::ACCEPTED, deleted, replayed))
}

/// What is wrong with a file that a request names is not wrong with the request's own body, whatever the code.
fn of_the_file(mut refused: Refused) -> Refused {
    if matches!(
        refused.code,
        Code::UnsupportedMediaType | Code::ByteLimitExceeded
    ) {
        refused.status = Some(StatusCode::UNPROCESSABLE_ENTITY);
    }
    refused
}

/// What is granted.
#[derive(Clone, Copy)]
enum Variant {
    Original,
    Cleaned,
    Motion,
}

/// Grants access to the original, for a time; to the cleaned original, without what the file tells of place, time, camera or
/// people; or to the clip in a motion photo, as every player plays it. These are made when they are first asked for: as long as one is
/// not there the answer is 202, and the request is to be repeated, with the same key or another.
#[utoipa::path(
    post, path = "/v1/assets/{asset_id}/grants", tag = "assets", request_body = GrantOriginal,
    params(
        ("asset_id" = String, Path, description = "The asset"),
        ("Idempotency-Key" = String, Header, description = "The same for every repetition of this request"),
        ("Prefer" = Option<String>, Header, description = "`wait=20`: answer when it is there, after so many seconds at the latest (at most 25)")
    ),
    responses(
        (status = 201, body = OriginalGranted),
        (status = 202, body = OriginalPending, description = "It is being made", headers(("Retry-After" = u32, description = "Seconds until it makes sense to ask again"))),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn grant(
    State(state): State<AppState>,
    media: Media,
    Path(asset_id): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    held: Held,
    headers: HeaderMap,
    body: Body<GrantOriginal>,
) -> Result<Response, Refused> {
    let (context, owner, id, ttl_s) = (
        &state.context,
        &media.owner,
        asset_id.as_str(),
        body.value.ttl_s,
    );
    let variant = match body.value.variant.as_deref() {
        None | Some("original") => Variant::Original,
        Some("cleaned") => Variant::Cleaned,
        Some("motion") => Variant::Motion,
        Some(_) => {
            let mut refused = Refused::because(
                Code::ValidationFailed,
                "variant must be original, cleaned or motion",
            );
            refused.field = Some("variant".to_owned());
            return Err(refused);
        }
    };
    let write = Write::of(&media.caller, key, "grant", id, &body.raw);
    let ask = || async move {
        let granted = match variant {
            Variant::Original => {
                let granted = grant_original::grant_original(context, owner, id, ttl_s);
                granted.await.map(Granted::Link)
            }
            Variant::Cleaned => grant_cleaned::grant_cleaned(context, owner, id, ttl_s).await,
            Variant::Motion => grant_motion::grant_motion(context, owner, id, ttl_s).await,
        };
        granted.map_err(|error| match error {
            GrantError::Failed(..) => of_the_file(error.into()),
            error => Refused::from(error),
        })
    };
    let wish = Wish::of(&headers);
    let (state, held, wish) = (&state, &held, &wish);
    let grant = || async move {
        let waits_for = |granted: &Granted| match granted {
            Granted::Link(_) => None,
            Granted::Pending(asset_id) => Some(Scope::Asset(asset_id.clone())),
        };
        ask_until(state, owner, held, wish, ask, waits_for).await
    };
    let run = async { grant().await.map(|granted| (id.to_owned(), granted)) };
    let ((granted, waited), replayed) = under_key(context, write, run, |_| grant()).await?;
    let mut response = match granted {
        Granted::Link(link) => answered(StatusCode::CREATED, link, replayed),
        Granted::Pending(_) => {
            let pending = OriginalPending {
                state: "pending".to_owned(),
            };
            let mut response = answered(StatusCode::ACCEPTED, pending, replayed);
            let soon = HeaderValue::from_static("1");
            response.headers_mut().insert(RETRY_AFTER, soon);
            response
        }
    };
    held_back(&mut response, waited);
    Ok(response)
}
