//! The end of an attempt, in the database.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use safelight_catalog::jobs::{self, Job};
use safelight_catalog::{Catalog, CatalogError, Tx};
use safelight_model::codes::Code;
use safelight_model::entropy::Entropy;
use safelight_model::job::JobKind;
use safelight_model::lane::back_off;

use crate::work::{Handler, JobError, Results};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Done,
    Retried,
    Snoozed,
    /// For others to do.
    Reclassed,
    Buried,
    /// Somebody else has the job now, or had: nothing was changed.
    Lost,
}

impl Ending {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retried => "retried",
            Self::Snoozed => "snoozed",
            Self::Reclassed => "reclassed",
            Self::Buried => "buried",
            Self::Lost => "lost",
        }
    }
}

/// Why a transaction was taken back.
pub(super) enum Undone {
    Lost,
    Failed(JobError),
}

impl From<CatalogError> for Undone {
    fn from(error: CatalogError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<JobError> for Undone {
    fn from(error: JobError) -> Self {
        Self::Failed(error)
    }
}

/// A job to go on with.
pub(super) struct Onward {
    /// What is done to the same subject.
    pub kind: JobKind,
    /// Who leases it.
    pub worker_id: String,
    /// For how long.
    pub lease: Duration,
}

/// The job's end and its results, or neither. With them the next job is leased, if it is there and nothing more urgent waits: nobody
/// else sees it in between.
///
/// # Errors
/// Why the results could not be written.
pub(super) async fn commit(
    catalog: &Catalog,
    job: &Job,
    results: Results,
    onward: Option<Onward>,
) -> Result<(Ending, Option<Job>), JobError> {
    let job = job.clone();
    let outcome = catalog
        .write::<_, Undone, _>(move |tx| {
            Box::pin(async move {
                if !jobs::finish(tx, &job).await? {
                    return Err(Undone::Lost);
                }
                // On SQLite this runs on the one writer, which must survive it.
                match AssertUnwindSafe(async { results(tx).await })
                    .catch_unwind()
                    .await
                {
                    Ok(written) => written?,
                    Err(panic) => return Err(panicked(panic.as_ref()).into()),
                }
                let Some(Onward {
                    kind,
                    worker_id,
                    lease,
                }) = onward
                else {
                    return Ok(None);
                };
                Ok(jobs::claim_next_of(tx, &job, kind, &worker_id, lease).await?)
            })
        })
        .await;
    match outcome {
        Ok(next) => Ok((Ending::Done, next)),
        Err(Undone::Lost) => Ok((Ending::Lost, None)),
        Err(Undone::Failed(error)) => Err(error),
    }
}

/// What becomes of a job that was not done.
///
/// # Errors
/// That it could not be written down; the lease then runs out, and the job is rescued.
pub(super) async fn fail(
    catalog: &Catalog,
    handler: &Arc<dyn Handler>,
    entropy: &dyn Entropy,
    job: &Job,
    cpu_us: i64,
    error: JobError,
) -> Result<Ending, JobError> {
    let (held, kind, attempt) = (job.clone(), job.kind.as_str(), job.attempts);
    match error {
        JobError::Snooze { after } => snooze(catalog, job, after).await,
        JobError::Reclass { class } => {
            let held = catalog
                .write::<_, CatalogError, _>(move |tx| {
                    Box::pin(async move { jobs::reclass(tx, &held, class).await })
                })
                .await?;
            Ok(match held {
                true => Ending::Reclassed,
                false => Ending::Lost,
            })
        }
        JobError::Retry {
            after,
            code,
            detail,
        } if attempt < job.kind.max_attempts() => {
            let after = after.unwrap_or_else(|| back_off(attempt, entropy));
            tracing::warn!(job = job.job_id, kind, attempt, %code, detail, ?after, "a job failed and will be tried again");
            let held = catalog
                .write::<_, CatalogError, _>(move |tx| {
                    Box::pin(async move {
                        jobs::spent(tx, &held, cpu_us).await?;
                        jobs::retry(tx, &held, after, code, &detail).await
                    })
                })
                .await?;
            Ok(if held { Ending::Retried } else { Ending::Lost })
        }
        JobError::Retry { code, detail, .. } | JobError::Cancel { code, detail } => {
            // What cannot be done with somebody's file is no trouble of the operator's.
            if is_of_the_file(code) {
                tracing::info!(job = job.job_id, kind, attempt, %code, detail, "a file cannot be worked on");
            } else {
                tracing::error!(job = job.job_id, kind, attempt, %code, detail, "a job failed for good");
            }
            let handler = handler.clone();
            let buried = catalog
                .write::<_, Undone, _>(move |tx| {
                    Box::pin(async move {
                        jobs::spent(tx, &held, cpu_us).await?;
                        if !jobs::bury(tx, &held, code, &detail).await? {
                            return Err(Undone::Lost);
                        }
                        tell(handler.as_ref(), tx, &held, code, &detail).await
                    })
                })
                .await;
            match buried {
                Ok(()) => Ok(Ending::Buried),
                Err(Undone::Lost) => Ok(Ending::Lost),
                Err(Undone::Failed(error)) => Err(error),
            }
        }
    }
}

fn is_of_the_file(code: Code) -> bool {
    matches!(
        code,
        Code::MediaCorrupt | Code::NotCleanable | Code::UnsupportedMediaType
    )
}

/// Gives a job back for a while; the attempt does not count.
///
/// # Errors
/// As [`fail`].
pub(super) async fn snooze(
    catalog: &Catalog,
    job: &Job,
    after: Duration,
) -> Result<Ending, JobError> {
    let job = job.clone();
    let held = catalog
        .write::<_, CatalogError, _>(move |tx| {
            Box::pin(async move { jobs::snooze(tx, &job, after).await })
        })
        .await?;
    Ok(if held { Ending::Snoozed } else { Ending::Lost })
}

/// Tells the handler, in the transaction that buries its job.
///
/// # Errors
/// That the handler could not write down what this means.
pub(super) async fn tell(
    handler: &dyn Handler,
    tx: &mut Tx<'_>,
    job: &Job,
    code: Code,
    detail: &str,
) -> Result<(), Undone> {
    match AssertUnwindSafe(handler.buried(tx, job, code, detail))
        .catch_unwind()
        .await
    {
        Ok(told) => Ok(told?),
        Err(panic) => Err(panicked(panic.as_ref()).into()),
    }
}

/// What a panic comes to: a fault of ours, which may not happen next time.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> JobError {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(message, "a job handler panicked");
    JobError::Retry {
        after: None,
        code: Code::Internal,
        detail: Code::Internal.title().to_owned(),
    }
}
