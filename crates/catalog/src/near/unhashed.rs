//! Pictures that nobody has looked for a hash of, since they were inspected before there were any.

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// A picture without a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unhashed {
    /// The tenant.
    pub tenant_id: String,
    /// The blob.
    pub blob_id: String,
    /// An owner of it; empty if nothing holds it any more.
    pub owner_id: String,
    /// Its kind by content.
    pub mime: Option<String>,
    /// Its columns, upright.
    pub width: Option<i64>,
    /// Its rows, upright.
    pub height: Option<i64>,
}

/// The question, of which SQLite is told the index: it has no reason to think that so few are left.
pub(super) fn question(on_postgres: bool) -> String {
    let by = match on_postgres {
        true => "",
        false => "INDEXED BY blobs_unhashed",
    };
    format!(
        "SELECT b.tenant_id, b.blob_id,
                CASE WHEN b.scope <> '' THEN b.scope
                     ELSE COALESCE((SELECT r.owner_id FROM resources r
                                     WHERE r.tenant_id = b.tenant_id AND r.blob_id = b.blob_id LIMIT 1), '') END,
                b.mime, b.width, b.height
           FROM blobs b {by}
          WHERE b.hash_sought_at IS NULL AND b.picture_hash IS NULL AND b.state = 'live' AND b.verdict = 'clean'
            AND b.width IS NOT NULL
          ORDER BY b.tenant_id, b.blob_id LIMIT $1"
    )
}

/// Live, clean pictures that nobody has looked for a hash of; at most `limit`, and the same ones until
/// [`hash_later`](super::hash_later) says what was found.
///
/// # Errors
/// What the database says.
pub async fn unhashed(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<Unhashed>, CatalogError> {
    let sql = question(tx.is_postgres());
    tx.rows(&sql, values![limit])
        .await?
        .iter()
        .map(|row| {
            Ok(Unhashed {
                tenant_id: row.text(0)?,
                blob_id: row.text(1)?,
                owner_id: row.text(2)?,
                mime: row.maybe_text(3)?,
                width: row.maybe_int(4)?,
                height: row.maybe_int(5)?,
            })
        })
        .collect()
}
