//! Reading the embedded store from end to end, so that damage is known while there is still a backup without it. It
//! runs where the store is open, as its lifecycle rules do.

use std::sync::Arc;
use std::time::Duration;

use safelight_diskstore::{DiskStore, ScrubStep};
use safelight_model::clock::Clock;
use tokio_util::sync::CancellationToken;

/// So much is read between two rests.
const STEP_BYTES: u64 = 16 << 20;
/// With it a pass reads 32 MiB a second at most, and who waits for the disk hardly notices.
const REST: Duration = Duration::from_millis(500);
/// How often it is asked whether a pass is due.
const LOOK: Duration = Duration::from_secs(60 * 60);

/// Begins a pass whenever the last began so long ago, until it is told to stop.
pub async fn run(disk: DiskStore, clock: Arc<dyn Clock>, every: Duration, stop: CancellationToken) {
    let every_us = i64::try_from(every.as_micros()).unwrap_or(i64::MAX);
    while !stop.is_cancelled() {
        let now_us = clock.now().0;
        let last = disk.last_scrub();
        let is_due = last.as_ref().is_none_or(|last| {
            let next_us = last.begun_us.saturating_add(every_us);
            // A time to come is that of a clock which was wrong.
            !last.done || next_us <= now_us || last.begun_us > now_us
        });
        if is_due {
            pass(&disk, now_us, &stop).await;
        } else if let Some(last) = last {
            show(last.damaged);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn pass(disk: &DiskStore, now_us: i64, stop: &CancellationToken) {
    let mut pass = disk.scrub_pass(now_us);
    let (mut leftovers, mut failed) = (0, 0);
    loop {
        let step = pass.step(STEP_BYTES).await;
        metrics::counter!("safelight_store_scrubbed_bytes_total").increment(step.bytes);
        show(pass.state().damaged);
        leftovers += step.leftovers;
        failed += step.failed;
        if step.done {
            break;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(rest_after(&step)) => {}
        }
    }
    let state = pass.state();
    let (examined, bytes, damaged) = (state.examined, state.bytes, state.damaged);
    if damaged > 0 {
        tracing::error!(
            examined,
            bytes,
            damaged,
            "the store holds damaged objects, which are not given out; the log names each"
        );
    } else if failed > 0 {
        tracing::warn!(
            examined,
            bytes,
            failed,
            "the store was read, but not all of it could be; the log says what"
        );
    } else {
        tracing::info!(
            examined,
            bytes,
            leftovers,
            "the store was read and is whole"
        );
    }
}

/// The rest that a step has earned: none is due to one that read nothing.
fn rest_after(step: &ScrubStep) -> Duration {
    if step.bytes == 0 {
        Duration::ZERO
    } else {
        REST
    }
}

fn show(damaged: u64) {
    #[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
    metrics::gauge!("safelight_store_damaged").set(damaged as f64);
}
