//! What happened, as rows: ids and codes, never content.
//!
//! An event is recorded in the transaction of the change that it tells of, and then has no place in
//! any order: transactions become visible in another order than they begin in, so neither ids nor
//! sequences would do. [`sequence`] gives places afterwards, to what is committed, and readers go by
//! these: whoever has seen a position of a tenant never finds an event of that tenant at a lower one
//! later.
//!
//! Positions count per tenant. Every reader belongs to one tenant, a catalog that is split by tenant
//! needs no counter across its parts, and no tenant learns from its numbers how busy others are.

use safelight_model::clock::Micros;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

#[cfg(test)]
mod plans;
mod prune;
mod read;
mod sequence;

pub use prune::{Until, prune};
pub use read::{Head, Sequenced, after, head, heads, of_owner_after, tenants};
pub use sequence::{any_waiting, sequence};

/// An event to be recorded with the change that it tells of.
#[derive(Clone, Debug)]
pub struct FreshEvent<'a> {
    /// The tenant.
    pub tenant_id: &'a str,
    /// Its id.
    pub event_id: &'a str,
    /// `capture.created`, `asset.state_changed`, …
    pub kind: &'a str,
    /// The owner.
    pub owner_id: &'a str,
    /// The asset, if it is about one. The row names the capture that the asset came with first.
    pub asset_id: Option<&'a str>,
    /// States and codes, as a JSON object.
    pub detail: Option<String>,
    /// When.
    pub at: Micros,
}

/// An event as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `capture.created`, `asset.state_changed`, …
    pub kind: String,
    /// States and codes, as JSON.
    pub detail: Option<String>,
    /// When.
    pub at: Micros,
}

/// Records an event, and has the sequencer woken after the commit.
///
/// # Errors
/// What the database says.
pub async fn record(tx: &mut Tx<'_>, event: &FreshEvent<'_>) -> Result<(), CatalogError> {
    tx.exec(
        "INSERT INTO events (tenant_id, event_id, kind, owner_id, capture_id, asset_id, detail, at)
         VALUES ($1, $2, $3, $4, (SELECT capture_id FROM assets WHERE tenant_id = $1 AND asset_id = $5), $5, $6, $7)",
        values![
            event.tenant_id,
            event.event_id,
            event.kind,
            event.owner_id,
            event.asset_id,
            &event.detail,
            event.at
        ],
    )
    .await?;
    tx.ring_recorded();
    Ok(())
}

/// As [`record`], of a capture.
///
/// # Errors
/// What the database says.
pub async fn record_of_capture(
    tx: &mut Tx<'_>,
    event: &FreshEvent<'_>,
    capture_id: &str,
) -> Result<(), CatalogError> {
    tx.exec(
        "INSERT INTO events (tenant_id, event_id, kind, owner_id, capture_id, detail, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        values![
            event.tenant_id,
            event.event_id,
            event.kind,
            event.owner_id,
            capture_id,
            &event.detail,
            event.at
        ],
    )
    .await?;
    tx.ring_recorded();
    Ok(())
}

/// The events of an asset, in the order of their ids. Reads all events of the tenant: for tests.
///
/// # Errors
/// What the database says.
pub async fn of_asset(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    asset_id: &str,
) -> Result<Vec<Event>, CatalogError> {
    let rows = tx
        .rows(
            "SELECT kind, detail, at FROM events WHERE tenant_id = $1 AND asset_id = $2 ORDER BY at, event_id",
            values![tenant_id, asset_id],
        )
        .await?;
    rows.iter()
        .map(|r| {
            Ok(Event {
                kind: r.text(0)?,
                detail: r.maybe_text(1)?,
                at: r.at(2)?,
            })
        })
        .collect()
}
