//! Object stores that were probed, and what each can do.

use safelight_model::clock::Micros;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// What a probe found out about a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreRecord {
    /// What it can do, JSON. The catalog does not look into it.
    pub capabilities: String,
    /// When it was probed.
    pub probed_at: Micros,
}

/// Records what a probe of the store at `store_url` found, in place of what an earlier one did.
///
/// # Errors
/// What the database says.
pub async fn record(
    tx: &mut Tx<'_>,
    store_url: &str,
    found: &StoreRecord,
) -> Result<(), CatalogError> {
    tx.exec(
        "INSERT INTO stores (store_url, capabilities, probed_at) VALUES ($1, $2, $3)
         ON CONFLICT (store_url) DO UPDATE
            SET capabilities = excluded.capabilities, probed_at = excluded.probed_at",
        values![store_url, &found.capabilities, found.probed_at],
    )
    .await?;
    Ok(())
}

/// What was recorded of the store at `store_url`; `None` if it was never probed.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut Tx<'_>, store_url: &str) -> Result<Option<StoreRecord>, CatalogError> {
    let row = tx
        .row(
            "SELECT capabilities, probed_at FROM stores WHERE store_url = $1",
            values![store_url],
        )
        .await?;
    row.map(|r| {
        Ok(StoreRecord {
            capabilities: r.text(0)?,
            probed_at: r.at(1)?,
        })
    })
    .transpose()
}
