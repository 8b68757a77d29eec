//! The mark that the catalog also leaves in the store.
//!
//! It is raised here first and then in the store. So the store's can only be ahead where this catalog is an older one than
//! the one that left it: restored from a backup, it does not know what came after.

use safelight_model::clock::Micros;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// The mark as the catalog has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogMark {
    /// Which catalog this is.
    pub catalog_id: String,
    /// How often it was raised.
    pub mark: i64,
    /// When it was raised last.
    pub marked_at: Micros,
    /// Why nothing is removed until an operator confirms.
    pub doubt: Option<String>,
}

/// The mark; `None` before the first one.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut Tx<'_>) -> Result<Option<CatalogMark>, CatalogError> {
    let row = tx
        .row(
            "SELECT catalog_id, mark, marked_at, doubt FROM catalog_mark WHERE name = 'catalog'",
            &[],
        )
        .await?;
    row.map(|r| {
        Ok(CatalogMark {
            catalog_id: r.text(0)?,
            mark: r.int(1)?,
            marked_at: r.at(2)?,
            doubt: r.maybe_text(3)?,
        })
    })
    .transpose()
}

/// Gives the catalog its name, unless it has one.
///
/// # Errors
/// What the database says.
pub async fn name(tx: &mut Tx<'_>, catalog_id: &str) -> Result<(), CatalogError> {
    tx.exec(
        "INSERT INTO catalog_mark (name, catalog_id, mark, marked_at) VALUES ('catalog', $1, 0, 0) ON CONFLICT DO NOTHING",
        values![catalog_id],
    )
    .await?;
    Ok(())
}

/// Raises the mark if it was last raised at `before` or earlier, and there is no doubt; the mark then.
///
/// # Errors
/// What the database says.
pub async fn raise(
    tx: &mut Tx<'_>,
    now: Micros,
    before: Micros,
) -> Result<Option<i64>, CatalogError> {
    tx.row(
        "UPDATE catalog_mark SET mark = mark + 1, marked_at = $1
          WHERE name = 'catalog' AND marked_at <= $2 AND doubt IS NULL RETURNING mark",
        values![now, before],
    )
    .await?
    .map(|r| r.int(0))
    .transpose()
}

/// Records why this catalog is not to be trusted about what is nobody's. `false` if there is doubt already.
///
/// # Errors
/// What the database says.
pub async fn doubt(tx: &mut Tx<'_>, why: &str) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE catalog_mark SET doubt = $1 WHERE name = 'catalog' AND doubt IS NULL",
            values![why],
        )
        .await?;
    Ok(changed == 1)
}

/// An operator confirms that this catalog is the one that counts: its mark goes on from `mark`, and what was found
/// orphaned before is found anew, so that all of the grace passes from now on.
///
/// # Errors
/// What the database says.
pub async fn trust(tx: &mut Tx<'_>, mark: i64, now: Micros) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE catalog_mark SET mark = CASE WHEN mark < $1 THEN $1 ELSE mark END, marked_at = $2, doubt = NULL
          WHERE name = 'catalog'",
        values![mark, now],
    )
    .await?;
    tx.exec("UPDATE sweep_findings SET first_seen_at = $1", values![now])
        .await?;
    Ok(())
}
