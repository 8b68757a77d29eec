//! Turns: who works for an endpoint, and until when.

use safelight_model::clock::Micros;

use super::{COLUMNS, Endpoint, read};
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

pub(super) const DUE: &str = "FROM webhooks w LEFT JOIN event_heads h ON h.tenant_id = w.tenant_id
          WHERE w.state = 'enabled' AND w.free_at <= $1 AND (w.next_due <= $1 OR w.position < h.position)
          ORDER BY w.free_at, w.tenant_id, w.webhook_id LIMIT $2";

/// Endpoints that nobody works for and that have something to be sent, at most `limit`; those first that have waited
/// for longest.
///
/// # Errors
/// What the database says.
pub async fn due(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<Endpoint>, CatalogError> {
    let now = tx.now().await?;
    let sql = format!("SELECT {COLUMNS} {DUE}");
    let rows = tx.rows(&sql, values![now, limit]).await?;
    rows.iter().map(read).collect()
}

/// Takes an endpoint, as [`due`] gave it, for so many microseconds; as it is now, or `None` if another was quicker.
///
/// # Errors
/// What the database says.
pub async fn take(
    tx: &mut Tx<'_>,
    endpoint: &Endpoint,
    lease: std::time::Duration,
) -> Result<Option<Endpoint>, CatalogError> {
    let now = tx.now().await?;
    let sql = format!(
        "UPDATE webhooks SET free_at = $4, fence = fence + 1
          WHERE tenant_id = $1 AND webhook_id = $2 AND fence = $3 AND free_at <= $5 AND state = 'enabled'
         RETURNING {}",
        // SQLite knows no alias there.
        COLUMNS.replace("w.", "")
    );
    let row = tx
        .row(
            &sql,
            values![
                &endpoint.tenant_id,
                &endpoint.webhook_id,
                endpoint.fence,
                now.plus(lease),
                now
            ],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Ends a turn: nobody works for the endpoint for `rest` from now on, and then whoever finds that it has something to
/// be sent. `false` if another has taken it meanwhile.
///
/// # Errors
/// What the database says.
pub async fn release(
    tx: &mut Tx<'_>,
    taken: &Endpoint,
    rest: std::time::Duration,
) -> Result<bool, CatalogError> {
    let free_at: Micros = tx.now().await?.plus(rest);
    let changed = tx
        .exec(
            "UPDATE webhooks SET free_at = $4,
                    next_due = (SELECT MIN(d.due_at) FROM webhook_deliveries d
                                 WHERE d.tenant_id = $1 AND d.webhook_id = $2 AND d.state = 'pending')
              WHERE tenant_id = $1 AND webhook_id = $2 AND fence = $3",
            values![&taken.tenant_id, &taken.webhook_id, taken.fence, free_at],
        )
        .await?;
    Ok(changed == 1)
}
