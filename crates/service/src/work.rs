//! What does a job, and how it answers: shared by the stages that do jobs and the queue that gives
//! them out.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use safelight_catalog::jobs::Job;
use safelight_catalog::{CatalogError, Tx};
use safelight_model::codes::Code;
use safelight_model::cost_class::CostClass;
use safelight_model::job::JobKind;
use safelight_objects::StoreError;
use tokio_util::sync::CancellationToken;

/// The right to do a job, for as long as it is not taken away.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The job.
    pub job: Job,
    /// Processor time that was spent on it in this attempt, in microseconds, as far as it was counted.
    pub cpu_us: Arc<AtomicU64>,
    /// Whether there is a seat for [`Handler::goes_on_with`].
    pub may_go_on: MayGoOn,
    /// Fires when the lease is lost. The handler's future is dropped then; this is for what runs
    /// outside of it, such as blocking threads.
    pub cancelled: CancellationToken,
}

/// Tells whether there is a seat, now, for what goes on with what a job leaves at hand.
#[derive(Clone)]
pub struct MayGoOn(pub Arc<dyn Fn() -> bool + Send + Sync>);

impl std::fmt::Debug for MayGoOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MayGoOn").field(&(self.0)()).finish()
    }
}

/// What a handler has to say to the database: run in one transaction with the end of its job, and
/// taken back if the lease was lost meanwhile.
pub type Results =
    Box<dyn for<'t> FnOnce(&'t mut Tx<'_>) -> BoxFuture<'t, Result<(), JobError>> + Send>;

/// Boxes a closure as [`Results`]. It may be called on a later attempt's behalf again, so it compares
/// and sets.
pub fn results<F>(write: F) -> Results
where
    F: for<'t> FnOnce(&'t mut Tx<'_>) -> BoxFuture<'t, Result<(), JobError>> + Send + 'static,
{
    Box::new(write)
}

/// Why a job was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// It may work later. After its last attempt the job is dead.
    #[error("{code}: {detail}")]
    Retry {
        /// When; by the back-off if the handler does not know.
        after: Option<Duration>,
        /// Why.
        code: Code,
        /// More about it, fit to be shown.
        detail: String,
    },
    /// Nothing is wrong, it is only too early: this was no attempt.
    #[error("to be looked at again in {after:?}")]
    Snooze {
        /// When.
        after: Duration,
    },
    /// It costs more than was expected: it is for the workers of another class, and this was no attempt.
    #[error("to be done among those that are {}", .class.as_str())]
    Reclass {
        /// Which.
        class: CostClass,
    },
    /// It will never work.
    #[error("{code}: {detail}")]
    Cancel {
        /// Why.
        code: Code,
        /// More about it, fit to be shown.
        detail: String,
    },
}

impl JobError {
    /// How a store's failure stands in a job: one that passes is no attempt of the job's, so that however long the store is away
    /// nothing fails for it. It is asked again after `away` at the earliest.
    #[must_use]
    pub fn of_store(error: &StoreError, away: Duration) -> Self {
        tracing::warn!(%error, "a job could not use the store");
        match error.retry() {
            Some(wait) => Self::Snooze {
                after: wait.max(away),
            },
            None => Self::Retry {
                after: None,
                code: error.code(),
                detail: error.code().title().to_owned(),
            },
        }
    }
}

impl From<CatalogError> for JobError {
    /// The cause is logged here and goes no further.
    fn from(error: CatalogError) -> Self {
        let code = error.code();
        tracing::warn!(%error, %code, "a job could not use the catalog");
        Self::Retry {
            after: None,
            code,
            detail: code.title().to_owned(),
        }
    }
}

/// Does jobs. Every call may be repeated: a job may have been done half, or wholly, before.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Does the job up to its results, which are committed together with its end.
    ///
    /// # Errors
    /// Why it was not done, and what is to become of it.
    async fn run(&self, lease: &Lease) -> Result<Results, JobError>;

    /// What is to be done next to the same subject, and goes quicker now, since what it needs is still at hand. Asked for once `job`
    /// was run; [`Handler::put_down`] follows in any case.
    fn goes_on_with(&self, job: &Job) -> Option<JobKind> {
        let _ = job;
        None
    }

    /// What is at hand of this job's subject is needed no longer.
    fn put_down(&self, job: &Job) {
        let _ = job;
    }

    /// The job is dead: called in the transaction that buries it, so that what waits for it can
    /// show the reason at once.
    ///
    /// # Errors
    /// What the database says; the job is then not buried, but tried again.
    async fn buried(
        &self,
        tx: &mut Tx<'_>,
        job: &Job,
        code: Code,
        detail: &str,
    ) -> Result<(), CatalogError>;
}
