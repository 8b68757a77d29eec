//! The end of an upload whose bytes its owner has already.

use safelight_model::clock::Micros;

use super::Upload;
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// Ends an open upload since the asset `into` has its bytes, and has the janitor remove what had arrived from `look_at`
/// on. `false` when it was not open in the version that was read.
///
/// # Errors
/// What the database says.
pub async fn merge(
    tx: &mut Tx<'_>,
    upload: &Upload,
    into: &str,
    look_at: Micros,
) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE uploads SET state = 'aborted', merged_into = $4, version = version + 1, look_at = $5, looks = 0
              WHERE tenant_id = $1 AND upload_id = $2 AND version = $3 AND state = 'open'",
            values![&upload.tenant_id, &upload.upload_id, upload.version, into, look_at],
        )
        .await?;
    Ok(changed == 1)
}
