//! The janitor: the role that does what nobody asks for. Each task stands on its own; one that fails
//! is tried again in the next round and holds up none of the others.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::{insights, intake, retention};

/// How often it looks.
const ROUND: Duration = Duration::from_secs(15);

/// Works in rounds until it is told to stop.
pub async fn run(context: Context, stop: CancellationToken) {
    while !stop.is_cancelled() {
        round(&context).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(ROUND) => {}
        }
    }
}

/// One round of every task.
pub async fn round(context: &Context) {
    match intake::reconcile::reconcile(context).await {
        Ok(done) if done != intake::reconcile::Reconciled::default() => {
            tracing::info!(
                settled = done.settled,
                expired = done.expired,
                "uploads reconciled"
            );
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "uploads were not reconciled"),
    }
    match retention::clear_uploads::clear_uploads(context).await {
        Ok(0) => {}
        Ok(cleared) => tracing::info!(cleared, "ended uploads cleared"),
        Err(error) => tracing::warn!(%error, "ended uploads were not cleared"),
    }
    match retention::clear_segments::clear_segments(context).await {
        Ok(0) => {}
        Ok(cleared) => tracing::debug!(cleared, "segments of appended uploads removed"),
        Err(error) => tracing::warn!(%error, "segments of appended uploads were not removed"),
    }
    match insights::prune_events::prune_events(context).await {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "old events forgotten"),
        Err(error) => tracing::warn!(%error, "old events were not pruned"),
    }
    match retention::prune_records::prune_records(context).await {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "idempotency records forgotten"),
        Err(error) => tracing::warn!(%error, "idempotency records were not pruned"),
    }
}
