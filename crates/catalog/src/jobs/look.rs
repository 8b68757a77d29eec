//! What stands in the queue.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use safelight_model::clock::Micros;
use safelight_model::cost_class::CostClass;
use safelight_model::job::{JobKind, JobState};
use safelight_model::lane::{Lane, Waiting};

use super::{COLUMN_COUNT, COLUMNS, Job, KNOWN_KINDS, NewJob, class, enqueue, kind, lane, read};
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::Value;
use crate::values;

/// What there is to do of one class, by three looks at the ends of indexes.
#[derive(Clone, Copy, Debug)]
pub struct Outlook {
    /// The moment it was taken.
    pub now: Micros,
    /// Every lane and its longest waiting job.
    pub waiting: [Waiting; 3],
    /// When the next scheduled job becomes due, or became.
    pub next_run_at: Option<Micros>,
}

impl Outlook {
    /// Whether a claim may find something.
    #[must_use]
    pub fn has_work(&self) -> bool {
        Lane::ALL.into_iter().any(|lane| self.may_have(lane))
    }

    /// Whether a claim in this lane may find something: what waits there, or what has become due and may be there then.
    #[must_use]
    pub fn may_have(&self, lane: Lane) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|w| w.lane == lane && w.oldest_due.is_some())
            || self.next_run_at.is_some_and(|at| at <= self.now)
    }
}

/// What there is to do of this class. Scheduled jobs are those of every class: whoever looks makes them due.
///
/// # Errors
/// What the database says.
pub async fn outlook(tx: &mut Tx<'_>, class: CostClass) -> Result<Outlook, CatalogError> {
    let now = tx.now().await?;
    let row = tx.row(&outlook_sql(class), &[]).await?;
    let at = |i: usize| row.as_ref().map_or(Ok(None), |r| r.maybe_at(i));
    let [first, second, third] = Lane::ALL;
    Ok(Outlook {
        now,
        waiting: [
            Waiting {
                lane: first,
                oldest_due: at(0)?,
            },
            Waiting {
                lane: second,
                oldest_due: at(1)?,
            },
            Waiting {
                lane: third,
                oldest_due: at(2)?,
            },
        ],
        next_run_at: at(3)?,
    })
}

pub(super) fn outlook_sql(class: CostClass) -> String {
    let oldest = Lane::ALL.map(|lane| {
        format!(
            "(SELECT run_at FROM jobs WHERE state = 'queued' AND run_at >= 0 AND lane = '{}' \
             AND class = '{}' ORDER BY run_at LIMIT 1)",
            lane.as_str(),
            class.as_str()
        )
    });
    let next = "(SELECT run_at FROM jobs WHERE state = 'scheduled' ORDER BY run_at LIMIT 1)";
    format!("SELECT {}, {next}", oldest.join(", "))
}

/// Whether a worker has a job of one of these kinds that is done to `subject_id`.
///
/// # Errors
/// What the database says.
pub async fn is_leased(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    subject_id: &str,
    kinds: &[JobKind],
) -> Result<bool, CatalogError> {
    let kinds: Vec<String> = kinds.iter().map(|k| format!("'{}'", k.as_str())).collect();
    let sql = format!(
        "SELECT job_id FROM jobs
          WHERE tenant_id = $1 AND subject_id = $2 AND state = 'leased' AND kind IN ({}) LIMIT 1",
        kinds.join(", ")
    );
    Ok(tx
        .row(&sql, values![tenant_id, subject_id])
        .await?
        .is_some())
}

/// Whether the job of this unique key is to be done, or is being done.
///
/// # Errors
/// What the database says.
pub async fn is_live(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    unique_key: &str,
) -> Result<bool, CatalogError> {
    let sql =
        "SELECT job_id FROM jobs WHERE tenant_id = $1 AND unique_key = $2 AND state <> 'dead'";
    let found = tx.row(sql, values![tenant_id, unique_key]).await?;
    Ok(found.is_some())
}

/// Which of these unique keys are those of jobs that are to be done, or are being done.
///
/// # Errors
/// What the database says.
pub async fn live_among(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    unique_keys: &[String],
) -> Result<BTreeSet<String>, CatalogError> {
    let mut live = BTreeSet::new();
    // So many at a time that few distinct statements are prepared, and none is too long.
    for keys in unique_keys.chunks(KEYS_AT_ONCE) {
        let last = keys.last().map_or("", String::as_str);
        let padded = keys
            .iter()
            .map(String::as_str)
            .chain(std::iter::repeat(last));
        let mut values = vec![Value::from(tenant_id)];
        values.extend(padded.take(KEYS_AT_ONCE).map(Value::from));
        for row in tx.rows(&LIVE_AMONG, &values).await? {
            live.insert(row.text(0)?);
        }
    }
    Ok(live)
}

const KEYS_AT_ONCE: usize = 64;
static LIVE_AMONG: LazyLock<String> = LazyLock::new(|| {
    let places: Vec<String> = (2..KEYS_AT_ONCE + 2).map(|n| format!("${n}")).collect();
    format!(
        "SELECT unique_key FROM jobs WHERE tenant_id = $1 AND state <> 'dead' AND unique_key IN ({})",
        places.join(", ")
    )
});

/// One job and where it stands, if it is there: done jobs are not.
///
/// # Errors
/// What the database says.
pub async fn find(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    job_id: &str,
) -> Result<Option<(Job, JobState)>, CatalogError> {
    let sql = format!("SELECT {COLUMNS}, state FROM jobs WHERE tenant_id = $1 AND job_id = $2");
    let Some(row) = tx.row(&sql, values![tenant_id, job_id]).await? else {
        return Ok(None);
    };
    Ok(Some((read(&row)?, state(row.text(COLUMN_COUNT)?)?)))
}

/// Dead jobs of a tenant after the id `after`, by id, at most `limit`.
///
/// # Errors
/// What the database says.
pub async fn dead(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Job>, CatalogError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM jobs WHERE state = 'dead' AND tenant_id = $1 AND job_id > $2 AND {known} \
         ORDER BY job_id LIMIT {limit}",
        known = *KNOWN_KINDS,
    );
    tx.rows(&sql, values![tenant_id, after.unwrap_or_default()])
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Gives a dead job all its attempts again. `false`: there is no such dead job, or meanwhile a
/// living one does the same work; then the dead one goes.
///
/// # Errors
/// What the database says.
pub async fn revive(tx: &mut Tx<'_>, tenant_id: &str, job_id: &str) -> Result<bool, CatalogError> {
    let now = tx.now().await?;
    let row = tx
        .row(
            "DELETE FROM jobs WHERE tenant_id = $1 AND job_id = $2 AND state = 'dead' \
             RETURNING kind, lane, owner_id, subject_id, unique_key, fence, class",
            values![tenant_id, job_id],
        )
        .await?;
    let Some(row) = row else { return Ok(false) };
    let job = NewJob {
        tenant_id,
        job_id,
        kind: kind(row.text(0)?)?,
        lane: lane(row.text(1)?)?,
        class: class(&row.text(6)?),
        owner_id: &row.text(2)?,
        subject_id: &row.text(3)?,
        unique_key: &row.text(4)?,
        goes_first: false,
        run_at: now,
        now,
    };
    if !enqueue(tx, &job).await? {
        return Ok(false);
    }
    // The numbering goes on: an old lease of this job must never match a new one.
    tx.exec(
        "UPDATE jobs SET fence = $3 WHERE tenant_id = $1 AND job_id = $2",
        values![tenant_id, job_id, row.int(5)?],
    )
    .await?;
    Ok(true)
}

/// How many jobs stand in a lane and state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// The lane.
    pub lane: Lane,
    /// What they cost.
    pub class: CostClass,
    /// The state.
    pub state: JobState,
    /// How many.
    pub jobs: i64,
    /// When the first of them became due, or will.
    pub oldest: Micros,
}

/// How many jobs stand where. Reads all of them: for metrics, not for decisions.
///
/// # Errors
/// What the database says.
pub async fn depth(tx: &mut Tx<'_>) -> Result<Vec<Depth>, CatalogError> {
    let rows = tx
        .rows(
            "SELECT lane, class, state, COUNT(*), MIN(run_at) FROM jobs
              GROUP BY lane, class, state ORDER BY lane, class, state",
            &[],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Depth {
                lane: lane(row.text(0)?)?,
                class: class(&row.text(1)?),
                state: state(row.text(2)?)?,
                jobs: row.int(3)?,
                oldest: row.at(4)?,
            })
        })
        .collect()
}

fn state(text: String) -> Result<JobState, CatalogError> {
    JobState::parse(&text).ok_or(CatalogError::Unknown {
        column: "jobs.state",
        value: text,
    })
}
