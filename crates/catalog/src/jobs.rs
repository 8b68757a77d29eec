//! Jobs: rows that wait in a lane, are leased to a worker, and end.
//!
//! | state | what leads out of it |
//! |---|---|
//! | `scheduled` | its time comes: [`promote`] gives it a turn and makes it `queued` |
//! | `queued` | [`claim`] |
//! | `leased` | [`finish`], [`retry`], [`snooze`], [`bury`]; or its lease ends: [`rescue`] |
//! | `dead` | [`revive`] |
//!
//! Scheduled jobs stand apart so that a claim is the first entries of one index, however many jobs
//! wait for a later time. Whoever changes a leased job names the fence of his lease; where the row
//! has another by now, nothing changes and the answer is `false`.

use std::sync::LazyLock;

use safelight_model::clock::Micros;
use safelight_model::cost_class::CostClass;
use safelight_model::job::JobKind;
use safelight_model::lane::Lane;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::Row;

mod claim;
mod enqueue;
mod look;
#[cfg(test)]
mod plans;
mod rescue;
mod settle;

pub use claim::{claim, claim_next_of, heartbeat, hold, is_waited_for, promote};
pub use enqueue::{NewJob, enqueue};
pub use look::{
    Depth, Outlook, dead, depth, find, is_leased, is_live, live_among, outlook, revive,
};
pub use rescue::{LOST_DETAIL, Rescue, expired, rescue};
pub use settle::{bury, finish, reclass, retry, snooze, spent};

/// A job as it stands in its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Whose it is.
    pub tenant_id: String,
    /// Its id.
    pub job_id: String,
    /// What is to be done.
    pub kind: JobKind,
    /// Where it waits.
    pub lane: Lane,
    /// What it costs: which workers do it.
    pub class: CostClass,
    /// For whom it is done; owners share a lane fairly.
    pub owner_id: String,
    /// What it is done to.
    pub subject_id: String,
    /// When it became due, or will.
    pub run_at: Micros,
    /// Leases given for it so far, without those that ended in a snooze.
    pub attempts: i64,
    /// The number of its latest lease.
    pub fence: i64,
    /// When it was asked for.
    pub enqueued_at: Micros,
    /// When it was last changed: for a job just claimed, when.
    pub updated_at: Micros,
    /// Processor time that decoding took in its attempts so far, in microseconds, as far as it was counted.
    pub cpu_us: i64,
    /// The code of its latest failure.
    pub error_code: Option<String>,
    /// What is known of its latest failure.
    pub error_detail: Option<String>,
}

const COLUMNS: &str = "tenant_id, job_id, kind, lane, owner_id, subject_id, run_at, attempts, fence, \
     enqueued_at, updated_at, error_code, error_detail, class, cpu_us";
/// How many these are.
const COLUMN_COUNT: usize = 15;

/// Narrows a query to the kinds that this version knows: a newer version beside it may have added some.
static KNOWN_KINDS: LazyLock<String> = LazyLock::new(|| {
    let kinds: Vec<String> = JobKind::ALL
        .iter()
        .map(|kind| format!("'{}'", kind.as_str()))
        .collect();
    format!("kind IN ({})", kinds.join(", "))
});

fn read(row: &Row) -> Result<Job, CatalogError> {
    Ok(Job {
        tenant_id: row.text(0)?,
        job_id: row.text(1)?,
        kind: kind(row.text(2)?)?,
        lane: lane(row.text(3)?)?,
        owner_id: row.text(4)?,
        subject_id: row.text(5)?,
        run_at: row.at(6)?,
        attempts: row.int(7)?,
        fence: row.int(8)?,
        enqueued_at: row.at(9)?,
        updated_at: row.at(10)?,
        error_code: row.maybe_text(11)?,
        error_detail: row.maybe_text(12)?,
        class: class(&row.text(13)?),
        cpu_us: row.int(14)?,
    })
}

fn kind(text: String) -> Result<JobKind, CatalogError> {
    JobKind::parse(&text).ok_or(CatalogError::Unknown {
        column: "jobs.kind",
        value: text,
    })
}

fn lane(text: String) -> Result<Lane, CatalogError> {
    Lane::parse(&text).ok_or(CatalogError::Unknown {
        column: "jobs.lane",
        value: text,
    })
}

/// What only a newer version knows is nothing light.
fn class(text: &str) -> CostClass {
    CostClass::parse(text).unwrap_or(CostClass::Heavy)
}

/// Leaves the rows alone that another transaction holds. SQLite has one writer, and no need for it.
fn skip_locked(tx: &Tx<'_>) -> &'static str {
    if tx.is_postgres() {
        "FOR UPDATE SKIP LOCKED"
    } else {
        ""
    }
}
