//! When the store last told of what happens to it.

use safelight_model::clock::Micros;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// Records that events came by this way, unless that was recorded at `recent` or later: one row that all
/// processes share is not to be written for every event.
///
/// # Errors
/// What the database says.
pub async fn heard(
    tx: &mut Tx<'_>,
    way: &str,
    at: Micros,
    recent: Micros,
) -> Result<(), CatalogError> {
    tx.exec(
        "INSERT INTO store_events (way, last_at) VALUES ($1, $2)
         ON CONFLICT (way) DO UPDATE SET last_at = excluded.last_at WHERE store_events.last_at < $3",
        values![way, at, recent],
    )
    .await?;
    Ok(())
}

/// The ways by which events ever came, and when they last did.
///
/// # Errors
/// What the database says.
pub async fn last(tx: &mut Tx<'_>) -> Result<Vec<(String, Micros)>, CatalogError> {
    tx.rows("SELECT way, last_at FROM store_events ORDER BY way", &[])
        .await?
        .iter()
        .map(|r| Ok((r.text(0)?, r.at(1)?)))
        .collect()
}
