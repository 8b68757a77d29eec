//! What a blob's bytes tell of how, when and where they were taken: JSON that nobody asks anything of here.
//!
//! A row belongs to the bytes, not to an asset: whoever holds the blob has the same bytes. It is written as the tenant's
//! policy has it, goes with the bytes, and loses what is private when the policy no longer keeps that ([`forget_private`]).

use std::collections::BTreeMap;

use safelight_model::clock::Micros;

use crate::error::CatalogError;
use crate::live_halves::{self, LiveHalf};
use crate::transaction::Tx;
use crate::value::Value;
use crate::values;

#[cfg(test)]
mod plans;

/// What is kept of a file's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// What every policy keeps.
    pub harmless: String,
    /// The rest; `None` where there is none, or it is not kept.
    pub private: Option<String>,
}

/// Writes what was read of a blob.
pub(crate) async fn write(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    kept: &Kept,
    at: Micros,
) -> Result<(), CatalogError> {
    tx.exec(
        "INSERT INTO blob_metadata (tenant_id, blob_id, harmless, private, read_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, blob_id) DO UPDATE SET
           harmless = excluded.harmless, private = excluded.private, read_at = excluded.read_at",
        values![tenant_id, blob_id, &kept.harmless, &kept.private, at],
    )
    .await?;
    Ok(())
}

/// Notes what is in a live blob that was inspected before metadata was read, and which half of a Live Photo it is, or that nothing
/// was found, so that nobody looks again. `false` if it was looked at meanwhile, or is no longer live.
///
/// # Errors
/// What the database says.
pub async fn write_later(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    kept: Option<&Kept>,
    half: Option<&LiveHalf>,
    at: Micros,
) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE blobs SET metadata_sought_at = $3
              WHERE tenant_id = $1 AND blob_id = $2 AND state = 'live' AND metadata_sought_at IS NULL",
            values![tenant_id, blob_id, at],
        )
        .await?;
    if changed == 1
        && let Some(kept) = kept
    {
        write(tx, tenant_id, blob_id, kept, at).await?;
    }
    if changed == 1
        && let Some(half) = half
    {
        live_halves::note_later(tx, tenant_id, blob_id, half).await?;
    }
    Ok(changed == 1)
}

/// What is kept of these blobs, by blob.
///
/// # Errors
/// What the database says.
pub async fn of_blobs(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_ids: &[&str],
) -> Result<BTreeMap<String, Kept>, CatalogError> {
    let mut found = BTreeMap::new();
    if blob_ids.is_empty() {
        return Ok(found);
    }
    // Filled up to a power of two with its last, so that few distinct statements are prepared.
    let places: Vec<String> = (1..=blob_ids.len().next_power_of_two())
        .map(|n| format!("${}", n.min(blob_ids.len()) + 1))
        .collect();
    let mut values = vec![Value::from(tenant_id)];
    values.extend(blob_ids.iter().map(|id| Value::from(*id)));
    let sql = format!(
        "SELECT blob_id, harmless, private FROM blob_metadata WHERE tenant_id = $1 AND blob_id IN ({})",
        places.join(", ")
    );
    for row in tx.rows(&sql, &values).await? {
        let kept = Kept {
            harmless: row.text(1)?,
            private: row.maybe_text(2)?,
        };
        found.insert(row.text(0)?, kept);
    }
    Ok(found)
}

/// Whose private metadata a policy does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    /// That of these tenants.
    Of(&'a [&'a str]),
    /// That of all tenants but these.
    OfAllBut(&'a [&'a str]),
}

/// The question for blobs whose private metadata is to be forgotten, of which SQLite is told the index.
fn forgotten(whose: Whose<'_>, on_postgres: bool) -> (String, Vec<Value>) {
    let by = match on_postgres {
        true => "",
        false => " INDEXED BY blob_metadata_private",
    };
    let (is, tenants) = match whose {
        Whose::Of(tenants) => ("IN", tenants),
        Whose::OfAllBut(tenants) => ("NOT IN", tenants),
    };
    // No tenant has so empty an id, and no list may be empty.
    let mut values = vec![Value::from("")];
    values.extend(tenants.iter().map(|id| Value::from(*id)));
    let places: Vec<String> = (1..=values.len()).map(|n| format!("${n}")).collect();
    let sql = format!(
        "SELECT tenant_id, blob_id FROM blob_metadata{by}
          WHERE private IS NOT NULL AND tenant_id {is} ({})
          ORDER BY tenant_id, blob_id LIMIT ${}",
        places.join(", "),
        values.len() + 1
    );
    (sql, values)
}

/// Forgets what was told of bytes that are gone: a version that knows nothing of metadata leaves it; of how many it was.
///
/// # Errors
/// What the database says.
pub async fn forget_gone(tx: &mut Tx<'_>) -> Result<u64, CatalogError> {
    tx.exec(
        "DELETE FROM blob_metadata WHERE EXISTS (SELECT 1 FROM blobs b
          WHERE b.tenant_id = blob_metadata.tenant_id AND b.blob_id = blob_metadata.blob_id AND b.state = 'gone')",
        values![],
    )
    .await
}

/// Forgets what is private of at most `limit` blobs whose tenant's policy does not keep it; of how many it was.
///
/// # Errors
/// What the database says.
pub async fn forget_private(
    tx: &mut Tx<'_>,
    whose: Whose<'_>,
    limit: i64,
) -> Result<usize, CatalogError> {
    let (sql, mut values) = forgotten(whose, tx.is_postgres());
    values.push(limit.into());
    let found = tx.rows(&sql, &values).await?;
    for row in &found {
        tx.exec(
            "UPDATE blob_metadata SET private = NULL WHERE tenant_id = $1 AND blob_id = $2",
            values![row.text(0)?, row.text(1)?],
        )
        .await?;
    }
    Ok(found.len())
}

/// A blob that nobody has looked for metadata in, since it was inspected before that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The tenant.
    pub tenant_id: String,
    /// The blob.
    pub blob_id: String,
    /// An owner of it; empty if nothing holds it any more.
    pub owner_id: String,
    /// What it is by content.
    pub mime: String,
    /// How large it is.
    pub size_bytes: i64,
}

/// The question, of which SQLite is told the index: it has no reason to think that so few are left.
fn question(on_postgres: bool) -> String {
    let by = match on_postgres {
        true => "",
        false => "INDEXED BY blobs_unread",
    };
    format!(
        "SELECT b.tenant_id, b.blob_id,
                CASE WHEN b.scope <> '' THEN b.scope
                     ELSE COALESCE((SELECT r.owner_id FROM resources r
                                     WHERE r.tenant_id = b.tenant_id AND r.blob_id = b.blob_id LIMIT 1), '') END,
                b.mime, b.size_bytes
           FROM blobs b {by}
          WHERE b.metadata_sought_at IS NULL AND b.state = 'live' AND b.verdict = 'clean' AND b.mime IS NOT NULL
          ORDER BY b.tenant_id, b.blob_id LIMIT $1"
    )
}

/// Live, clean blobs that nobody has looked for metadata in; at most `limit`, and the same ones until [`write_later`] says what
/// was found.
///
/// # Errors
/// What the database says.
pub async fn unread(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<Unread>, CatalogError> {
    let sql = question(tx.is_postgres());
    tx.rows(&sql, values![limit])
        .await?
        .iter()
        .map(|row| {
            Ok(Unread {
                tenant_id: row.text(0)?,
                blob_id: row.text(1)?,
                owner_id: row.text(2)?,
                mime: row.text(3)?,
                size_bytes: row.int(4)?,
            })
        })
        .collect()
}
