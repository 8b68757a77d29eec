//! Endpoints: made, read, changed, removed.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use safelight_api::events::TYPES;
use safelight_api::webhooks as wire;
use safelight_catalog::webhooks::{
    self, Change, Delivery, DeliveryState, Endpoint, EndpointState, FreshEndpoint,
};
use safelight_catalog::{CatalogError, Tx};
use safelight_model::clock::Micros;
use safelight_model::codes::Code;
use safelight_model::{entropy, ids, limits};

use super::check_url::{UrlError, check_url};
use super::sign;
use crate::context::Context;

/// Why something could not be done with an endpoint.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Nothing may be sent there.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A type is unknown.
    #[error("events must be types of events, or be empty for all of them: {}", TYPES.join(", "))]
    Events,
    /// The description has no proper form.
    #[error("description must have at most 256 characters, none of them a control character")]
    Description,
    /// It is no time.
    #[error("since must be a time such as 2026-11-28T08:00:00Z")]
    Since,
    /// It is no state.
    #[error("state must be pending, delivered or failed")]
    State,
    /// It is no place in a list.
    #[error("cursor must be a next_cursor of an earlier page")]
    Cursor,
    /// It is no length of a page.
    #[error("limit must be 1 to 200")]
    Limit,
    /// The tenant has enough of them.
    #[error(
        "a tenant can have {} webhooks: delete one first",
        limits::MAX_WEBHOOKS
    )]
    TooMany,
    /// There is no such endpoint.
    #[error("there is no such webhook")]
    NotFound,
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl WebhookError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Url(e) => e.code(),
            Self::Events
            | Self::Description
            | Self::Since
            | Self::State
            | Self::Cursor
            | Self::Limit => Code::ValidationFailed,
            Self::TooMany => Code::QuotaExceeded,
            Self::NotFound => Code::NotFound,
            Self::Catalog(e) => e.code(),
        }
    }

    /// Where in the request the fault is.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Url(_) => Some("url"),
            Self::Events => Some("events"),
            Self::Description => Some("description"),
            Self::Since => Some("since"),
            Self::State => Some("state"),
            Self::Cursor => Some("cursor"),
            Self::Limit => Some("limit"),
            Self::TooMany | Self::NotFound | Self::Catalog(_) => None,
        }
    }
}

/// What makes a secret another one: 32 random bytes, of which the catalog keeps this text.
#[must_use]
pub fn fresh_salt(context: &Context) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(entropy::bytes::<32>(context.entropy.as_ref()))
}

/// The secret of an endpoint with this salt, as its owner is shown it.
#[must_use]
pub fn secret(context: &Context, tenant_id: &str, webhook_id: &str, salt: &str) -> String {
    sign::shown(&context.keyring.webhook_secret(tenant_id, webhook_id, salt))
}

/// An endpoint of a tenant, to be stored.
///
/// # Errors
/// If something of it is wrong.
pub fn prepare(
    context: &Context,
    tenant_id: &str,
    asked: &wire::CreateWebhook,
) -> Result<FreshEndpoint, WebhookError> {
    check_url(&asked.url, context.settings.webhooks)?;
    Ok(FreshEndpoint {
        tenant_id: tenant_id.to_owned(),
        webhook_id: context.fresh_id(ids::WEBHOOK),
        url: asked.url.clone(),
        kinds: kinds(&asked.events)?,
        description: described(asked.description.as_deref())?,
        salt: fresh_salt(context),
        at: context.now(),
    })
}

/// Stores an endpoint; its id.
///
/// # Errors
/// If the tenant has enough of them, or the catalog fails.
pub async fn store(tx: &mut Tx<'_>, fresh: &FreshEndpoint) -> Result<String, WebhookError> {
    // Two who make one at the same moment may make one too many; that harms nobody.
    let all = webhooks::list(tx, &fresh.tenant_id).await?;
    if all.len() >= limits::MAX_WEBHOOKS {
        return Err(WebhookError::TooMany);
    }
    webhooks::insert(tx, fresh).await?;
    Ok(fresh.webhook_id.clone())
}

/// The id, if something was done with it.
fn found(done: bool, webhook_id: &str) -> Result<String, WebhookError> {
    done.then(|| webhook_id.to_owned())
        .ok_or(WebhookError::NotFound)
}

/// Types as they stand in a row; `None` for all.
fn kinds(events: &[String]) -> Result<Option<String>, WebhookError> {
    if events.len() > limits::MAX_WEBHOOK_EVENTS
        || events.iter().any(|e| !TYPES.contains(&e.as_str()))
    {
        return Err(WebhookError::Events);
    }
    let mut events = events.to_vec();
    events.sort();
    events.dedup();
    Ok((!events.is_empty()).then(|| events.join(" ")))
}

fn described(text: Option<&str>) -> Result<Option<String>, WebhookError> {
    let text = text.filter(|t| !t.is_empty());
    let fits = |t: &str| {
        t.chars().count() <= limits::MAX_WEBHOOK_TEXT.1 && !t.chars().any(char::is_control)
    };
    if text.is_some_and(|t| !fits(t)) {
        return Err(WebhookError::Description);
    }
    Ok(text.map(str::to_owned))
}

/// What a request asks to be changed.
///
/// # Errors
/// If something of it is wrong.
pub fn changed(context: &Context, asked: &wire::ChangeWebhook) -> Result<Change, WebhookError> {
    if let Some(url) = &asked.url {
        check_url(url, context.settings.webhooks)?;
    }
    Ok(Change {
        url: asked.url.clone(),
        kinds: asked.events.as_deref().map(kinds).transpose()?,
        description: asked
            .description
            .as_deref()
            .map(|text| described(Some(text)))
            .transpose()?,
        enabled: asked.enabled,
    })
}

/// Changes an endpoint; its id.
///
/// # Errors
/// If there is none, or the catalog fails.
pub async fn change(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    webhook_id: &str,
    change: &Change,
    now: Micros,
) -> Result<String, WebhookError> {
    let changed = webhooks::change(tx, tenant_id, webhook_id, change, now).await?;
    found(changed, webhook_id)
}

/// Removes an endpoint; its id.
///
/// # Errors
/// If there is none, or the catalog fails.
pub async fn remove(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    webhook_id: &str,
) -> Result<String, WebhookError> {
    let removed = webhooks::delete(tx, tenant_id, webhook_id).await?;
    found(removed, webhook_id)
}

/// An endpoint.
///
/// # Errors
/// If there is none, or the catalog fails.
pub async fn find(
    context: &Context,
    tenant_id: &str,
    webhook_id: &str,
) -> Result<Endpoint, WebhookError> {
    let mut reader = context.catalog.reader().await?;
    let found = webhooks::find(&mut reader.tx(), tenant_id, webhook_id).await?;
    found.ok_or(WebhookError::NotFound)
}

/// All endpoints of a tenant, the oldest first.
///
/// # Errors
/// If the catalog fails.
pub async fn list(context: &Context, tenant_id: &str) -> Result<Vec<Endpoint>, WebhookError> {
    Ok(webhooks::list(&mut context.catalog.reader().await?.tx(), tenant_id).await?)
}

/// An endpoint as its tenant sees it.
#[must_use]
pub fn shown(endpoint: Endpoint) -> wire::Webhook {
    wire::Webhook {
        webhook_id: endpoint.webhook_id,
        url: endpoint.url,
        events: endpoint
            .kinds
            .map(|kinds| kinds.split(' ').map(str::to_owned).collect())
            .unwrap_or_default(),
        description: endpoint.description,
        enabled: endpoint.state == EndpointState::Enabled,
        reason: endpoint.reason,
        disabled_at: endpoint.disabled_at.map(|at| at.rfc3339()),
        failing_since: endpoint.failing_since.map(|at| at.rfc3339()),
        created_at: endpoint.created_at.rfc3339(),
    }
}

/// What became of the events for an endpoint, the newest first.
///
/// # Errors
/// If there is no such endpoint, the query is wrong, or the catalog fails.
pub async fn deliveries(
    context: &Context,
    tenant_id: &str,
    webhook_id: &str,
    state: Option<&str>,
    cursor: Option<&str>,
    limit: Option<i64>,
) -> Result<wire::DeliveryPage, WebhookError> {
    let state = match state {
        Some(text) => Some(DeliveryState::parse(text).ok_or(WebhookError::State)?),
        None => None,
    };
    let before = match cursor {
        Some(text) => text.parse().map_err(|_| WebhookError::Cursor)?,
        None => i64::MAX,
    };
    let limit = limit.unwrap_or(limits::PAGE.0);
    if !(1..=limits::PAGE.1).contains(&limit) {
        return Err(WebhookError::Limit);
    }
    find(context, tenant_id, webhook_id).await?;
    let mut reader = context.catalog.reader().await?;
    let tx = &mut reader.tx();
    let mut page =
        webhooks::list_deliveries(tx, tenant_id, webhook_id, state, before, limit + 1).await?;
    let more = page.len() as u64 > limit.unsigned_abs();
    page.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let last = page.last().map(|d| d.position.to_string());
    Ok(wire::DeliveryPage {
        items: page.into_iter().map(|d| delivery(webhook_id, d)).collect(),
        next_cursor: last.filter(|_| more),
    })
}

fn delivery(webhook_id: &str, delivery: Delivery) -> wire::Delivery {
    wire::Delivery {
        message_id: sign::message_id(&delivery.event_id, webhook_id),
        event_id: delivery.event_id,
        kind: delivery.kind,
        position: delivery.position.to_string(),
        state: delivery.state.as_str().to_owned(),
        attempts: delivery.attempts,
        next_attempt_at: delivery.due_at.map(|at| at.rfc3339()),
        tried_at: delivery.tried_at.map(|at| at.rfc3339()),
        status: delivery.status,
        code: delivery.reason,
        settled_at: delivery.settled_at.map(|at| at.rfc3339()),
    }
}
