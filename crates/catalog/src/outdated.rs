//! Pictures and clips of a tenant, and which pictures are not there by the versions of presets that are gone by now.

use safelight_model::preset::Preset;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// A picture, and what there is of it by one or two presets; or a clip, of which there is nothing by them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
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
    /// How many of them are there.
    pub ready: i64,
    /// How many of them can never be made, since the picture is damaged.
    pub failed: i64,
}

const QUESTION: &str = "SELECT b.blob_id,
            CASE WHEN b.scope <> '' THEN b.scope
                 ELSE COALESCE((SELECT r.owner_id FROM resources r
                                 WHERE r.tenant_id = b.tenant_id AND r.blob_id = b.blob_id LIMIT 1), '') END,
            b.mime, b.width, b.height,
            (SELECT COUNT(*) FROM renditions d WHERE d.tenant_id = b.tenant_id AND d.blob_id = b.blob_id AND d.state = 'ready'
                AND ((d.preset = $3 AND d.version = $4) OR (d.preset = $5 AND d.version = $6))),
            (SELECT COUNT(*) FROM renditions d WHERE d.tenant_id = b.tenant_id AND d.blob_id = b.blob_id AND d.state = 'failed'
                AND d.reason_code = 'media_corrupt' AND ((d.preset = $3 AND d.version = $4) OR (d.preset = $5 AND d.version = $6)))
       FROM blobs b
      WHERE b.tenant_id = $1 AND b.blob_id > $2 AND b.state = 'live' AND b.verdict = 'clean' AND b.reason_code IS NULL
        AND b.width IS NOT NULL
      ORDER BY b.blob_id LIMIT $7";

/// Live, clean pictures and clips of a tenant after the id `after`, by id, at most `limit`, with what there is of each by these
/// presets, of which one may be given twice.
///
/// # Errors
/// What the database says.
pub async fn page(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    after: &str,
    [one, other]: &[Preset; 2],
    limit: i64,
) -> Result<Vec<Picture>, CatalogError> {
    let values = values![
        tenant_id,
        after,
        one.name,
        i64::from(one.version),
        other.name,
        i64::from(other.version),
        limit
    ];
    tx.rows(QUESTION, values)
        .await?
        .iter()
        .map(|row| {
            Ok(Picture {
                blob_id: row.text(0)?,
                owner_id: row.text(1)?,
                mime: row.maybe_text(2)?,
                width: row.maybe_int(3)?,
                height: row.maybe_int(4)?,
                ready: row.int(5)?,
                failed: row.int(6)?,
            })
        })
        .collect()
}
