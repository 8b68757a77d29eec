//! Gives an endpoint another secret. The one before signs along for a day, so that receivers need not change at the
//! same moment.

use safelight_catalog::{Tx, webhooks};
use safelight_model::clock::Micros;
use safelight_model::limits;

use super::endpoints::WebhookError;

/// Stores the salt of the new secret; the endpoint's id.
///
/// # Errors
/// If there is no such endpoint, or the catalog fails.
pub async fn rotate_secret(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    webhook_id: &str,
    salt: &str,
    now: Micros,
) -> Result<String, WebhookError> {
    let until = now.plus(limits::OLD_SECRET);
    let rotated = webhooks::rotate(tx, tenant_id, webhook_id, salt, until).await?;
    rotated
        .then(|| webhook_id.to_owned())
        .ok_or(WebhookError::NotFound)
}
