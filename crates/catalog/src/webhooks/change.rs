//! Changes to an endpoint that its tenant asks for.

use safelight_model::clock::Micros;

use super::{Disabled, Endpoint, EndpointState, find};
use crate::error::CatalogError;
use crate::events;
use crate::transaction::Tx;
use crate::values;

/// How far the times of events may be out of the order of their positions: clocks differ, and an event is timed before
/// its transaction ends.
const DISORDER: std::time::Duration = std::time::Duration::from_secs(120);

/// What is to be changed of an endpoint; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Where events are posted.
    pub url: Option<String>,
    /// Types of events: `Some(None)` for all.
    pub kinds: Option<Option<String>>,
    /// `Some(None)` for none.
    pub description: Option<Option<String>>,
    /// Whether it is sent events.
    pub enabled: Option<bool>,
}

/// Changes an endpoint; `false` if there is none. One that is enabled is tried at once: what was learned of its
/// failures is forgotten, as it is with another URL.
///
/// # Errors
/// What the database says.
pub async fn change(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    webhook_id: &str,
    change: &Change,
    at: Micros,
) -> Result<bool, CatalogError> {
    // Who changes the same endpoint waits here, and builds on this.
    tx.exec(
        "UPDATE webhooks SET created_at = created_at WHERE tenant_id = $1 AND webhook_id = $2",
        values![tenant_id, webhook_id],
    )
    .await?;
    let Some(now) = find(tx, tenant_id, webhook_id).await? else {
        return Ok(false);
    };
    let url = change.url.as_ref().unwrap_or(&now.url);
    let (state, reason, disabled_at) = match change.enabled {
        Some(true) => (EndpointState::Enabled, None, None),
        // The first reason stays.
        Some(false) if now.state == EndpointState::Enabled => (
            EndpointState::Disabled,
            Some(Disabled::Asked.as_str().to_owned()),
            Some(at),
        ),
        _ => (now.state, now.reason.clone(), now.disabled_at),
    };
    tx.exec(
        "UPDATE webhooks SET url = $3, kinds = $4, description = $5, state = $6, reason = $7, disabled_at = $8
          WHERE tenant_id = $1 AND webhook_id = $2",
        values![
            tenant_id,
            webhook_id,
            url,
            change.kinds.as_ref().unwrap_or(&now.kinds),
            change.description.as_ref().unwrap_or(&now.description),
            state.as_str(),
            reason,
            disabled_at
        ],
    )
    .await?;
    // Who is at work goes by what the endpoint wanted when he began.
    let wants_other = change.kinds.as_ref().is_some_and(|k| *k != now.kinds);
    if *url != now.url || now.state != state || wants_other {
        begin_anew(tx, &now).await?;
    }
    tx.ring_sequenced().await?;
    Ok(true)
}

/// Whoever works for the endpoint does so in vain from now on.
async fn begin_anew(tx: &mut Tx<'_>, endpoint: &Endpoint) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE webhooks SET free_at = 0, fence = fence + 1, failures = 0, failing_since = NULL,
                next_due = (SELECT MIN(d.due_at) FROM webhook_deliveries d
                             WHERE d.tenant_id = $1 AND d.webhook_id = $2 AND d.state = 'pending')
          WHERE tenant_id = $1 AND webhook_id = $2",
        values![&endpoint.tenant_id, &endpoint.webhook_id],
    )
    .await?;
    Ok(())
}

/// Secrets of one endpoint that sign along at most.
const OLD_SECRETS: usize = 3;

/// Gives an endpoint another secret; the one before still signs until `old_until`, and so does what still signed along
/// until now, so that who was never shown the secret in between is not cut off. `false` if there is no such endpoint.
/// Whoever works for it, and knows the old secret only, does so in vain from now on.
///
/// # Errors
/// What the database says.
pub async fn rotate(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    webhook_id: &str,
    salt: &str,
    old_until: Micros,
) -> Result<bool, CatalogError> {
    // Who changes the same endpoint waits here, and builds on this.
    tx.exec(
        "UPDATE webhooks SET created_at = created_at WHERE tenant_id = $1 AND webhook_id = $2",
        values![tenant_id, webhook_id],
    )
    .await?;
    let Some(found) = find(tx, tenant_id, webhook_id).await? else {
        return Ok(false);
    };
    let now = tx.now().await?;
    let still = found.old.filter(|(_, until)| *until > now);
    let mut old = vec![found.salt.as_str()];
    if let Some((salts, _)) = &still {
        old.extend(salts.split(' ').take(OLD_SECRETS - 1));
    }
    let changed = tx
        .exec(
            "UPDATE webhooks SET old_salt = $5, old_until = $4, salt = $3, free_at = 0, fence = fence + 1
              WHERE tenant_id = $1 AND webhook_id = $2 AND state <> 'deleted'",
            values![tenant_id, webhook_id, salt, old_until, old.join(" ")],
        )
        .await?;
    Ok(changed == 1)
}

/// The position before the first event of a tenant that happened at `since` or later; that of the head if there is none.
///
/// Found by halving: times follow positions but for [`DISORDER`], so what is older than that by more is skipped.
///
/// # Errors
/// What the database says.
pub async fn replay_from(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    since: Micros,
) -> Result<i64, CatalogError> {
    let head = events::head(tx, tenant_id).await?;
    let long_before = since.minus(DISORDER);
    // All at or before `low` are older than that; what is after `high` is not looked at.
    let (mut low, mut high) = (head.pruned, head.position);
    while low < high {
        let middle = low + (high - low) / 2;
        let next = events::after(tx, tenant_id, middle, 1).await?;
        match next.first() {
            Some(event) if event.at < long_before => low = event.position,
            _ => high = middle,
        }
    }
    let first = tx
        .row(
            "SELECT position FROM events
              WHERE tenant_id = $1 AND position > $2 AND position IS NOT NULL AND at >= $3 ORDER BY position LIMIT 1",
            values![tenant_id, low, since],
        )
        .await?;
    first.map_or(Ok(head.position), |r| Ok(r.int(0)? - 1))
}

/// Has all events after `position` sent again that an endpoint was sent already; `false` if there are none, or no
/// such endpoint. One that rests after failures is tried at once: whoever asks for this has mended it.
///
/// # Errors
/// What the database says.
pub async fn replay(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    webhook_id: &str,
    position: i64,
) -> Result<bool, CatalogError> {
    let moved = tx
        .exec(
            "UPDATE webhooks SET position = $3,
                    free_at = CASE WHEN failures > 0 THEN 0 ELSE free_at END,
                    fence = CASE WHEN failures > 0 THEN fence + 1 ELSE fence END
              WHERE tenant_id = $1 AND webhook_id = $2 AND position > $3 AND state <> 'deleted'",
            values![tenant_id, webhook_id, position],
        )
        .await?;
    tx.ring_sequenced().await?;
    Ok(moved == 1)
}
