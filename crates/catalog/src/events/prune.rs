//! Forgetting old events.

use safelight_model::clock::Micros;

use super::read::{Head, after};
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;
use crate::webhooks;

/// Until when events are forgotten.
#[derive(Clone, Copy, Debug)]
pub struct Until {
    /// Those that happened before, if everybody who is to be sent them has them.
    pub sent: Micros,
    /// Those that happened before, whoever has them.
    pub all: Micros,
}

/// Forgets the oldest events of a tenant, at most `limit`, and never one before its elders: what is kept has no gaps.
/// How many; fewer than `limit` if that was all.
///
/// # Errors
/// What the database says; [`CatalogError::Contended`] if another prunes the same tenant. Everything is
/// to be taken back then.
pub async fn prune(
    tx: &mut Tx<'_>,
    head: &Head,
    until: Until,
    limit: i64,
) -> Result<u64, CatalogError> {
    let oldest = after(tx, &head.tenant_id, head.pruned, limit).await?;
    if oldest.first().is_none_or(|e| e.at >= until.sent) {
        return Ok(0);
    }
    let held = webhooks::held_from(tx, &head.tenant_id).await?;
    let is_over = |position: i64, at: Micros| {
        at < until.sent && (at < until.all || held.is_none_or(|held| position < held))
    };
    let over = oldest.iter().take_while(|e| is_over(e.position, e.at));
    let Some(last) = over.last() else {
        return Ok(0);
    };
    let moved = tx
        .exec(
            "UPDATE event_heads SET pruned = $2 WHERE tenant_id = $1 AND pruned = $3",
            values![&head.tenant_id, last.position, head.pruned],
        )
        .await?;
    if moved != 1 {
        return Err(CatalogError::Contended(sqlx::Error::RowNotFound));
    }
    tx.exec(
        "DELETE FROM events WHERE tenant_id = $1 AND position > $2 AND position <= $3 AND position IS NOT NULL",
        values![&head.tenant_id, head.pruned, last.position],
    )
    .await
}
