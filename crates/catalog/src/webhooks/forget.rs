//! Forgetting endpoints, and what was delivered; and what must not be forgotten yet.

use safelight_model::clock::Micros;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// Removes an endpoint: it is not found and not sent anything any more; `false` if there is none. Its rows are removed
/// by [`prune_deliveries`].
///
/// # Errors
/// What the database says.
pub async fn delete(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    webhook_id: &str,
) -> Result<bool, CatalogError> {
    let removed = tx
        .exec(
            "UPDATE webhooks SET state = 'deleted', fence = fence + 1
              WHERE tenant_id = $1 AND webhook_id = $2 AND state <> 'deleted'",
            values![tenant_id, webhook_id],
        )
        .await?;
    Ok(removed == 1)
}

const UNDELIVERED_SQL: &str = "SELECT w.position, (SELECT MIN(d.position) FROM webhook_deliveries d
         WHERE d.tenant_id = w.tenant_id AND d.webhook_id = w.webhook_id AND d.state = 'pending')
    FROM webhooks w WHERE w.tenant_id = $1 AND w.state = 'enabled'";

/// The lowest position of a tenant's events that an enabled endpoint is still to be sent; `None` if all have everything
/// that there is, or nobody is sent anything.
///
/// # Errors
/// What the database says.
pub async fn held_from(tx: &mut Tx<'_>, tenant_id: &str) -> Result<Option<i64>, CatalogError> {
    let rows = tx.rows(UNDELIVERED_SQL, values![tenant_id]).await?;
    let mut held: Option<i64> = None;
    for row in &rows {
        let next = row.int(0)? + 1;
        let from = row.maybe_int(1)?.map_or(next, |pending| pending.min(next));
        held = Some(held.map_or(from, |h| h.min(from)));
    }
    Ok(held)
}

const SETTLED_SQL: &str =
    "DELETE FROM webhook_deliveries WHERE (tenant_id, webhook_id, position) IN
        (SELECT d.tenant_id, d.webhook_id, d.position FROM webhook_deliveries d
          WHERE d.settled_at IS NOT NULL AND d.settled_at < $1 ORDER BY d.settled_at LIMIT $2)";

/// Forgets deliveries that were settled before `before`, and what is left of an endpoint that was removed, at most
/// `limit` of each; whether that was all.
///
/// # Errors
/// What the database says.
pub async fn prune_deliveries(
    tx: &mut Tx<'_>,
    before: Micros,
    limit: i64,
) -> Result<bool, CatalogError> {
    let most = limit.unsigned_abs();
    let settled = tx.exec(SETTLED_SQL, values![before, limit]).await?;
    let removed = tx
        .row(
            "SELECT tenant_id, webhook_id FROM webhooks WHERE state = 'deleted' LIMIT 1",
            &[],
        )
        .await?;
    let Some(removed) = removed else {
        return Ok(settled < most);
    };
    let (tenant_id, webhook_id) = (removed.text(0)?, removed.text(1)?);
    let left = tx
        .exec(
            "DELETE FROM webhook_deliveries WHERE (tenant_id, webhook_id, position) IN
                    (SELECT d.tenant_id, d.webhook_id, d.position FROM webhook_deliveries d
                      WHERE d.tenant_id = $1 AND d.webhook_id = $2 LIMIT $3)",
            values![&tenant_id, &webhook_id, limit],
        )
        .await?;
    if left < most {
        tx.exec(
            "DELETE FROM webhooks WHERE tenant_id = $1 AND webhook_id = $2 AND state = 'deleted'",
            values![&tenant_id, &webhook_id],
        )
        .await?;
    }
    Ok(false)
}
