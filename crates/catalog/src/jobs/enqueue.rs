//! Adding a job.

use safelight_model::clock::Micros;
use safelight_model::cost_class::CostClass;
use safelight_model::job::{JobKind, JobState};
use safelight_model::lane::{self, Lane};

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// A job to be added.
#[derive(Clone, Debug)]
pub struct NewJob<'a> {
    /// Whose it is.
    pub tenant_id: &'a str,
    /// Its id.
    pub job_id: &'a str,
    /// What is to be done.
    pub kind: JobKind,
    /// Where it waits.
    pub lane: Lane,
    /// What it costs.
    pub class: CostClass,
    /// For whom it is done.
    pub owner_id: &'a str,
    /// What it is done to.
    pub subject_id: &'a str,
    /// Of the tenant's jobs that are not dead only one has this key.
    pub unique_key: &'a str,
    /// Whether it goes before what waits beside it, unless something of its tenant does already.
    pub goes_first: bool,
    /// When it becomes due; now if that has passed.
    pub run_at: Micros,
    /// The present moment, as [`Tx::now`] gave it.
    pub now: Micros,
}

/// Adds a job in the caller's transaction and has workers woken after its commit.
/// `false`: a job with this unique key is there already, and nothing was added.
///
/// # Errors
/// What the database says.
pub async fn enqueue(tx: &mut Tx<'_>, job: &NewJob<'_>) -> Result<bool, CatalogError> {
    let due = job.run_at <= job.now;
    let (state, turn, run_at) = if due {
        let turn = turn(
            tx,
            (job.lane.as_str(), job.class.as_str()),
            job.tenant_id,
            job.owner_id,
            job.goes_first,
        )
        .await?;
        (JobState::Queued, turn, job.now)
    } else {
        let turn = if job.goes_first { lane::FIRST_TURN } else { 0 };
        (JobState::Scheduled, turn, job.run_at)
    };
    let added = tx
        .exec(
            "INSERT INTO jobs (tenant_id, job_id, kind, lane, owner_id, subject_id, unique_key, state, turn, \
             run_at, attempts, fence, enqueued_at, updated_at, class) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, $11, $11, $12) \
             ON CONFLICT (tenant_id, unique_key) WHERE state <> 'dead' DO NOTHING",
            values![
                job.tenant_id,
                job.job_id,
                job.kind.as_str(),
                job.lane.as_str(),
                job.owner_id,
                job.subject_id,
                job.unique_key,
                state.as_str(),
                turn,
                run_at,
                job.now,
                job.class.as_str(),
            ],
        )
        .await?
        > 0;
    if added && due {
        tx.ring().await?;
    }
    Ok(added)
}

/// The smallest turn that waits in a lane in a class, but of those that go first, and the largest of an owner's. Not by MIN and MAX: without
/// statistics PostgreSQL would read the whole lane for them.
pub(super) const TURN_SQL: &str = "\
    SELECT (SELECT turn FROM jobs WHERE state = 'queued' AND job_id <> '' AND lane = $1 AND class = $4 \
    AND turn > 0 ORDER BY turn LIMIT 1), \
    (SELECT turn FROM jobs WHERE state = 'queued' AND owner_id <> '' AND lane = $1 AND class = $4 \
    AND tenant_id = $2 AND owner_id = $3 ORDER BY turn DESC LIMIT 1)";
/// Whether something of a tenant goes first there, or is being done that did. Few of all tenants' do.
pub(super) const FIRST_SQL: &str = "\
    SELECT 1 FROM jobs WHERE state = 'queued' AND job_id <> '' AND lane = $1 AND class = $2 \
    AND turn = $4 AND tenant_id = $3 \
    UNION ALL SELECT 1 FROM jobs WHERE state = 'leased' AND lease_until >= 0 AND lane = $1 AND class = $2 \
    AND turn = $4 AND tenant_id = $3 LIMIT 1";

/// The turn for a job of this owner that joins the lane and class now: two looks at the ends of an index, and
/// no row that others wait for. Transactions that overlap may give the same turn twice, which is
/// harmless.
pub(super) async fn turn(
    tx: &mut Tx<'_>,
    (lane, class): (&str, &str),
    tenant_id: &str,
    owner_id: &str,
    goes_first: bool,
) -> Result<i64, CatalogError> {
    if goes_first {
        let args = values![lane, class, tenant_id, lane::FIRST_TURN];
        if tx.row(FIRST_SQL, args).await?.is_none() {
            return Ok(lane::FIRST_TURN);
        }
    }
    let args = values![lane, tenant_id, owner_id, class];
    let row = tx.row(TURN_SQL, args).await?;
    let (lane_turn, owner_last) = match row {
        Some(row) => (row.maybe_int(0)?, row.maybe_int(1)?),
        None => (None, None),
    };
    Ok(lane::next_turn(lane_turn, owner_last))
}
