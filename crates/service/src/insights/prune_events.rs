//! Forgets events whose retention is over. What a webhook is still to be sent is kept for longer, within a limit.

use safelight_catalog::events::{self, Head, Until};
use safelight_catalog::{Catalog, CatalogError};
use safelight_model::limits;

use crate::context::Context;

/// Events in one transaction.
const ROUND: i64 = 500;
/// Tenants looked up at once.
const TENANTS: i64 = 100;

/// Removes the old events of all tenants, a round at a time; how many.
///
/// # Errors
/// If the catalog fails.
pub async fn prune_events(context: &Context) -> Result<u64, CatalogError> {
    let sent = context.now().minus(context.settings.event_retention);
    let all = sent.minus(limits::UNDELIVERED);
    let until = Until { sent, all };
    let (mut removed, mut from) = (0, String::new());
    loop {
        let mut reader = context.catalog.reader().await?;
        let heads = events::tenants(&mut reader.tx(), &from, TENANTS).await?;
        drop(reader);
        let Some(last) = heads.last() else {
            return Ok(removed);
        };
        from.clone_from(&last.tenant_id);
        for head in heads {
            removed += prune_tenant(&context.catalog, head, until).await?;
        }
    }
}

async fn prune_tenant(
    catalog: &Catalog,
    mut head: Head,
    until: Until,
) -> Result<u64, CatalogError> {
    let mut removed = 0;
    loop {
        let from = head.clone();
        let round = catalog
            .write::<_, CatalogError, _>(move |tx| {
                Box::pin(async move {
                    let round = events::prune(tx, &from, until, ROUND).await?;
                    Ok((round, events::head(tx, &from.tenant_id).await?))
                })
            })
            .await;
        match round {
            Ok((round, now)) => {
                removed += round;
                head = now;
                if round < ROUND.unsigned_abs() {
                    return Ok(removed);
                }
            }
            // Another janitor is at this tenant.
            Err(error) if error.is_contended() => return Ok(removed),
            Err(error) => return Err(error),
        }
    }
}
