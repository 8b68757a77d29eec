//! Children that wait for a task: each is a tenant's, or nobody's yet.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::pace::Pace;
use super::worker::Worker;

/// They, those that were idle for longest first.
pub(super) struct Idle(Mutex<Vec<Worker>>);

impl Idle {
    pub(super) fn of(workers: Vec<Worker>) -> Self {
        Self(Mutex::new(workers))
    }

    pub(super) fn put(&self, worker: Worker) {
        self.workers().push(worker);
    }

    /// One that is this tenant's, and goes at this pace.
    pub(super) fn take_of(&self, tenant_id: &str, pace: Pace) -> Option<Worker> {
        let mut workers = self.workers();
        let is_his = |w: &Worker| {
            let serves = w.serves.as_ref();
            serves.is_some_and(|(tenant, at)| tenant.as_ref() == tenant_id && *at == pace)
        };
        let at = workers.iter().rposition(is_his)?;
        Some(workers.remove(at))
    }

    /// One that has seen nothing.
    pub(super) fn take_fresh(&self) -> Option<Worker> {
        let mut workers = self.workers();
        let at = workers.iter().rposition(|w| w.serves.is_none())?;
        Some(workers.remove(at))
    }

    /// Ends as many of those that are a tenant's as there are more than `most`, those first that were idle for longest.
    pub(super) fn keep_of_tenants(&self, most: usize) {
        let mut workers = self.workers();
        let used = workers.iter().filter(|w| w.serves.is_some()).count();
        for _ in most..used {
            if let Some(at) = workers.iter().position(|w| w.serves.is_some()) {
                metrics::counter!("safelight_decoders_changed_total").increment(1);
                // Killed as it is dropped.
                workers.remove(at);
            }
        }
    }

    /// How many have seen nothing.
    pub(super) fn fresh(&self) -> usize {
        let workers = self.workers();
        workers.iter().filter(|w| w.serves.is_none()).count()
    }

    pub(super) fn take_all(&self) -> Vec<Worker> {
        std::mem::take(&mut *self.workers())
    }

    fn workers(&self) -> MutexGuard<'_, Vec<Worker>> {
        // Nothing that holds the lock can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
