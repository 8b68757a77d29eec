//! Taking jobs, and keeping them.

use std::time::Duration;

use safelight_model::cost_class::CostClass;
use safelight_model::job::JobKind;
use safelight_model::lane::{FIRST_TURN, Lane};

use super::enqueue::turn;
use super::{COLUMN_COUNT, COLUMNS, Job, KNOWN_KINDS, read, skip_locked};
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// Scheduled jobs made due by one call. More than a claim takes, so that promotion keeps up.
const PROMOTED_AT_ONCE: usize = 32;
/// Jobs that one claim takes at most.
const CLAIMED_AT_ONCE: usize = 64;

/// Makes scheduled jobs due whose time has come, the earliest first; how many. Call it before a claim.
///
/// Each joins its lane anew: after what its owner has waiting there, and never before the lane's
/// present turn. So five hundred jobs that come back together after an outage do not pass others. What went first does so again.
///
/// # Errors
/// What the database says.
pub async fn promote(tx: &mut Tx<'_>) -> Result<usize, CatalogError> {
    let now = tx.now().await?;
    let due = tx
        .rows(
            &format!(
                "SELECT tenant_id, job_id, lane, owner_id, class, turn FROM jobs WHERE state = 'scheduled' AND run_at <= $1 \
                 ORDER BY run_at, tenant_id, job_id LIMIT {PROMOTED_AT_ONCE} {}",
                skip_locked(tx)
            ),
            values![now],
        )
        .await?;
    for row in &due {
        let (tenant_id, job_id) = (row.text(0)?, row.text(1)?);
        let (lane, owner_id, class) = (row.text(2)?, row.text(3)?, row.text(4)?);
        let goes_first = row.int(5)? == FIRST_TURN;
        let turn = turn(tx, (&lane, &class), &tenant_id, &owner_id, goes_first).await?;
        tx.exec(
            "UPDATE jobs SET state = 'queued', turn = $3, updated_at = $4 \
             WHERE tenant_id = $1 AND job_id = $2 AND state = 'scheduled'",
            values![tenant_id, job_id, turn, now],
        )
        .await?;
    }
    // Others may be the ones who do them: more workers, or those of another class.
    if !due.is_empty() {
        tx.ring().await?;
    }
    Ok(due.len())
}

/// Leases the next jobs of `lane` that are of `class` to a worker, at most `limit` (and never more than 64), in the
/// order of their turns. Those that another transaction is just taking are passed over.
///
/// # Errors
/// What the database says.
pub async fn claim(
    tx: &mut Tx<'_>,
    lane: Lane,
    class: CostClass,
    worker_id: &str,
    limit: usize,
    lease: Duration,
) -> Result<Vec<Job>, CatalogError> {
    let now = tx.now().await?;
    let sql = claim_sql(limit.min(CLAIMED_AT_ONCE), skip_locked(tx));
    let rows = tx
        .rows(
            &sql,
            values![
                lane.as_str(),
                worker_id,
                now.plus(lease),
                now,
                class.as_str()
            ],
        )
        .await?;
    // Neither database returns them in the order of the subquery.
    let mut jobs = Vec::with_capacity(rows.len());
    for row in &rows {
        jobs.push((row.int(COLUMN_COUNT)?, read(row)?));
    }
    jobs.sort_by(|(a_turn, a), (b_turn, b)| (a_turn, &a.job_id).cmp(&(b_turn, &b.job_id)));
    Ok(jobs.into_iter().map(|(_, job)| job).collect())
}

/// The limit stands in the text, so that the planner knows how little is asked for.
pub(super) fn claim_sql(limit: usize, skip_locked: &str) -> String {
    format!(
        "WITH next (t, j) AS (SELECT tenant_id, job_id FROM jobs \
         WHERE state = 'queued' AND job_id <> '' AND lane = $1 AND class = $5 AND {known} \
         ORDER BY turn, job_id LIMIT {limit} {skip_locked}) \
         UPDATE jobs SET state = 'leased', worker_id = $2, lease_until = $3, fence = fence + 1, \
         attempts = attempts + 1, updated_at = $4 FROM next WHERE tenant_id = t AND job_id = j \
         RETURNING {COLUMNS}, turn",
        known = *KNOWN_KINDS,
    )
}

/// Whether a job of this class waits in the interactive lane.
///
/// # Errors
/// What the database says.
pub async fn is_waited_for(tx: &mut Tx<'_>, class: CostClass) -> Result<bool, CatalogError> {
    let sql = format!("{WAITED_FOR} LIMIT 1");
    let row = tx.row(&sql, values![class.as_str()]).await?;
    Ok(row.is_some())
}

/// What waits in the interactive lane, of the class that is the first argument.
const WAITED_FOR: &str = "SELECT 1 FROM jobs i WHERE i.state = 'queued' AND i.run_at >= 0 \
     AND i.lane = 'interactive' AND i.class = $1";

/// Leases the job of this kind that is done to the subject of `after`, if it waits and nothing of the class of `after` waits in the
/// interactive lane. For who has at hand what the job needs, since he has just done `after`.
///
/// # Errors
/// What the database says.
pub async fn claim_next_of(
    tx: &mut Tx<'_>,
    after: &Job,
    kind: JobKind,
    worker_id: &str,
    lease: Duration,
) -> Result<Option<Job>, CatalogError> {
    let now = tx.now().await?;
    let sql = format!(
        "UPDATE jobs SET state = 'leased', worker_id = $4, lease_until = $5, fence = fence + 1, \
         attempts = attempts + 1, updated_at = $6 \
         WHERE tenant_id = $2 AND subject_id = $3 AND kind = $7 AND state = 'queued' \
         AND NOT EXISTS ({WAITED_FOR}) RETURNING {COLUMNS}"
    );
    let args = values![
        after.class.as_str(),
        &after.tenant_id,
        &after.subject_id,
        worker_id,
        now.plus(lease),
        now,
        kind.as_str()
    ];
    tx.row(&sql, args).await?.as_ref().map(read).transpose()
}

/// Holds on to the lease that `job` was claimed with until the end of the transaction, for what is told before the job is done.
/// `false`: it is not ours any more, and nothing must be changed.
///
/// # Errors
/// What the database says.
pub async fn hold(tx: &mut Tx<'_>, job: &Job) -> Result<bool, CatalogError> {
    let held = tx
        .exec(
            "UPDATE jobs SET fence = fence \
             WHERE tenant_id = $1 AND job_id = $2 AND state = 'leased' AND fence = $3",
            values![&job.tenant_id, &job.job_id, job.fence],
        )
        .await?;
    Ok(held > 0)
}

/// Renews the lease that `job` was claimed with. `false`: it is not ours any more.
///
/// A lease that is over but was given to nobody else is renewed too. Renew each in a transaction of
/// its own: it may have to wait for the row.
///
/// # Errors
/// What the database says.
pub async fn heartbeat(tx: &mut Tx<'_>, job: &Job, lease: Duration) -> Result<bool, CatalogError> {
    let now = tx.now().await?;
    let renewed = tx
        .exec(
            "UPDATE jobs SET lease_until = $4 \
             WHERE tenant_id = $1 AND job_id = $2 AND state = 'leased' AND fence = $3",
            values![&job.tenant_id, &job.job_id, job.fence, now.plus(lease)],
        )
        .await?;
    Ok(renewed > 0)
}
