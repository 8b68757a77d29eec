//! Has the events since a time sent again.

use safelight_catalog::{Tx, webhooks};
use safelight_model::clock::Micros;

use super::endpoints::WebhookError;

/// The time that a request names.
///
/// # Errors
/// If it is none.
pub fn since(text: &str) -> Result<Micros, WebhookError> {
    Micros::parse_rfc3339(text).ok_or(WebhookError::Since)
}

/// Moves the endpoint's position back; its id.
///
/// # Errors
/// If there is no such endpoint, or the catalog fails.
pub async fn replay(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    webhook_id: &str,
    since: Micros,
) -> Result<String, WebhookError> {
    if webhooks::find(tx, tenant_id, webhook_id).await?.is_none() {
        return Err(WebhookError::NotFound);
    }
    let position = webhooks::replay_from(tx, tenant_id, since).await?;
    // One that has not come so far is sent them anyway.
    webhooks::replay(tx, tenant_id, webhook_id, position).await?;
    Ok(webhook_id.to_owned())
}
