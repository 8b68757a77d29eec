//! How many may do something at a time.

use std::sync::{Condvar, Mutex, PoisonError};

pub(super) struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

/// The right to do it.
pub(super) struct Slot<'a>(&'a Slots);

impl Slots {
    pub(super) fn of(count: usize) -> Self {
        Self {
            free: Mutex::new(count),
            freed: Condvar::new(),
        }
    }

    /// Waits for one. Blocks.
    pub(super) fn wait(&self) -> Slot<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.freed.wait_while(free, |free| *free == 0);
        *waited.unwrap_or_else(PoisonError::into_inner) -= 1;
        Slot(self)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut free = self.0.free.lock().unwrap_or_else(PoisonError::into_inner);
        *free += 1;
        self.0.freed.notify_one();
    }
}
