//! Removals that were given up: jobs that purge a doomed blob, and whose attempts are spent. Its bytes are still in the store, and
//! nothing tries again by itself.

use safelight_model::clock::Micros;
use safelight_model::job::JobKind;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::Row;
use crate::values;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRemoval {
    /// Whose it is.
    pub tenant_id: String,
    /// The job, which [`crate::jobs::revive`] has tried again.
    pub job_id: String,
    /// The blob that is to go.
    pub blob_id: String,
    /// Its original's key; its renditions are to go too.
    pub object_key: String,
    /// The original's size.
    pub size_bytes: i64,
    /// How often it was tried.
    pub attempts: i64,
    /// Why the last try failed: a code.
    pub error_code: Option<String>,
    /// What is known of that besides.
    pub error_detail: Option<String>,
    /// When it was given up.
    pub failed_at: Micros,
}

fn read(r: &Row) -> Result<FailedRemoval, CatalogError> {
    Ok(FailedRemoval {
        tenant_id: r.text(0)?,
        job_id: r.text(1)?,
        blob_id: r.text(2)?,
        object_key: r.text(3)?,
        size_bytes: r.int(4)?,
        attempts: r.int(5)?,
        error_code: r.maybe_text(6)?,
        error_detail: r.maybe_text(7)?,
        failed_at: r.at(8)?,
    })
}

/// Those that are still to be done, and that no living job does.
const FROM: &str = "FROM jobs j JOIN blobs b ON b.tenant_id = j.tenant_id AND b.blob_id = j.subject_id
     WHERE j.state = 'dead' AND j.kind = $1 AND b.state = 'doomed'
       AND NOT EXISTS (SELECT 1 FROM jobs o WHERE o.tenant_id = j.tenant_id AND o.unique_key = j.unique_key AND o.state <> 'dead')";

/// Failed removals of all tenants behind `after`, by tenant and job, at most `limit`.
///
/// # Errors
/// What the database says.
pub async fn list(
    tx: &mut Tx<'_>,
    after: Option<&FailedRemoval>,
    limit: i64,
) -> Result<Vec<FailedRemoval>, CatalogError> {
    let (tenant_id, job_id) = after.map_or(("", ""), |f| (f.tenant_id.as_str(), f.job_id.as_str()));
    let sql = format!(
        "SELECT j.tenant_id, j.job_id, b.blob_id, b.object_key, b.size_bytes, j.attempts, j.error_code, j.error_detail, j.updated_at
           {FROM} AND (j.tenant_id, j.job_id) > ($2, $3) ORDER BY j.tenant_id, j.job_id LIMIT $4"
    );
    let purge = JobKind::Purge.as_str();
    tx.rows(&sql, values![purge, tenant_id, job_id, limit])
        .await?
        .iter()
        .map(read)
        .collect()
}

/// How many there are.
///
/// # Errors
/// What the database says.
pub async fn count(tx: &mut Tx<'_>) -> Result<i64, CatalogError> {
    let sql = format!("SELECT COUNT(*) {FROM}");
    let row = tx.row(&sql, values![JobKind::Purge.as_str()]).await?;
    row.map_or(Ok(0), |r| r.int(0))
}
