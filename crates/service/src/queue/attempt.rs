//! One attempt at one job: run it, keep its lease, and see to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use safelight_catalog::jobs::{self, Job};
use safelight_catalog::{Catalog, CatalogError};
use safelight_model::entropy::Entropy;
use safelight_model::job::JobKind;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::seats::{Seat, Seats};
use super::settle::{Ending, Onward, commit, fail, panicked, snooze};
use crate::work::{Handler, JobError, Lease, MayGoOn, Results};

/// What all attempts of an executor share.
pub(super) struct Crew {
    pub catalog: Catalog,
    pub entropy: Arc<dyn Entropy>,
    pub handler: Arc<dyn Handler>,
    pub lease: Duration,
    pub heartbeat: Duration,
    /// The name that stands in the rows it has leased.
    pub worker_id: String,
    /// Fires when no more jobs are to be begun.
    pub stop: CancellationToken,
    /// Fires when jobs that still run are to be given back.
    pub give_back: CancellationToken,
}

/// Where a worker sits.
pub(super) struct Place {
    /// Seats for jobs of other lanes than the interactive one.
    pub seats: Seats,
    /// The one that is taken.
    pub seat: Option<Seat>,
}

/// Sees `job`, which was claimed no earlier than `claimed`, to its end; and then the one that goes on with what it leaves at
/// hand, if there is a seat for that and nobody waits for something more urgent.
pub(super) async fn attempts(crew: Arc<Crew>, mut place: Place, job: Job, claimed: Instant) {
    let first = job.clone();
    let mut next = attempt(&crew, &mut place, job, claimed).await;
    while let Some((job, claimed)) = next {
        next = attempt(&crew, &mut place, job, claimed).await;
    }
    crew.handler.put_down(&first);
}

/// Sees one job to its end; the one that was taken on with that.
async fn attempt(
    crew: &Crew,
    place: &mut Place,
    job: Job,
    claimed: Instant,
) -> Option<(Job, Instant)> {
    let begun = Instant::now();
    let waited = job.updated_at.since(job.run_at);
    metrics::histogram!("safelight_job_wait_seconds", "lane" => job.lane.as_str(), "class" => job.class.as_str())
        .record(waited.as_secs_f64());

    let (has_seat, seats, stop) = (place.seat.is_some(), place.seats.clone(), crew.stop.clone());
    let may_go_on = move || !stop.is_cancelled() && (has_seat || seats.has_one());
    let lease = Lease {
        job,
        may_go_on: MayGoOn(Arc::new(may_go_on)),
        cpu_us: Arc::default(),
        cancelled: CancellationToken::new(),
    };
    let mut next = None;
    let ending = end(crew, place, &lease, claimed, &mut next).await;
    lease.cancelled.cancel();

    let kind = lease.job.kind.as_str();
    metrics::histogram!("safelight_job_run_seconds", "kind" => kind)
        .record(begun.elapsed().as_secs_f64());
    let cpu = Duration::from_micros(lease.cpu_us.load(Ordering::SeqCst));
    metrics::histogram!("safelight_job_cpu_seconds", "kind" => kind, "class" => lease.job.class.as_str())
        .record(cpu.as_secs_f64());
    let outcome = match ending {
        Ok(ending) => ending.as_str(),
        Err(error) => {
            tracing::error!(job = lease.job.job_id, kind, %error, "the end of a job could not be written down; it will be rescued");
            "unsettled"
        }
    };
    metrics::counter!("safelight_jobs_total", "kind" => kind, "lane" => lease.job.lane.as_str(), "outcome" => outcome)
        .increment(1);
    next
}

/// The kind of the job to go on with, once there is a seat for it.
fn onward(crew: &Crew, place: &mut Place, job: &Job) -> Option<JobKind> {
    let kind = crew.handler.goes_on_with(job)?;
    if crew.stop.is_cancelled() {
        return None;
    }
    if place.seat.is_none() {
        place.seat = Some(place.seats.take()?);
    }
    Some(kind)
}

async fn end(
    crew: &Crew,
    place: &mut Place,
    lease: &Lease,
    claimed: Instant,
    next: &mut Option<(Job, Instant)>,
) -> Result<Ending, JobError> {
    let (handler, given) = (crew.handler.clone(), lease.clone());
    // A task of its own: a panic ends only it, and it cannot keep the heartbeat from being sent.
    let mut running =
        AbortOnDropHandle::new(tokio::spawn(async move { handler.run(&given).await }));
    let answer: Result<Results, JobError> = tokio::select! {
        ended = &mut running => match ended {
            Ok(answer) => answer,
            Err(error) if error.is_panic() => Err(panicked(error.into_panic().as_ref())),
            Err(_) => return Ok(Ending::Lost),
        },
        () = keep(crew, &lease.job, claimed) => {
            tracing::warn!(job = lease.job.job_id, "the lease was lost");
            stop(lease, running).await;
            return Ok(Ending::Lost);
        }
        () = crew.give_back.cancelled() => {
            stop(lease, running).await;
            return snooze(&crew.catalog, &lease.job, Duration::ZERO).await;
        }
    };
    let error = match answer {
        Ok(results) => {
            let onward = onward(crew, place, &lease.job);
            let onward = onward.map(|kind| Onward {
                kind,
                worker_id: crew.worker_id.clone(),
                lease: crew.lease,
            });
            let asked = Instant::now();
            match commit(&crew.catalog, &lease.job, results, onward).await {
                Ok((ending, taken)) => {
                    *next = taken.map(|job| (job, asked));
                    return Ok(ending);
                }
                Err(error) => error,
            }
        }
        Err(error) => error,
    };
    fail(
        &crew.catalog,
        &crew.handler,
        crew.entropy.as_ref(),
        &lease.job,
        i64::try_from(lease.cpu_us.load(Ordering::SeqCst)).unwrap_or(i64::MAX),
        error,
    )
    .await
}

async fn stop<T>(lease: &Lease, running: AbortOnDropHandle<T>) {
    lease.cancelled.cancel();
    running.abort();
    let _ = running.await;
}

/// Renews the lease; returns when it is lost, or may be for all that can be known here.
async fn keep(crew: &Crew, job: &Job, claimed: Instant) {
    let mut ours_until = claimed + crew.lease;
    loop {
        tokio::time::sleep_until(ours_until.min(Instant::now() + crew.heartbeat)).await;
        let asked = Instant::now();
        let (held, lease) = (job.clone(), crew.lease);
        let renewal = crew.catalog.write::<_, CatalogError, _>(move |tx| {
            Box::pin(async move { jobs::heartbeat(tx, &held, lease).await })
        });
        match tokio::time::timeout_at(ours_until, renewal).await {
            Ok(Ok(true)) => ours_until = asked + crew.lease,
            Ok(Ok(false)) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::warn!(job = job.job_id, %error, "a lease was not renewed");
                if Instant::now() >= ours_until {
                    return;
                }
            }
        }
    }
}
