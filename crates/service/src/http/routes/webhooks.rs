//! Webhooks.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use safelight_api::problem::Problem;
use safelight_api::webhooks::{
    ChangeWebhook, CreateWebhook, DeliveryPage, ReplayWebhook, SecretRotated, Webhook,
    WebhookCreated, WebhookList,
};
use serde::Deserialize;

use super::answered;
use crate::context::Context;
use crate::http::body::Body;
use crate::http::idempotency::{Write, in_one_commit, in_one_commit_perhaps};
use crate::http::problem::Refused;
use crate::http::request::{Authenticated, IdempotencyKey, MaybeKey, Path, Query};
use crate::http::router::AppState;
use crate::insights::webhooks::endpoints::WebhookError;
use crate::insights::webhooks::{endpoints, replay, rotate_secret};

/// Makes a webhook. Its secret is in this answer, and in that to a repetition, whose answer may be the first to be heard.
#[utoipa::path(
    post, path = "/v1/webhooks", tag = "webhooks", request_body = CreateWebhook,
    params(("Idempotency-Key" = String, Header, description = "A repetition answers with the secret in force")),
    responses(
        (status = 201, body = WebhookCreated),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    IdempotencyKey(key): IdempotencyKey,
    body: Body<CreateWebhook>,
) -> Result<Response, Refused> {
    caller.require("admin")?;
    let write = Write::of(&caller, key, "create_webhook", "", &body.raw);
    let (context, tenant_id) = (&state.context, &caller.tenant_id);
    let fresh = endpoints::prepare(context, tenant_id, &body.value)?;
    let (webhook_id, replayed) = in_one_commit(context, write, move |tx| {
        Box::pin(async move { endpoints::store(tx, &fresh).await })
    })
    .await?;
    let (secret, _) = in_force(context, tenant_id, &webhook_id).await?;
    let created = WebhookCreated { webhook_id, secret };
    Ok(answered(StatusCode::CREATED, created, replayed))
}

/// The secret in force of a webhook, and until when the one before signs along; none of one that was removed meanwhile.
async fn in_force(
    context: &Context,
    tenant_id: &str,
    webhook_id: &str,
) -> Result<(Option<String>, Option<String>), WebhookError> {
    match endpoints::find(context, tenant_id, webhook_id).await {
        Ok(found) => Ok((
            Some(endpoints::secret(
                context,
                tenant_id,
                webhook_id,
                &found.salt,
            )),
            found.old.map(|(_, until)| until.rfc3339()),
        )),
        Err(WebhookError::NotFound) => Ok((None, None)),
        Err(error) => Err(error),
    }
}

/// All webhooks of the caller's tenant.
#[utoipa::path(
    get, path = "/v1/webhooks", tag = "webhooks",
    responses(
        (status = 200, body = WebhookList),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
) -> Result<Json<WebhookList>, Refused> {
    caller.require("admin")?;
    let all = endpoints::list(&state.context, &caller.tenant_id).await?;
    let items = all.into_iter().map(endpoints::shown).collect();
    Ok(Json(WebhookList { items }))
}

/// One webhook.
#[utoipa::path(
    get, path = "/v1/webhooks/{webhook_id}", tag = "webhooks",
    params(("webhook_id" = String, Path, description = "The webhook")),
    responses(
        (status = 200, body = Webhook),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn read(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Path(webhook_id): Path<String>,
) -> Result<Json<Webhook>, Refused> {
    caller.require("admin")?;
    let found = endpoints::find(&state.context, &caller.tenant_id, &webhook_id).await?;
    Ok(Json(endpoints::shown(found)))
}

/// Changes a webhook: its URL, its types of events, whether it is sent any.
#[utoipa::path(
    patch, path = "/v1/webhooks/{webhook_id}", tag = "webhooks", request_body = ChangeWebhook,
    params(
        ("webhook_id" = String, Path, description = "The webhook"),
        ("Idempotency-Key" = Option<String>, Header, description = "Optional: with it a late repetition does not undo a later change")
    ),
    responses(
        (status = 200, body = Webhook),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn change(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Path(webhook_id): Path<String>,
    MaybeKey(key): MaybeKey,
    body: Body<ChangeWebhook>,
) -> Result<Response, Refused> {
    caller.require("admin")?;
    let context = &state.context;
    let change = endpoints::changed(context, &body.value)?;
    let (tenant_id, id, at) = (caller.tenant_id.clone(), webhook_id.clone(), context.now());
    let write = key.map(|key| Write::of(&caller, key, "change_webhook", &webhook_id, &body.raw));
    let (_, replayed) = in_one_commit_perhaps(context, write, move |tx| {
        Box::pin(async move { endpoints::change(tx, &tenant_id, &id, &change, at).await })
    })
    .await?;
    let now = endpoints::find(context, &caller.tenant_id, &webhook_id).await?;
    Ok(answered(StatusCode::OK, endpoints::shown(now), replayed))
}

/// Removes a webhook. What it was not sent yet it is not sent any more.
#[utoipa::path(
    delete, path = "/v1/webhooks/{webhook_id}", tag = "webhooks",
    params(
        ("webhook_id" = String, Path, description = "The webhook"),
        ("Idempotency-Key" = Option<String>, Header, description = "Optional: with it a repetition is answered alike")
    ),
    responses(
        (status = 204, description = "It is removed"),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Path(webhook_id): Path<String>,
    MaybeKey(key): MaybeKey,
) -> Result<StatusCode, Refused> {
    caller.require("admin")?;
    let (context, tenant_id, id) = (&state.context, caller.tenant_id.clone(), webhook_id.clone());
    let write = key.map(|key| Write::of(&caller, key, "delete_webhook", &webhook_id, &[]));
    in_one_commit_perhaps(context, write, move |tx| {
        Box::pin(async move { endpoints::remove(tx, &tenant_id, &id).await })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a webhook another secret. The one before signs along for 24 hours.
#[utoipa::path(
    post, path = "/v1/webhooks/{webhook_id}/secret", tag = "webhooks",
    params(
        ("webhook_id" = String, Path, description = "The webhook"),
        ("Idempotency-Key" = String, Header, description = "A repetition answers with the secret in force")
    ),
    responses(
        (status = 201, body = SecretRotated),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn rotate(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Path(webhook_id): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<Response, Refused> {
    caller.require("admin")?;
    let context = &state.context;
    let write = Write::of(&caller, key, "rotate_webhook_secret", &webhook_id, &[]);
    let (salt, now) = (endpoints::fresh_salt(context), context.now());
    let (tenant_id, id) = (caller.tenant_id.clone(), webhook_id.clone());
    let (_, replayed) = in_one_commit(context, write, move |tx| {
        Box::pin(async move { rotate_secret::rotate_secret(tx, &tenant_id, &id, &salt, now).await })
    })
    .await?;
    let (secret, old_signs_until) = in_force(context, &caller.tenant_id, &webhook_id).await?;
    let rotated = SecretRotated {
        webhook_id,
        secret,
        old_signs_until,
    };
    Ok(answered(StatusCode::CREATED, rotated, replayed))
}

/// Has the events since a time sent again, with the same ids as before, as far as events are kept.
#[utoipa::path(
    post, path = "/v1/webhooks/{webhook_id}/replay", tag = "webhooks", request_body = ReplayWebhook,
    params(
        ("webhook_id" = String, Path, description = "The webhook"),
        ("Idempotency-Key" = String, Header, description = "The same for every repetition of this request")
    ),
    responses(
        (status = 202, body = Webhook),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn replay(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Path(webhook_id): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    body: Body<ReplayWebhook>,
) -> Result<Response, Refused> {
    caller.require("admin")?;
    let context = &state.context;
    let since = replay::since(&body.value.since)?;
    let write = Write::of(&caller, key, "replay_webhook", &webhook_id, &body.raw);
    let (tenant_id, id) = (caller.tenant_id.clone(), webhook_id.clone());
    let (_, replayed) = in_one_commit(context, write, move |tx| {
        Box::pin(async move { replay::replay(tx, &tenant_id, &id, since).await })
    })
    .await?;
    let now = endpoints::find(context, &caller.tenant_id, &webhook_id).await?;
    Ok(answered(
        StatusCode::ACCEPTED,
        endpoints::shown(now),
        replayed,
    ))
}

/// The query of listing deliveries.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct DeliveryQuery {
    state: Option<String>,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// What became of the events for a webhook, the newest first. What was settled is kept for 7 days.
#[utoipa::path(
    get, path = "/v1/webhooks/{webhook_id}/deliveries", tag = "webhooks",
    params(
        ("webhook_id" = String, Path, description = "The webhook"),
        ("state" = Option<String>, Query, description = "`pending`, `delivered` or `failed`; all without it"),
        ("limit" = Option<i64>, Query, description = "50 by default, 200 at most"),
        ("cursor" = Option<String>, Query, description = "The next_cursor of the page before")
    ),
    responses(
        (status = 200, body = DeliveryPage),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn deliveries(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Path(webhook_id): Path<String>,
    Query(query): Query<DeliveryQuery>,
) -> Result<Json<DeliveryPage>, Refused> {
    caller.require("admin")?;
    let page = endpoints::deliveries(
        &state.context,
        &caller.tenant_id,
        &webhook_id,
        query.state.as_deref(),
        query.cursor.as_deref(),
        query.limit,
    );
    Ok(Json(page.await?))
}
