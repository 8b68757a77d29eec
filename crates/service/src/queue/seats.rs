//! Seats of an executor's floor: jobs of other lanes than the interactive one need one, and those of the bulk lane one of fewer.

use std::sync::Arc;

use safelight_model::lane::Lane;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The seats that there are.
#[derive(Clone, Debug)]
pub(super) struct Seats {
    ordinary: Arc<Semaphore>,
    bulk: Arc<Semaphore>,
}

/// What a job of the other lanes sits in.
#[derive(Debug)]
pub(super) struct Seat {
    _ordinary: OwnedSemaphorePermit,
    _bulk: Option<OwnedSemaphorePermit>,
}

/// All seats that were free, until it is known which of them are taken.
pub(super) struct Held {
    ordinary: Vec<OwnedSemaphorePermit>,
    bulk: Vec<OwnedSemaphorePermit>,
}

impl Seats {
    /// So many that are not for the interactive lane alone, and so many of these that are for the bulk lane too.
    pub(super) fn new(ordinary: usize, bulk: usize) -> Self {
        let seats = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self {
            ordinary: seats(ordinary),
            bulk: seats(bulk),
        }
    }

    /// How many are free: in all, and for the bulk lane.
    pub(super) fn free(&self) -> (usize, usize) {
        (
            self.ordinary.available_permits(),
            self.bulk.available_permits(),
        )
    }

    /// Takes all that are free and that jobs of these lanes could sit in.
    pub(super) fn hold(&self, is_for: impl Fn(Lane) -> bool) -> Held {
        let all = |seats: &Arc<Semaphore>, most: usize| -> Vec<OwnedSemaphorePermit> {
            let free = std::iter::from_fn(|| seats.clone().try_acquire_owned().ok());
            free.take(most).collect()
        };
        let bulk = all(&self.bulk, if is_for(Lane::Bulk) { usize::MAX } else { 0 });
        let most = match is_for(Lane::Standard) {
            true => usize::MAX,
            false => bulk.len(),
        };
        Held {
            ordinary: all(&self.ordinary, most),
            bulk,
        }
    }

    /// Takes one for a job that is not of the bulk lane.
    pub(super) fn take(&self) -> Option<Seat> {
        Some(Seat {
            _ordinary: self.ordinary.clone().try_acquire_owned().ok()?,
            _bulk: None,
        })
    }
}

impl Held {
    /// How many are held: in all, and for the bulk lane.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.ordinary.len(), self.bulk.len())
    }

    /// One of them for a job of this lane; the interactive one needs none.
    pub(super) fn take(&mut self, lane: Lane) -> Option<Seat> {
        let bulk = match lane {
            Lane::Interactive => return None,
            Lane::Standard => None,
            Lane::Bulk => self.bulk.pop(),
        };
        Some(Seat {
            _ordinary: self.ordinary.pop()?,
            _bulk: bulk,
        })
    }
}
