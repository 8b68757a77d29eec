//! Pictures that nobody has looked for a hash of, or measured, since they were inspected before that was done.

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// A picture without a hash, or without scores.
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

/// What a picture is to be given later.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lacking {
    Hash,
    Scores,
}

/// The question, of which SQLite is told the index: it has no reason to think that so few are left.
pub(super) fn question(lacking: Lacking, on_postgres: bool) -> String {
    let (index, condition) = match lacking {
        Lacking::Hash => (
            "blobs_unhashed",
            "b.hash_sought_at IS NULL AND b.picture_hash IS NULL",
        ),
        Lacking::Scores => ("blobs_unscored", "b.scores_sought_at IS NULL"),
    };
    let by = match on_postgres {
        true => String::new(),
        false => format!("INDEXED BY {index}"),
    };
    format!(
        "SELECT b.tenant_id, b.blob_id,
                CASE WHEN b.scope <> '' THEN b.scope
                     ELSE COALESCE((SELECT r.owner_id FROM resources r
                                     WHERE r.tenant_id = b.tenant_id AND r.blob_id = b.blob_id LIMIT 1), '') END,
                b.mime, b.width, b.height
           FROM blobs b {by}
          WHERE {condition} AND b.state = 'live' AND b.verdict = 'clean' AND b.width IS NOT NULL
          ORDER BY b.tenant_id, b.blob_id LIMIT $1"
    )
}

/// Live, clean pictures that nobody has looked for a hash of; at most `limit`, and the same ones until
/// [`hash_later`](super::hash_later) says what was found.
///
/// # Errors
/// What the database says.
pub async fn unhashed(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<Unhashed>, CatalogError> {
    lacking(tx, Lacking::Hash, limit).await
}

/// Live, clean pictures that nobody has measured; at most `limit`, and the same ones until
/// [`score`](crate::best_frames::score) says what came of it.
///
/// # Errors
/// What the database says.
pub async fn unscored(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<Unhashed>, CatalogError> {
    lacking(tx, Lacking::Scores, limit).await
}

async fn lacking(
    tx: &mut Tx<'_>,
    lacking: Lacking,
    limit: i64,
) -> Result<Vec<Unhashed>, CatalogError> {
    let sql = question(lacking, tx.is_postgres());
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
