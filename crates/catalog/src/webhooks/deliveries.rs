//! Deliveries: what is to be sent, and what became of it.

use safelight_model::clock::Micros;

use super::{Disabled, Endpoint};
use crate::error::CatalogError;
use crate::events::{self, Sequenced};
use crate::transaction::Tx;
use crate::value::Row;
use crate::values;

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is to be sent.
    Pending,
    /// The receiver has it.
    Delivered,
    /// It was given up.
    Failed,
}

impl DeliveryState {
    /// As it stands in rows and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Failed]
            .into_iter()
            .find(|s| s.as_str() == text)
    }
}

/// One event on its way to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The event's position.
    pub position: i64,
    /// The event.
    pub event_id: String,
    /// The event's type.
    pub kind: String,
    /// What became of it.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: i64,
    /// Raised when it is to be sent again.
    pub fence: i64,
    /// When it is tried next.
    pub due_at: Option<Micros>,
    /// When it was tried last.
    pub tried_at: Option<Micros>,
    /// The HTTP status of the last try.
    pub status: Option<i64>,
    /// Why the last try failed.
    pub reason: Option<String>,
    /// When it was delivered or given up.
    pub settled_at: Option<Micros>,
}

const COLUMNS: &str = "d.position, d.event_id, d.kind, d.state, d.attempts, d.fence, d.due_at, d.tried_at, d.status, d.reason, \
     d.settled_at";

fn read(r: &Row) -> Result<Delivery, CatalogError> {
    Ok(Delivery {
        position: r.int(0)?,
        event_id: r.text(1)?,
        kind: r.text(2)?,
        state: DeliveryState::parse(&r.text(3)?).unwrap_or(DeliveryState::Failed),
        attempts: r.int(4)?,
        fence: r.int(5)?,
        due_at: r.maybe_at(6)?,
        tried_at: r.maybe_at(7)?,
        status: r.maybe_int(8)?,
        reason: r.maybe_text(9)?,
        settled_at: r.maybe_at(10)?,
    })
}

/// What is due of an endpoint, in the order of the events, at most `limit`; with each its event, unless that was
/// forgotten.
///
/// # Errors
/// What the database says.
pub async fn pending(
    tx: &mut Tx<'_>,
    taken: &Endpoint,
    limit: i64,
) -> Result<Vec<(Delivery, Option<Sequenced>)>, CatalogError> {
    let now = tx.now().await?;
    let sql = format!(
        "SELECT {COLUMNS} FROM webhook_deliveries d
          WHERE d.tenant_id = $1 AND d.webhook_id = $2 AND d.state = 'pending' AND d.due_at <= $3
          ORDER BY d.position LIMIT $4"
    );
    let rows = tx
        .rows(
            &sql,
            values![&taken.tenant_id, &taken.webhook_id, now, limit],
        )
        .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let delivery = read(row)?;
        let event = events::after(tx, &taken.tenant_id, delivery.position - 1, 1).await?;
        let event = event.into_iter().find(|e| e.position == delivery.position);
        found.push((delivery, event));
    }
    Ok(found)
}

/// What became of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered,
    /// It is to be tried again after this time.
    Again(std::time::Duration),
    /// It was tried for the last time.
    GivenUp,
    /// Its event was forgotten before it was sent: it is given up, and that says nothing about the endpoint.
    Forgotten,
}

/// What became of one try, in full.
#[derive(Clone, Debug)]
pub struct Settled {
    /// What became of it.
    pub outcome: Outcome,
    /// The HTTP status.
    pub status: Option<i64>,
    /// Why it failed.
    pub reason: Option<&'static str>,
    /// The endpoint is to be sent nothing any more.
    pub disable: Option<Disabled>,
}

/// Writes down what became of a try. `None` if the endpoint is another's by now, and nothing was changed; else
/// the endpoint's failures since its last success.
///
/// # Errors
/// What the database says.
pub async fn settle(
    tx: &mut Tx<'_>,
    taken: &Endpoint,
    delivery: &Delivery,
    settled: &Settled,
) -> Result<Option<i64>, CatalogError> {
    let now = tx.now().await?;
    let (tenant_id, webhook_id) = (&taken.tenant_id, &taken.webhook_id);
    let (failures, since) = match settled.outcome {
        Outcome::Delivered => ("0", "NULL"),
        Outcome::Again(_) | Outcome::GivenUp => ("failures + 1", "COALESCE(failing_since, $4)"),
        Outcome::Forgotten => ("failures", "failing_since"),
    };
    let sql = format!(
        "UPDATE webhooks SET failures = {failures}, failing_since = {since}
          WHERE tenant_id = $1 AND webhook_id = $2 AND fence = $3 AND $4 IS NOT NULL RETURNING failures"
    );
    let row = tx
        .row(&sql, values![tenant_id, webhook_id, taken.fence, now])
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let failures = row.int(0)?;
    let (state, due_at) = match settled.outcome {
        Outcome::Delivered => (DeliveryState::Delivered, None),
        Outcome::Again(after) => (DeliveryState::Pending, Some(now.plus(after))),
        Outcome::GivenUp | Outcome::Forgotten => (DeliveryState::Failed, None),
    };
    tx.exec(
        "UPDATE webhook_deliveries
            SET state = $5, attempts = attempts + 1, due_at = $6, tried_at = $7, status = $8, reason = $9, settled_at = $10
          WHERE tenant_id = $1 AND webhook_id = $2 AND position = $3 AND fence = $4 AND state = 'pending'",
        values![
            tenant_id,
            webhook_id,
            delivery.position,
            delivery.fence,
            state.as_str(),
            due_at,
            now,
            settled.status,
            settled.reason,
            due_at.is_none().then_some(now)
        ],
    )
    .await?;
    if let Some(why) = settled.disable {
        tx.exec(
            "UPDATE webhooks SET state = 'disabled', reason = $4, disabled_at = $5
              WHERE tenant_id = $1 AND webhook_id = $2 AND fence = $3 AND state = 'enabled'",
            values![tenant_id, webhook_id, taken.fence, why.as_str(), now],
        )
        .await?;
    }
    Ok(Some(failures))
}

/// Deliveries to an endpoint, the newest events first: those before the position `before`, in this state if one is
/// named.
///
/// # Errors
/// What the database says.
pub async fn list_deliveries(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    webhook_id: &str,
    state: Option<DeliveryState>,
    before: i64,
    limit: i64,
) -> Result<Vec<Delivery>, CatalogError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM webhook_deliveries d
          WHERE d.tenant_id = $1 AND d.webhook_id = $2 AND d.position < $3 AND (d.state = $4 OR $4 IS NULL)
          ORDER BY d.position DESC LIMIT $5"
    );
    let state = state.map(DeliveryState::as_str);
    let rows = tx
        .rows(&sql, values![tenant_id, webhook_id, before, state, limit])
        .await?;
    rows.iter().map(read).collect()
}
