//! Jobs whose worker went silent.

use safelight_model::clock::Micros;
use safelight_model::codes::Code;

use super::{COLUMNS, Job, KNOWN_KINDS, read};
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// What became of a job whose lease was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rescue {
    /// Nothing: its worker reported after all, or another was faster.
    Untouched,
    /// It is due again; the attempt counts.
    Requeued,
    /// It was its last attempt: it is dead.
    Buried,
}

/// What is kept as the error of a job that dies by [`rescue`].
pub const LOST_DETAIL: &str = "its workers went silent, every time";

/// Jobs whose lease is over, the longest first. Changes nothing: hand each to [`rescue`], in a
/// transaction of its own, so that one that cannot be rescued does not hold up the others.
///
/// # Errors
/// What the database says.
pub async fn expired(tx: &mut Tx<'_>, limit: usize) -> Result<Vec<Job>, CatalogError> {
    let now = tx.now().await?;
    let sql = format!(
        "SELECT {COLUMNS} FROM jobs WHERE state = 'leased' AND lease_until <= $1 AND {known} \
         ORDER BY lease_until LIMIT {limit}",
        known = *KNOWN_KINDS,
    );
    tx.rows(&sql, values![now])
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Gives `job` to the next worker if its lease is still over, or buries it after its last attempt.
///
/// # Errors
/// What the database says.
pub async fn rescue(tx: &mut Tx<'_>, job: &Job) -> Result<Rescue, CatalogError> {
    let now = tx.now().await?;
    if job.attempts >= job.kind.max_attempts() {
        let set = "state = 'dead', error_code = $5, error_detail = $6";
        let buried = end(tx, job, now, set).await?;
        return Ok(if buried {
            Rescue::Buried
        } else {
            Rescue::Untouched
        });
    }
    let set = "state = 'scheduled', run_at = $4, error_code = $5, error_detail = $6";
    if !end(tx, job, now, set).await? {
        return Ok(Rescue::Untouched);
    }
    tx.ring().await?;
    Ok(Rescue::Requeued)
}

async fn end(tx: &mut Tx<'_>, job: &Job, now: Micros, set: &str) -> Result<bool, CatalogError> {
    let sql = format!(
        "UPDATE jobs SET {set}, worker_id = NULL, lease_until = NULL, updated_at = $4 \
         WHERE tenant_id = $1 AND job_id = $2 AND state = 'leased' AND fence = $3 AND lease_until <= $4"
    );
    let args = values![
        &job.tenant_id,
        &job.job_id,
        job.fence,
        now,
        Code::Internal.as_str(),
        LOST_DETAIL
    ];
    Ok(tx.exec(&sql, args).await? > 0)
}
