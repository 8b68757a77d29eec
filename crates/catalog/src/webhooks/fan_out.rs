//! From events to deliveries.

use super::Endpoint;
use crate::error::CatalogError;
use crate::events;
use crate::transaction::Tx;
use crate::value::Value;
use crate::values;

/// Makes deliveries of the next events of an endpoint that was taken, at most `limit` events, and moves its position
/// behind them, all in one transaction. The endpoint's position since; the same as before if there were none. `None`
/// if the endpoint is another's by now, or was moved: what follows is for its next turn.
///
/// Events that were forgotten before they had their deliveries are passed over: only an endpoint that was
/// disabled for as long as events are kept, or is told to begin before them, can be so late.
///
/// # Errors
/// What the database says; everything is to be taken back then.
pub async fn fan_out(
    tx: &mut Tx<'_>,
    taken: &Endpoint,
    limit: i64,
) -> Result<Option<i64>, CatalogError> {
    let (tenant_id, webhook_id, from) = (&taken.tenant_id, &taken.webhook_id, taken.position);
    let last = tx
        .row(
            "SELECT MAX(position) FROM (SELECT position FROM events
              WHERE tenant_id = $1 AND position > $2 AND position IS NOT NULL ORDER BY position LIMIT $3) AS page",
            values![tenant_id, from, limit],
        )
        .await?;
    let last = last.map_or(Ok(None), |r| r.maybe_int(0))?;
    let Some(to) = last else {
        // Nothing is kept after it: at the head, or all was forgotten.
        let head = events::head(tx, tenant_id).await?.pruned.max(from);
        let moved = head == from || advance(tx, taken, head).await?;
        return Ok(moved.then_some(head));
    };
    if !advance(tx, taken, to).await? {
        return Ok(None);
    }
    let kinds: Vec<&str> = taken
        .kinds
        .as_deref()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let now = tx.now().await?;
    let mut args: Vec<Value> = values![tenant_id, webhook_id, from, to, now].to_vec();
    let wanted = if taken.kinds.is_none() {
        String::new()
    } else {
        let places: Vec<String> = (0..kinds.len()).map(|n| format!("${}", n + 6)).collect();
        args.extend(kinds.iter().map(|kind| Value::from(*kind)));
        format!(" AND e.kind IN ({})", places.join(", "))
    };
    // What is there already is sent again.
    let made = tx
        .exec(
            &format!(
                "INSERT INTO webhook_deliveries (tenant_id, webhook_id, position, event_id, kind, state, attempts, fence, due_at)
                 SELECT e.tenant_id, $2, e.position, e.event_id, e.kind, 'pending', 0, 0, $5 FROM events e
                  WHERE e.tenant_id = $1 AND e.position > $3 AND e.position <= $4 AND e.position IS NOT NULL{wanted}
                 ON CONFLICT (tenant_id, webhook_id, position) DO UPDATE
                    SET state = 'pending', attempts = 0, fence = webhook_deliveries.fence + 1, due_at = excluded.due_at,
                        settled_at = NULL"
            ),
            &args,
        )
        .await?;
    if made > 0 {
        // So that they are found even if whoever made them dies.
        tx.exec(
            "UPDATE webhooks SET next_due = $3 WHERE tenant_id = $1 AND webhook_id = $2",
            values![tenant_id, webhook_id, now],
        )
        .await?;
    }
    Ok(Some(to))
}

async fn advance(tx: &mut Tx<'_>, taken: &Endpoint, to: i64) -> Result<bool, CatalogError> {
    let moved = tx
        .exec(
            "UPDATE webhooks SET position = $5 WHERE tenant_id = $1 AND webhook_id = $2 AND fence = $3 AND position = $4",
            values![
                &taken.tenant_id,
                &taken.webhook_id,
                taken.fence,
                taken.position,
                to
            ],
        )
        .await?;
    Ok(moved == 1)
}
