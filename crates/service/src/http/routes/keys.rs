//! API keys and device tokens.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use safelight_api::keys::{CreateKey, Key, KeyCreated, KeyList, MintToken, TokenMinted};
use safelight_api::problem::Problem;

use super::answered;
use crate::context::Owner;
use crate::governance::{api_keys, tokens};
use crate::http::body::Body;
use crate::http::idempotency::{Write, in_one_commit, under_key};
use crate::http::problem::Refused;
use crate::http::request::{Authenticated, IdempotencyKey, Path};
use crate::http::router::AppState;

/// Makes an API key of the caller's tenant. Its secret is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/v1/keys", tag = "keys", request_body = CreateKey,
    params(("Idempotency-Key" = String, Header, description = "A repetition answers without the secret")),
    responses(
        (status = 201, body = KeyCreated),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    IdempotencyKey(key): IdempotencyKey,
    body: Body<CreateKey>,
) -> Result<Response, Refused> {
    caller.require("admin")?;
    let write = Write::of(&caller, key, "create_key", "", &body.raw);
    let CreateKey { label, scopes } = &body.value;
    let secret = api_keys::fresh_secret(&state.context);
    let key = api_keys::prepare(&state.context, &caller.tenant_id, label, scopes)?;
    let hash = api_keys::secret_hash(&secret);
    let (key_id, replayed) = in_one_commit(&state.context, write, move |tx| {
        Box::pin(async move { api_keys::store(tx, &key, &hash).await })
    })
    .await?;
    let created = KeyCreated {
        key_id,
        secret: (!replayed).then_some(secret),
    };
    Ok(answered(StatusCode::CREATED, created, replayed))
}

/// All API keys of the caller's tenant.
#[utoipa::path(
    get, path = "/v1/keys", tag = "keys",
    responses(
        (status = 200, body = KeyList),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
) -> Result<Json<KeyList>, Refused> {
    caller.require("admin")?;
    let keys = api_keys::list(&state.context, &caller.tenant_id).await?;
    let items = keys
        .into_iter()
        .map(|k| Key {
            key_id: k.key_id,
            label: k.label,
            scopes: k.scopes.split(' ').map(str::to_owned).collect(),
            created_at: k.created_at.rfc3339(),
            revoked_at: k.revoked_at.map(|at| at.rfc3339()),
        })
        .collect();
    Ok(Json(KeyList { items }))
}

/// Revokes an API key, but not the last one with the scope `admin`. It stops working at once, at other
/// servers within seconds.
#[utoipa::path(
    delete, path = "/v1/keys/{key_id}", tag = "keys",
    params(
        ("key_id" = String, Path, description = "The key"),
        ("Idempotency-Key" = Option<String>, Header, description = "Optional: revoking twice is harmless")
    ),
    responses(
        (status = 204, description = "It is revoked"),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn revoke(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Path(key_id): Path<String>,
) -> Result<StatusCode, Refused> {
    caller.require("admin")?;
    api_keys::revoke(&state.context, &caller.tenant_id, &key_id).await?;
    state.remembered.forget();
    Ok(StatusCode::NO_CONTENT)
}

/// Mints a short-lived token for one owner's device.
#[utoipa::path(
    post, path = "/v1/tokens", tag = "keys", request_body = MintToken,
    params(("Idempotency-Key" = String, Header, description = "A repetition mints another token for the same device")),
    responses(
        (status = 201, body = TokenMinted),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn mint(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    IdempotencyKey(key): IdempotencyKey,
    body: Body<MintToken>,
) -> Result<Response, Refused> {
    caller.require("tokens")?;
    let write = Write::of(&caller, key, "mint", "", &body.raw);
    let mint = || {
        let MintToken {
            owner,
            device,
            ttl_s,
        } = &body.value;
        let owner = Owner {
            tenant_id: caller.tenant_id.clone(),
            owner_id: owner.clone(),
        };
        let minted = tokens::mint(&state.context, &owner, device, *ttl_s);
        async {
            Ok(minted.map(|(token, end)| TokenMinted {
                token,
                expires_at: end.rfc3339(),
            })?)
        }
    };
    let run = async {
        mint()
            .await
            .map(|minted: TokenMinted| (body.value.owner.clone(), minted))
    };
    let (value, replayed) = under_key(&state.context, write, run, |_| mint()).await?;
    Ok(answered(StatusCode::CREATED, value, replayed))
}
