//! When bytes have left a link of some speed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// One direction of a link: what is sent waits for what was sent before.
#[derive(Debug)]
pub(super) struct Pacer {
    free_at: Mutex<Instant>,
}

impl Pacer {
    pub(super) fn idle() -> Self {
        Self {
            free_at: Mutex::new(Instant::now()),
        }
    }

    /// When so many bytes will have been sent, at this speed, after all that others sent before.
    pub(super) fn sent_at(&self, bytes: usize, bits_per_s: Option<u64>) -> Instant {
        let now = Instant::now();
        let Some(bits_per_s) = bits_per_s.filter(|bits| *bits > 0) else {
            return now;
        };
        let takes = Duration::from_secs_f64(bytes as f64 * 8.0 / bits_per_s as f64);
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        *free_at = (*free_at).max(now) + takes;
        *free_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_waits_for_what_was_sent_before() {
        let began = Instant::now();
        let pacer = Pacer::idle();
        let mut last = began;
        for _ in 0..10 {
            let at = pacer.sent_at(1000, Some(8000));
            assert!(at >= last + Duration::from_secs(1));
            last = at;
        }
        assert!(last < began + Duration::from_secs(11));
        assert!(pacer.sent_at(1_000_000, None) < last);
    }
}
