//! Reading events in their order.

use safelight_model::clock::Micros;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::{Row, Value};
use crate::values;

/// An event with its place in its tenant's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequenced {
    /// Its place, from 1.
    pub position: i64,
    /// Its id.
    pub event_id: String,
    /// `capture.created`, `asset.state_changed`, …
    pub kind: String,
    /// The tenant.
    pub tenant_id: String,
    /// The owner.
    pub owner_id: String,
    /// The capture: its own, or the one that the asset came with first.
    pub capture_id: Option<String>,
    /// The asset, if it is about one.
    pub asset_id: Option<String>,
    /// States and codes, as a JSON object.
    pub detail: Option<String>,
    /// When it happened, by the clock of whoever recorded it.
    pub at: Micros,
}

/// How far a tenant's order reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The tenant.
    pub tenant_id: String,
    /// The newest position; 0 before the first.
    pub position: i64,
    /// The newest position that was forgotten; 0 if none was. What comes after it is all there.
    pub pruned: i64,
}

pub(super) const COLUMNS: &str =
    "position, event_id, kind, tenant_id, owner_id, capture_id, asset_id, detail, at";

fn read(r: &Row) -> Result<Sequenced, CatalogError> {
    Ok(Sequenced {
        position: r.int(0)?,
        event_id: r.text(1)?,
        kind: r.text(2)?,
        tenant_id: r.text(3)?,
        owner_id: r.text(4)?,
        capture_id: r.maybe_text(5)?,
        asset_id: r.maybe_text(6)?,
        detail: r.maybe_text(7)?,
        at: r.at(8)?,
    })
}

pub(super) fn after_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM events
          WHERE tenant_id = $1 AND position > $2 AND position IS NOT NULL ORDER BY position LIMIT $3"
    )
}

pub(super) fn of_owner_after_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM events
          WHERE tenant_id = $1 AND owner_id = $2 AND position > $3 AND position IS NOT NULL
          ORDER BY position LIMIT $4"
    )
}

/// The next events of a tenant after `position`, at most `limit`.
///
/// # Errors
/// What the database says.
pub async fn after(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    position: i64,
    limit: i64,
) -> Result<Vec<Sequenced>, CatalogError> {
    let rows = tx
        .rows(&after_sql(), values![tenant_id, position, limit])
        .await?;
    rows.iter().map(read).collect()
}

/// The next events of an owner after `position`, at most `limit`.
///
/// # Errors
/// What the database says.
pub async fn of_owner_after(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    owner_id: &str,
    position: i64,
    limit: i64,
) -> Result<Vec<Sequenced>, CatalogError> {
    let rows = tx
        .rows(
            &of_owner_after_sql(),
            values![tenant_id, owner_id, position, limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// How far the order of a tenant reaches.
///
/// # Errors
/// What the database says.
pub async fn head(tx: &mut Tx<'_>, tenant_id: &str) -> Result<Head, CatalogError> {
    let found = heads(tx, &[tenant_id]).await?.pop();
    Ok(found.unwrap_or_else(|| Head {
        tenant_id: tenant_id.to_owned(),
        ..Head::default()
    }))
}

/// How far the orders of these tenants reach; those without an event have none.
///
/// # Errors
/// What the database says.
pub async fn heads(tx: &mut Tx<'_>, tenants: &[&str]) -> Result<Vec<Head>, CatalogError> {
    if tenants.is_empty() {
        return Ok(Vec::new());
    }
    // Filled up to a power of two with its last, so that few distinct statements are prepared.
    let places: Vec<String> = (1..=tenants.len().next_power_of_two())
        .map(|n| format!("${}", n.min(tenants.len())))
        .collect();
    let sql = format!(
        "SELECT tenant_id, position, pruned FROM event_heads WHERE tenant_id IN ({})",
        places.join(", ")
    );
    let tenants: Vec<Value> = tenants.iter().map(|t| Value::from(*t)).collect();
    let rows = tx.rows(&sql, &tenants).await?;
    rows.iter().map(read_head).collect()
}

/// The next tenants that have events after this one, with how far their orders reach.
///
/// # Errors
/// What the database says.
pub async fn tenants(tx: &mut Tx<'_>, after: &str, limit: i64) -> Result<Vec<Head>, CatalogError> {
    let rows = tx
        .rows(
            "SELECT tenant_id, position, pruned FROM event_heads WHERE tenant_id > $1 ORDER BY tenant_id LIMIT $2",
            values![after, limit],
        )
        .await?;
    rows.iter().map(read_head).collect()
}

fn read_head(r: &Row) -> Result<Head, CatalogError> {
    Ok(Head {
        tenant_id: r.text(0)?,
        position: r.int(1)?,
        pruned: r.int(2)?,
    })
}
