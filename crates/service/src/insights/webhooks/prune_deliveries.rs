//! Forgets what became of deliveries long ago, and what is left of endpoints that were removed.

use safelight_catalog::{CatalogError, webhooks};
use safelight_model::limits;

use crate::context::Context;

/// Deliveries in one transaction.
const ROUND: i64 = 500;

/// Removes them, a round at a time.
///
/// # Errors
/// If the catalog fails.
pub async fn prune_deliveries(context: &Context) -> Result<(), CatalogError> {
    let before = context.now().minus(limits::DELIVERY_RECORD);
    loop {
        let all = context
            .catalog
            .write::<_, CatalogError, _>(move |tx| {
                Box::pin(async move { webhooks::prune_deliveries(tx, before, ROUND).await })
            })
            .await?;
        if all {
            return Ok(());
        }
    }
}
