//! The janitor: the role that does what nobody asks for. Each task stands on its own; one that fails
//! is tried again in the next round and holds up none of the others.

use std::time::Duration;

use safelight_catalog::uploads;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::processing::backfill::PER_COMMIT;
use crate::{insights, look_after, processing, retention};

/// How often it looks.
const ROUND: Duration = Duration::from_secs(15);
/// How often it looks whether there is enough of backfill to do.
const BACKFILL: Duration = Duration::from_secs(3);
/// In which of its rounds it forgets private metadata. Policies change with a start, but servers with the policy before may still
/// write what theirs keeps, and those of a version before may delete without it.
const FORGETS_EVERY: u32 = 40;
/// In which of its rounds it counts the jobs that there are, all of which are read for it.
const COUNTS_EVERY: u32 = 4;
/// Rows that are adopted in one transaction.
const ADOPTED: i64 = 500;
/// A version that knows no times for looking gave up a completion after so long.
const GIVEN_UP: Duration = Duration::from_secs(45);

/// Works until it is told to stop.
pub async fn run(context: Context, stop: CancellationToken) {
    let looking = look_after::run(context.clone(), stop.clone());
    let rounds = async {
        let mut rounds: u32 = 0;
        while !stop.is_cancelled() {
            if rounds.is_multiple_of(FORGETS_EVERY) {
                forget_private(&context).await;
            }
            if rounds.is_multiple_of(COUNTS_EVERY)
                && let Err(error) = insights::measure_queue::measure_queue(&context).await
            {
                tracing::warn!(%error, "the jobs that wait were not counted");
            }
            rounds = rounds.wrapping_add(1);
            round(&context).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(ROUND) => {}
            }
        }
    };
    tokio::join!(looking, rounds, backfill(&context, &stop));
}

/// Keeps so much asked for of what an upgrade has left to do that workers that have nothing else to do never wait for more.
async fn backfill(context: &Context, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        let (mut pause, mut is_all) = (BACKFILL, true);
        for (what, asked) in [
            ("hashes", processing::hash_picture::schedule(context).await),
            (
                "avif",
                processing::derive_alternatives::schedule(context).await,
            ),
            (
                "metadata",
                processing::read_metadata::schedule(context).await,
            ),
        ] {
            match asked {
                Ok(0) => {}
                Ok(asked) => {
                    tracing::debug!(what, asked, "asked for of what came before");
                    is_all &= asked < PER_COMMIT;
                }
                Err(error) => {
                    tracing::warn!(what, %error, "what came before was not looked for");
                    pause = ROUND;
                }
            }
        }
        if !is_all {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// What policies do not keep, and what was told of bytes that are gone.
async fn forget_private(context: &Context) {
    match retention::forget_metadata::forget_metadata(context).await {
        Ok(0) => {}
        Ok(forgotten) => tracing::info!(
            forgotten,
            "private metadata forgotten that the policy does not keep"
        ),
        Err(error) => {
            tracing::warn!(%error, "private metadata was not forgotten; it is shown to nobody, and tried again in ten minutes")
        }
    }
}

/// One round of every task but that of [`look_after`].
async fn round(context: &Context) {
    let now = context.now();
    let adopted = context
        .catalog
        .write(move |tx| {
            Box::pin(async move { uploads::adopt(tx, now, now.minus(GIVEN_UP), ADOPTED).await })
        })
        .await;
    if let Err(error) = adopted {
        tracing::warn!(%error, "uploads of another version were not taken up");
    }
    if let Err(error) = retention::sweep::schedule(context).await {
        tracing::warn!(%error, "no sweep was asked for");
    }
    match retention::clear_segments::clear_segments(context).await {
        Ok(0) => {}
        Ok(cleared) => tracing::debug!(cleared, "segments of appended uploads removed"),
        Err(error) => tracing::warn!(%error, "segments of appended uploads were not removed"),
    }
    match retention::complete_deletions::complete_deletions(context).await {
        Ok(0) => {}
        Ok(completed) => tracing::debug!(completed, "deletions found complete"),
        Err(error) => tracing::warn!(%error, "deletions were not looked at"),
    }
    match insights::prune_events::prune_events(context).await {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "old events forgotten"),
        Err(error) => tracing::warn!(%error, "old events were not pruned"),
    }
    if let Err(error) = insights::webhooks::prune_deliveries::prune_deliveries(context).await {
        tracing::warn!(%error, "old deliveries of webhooks were not pruned");
    }
    match retention::prune_records::prune_records(context).await {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "idempotency records forgotten"),
        Err(error) => tracing::warn!(%error, "idempotency records were not pruned"),
    }
}
