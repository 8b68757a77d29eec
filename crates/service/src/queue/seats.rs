//! Seats of an executor's floor: jobs of other lanes than the interactive one need one. Neither of the two lanes may take all of them, so that
//! there is one for the other.

use std::sync::Arc;

use safelight_model::lane::Lane;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The seats that there are.
#[derive(Clone, Debug)]
pub(super) struct Seats {
    all: Arc<Semaphore>,
    standard: Arc<Semaphore>,
    bulk: Arc<Semaphore>,
}

/// How many are free.
#[derive(Clone, Copy, Debug)]
pub(super) struct FreeSeats {
    pub(super) all: usize,
    pub(super) standard: usize,
    pub(super) bulk: usize,
}

/// What a job of the other lanes sits in.
#[derive(Debug)]
pub(super) struct Seat {
    _one: OwnedSemaphorePermit,
    _of_lane: OwnedSemaphorePermit,
}

/// All seats that were free, until it is known which of them are taken.
pub(super) struct Held {
    all: Vec<OwnedSemaphorePermit>,
    standard: Vec<OwnedSemaphorePermit>,
    bulk: Vec<OwnedSemaphorePermit>,
}

impl Seats {
    /// So many that are not for the interactive lane alone, of which each of the others may take so many.
    pub(super) fn new(all: usize, each: usize) -> Self {
        let seats = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self {
            all: seats(all),
            standard: seats(each),
            bulk: seats(each),
        }
    }

    /// How many are free.
    pub(super) fn free(&self) -> FreeSeats {
        FreeSeats {
            all: self.all.available_permits(),
            standard: self.standard.available_permits(),
            bulk: self.bulk.available_permits(),
        }
    }

    /// Whether there is one for a job of the standard lane.
    pub(super) fn has_one(&self) -> bool {
        let free = self.free();
        free.all.min(free.standard) > 0
    }

    /// Takes all that are free and that jobs of these lanes could sit in.
    pub(super) fn hold(&self, is_for: impl Fn(Lane) -> bool) -> Held {
        let some = |seats: &Arc<Semaphore>, most: usize| -> Vec<OwnedSemaphorePermit> {
            let free = std::iter::from_fn(|| seats.clone().try_acquire_owned().ok());
            free.take(most).collect()
        };
        let of_lane = |lane, seats| some(seats, if is_for(lane) { usize::MAX } else { 0 });
        let standard = of_lane(Lane::Standard, &self.standard);
        let bulk = of_lane(Lane::Bulk, &self.bulk);
        Held {
            all: some(&self.all, standard.len().saturating_add(bulk.len())),
            standard,
            bulk,
        }
    }

    /// Takes one for a job of the standard lane.
    pub(super) fn take(&self) -> Option<Seat> {
        Some(Seat {
            _of_lane: self.standard.clone().try_acquire_owned().ok()?,
            _one: self.all.clone().try_acquire_owned().ok()?,
        })
    }
}

impl Held {
    /// How many are held.
    pub(super) fn count(&self) -> FreeSeats {
        FreeSeats {
            all: self.all.len(),
            standard: self.standard.len(),
            bulk: self.bulk.len(),
        }
    }

    /// One of them for a job of this lane; the interactive one needs none.
    pub(super) fn take(&mut self, lane: Lane) -> Option<Seat> {
        let of_lane = match lane {
            Lane::Interactive => return None,
            Lane::Standard => &mut self.standard,
            Lane::Bulk => &mut self.bulk,
        };
        Some(Seat {
            _of_lane: of_lane.pop()?,
            _one: self.all.pop()?,
        })
    }
}
