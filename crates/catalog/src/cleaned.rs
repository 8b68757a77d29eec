//! Cleaned originals: rows beside those of renditions, so that whatever becomes of these by their blob becomes of them.

use safelight_model::clock::Micros;
use safelight_model::codes::Code;
use safelight_model::preset::{CLEANED, CLEANED_VERSION};

use crate::error::CatalogError;
use crate::renditions::{self, Rendition};
use crate::transaction::Tx;
use crate::values;

/// The cleaned original of a blob as it stands, of the present version.
///
/// # Errors
/// What the database says.
pub async fn find(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
) -> Result<Option<Rendition>, CatalogError> {
    let all = renditions::of_blob(tx, tenant_id, blob_id).await?;
    let is_it = |r: &Rendition| r.preset == CLEANED && r.version == i64::from(CLEANED_VERSION);
    Ok(all.into_iter().find(is_it))
}

/// Announces that it will be made, or made again after a failure; one that is there stays. The caller holds the blob.
///
/// # Errors
/// What the database says.
pub async fn expect(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    extension: &str,
    at: Micros,
) -> Result<(), CatalogError> {
    let row = (CLEANED, CLEANED_VERSION, extension);
    renditions::announce(tx, tenant_id, blob_id, row, at).await
}

/// A cleaned original whose bytes are in the store.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Where they are.
    pub object_key: String,
    /// The store's tag for them.
    pub etag: String,
    /// How many they are.
    pub size_bytes: i64,
}

/// Records that it is stored, if it is waited for. The caller holds the blob.
///
/// # Errors
/// What the database says.
pub async fn store(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    stored: &Stored,
    at: Micros,
) -> Result<bool, CatalogError> {
    tx.outdate_mark();
    let changed = tx
        .exec(
            "UPDATE renditions SET state = 'ready', object_key = $5, etag = $6, size_bytes = $7, reason_code = NULL,
                    reason_detail = NULL, updated_at = $8
              WHERE tenant_id = $1 AND blob_id = $2 AND preset = $3 AND version = $4",
            values![
                tenant_id,
                blob_id,
                CLEANED,
                i64::from(CLEANED_VERSION),
                &stored.object_key,
                &stored.etag,
                stored.size_bytes,
                at
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Records that it will not come, and why.
///
/// # Errors
/// What the database says.
pub async fn fail(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    code: Code,
    detail: &str,
    at: Micros,
) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE renditions SET state = 'failed', reason_code = $5, reason_detail = $6, updated_at = $7
              WHERE tenant_id = $1 AND blob_id = $2 AND preset = $3 AND version = $4 AND state = 'pending'",
            values![
                tenant_id,
                blob_id,
                CLEANED,
                i64::from(CLEANED_VERSION),
                code.as_str(),
                detail,
                at
            ],
        )
        .await?;
    Ok(changed == 1)
}
