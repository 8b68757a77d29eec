//! Renditions in other formats than their preset's own, and the clips of motion photos: rows beside those of presets, under names of their own
//! ([`safelight_model::variant::slot`]), so that whatever becomes of these by their blob becomes of them.

use safelight_model::clock::Micros;
use safelight_model::codes::Code;
use safelight_model::preset::Preset;
use safelight_model::variant;

use crate::error::CatalogError;
use crate::renditions::Rendition;
use crate::transaction::Tx;
use crate::{renditions, values};

/// A picture whose AVIF nobody has sought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithoutAvif {
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

/// So many are looked at in one go. In a long backlog those that wait for their `display` are the first, and leave by themselves.
const LOOKED_AT: i64 = 2000;

/// The question, of which SQLite is told the index: it has no reason to think that so few are left.
fn question(on_postgres: bool) -> String {
    let by = match on_postgres {
        true => "",
        false => "INDEXED BY blobs_without_avif",
    };
    format!(
        "SELECT b.tenant_id, b.blob_id,
                CASE WHEN b.scope <> '' THEN b.scope
                     ELSE COALESCE((SELECT r.owner_id FROM resources r
                                     WHERE r.tenant_id = b.tenant_id AND r.blob_id = b.blob_id LIMIT 1), '') END,
                b.mime, b.width, b.height
           FROM (SELECT w.tenant_id, w.blob_id, w.scope, w.mime, w.width, w.height FROM blobs w {by}
                  WHERE w.avif_sought_at IS NULL AND w.state = 'live' AND w.verdict = 'clean' AND w.reason_code IS NULL
                    AND w.width IS NOT NULL
                  ORDER BY w.tenant_id, w.blob_id LIMIT {LOOKED_AT}) b
          WHERE (SELECT COUNT(*) FROM renditions d
                  WHERE d.tenant_id = b.tenant_id AND d.blob_id = b.blob_id AND d.preset = 'display'
                    AND d.state = 'pending') = 0
          ORDER BY b.tenant_id, b.blob_id LIMIT $1"
    )
}

/// Live, clean pictures whose AVIF nobody has sought, and whose `display` is not being made yet: that asks for it itself. At most
/// `limit`, and the same ones until [`avif_sought`] says so.
///
/// # Errors
/// What the database says.
pub async fn without_avif(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<WithoutAvif>, CatalogError> {
    let sql = question(tx.is_postgres());
    tx.rows(&sql, values![limit])
        .await?
        .iter()
        .map(|row| {
            Ok(WithoutAvif {
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

/// Notes that the AVIF of a live blob was sought, whatever came of it, so that it is not asked for again.
///
/// # Errors
/// What the database says.
pub async fn avif_sought(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    at: Micros,
) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE blobs SET avif_sought_at = $3 WHERE tenant_id = $1 AND blob_id = $2 AND state = 'live'",
        values![tenant_id, blob_id, at],
    )
    .await?;
    Ok(())
}

/// An alternative of a blob as it stands, of its present version.
///
/// # Errors
/// What the database says.
pub async fn find(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    alternative: &Preset,
) -> Result<Option<Rendition>, CatalogError> {
    let all = renditions::of_blob(tx, tenant_id, blob_id).await?;
    let (slot, version) = (
        variant::slot(&alternative.label()),
        i64::from(alternative.version),
    );
    let is_it = |r: &Rendition| r.preset == slot && r.version == version;
    Ok(all.into_iter().find(is_it))
}

/// Announces that an alternative will be made, or made again after a failure; one that is there stays. The caller holds the blob.
///
/// # Errors
/// What the database says.
pub async fn expect(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    alternative: &Preset,
    at: Micros,
) -> Result<(), CatalogError> {
    let slot = variant::slot(&alternative.label());
    let row = (slot, alternative.version, alternative.format.extension());
    renditions::announce(tx, tenant_id, blob_id, row, at).await
}

/// Records that an alternative, or another picture that was asked for by its version, will not come, and why. One that is there stays.
/// The caller holds the blob.
///
/// # Errors
/// What the database says.
pub async fn fail(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    alternative: &Preset,
    (code, detail): (Code, &str),
    at: Micros,
) -> Result<(), CatalogError> {
    tx.exec(
        "INSERT INTO renditions (tenant_id, blob_id, preset, version, state, format, reason_code, reason_detail, updated_at)
         VALUES ($1, $2, $3, $4, 'failed', $5, $6, $7, $8)
         ON CONFLICT (tenant_id, blob_id, preset, version) DO UPDATE SET
           state = 'failed', reason_code = excluded.reason_code, reason_detail = excluded.reason_detail,
           updated_at = excluded.updated_at
           WHERE renditions.state <> 'ready'",
        values![
            tenant_id,
            blob_id,
            variant::slot(&alternative.label()),
            i64::from(alternative.version),
            alternative.format.extension(),
            code.as_str(),
            detail,
            at
        ],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::Catalog;
    use crate::explain;

    /// Of 20,000 pictures a fiftieth is without.
    async fn check(catalog: &Catalog) {
        let numbers = explain::numbers(20_000);
        let sql = format!(
            "INSERT INTO blobs (tenant_id, blob_id, scope, object_key, etag, size_bytes, state, verdict, width, avif_sought_at, created_at)
             SELECT 'ten', 'blb' || n, 'own', 'o' || n, 'e', 1, 'live', 'clean', 1, CASE WHEN n % 50 = 0 THEN NULL ELSE 1 END, 0
               FROM {numbers}"
        );
        explain::write(catalog, sql).await;
        // Of one the display is being made.
        let sql = "INSERT INTO renditions (tenant_id, blob_id, preset, version, state, format, updated_at)
                   VALUES ('ten', 'blb50', 'display', 1, 'pending', 'webp', 0), ('ten', 'blb100', 'display', 1, 'failed', 'webp', 0),
                          ('ten', 'blb150', 'large', 1, 'pending', 'jpg', 0)";
        explain::write(catalog, sql).await;
        let mut reader = catalog.reader().await.unwrap();
        let tx = &mut reader.tx();
        let found = without_avif(tx, 1_000).await.unwrap();
        assert_eq!(found.len(), 399);
        assert!(found.iter().all(|picture| picture.blob_id != "blb50"));
        let sql = question(tx.is_postgres());
        let plan = explain::plan(tx, &sql, values![100_i64]).await.unwrap();
        assert!(plan.contains("blobs_without_avif"), "{plan}");
        assert!(
            !plan.contains("Sort") && !plan.contains("TEMP B-TREE"),
            "{plan}"
        );
    }

    #[tokio::test]
    async fn what_is_without_is_found_along_an_index_on_sqlite() {
        let (catalog, _directory) = explain::sqlite().await;
        check(&catalog).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_without_is_found_along_an_index_on_postgres() {
        check(&explain::postgres().await).await;
    }
}
