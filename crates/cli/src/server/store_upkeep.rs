//! What the embedded store does with time: its buckets' lifecycle rules. It runs where the store is
//! open, whoever is the janitor of the rest, since one process owns the directory.

use std::sync::Arc;
use std::time::Duration;

use safelight_diskstore::{DiskStore, LifecycleStep};
use safelight_model::clock::Clock;
use tokio_util::sync::CancellationToken;

/// Rules count days, which end at midnight UTC.
const ROUND: Duration = Duration::from_secs(6 * 60 * 60);
/// So many objects are looked at before others have their turn.
const STEP: usize = 1000;

/// Works in rounds until it is told to stop.
pub async fn run(disk: DiskStore, clock: Arc<dyn Clock>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        round(&disk, clock.as_ref(), &stop).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(ROUND) => {}
        }
    }
}

async fn round(disk: &DiskStore, clock: &dyn Clock, stop: &CancellationToken) {
    let mut pass = disk.lifecycle_pass(clock.now().0);
    let mut sum = LifecycleStep::default();
    while !sum.done && !stop.is_cancelled() {
        let step = pass.step(STEP).await;
        sum = LifecycleStep {
            examined: sum.examined + step.examined,
            expired: sum.expired + step.expired,
            aborted: sum.aborted + step.aborted,
            failed: sum.failed + step.failed,
            done: step.done,
        };
    }
    if sum.expired + sum.aborted + sum.failed > 0 {
        tracing::info!(
            examined = sum.examined,
            expired = sum.expired,
            aborted = sum.aborted,
            failed = sum.failed,
            "the store's lifecycle rules were carried out"
        );
    }
}
