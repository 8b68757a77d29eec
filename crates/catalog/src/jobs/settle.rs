//! Ending a lease, by whoever holds it.

use std::time::Duration;

use safelight_model::codes::Code;
use safelight_model::cost_class::CostClass;

use super::Job;
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::Value;
use crate::values;

/// Longest error detail kept, in characters.
const MAX_DETAIL: usize = 500;

/// The job is done: its row goes. Call it first in the transaction that writes the results, and take
/// everything back when it answers `false`: then the job was given to somebody else meanwhile.
///
/// # Errors
/// What the database says.
pub async fn finish(tx: &mut Tx<'_>, job: &Job) -> Result<bool, CatalogError> {
    let gone = tx
        .exec(
            "DELETE FROM jobs WHERE tenant_id = $1 AND job_id = $2 AND state = 'leased' AND fence = $3",
            values![&job.tenant_id, &job.job_id, job.fence],
        )
        .await?;
    Ok(gone > 0)
}

/// The attempt failed: again `after` a while.
///
/// # Errors
/// What the database says.
pub async fn retry(
    tx: &mut Tx<'_>,
    job: &Job,
    after: Duration,
    code: Code,
    detail: &str,
) -> Result<bool, CatalogError> {
    let run_at = tx.now().await?.plus(after);
    let set = "state = 'scheduled', run_at = $5, error_code = $6, error_detail = $7";
    end(
        tx,
        job,
        set,
        values![run_at, code.as_str(), shortened(detail)],
    )
    .await
}

/// Again `after` a while, and this was no attempt.
///
/// # Errors
/// What the database says.
pub async fn snooze(tx: &mut Tx<'_>, job: &Job, after: Duration) -> Result<bool, CatalogError> {
    let run_at = tx.now().await?.plus(after);
    let ended = end(
        tx,
        job,
        "state = 'scheduled', run_at = $5, attempts = attempts - 1",
        values![run_at],
    )
    .await?;
    if ended && after.is_zero() {
        tx.ring().await?;
    }
    Ok(ended)
}

/// It costs more than was expected: at once again, among those of this class, and this was no attempt.
///
/// # Errors
/// What the database says.
pub async fn reclass(tx: &mut Tx<'_>, job: &Job, class: CostClass) -> Result<bool, CatalogError> {
    let run_at = tx.now().await?;
    let set = "state = 'scheduled', run_at = $5, attempts = attempts - 1, class = $6";
    let ended = end(tx, job, set, values![run_at, class.as_str()]).await?;
    if ended {
        tx.ring().await?;
    }
    Ok(ended)
}

/// The job has failed for good: its row stays, with the reason.
///
/// # Errors
/// What the database says.
pub async fn bury(
    tx: &mut Tx<'_>,
    job: &Job,
    code: Code,
    detail: &str,
) -> Result<bool, CatalogError> {
    let set = "state = 'dead', error_code = $5, error_detail = $6";
    end(tx, job, set, values![code.as_str(), shortened(detail)]).await
}

/// Writes down what processor time an attempt took that did not end its job well, before its end is written. What is done has
/// no row. Changes nothing where the job was given to somebody else.
///
/// # Errors
/// What the database says.
pub async fn spent(tx: &mut Tx<'_>, job: &Job, cpu_us: i64) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE jobs SET cpu_us = cpu_us + $4 \
         WHERE tenant_id = $1 AND job_id = $2 AND state = 'leased' AND fence = $3",
        values![&job.tenant_id, &job.job_id, job.fence, cpu_us],
    )
    .await
    .map(|_| ())
}

async fn end(tx: &mut Tx<'_>, job: &Job, set: &str, more: &[Value]) -> Result<bool, CatalogError> {
    let now = tx.now().await?;
    let mut args = values![&job.tenant_id, &job.job_id, job.fence, now].to_vec();
    args.extend_from_slice(more);
    let sql = format!(
        "UPDATE jobs SET {set}, worker_id = NULL, lease_until = NULL, updated_at = $4 \
         WHERE tenant_id = $1 AND job_id = $2 AND state = 'leased' AND fence = $3"
    );
    Ok(tx.exec(&sql, &args).await? > 0)
}

fn shortened(detail: &str) -> String {
    // PostgreSQL's TEXT takes no NUL.
    detail
        .chars()
        .filter(|c| *c != '\0')
        .take(MAX_DETAIL)
        .collect()
}
