//! Children that wait for a task: each is a tenant's, or nobody's yet. Some keep a picture for the next.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::pace::Pace;
use super::worker::Worker;

/// They, those that were idle for longest first.
pub(super) struct Idle(Mutex<Waiting>);

struct Waiting {
    workers: Vec<Worker>,
    /// How many ever kept a picture.
    kept: u64,
}

impl Idle {
    pub(super) fn of(workers: Vec<Worker>) -> Self {
        Self(Mutex::new(Waiting { workers, kept: 0 }))
    }

    pub(super) fn put(&self, worker: Worker) {
        self.waiting().workers.push(worker);
    }

    /// Puts one by that keeps a picture, under the number that is answered.
    pub(super) fn put_keeping(&self, mut worker: Worker) -> u64 {
        let mut waiting = self.waiting();
        waiting.kept += 1;
        worker.keeps = Some(waiting.kept);
        waiting.workers.push(worker);
        waiting.kept
    }

    /// One that is this tenant's, goes at this pace, and keeps nothing.
    pub(super) fn take_of(&self, tenant_id: &str, pace: Pace) -> Option<Worker> {
        self.take_last(|w| w.keeps.is_none() && w.is_of(tenant_id, pace))
    }

    /// One that is this tenant's and goes at this pace, whatever it keeps.
    pub(super) fn take_keeping(&self, tenant_id: &str, pace: Pace) -> Option<Worker> {
        self.take_last(|w| w.is_of(tenant_id, pace))
    }

    /// The one that keeps the picture of this number.
    pub(super) fn take_kept(&self, number: u64) -> Option<Worker> {
        self.take_last(|w| w.keeps == Some(number))
    }

    /// One that has seen nothing.
    pub(super) fn take_fresh(&self) -> Option<Worker> {
        self.take_last(|w| w.serves.is_none())
    }

    /// Nobody comes for the picture of this number.
    pub(super) fn forget(&self, number: u64) {
        for worker in &mut self.waiting().workers {
            if worker.keeps == Some(number) {
                worker.keeps = None;
            }
        }
    }

    /// Ends as many of those that are a tenant's as there are more than `most`: first what keeps nothing, and of these what was idle for
    /// longest.
    pub(super) fn keep_of_tenants(&self, most: usize) {
        let mut waiting = self.waiting();
        let workers = &mut waiting.workers;
        let used = workers.iter().filter(|w| w.serves.is_some()).count();
        for _ in most..used {
            let keeps_nothing = |w: &Worker| w.serves.is_some() && w.keeps.is_none();
            let at = workers.iter().position(keeps_nothing);
            if let Some(at) = at.or_else(|| workers.iter().position(|w| w.serves.is_some())) {
                metrics::counter!("safelight_decoders_changed_total").increment(1);
                // Killed as it is dropped.
                workers.remove(at);
            }
        }
    }

    /// How many have seen nothing.
    pub(super) fn fresh(&self) -> usize {
        let waiting = self.waiting();
        let fresh = waiting.workers.iter().filter(|w| w.serves.is_none());
        fresh.count()
    }

    /// How many are a tenant's.
    pub(super) fn of_tenants(&self) -> usize {
        let waiting = self.waiting();
        let used = waiting.workers.iter().filter(|w| w.serves.is_some());
        used.count()
    }

    pub(super) fn take_all(&self) -> Vec<Worker> {
        std::mem::take(&mut self.waiting().workers)
    }

    fn take_last(&self, which: impl Fn(&Worker) -> bool) -> Option<Worker> {
        let mut waiting = self.waiting();
        let at = waiting.workers.iter().rposition(which)?;
        let mut worker = waiting.workers.remove(at);
        worker.keeps = None;
        Some(worker)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that holds the lock can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
