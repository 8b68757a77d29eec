//! What happened, as rows: ids and codes, never content.

use safelight_model::clock::Micros;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

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
    /// The asset, if it is about one.
    pub asset_id: Option<&'a str>,
    /// States and codes, as JSON.
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

/// Records an event.
///
/// # Errors
/// What the database says.
pub async fn record(tx: &mut Tx<'_>, event: &FreshEvent<'_>) -> Result<(), CatalogError> {
    tx.exec(
        "INSERT INTO events (tenant_id, event_id, kind, owner_id, asset_id, detail, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
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
    Ok(())
}

/// The events of an asset, in the order of their ids.
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
