//! Albums.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use safelight_api::albums::{AddAssets, Album, AlbumPage, AssetsAdded, CreateAlbum, PatchAlbum};
use safelight_api::problem::Problem;
use safelight_catalog::Tx;
use serde::Deserialize;

use super::{answered, tagged};
use crate::context::{Context, Owner};
use crate::http::body::Body;
use crate::http::idempotency::{Write, in_one_commit, in_one_commit_perhaps};
use crate::http::prefer::expected;
use crate::http::problem::Refused;
use crate::http::request::{IdempotencyKey, MaybeKey, Media, Path, Query};
use crate::http::router::AppState;
use crate::library::albums::{self, AlbumError};
use crate::library::{Expected, fill_album};

/// The query of listing.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct ListQuery {
    limit: Option<i64>,
    cursor: Option<String>,
}

/// Makes an album.
#[utoipa::path(
    post, path = "/v1/albums", tag = "albums", request_body = CreateAlbum,
    params(("Idempotency-Key" = String, Header, description = "The same for every repetition of this request")),
    responses(
        (status = 201, body = Album),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn create(
    State(state): State<AppState>,
    media: Media,
    IdempotencyKey(key): IdempotencyKey,
    body: Body<CreateAlbum>,
) -> Result<Response, Refused> {
    let Media { caller, owner } = &media;
    let write = Write::of(caller, key, "create_album", "", &body.raw);
    let (context, of, title) = (state.context.clone(), owner.clone(), body.value.title);
    let (album_id, replayed) = in_one_commit(&state.context, write, move |tx| {
        Box::pin(async move { albums::create_album(tx, &context, &of, &title).await })
    })
    .await?;
    let album = albums::read_album(&state.context, owner, &album_id).await?;
    let revision = album.revision;
    Ok(tagged(
        answered(StatusCode::CREATED, album, replayed),
        revision,
    ))
}

/// The owner's albums, the newest first.
#[utoipa::path(
    get, path = "/v1/albums", tag = "albums",
    params(
        ("limit" = Option<i64>, Query, description = "50 by default, 200 at most"),
        ("cursor" = Option<String>, Query, description = "The next_cursor of the page before")
    ),
    responses(
        (status = 200, body = AlbumPage),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    media: Media,
    Query(query): Query<ListQuery>,
) -> Result<Json<AlbumPage>, Refused> {
    let (limit, cursor) = (query.limit, query.cursor.as_deref());
    let page = albums::list_albums(&state.context, &media.owner, limit, cursor).await?;
    Ok(Json(page))
}

/// One album. What is in it: `GET /v1/assets?album=`.
#[utoipa::path(
    get, path = "/v1/albums/{album_id}", tag = "albums",
    params(("album_id" = String, Path, description = "The album")),
    responses(
        (status = 200, body = Album, headers(("ETag" = String, description = "Its revision, for `If-Match`"))),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn read(
    State(state): State<AppState>,
    media: Media,
    Path(album_id): Path<String>,
) -> Result<Response, Refused> {
    let album = albums::read_album(&state.context, &media.owner, &album_id).await?;
    let revision = album.revision;
    Ok(tagged(Json(album).into_response(), revision))
}

/// Changes an album: a merge patch (RFC 7396).
#[utoipa::path(
    patch, path = "/v1/albums/{album_id}", tag = "albums", request_body = PatchAlbum,
    params(
        ("album_id" = String, Path, description = "The album"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same for every repetition of this request"),
        ("If-Match" = Option<String>, Header, description = "The ETag of what the caller has read: 412 if somebody has changed it since")
    ),
    responses(
        (status = 200, body = Album, headers(("ETag" = String, description = "Its revision, for `If-Match`"))),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn patch(
    State(state): State<AppState>,
    media: Media,
    Path(album_id): Path<String>,
    MaybeKey(key): MaybeKey,
    headers: HeaderMap,
    body: Body<PatchAlbum>,
) -> Result<Response, Refused> {
    let change = AlbumWrite {
        state: &state,
        media: &media,
        key,
        operation: "patch_album",
        path: album_id.clone(),
        body: &body.raw,
    };
    let (expected, title) = (expected(&headers), body.value.title.clone());
    let replayed = change
        .carry_out(move |tx, context, owner| {
            Box::pin(async move {
                let title = title.as_ref();
                albums::patch_album(tx, &context, &owner, &album_id, title, &expected).await
            })
        })
        .await?;
    let (album_id, replayed) = replayed;
    let album = albums::read_album(&state.context, &media.owner, &album_id).await?;
    let revision = album.revision;
    Ok(tagged(answered(StatusCode::OK, album, replayed), revision))
}

/// Deletes an album. Its assets stay.
#[utoipa::path(
    delete, path = "/v1/albums/{album_id}", tag = "albums",
    params(
        ("album_id" = String, Path, description = "The album"),
        ("Idempotency-Key" = Option<String>, Header, description = "A repetition with it is answered as the first; without it, that there is no such album"),
        ("If-Match" = Option<String>, Header, description = "The ETag of what the caller has read: 412 if somebody has changed it since")
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn delete(
    State(state): State<AppState>,
    media: Media,
    Path(album_id): Path<String>,
    MaybeKey(key): MaybeKey,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let change = AlbumWrite {
        state: &state,
        media: &media,
        key,
        operation: "delete_album",
        path: album_id.clone(),
        body: &[],
    };
    let expected: Expected = expected(&headers);
    let (_, replayed) = change
        .carry_out(move |tx, context, owner| {
            Box::pin(async move {
                albums::delete_album(tx, &context, &owner, &album_id, &expected).await
            })
        })
        .await?;
    Ok(done(replayed))
}

/// Puts an asset into an album. One that is in it stays in it.
#[utoipa::path(
    put, path = "/v1/albums/{album_id}/assets/{asset_id}", tag = "albums",
    params(
        ("album_id" = String, Path, description = "The album"),
        ("asset_id" = String, Path, description = "The asset"),
        ("Idempotency-Key" = Option<String>, Header, description = "Optional: adding twice is harmless")
    ),
    responses(
        (status = 204, description = "It is in the album"),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn add(
    State(state): State<AppState>,
    media: Media,
    place: Path<(String, String)>,
    key: MaybeKey,
) -> Result<Response, Refused> {
    change_place(&state, &media, key, place, true).await
}

/// Takes an asset out of an album. It stays the owner's.
#[utoipa::path(
    delete, path = "/v1/albums/{album_id}/assets/{asset_id}", tag = "albums",
    params(
        ("album_id" = String, Path, description = "The album"),
        ("asset_id" = String, Path, description = "The asset"),
        ("Idempotency-Key" = Option<String>, Header, description = "Optional: removing twice is harmless")
    ),
    responses(
        (status = 204, description = "It is not in the album"),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn remove(
    State(state): State<AppState>,
    media: Media,
    place: Path<(String, String)>,
    key: MaybeKey,
) -> Result<Response, Refused> {
    change_place(&state, &media, key, place, false).await
}

/// Puts up to 100 assets into an album at once. What is no asset of the owner's is passed over, and named.
#[utoipa::path(
    post, path = "/v1/albums/{album_id}/assets", tag = "albums", request_body = AddAssets,
    params(
        ("album_id" = String, Path, description = "The album"),
        ("Idempotency-Key" = String, Header, description = "The same for every repetition of this request")
    ),
    responses(
        (status = 200, body = AssetsAdded),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn add_many(
    State(state): State<AppState>,
    media: Media,
    Path(album_id): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    body: Body<AddAssets>,
) -> Result<Response, Refused> {
    let change = AlbumWrite {
        state: &state,
        media: &media,
        key: Some(key),
        operation: "fill_album",
        path: album_id.clone(),
        body: &body.raw,
    };
    let asset_ids = body.value.asset_ids.clone();
    let (album_id, replayed) = change
        .carry_out(move |tx, context, owner| {
            Box::pin(async move {
                fill_album::add_assets(tx, &context, &owner, &album_id, &asset_ids).await
            })
        })
        .await?;
    let (owner, asked) = (&media.owner, &body.value.asset_ids);
    let outcome: AssetsAdded = fill_album::outcome(&state.context, owner, &album_id, asked).await?;
    Ok(answered(StatusCode::OK, outcome, replayed))
}

/// A write to one album, as it came.
struct AlbumWrite<'a> {
    state: &'a AppState,
    media: &'a Media,
    key: Option<String>,
    operation: &'static str,
    path: String,
    body: &'a [u8],
}

impl AlbumWrite<'_> {
    /// Carries it out under its key, if it has one; the album's id, and whether it was carried out before.
    async fn carry_out<F>(self, work: F) -> Result<(String, bool), Refused>
    where
        F: for<'t> FnOnce(
                &'t mut Tx<'_>,
                Context,
                Owner,
            ) -> BoxFuture<'t, Result<String, AlbumError>>
            + Send
            + 'static,
    {
        let Media { caller, owner } = self.media;
        let write = self
            .key
            .map(|key| Write::of(caller, key, self.operation, &self.path, self.body));
        let (context, owner) = (self.state.context.clone(), owner.clone());
        in_one_commit_perhaps(&self.state.context, write, move |tx| {
            work(tx, context, owner)
        })
        .await
    }
}

/// Has an asset be in an album, or not.
async fn change_place(
    state: &AppState,
    media: &Media,
    MaybeKey(key): MaybeKey,
    Path((album_id, asset_id)): Path<(String, String)>,
    is_in: bool,
) -> Result<Response, Refused> {
    let change = AlbumWrite {
        state,
        media,
        key,
        operation: if is_in {
            "add_to_album"
        } else {
            "remove_from_album"
        },
        path: format!("{album_id}/{asset_id}"),
        body: &[],
    };
    let (_, replayed) = change
        .carry_out(move |tx, context, owner| {
            Box::pin(async move {
                if is_in {
                    fill_album::add_asset(tx, &context, &owner, &album_id, &asset_id).await
                } else {
                    fill_album::remove_asset(tx, &context, &owner, &album_id, &asset_id).await
                }
            })
        })
        .await?;
    Ok(done(replayed))
}

/// There is nothing to say but that it is so.
fn done(replayed: bool) -> Response {
    let mut response = answered(StatusCode::NO_CONTENT, (), replayed);
    *response.body_mut() = axum::body::Body::empty();
    response.headers_mut().remove(http::header::CONTENT_TYPE);
    response
}
