//! Where a tenant's events are sent, and what becomes of each.
//!
//! An endpoint has a *position* in its tenant's order of events, as every reader of events has. What comes after it
//! becomes rows of deliveries, and the position moves on in the same transaction: nothing is passed over and nothing
//! comes twice, whoever dies. To send again is to move the position back.
//!
//! | what could go wrong | why it does not |
//! |---|---|
//! | two processes work for one endpoint | who works for it has put off `free_at` and raised `fence` by compare-and-set |
//! | one was frozen and comes back | it reports with an old fence, and changes nothing |
//! | one dies after sending and before saying so | it is sent once more: at least once, with the same id |
//! | it is to be sent again while it is being sent | that raises the delivery's own fence |
//! | its events are forgotten before they are sent | pruning asks [`held_from`] first |

use safelight_model::clock::Micros;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::Row;
use crate::values;

mod change;
mod deliveries;
mod fan_out;
mod forget;
#[cfg(test)]
mod plans;
mod turns;

pub use change::{Change, change, replay, replay_from, rotate};
pub use deliveries::{Delivery, DeliveryState, Outcome, Settled, list_deliveries, pending, settle};
pub use fan_out::fan_out;
pub use forget::{delete, held_from, prune_deliveries};
pub use turns::{due, release, take};

/// Whether an endpoint is sent events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// It is.
    Enabled,
    /// It is not; what happens meanwhile is sent when it is enabled again, as far as events are kept.
    Disabled,
}

impl EndpointState {
    /// As it stands in rows and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

/// Why an endpoint is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disabled {
    /// Its owner asked for it.
    Asked,
    /// It answered 410.
    Gone,
    /// It has failed for days.
    Failing,
}

impl Disabled {
    /// As it stands in rows and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The tenant.
    pub tenant_id: String,
    /// Its id.
    pub webhook_id: String,
    /// Where events are posted.
    pub url: String,
    /// Types of events, separated by spaces; all if there is none.
    pub kinds: Option<String>,
    /// In the words of whoever made it.
    pub description: Option<String>,
    /// Of its secret.
    pub salt: String,
    /// Of the secrets before, the newest first, separated by spaces; and until when they still sign.
    pub old: Option<(String, Micros)>,
    /// Whether it is sent events.
    pub state: EndpointState,
    /// Why not.
    pub reason: Option<String>,
    /// Since when not.
    pub disabled_at: Option<Micros>,
    /// When it was made.
    pub created_at: Micros,
    /// All events up to here have their deliveries.
    pub position: i64,
    /// Raised by each who works for it.
    pub fence: i64,
    /// Failures since the last success.
    pub failures: i64,
    /// When the first of them was.
    pub failing_since: Option<Micros>,
}

const COLUMNS: &str = "w.tenant_id, w.webhook_id, w.url, w.kinds, w.description, w.salt, w.old_salt, w.old_until, w.state, \
     w.reason, w.disabled_at, w.created_at, w.position, w.fence, w.failures, w.failing_since";

fn read(r: &Row) -> Result<Endpoint, CatalogError> {
    Ok(Endpoint {
        tenant_id: r.text(0)?,
        webhook_id: r.text(1)?,
        url: r.text(2)?,
        kinds: r.maybe_text(3)?,
        description: r.maybe_text(4)?,
        salt: r.text(5)?,
        old: r.maybe_text(6)?.zip(r.maybe_at(7)?),
        // What a later version may add is not sent anything by this one.
        state: match r.text(8)?.as_str() {
            "enabled" => EndpointState::Enabled,
            _ => EndpointState::Disabled,
        },
        reason: r.maybe_text(9)?,
        disabled_at: r.maybe_at(10)?,
        created_at: r.at(11)?,
        position: r.int(12)?,
        fence: r.int(13)?,
        failures: r.int(14)?,
        failing_since: r.maybe_at(15)?,
    })
}

/// An endpoint to be made.
#[derive(Clone, Debug)]
pub struct FreshEndpoint {
    /// The tenant.
    pub tenant_id: String,
    /// Its id.
    pub webhook_id: String,
    /// Where events are posted.
    pub url: String,
    /// Types of events, separated by spaces; all if there is none.
    pub kinds: Option<String>,
    /// In the words of whoever makes it.
    pub description: Option<String>,
    /// Of its secret.
    pub salt: String,
    /// Now.
    pub at: Micros,
}

/// Makes an endpoint. It is sent what has no place in the order yet, and what comes after.
///
/// # Errors
/// What the database says.
pub async fn insert(tx: &mut Tx<'_>, fresh: &FreshEndpoint) -> Result<(), CatalogError> {
    tx.exec(
        "INSERT INTO webhooks (tenant_id, webhook_id, url, kinds, description, salt, state, created_at, position, free_at,
                               fence, failures)
         VALUES ($1, $2, $3, $4, $5, $6, 'enabled', $7,
                 COALESCE((SELECT h.position FROM event_heads h WHERE h.tenant_id = $1), 0), 0, 0, 0)",
        values![
            &fresh.tenant_id,
            &fresh.webhook_id,
            &fresh.url,
            &fresh.kinds,
            &fresh.description,
            &fresh.salt,
            fresh.at
        ],
    )
    .await?;
    Ok(())
}

/// An endpoint of a tenant.
///
/// # Errors
/// What the database says.
pub async fn find(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    webhook_id: &str,
) -> Result<Option<Endpoint>, CatalogError> {
    let row = tx
        .row(
            &format!("SELECT {COLUMNS} FROM webhooks w WHERE w.tenant_id = $1 AND w.webhook_id = $2 AND w.state <> 'deleted'"),
            values![tenant_id, webhook_id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// All endpoints of a tenant, the oldest first.
///
/// # Errors
/// What the database says.
pub async fn list(tx: &mut Tx<'_>, tenant_id: &str) -> Result<Vec<Endpoint>, CatalogError> {
    let rows = tx
        .rows(
            &format!("SELECT {COLUMNS} FROM webhooks w WHERE w.tenant_id = $1 AND w.state <> 'deleted' ORDER BY w.webhook_id"),
            values![tenant_id],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// How many endpoints are in each state, of all tenants: enabled, enabled but failing, disabled for their failures.
///
/// # Errors
/// What the database says.
pub async fn count(tx: &mut Tx<'_>) -> Result<(i64, i64, i64), CatalogError> {
    let row = tx
        .row(
            "SELECT CAST(COALESCE(SUM(CASE WHEN state = 'enabled' THEN 1 ELSE 0 END), 0) AS BIGINT),
                    CAST(COALESCE(SUM(CASE WHEN state = 'enabled' AND failing_since IS NOT NULL THEN 1 ELSE 0 END), 0) AS BIGINT),
                    CAST(COALESCE(SUM(CASE WHEN state = 'disabled' AND reason <> 'asked' THEN 1 ELSE 0 END), 0) AS BIGINT)
               FROM webhooks",
            &[],
        )
        .await?;
    row.map_or(Ok((0, 0, 0)), |r| Ok((r.int(0)?, r.int(1)?, r.int(2)?)))
}
