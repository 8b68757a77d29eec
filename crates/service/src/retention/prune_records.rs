//! Forgets idempotency records whose time is over.

use safelight_catalog::{CatalogError, idempotency};

use crate::context::Context;

/// Records in one transaction.
const ROUND: i64 = 1_000;

/// Removes all of them, a round at a time; how many.
///
/// # Errors
/// If the catalog fails.
pub async fn prune_records(context: &Context) -> Result<u64, CatalogError> {
    let now = context.now();
    let mut removed = 0;
    loop {
        let round = context
            .catalog
            .write(move |tx| Box::pin(async move { idempotency::prune(tx, now, ROUND).await }))
            .await?;
        removed += round;
        if round < ROUND.unsigned_abs() {
            return Ok(removed);
        }
    }
}
