//! What is rung after a commit. A ring may be lost, and may be for nothing: it only shortens a wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// PostgreSQL's channel for jobs.
pub(crate) const JOBS_CHANNEL: &str = "safelight_jobs";
/// PostgreSQL's channel for events that have their place in the order.
pub(crate) const EVENTS_CHANNEL: &str = "safelight_events";

/// Tells every process that listens to this channel, after the commit.
pub(crate) fn notify(channel: &str) -> String {
    format!("SELECT pg_notify('{channel}', '')")
}

/// The bells of one process.
#[derive(Clone, Default)]
pub(crate) struct Bells {
    pub(crate) jobs: Arc<Notify>,
    pub(crate) recorded: Arc<Notify>,
    pub(crate) sequenced: Arc<Notify>,
    pub(crate) outdated: Arc<Notify>,
    /// So many commits of this process wrote what a mark is to be raised for.
    pub(crate) outdating: Arc<AtomicU64>,
}

/// Which bells a transaction asks to be rung.
#[derive(Clone, Copy, Default)]
pub(crate) struct Rung {
    /// Jobs have become due.
    pub(crate) jobs: bool,
    /// Events were recorded.
    pub(crate) recorded: bool,
    /// Events were given their places.
    pub(crate) sequenced: bool,
    /// What a copy of the catalog made before would miss was written: the mark is to be raised.
    pub(crate) outdated: bool,
}

impl Bells {
    pub(crate) fn ring(&self, rung: Rung) {
        if rung.outdated {
            self.outdating.fetch_add(1, Ordering::SeqCst);
        }
        for (asked, bell) in [
            (rung.jobs, &self.jobs),
            (rung.recorded, &self.recorded),
            (rung.sequenced, &self.sequenced),
            (rung.outdated, &self.outdated),
        ] {
            if asked {
                bell.notify_waiters();
            }
        }
    }
}
