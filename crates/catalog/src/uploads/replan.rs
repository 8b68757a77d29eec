//! Another plan for an upload that is not finished.

use safelight_model::plan::Transport;

use super::Upload;
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// What changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replan {
    /// How the bytes travel.
    pub transport: Transport,
    /// Size of a part.
    pub part_size_bytes: i64,
    /// Parts at once.
    pub concurrency: i64,
    /// What the plan says besides numbers, JSON.
    pub advice: Option<String>,
}

/// Plans an open upload anew, as it was read. `false` when it is no longer open, or no longer as it was read, or when
/// transport or part size would change although a URL was given out or a byte was taken: read it again then.
///
/// # Errors
/// What the database says.
pub async fn replan(tx: &mut Tx<'_>, upload: &Upload, to: &Replan) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE uploads SET transport = $5, part_size_bytes = $6, concurrency = $7, advice = $8
              WHERE tenant_id = $1 AND upload_id = $2 AND state = 'open' AND transport = $3 AND part_size_bytes = $4
                AND ((transport = $5 AND part_size_bytes = $6) OR (store_upload_id IS NULL AND signed_until = 0))",
            values![
                &upload.tenant_id,
                &upload.upload_id,
                upload.transport.as_str(),
                upload.part_size_bytes,
                to.transport.as_str(),
                to.part_size_bytes,
                to.concurrency,
                &to.advice
            ],
        )
        .await?;
    Ok(changed == 1)
}
