//! A decoded picture that a child keeps between two tasks.

use std::sync::Arc;

use super::pool::Shared;
use super::worker::Worker;

/// The right to go on with it. The child waits among the others, takes no more than any of them may, and is given to somebody else if it is
/// needed: then there is no picture any more. Dropped, it is like the others again.
pub struct KeptPicture {
    shared: Arc<Shared>,
    /// Which it is of those that were ever kept.
    number: u64,
}

impl KeptPicture {
    /// Puts a child by that keeps one.
    pub(super) fn put(shared: &Arc<Shared>, worker: Worker) -> Self {
        Self {
            number: shared.idle.put_keeping(worker),
            shared: shared.clone(),
        }
    }

    /// The child, if it still keeps it.
    pub(super) fn take(self) -> Option<Worker> {
        self.shared.idle.take_kept(self.number)
    }
}

impl Drop for KeptPicture {
    fn drop(&mut self) {
        self.shared.idle.forget(self.number);
    }
}
