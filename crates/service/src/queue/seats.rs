//! Seats of an executor's floor: jobs of other lanes than the interactive one need one. Neither of the two lanes may take all of them. What is
//! left is for the standard lane where the bulk lane has the others, and never the other way round: backfill does not begin beside as many
//! larger pictures as there are workers, since others of these may wait.

use std::sync::Arc;

use safelight_model::lane::Lane;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The seats that there are.
#[derive(Clone, Debug)]
pub(super) struct Seats {
    all: Arc<Semaphore>,
    standard: Arc<Semaphore>,
    bulk: Arc<Semaphore>,
    /// How many of all backfill leaves.
    kept: usize,
}

/// How many are free.
#[derive(Clone, Copy, Debug)]
pub(super) struct FreeSeats {
    all: usize,
    standard: usize,
    bulk: usize,
    kept: usize,
}

impl FreeSeats {
    /// For jobs of this lane; the interactive one needs none.
    pub(super) fn of(self, lane: Lane) -> usize {
        match lane {
            Lane::Interactive => usize::MAX,
            Lane::Standard => self.all.min(self.standard),
            Lane::Bulk => self.all.saturating_sub(self.kept).min(self.bulk),
        }
    }

    /// One less for what follows a job of this lane.
    pub(super) fn take(&mut self, lane: Lane) {
        let of_lane = match lane {
            Lane::Interactive => return,
            Lane::Standard => &mut self.standard,
            Lane::Bulk => &mut self.bulk,
        };
        *of_lane = of_lane.saturating_sub(1);
        self.all = self.all.saturating_sub(1);
    }
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
    kept: usize,
}

impl Seats {
    /// So many that are not for the interactive lane alone, of which each of the others may take so many.
    pub(super) fn new(all: usize, each: usize) -> Self {
        let seats = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self {
            all: seats(all),
            standard: seats(each),
            bulk: seats(each),
            kept: all.saturating_sub(each),
        }
    }

    /// How many are free.
    pub(super) fn free(&self) -> FreeSeats {
        FreeSeats {
            all: self.all.available_permits(),
            standard: self.standard.available_permits(),
            bulk: self.bulk.available_permits(),
            kept: self.kept,
        }
    }

    /// Whether there is one for a job of the standard lane.
    pub(super) fn has_one(&self) -> bool {
        self.free().of(Lane::Standard) > 0
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
        let mut held = Held {
            all: some(&self.all, usize::MAX),
            standard,
            bulk,
            kept: self.kept,
        };
        if held.standard.is_empty() {
            // Those that are kept stay free for who goes on.
            held.all.truncate(held.count().of(Lane::Bulk));
            held.kept = 0;
        }
        held
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
            kept: self.kept,
        }
    }

    /// One of them for a job of this lane; the interactive one needs none.
    pub(super) fn take(&mut self, lane: Lane) -> Option<Seat> {
        if self.count().of(lane) == 0 {
            return None;
        }
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
