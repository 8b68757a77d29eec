//! Whether bytes are written on the thread that brought them.
//!
//! To hand some of a body to another thread costs two wake-ups and moves its bytes to another core: a fifth of all that
//! storing it takes, as measured with bodies of 8 MiB. But a disk that cannot keep up has its writers wait (Linux lets them
//! sleep up to 200 ms at a time, `balance_dirty_pages`), and that is not for threads that others need. So it is tried,
//! and for a while not tried again once it was slow.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Writing a batch takes less than a hundredth of this if nothing is in its way, and a thread that has to share its
/// core waits no longer for it.
const SLOW: Duration = Duration::from_millis(20);
/// So long others write after a write was slow.
const CAUTIOUS: Duration = Duration::from_secs(1);

/// How quickly the disk takes what is written.
pub(crate) struct Pace {
    is_local: bool,
    origin: Instant,
    /// In microseconds since the origin.
    cautious_until: AtomicU64,
}

impl Pace {
    /// Of a disk of which nothing else is known yet. What is not of this machine is never expected to be quick.
    pub(crate) fn of(is_local: bool) -> Self {
        Self {
            is_local,
            origin: Instant::now(),
            cautious_until: AtomicU64::new(0),
        }
    }

    /// Whether a write can be expected not to wait.
    pub(crate) fn is_quick(&self) -> bool {
        self.is_local && self.micros(Instant::now()) >= self.cautious_until.load(Ordering::Relaxed)
    }

    /// Does some writing, and takes note of how long it takes.
    pub(crate) fn timed<T>(&self, write: impl FnOnce() -> T) -> T {
        let from = Instant::now();
        let done = write();
        let to = Instant::now();
        self.took(to, to.duration_since(from));
        done
    }

    fn took(&self, now: Instant, span: Duration) {
        if span >= SLOW {
            let until = self.micros(now + CAUTIOUS);
            self.cautious_until.fetch_max(until, Ordering::Relaxed);
        }
    }

    fn micros(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.origin);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_slow_write_others_write_for_a_while() {
        assert!(!Pace::of(false).is_quick());
        let pace = Pace::of(true);
        assert!(pace.is_quick());
        assert_eq!(pace.timed(|| 7), 7);
        let long_ago = pace.origin;
        pace.took(long_ago, SLOW / 2);
        assert!(pace.is_quick());
        let later = Instant::now() + CAUTIOUS * 1000;
        pace.took(later, SLOW);
        assert!(!pace.is_quick());
        // What was quick, or slow before, changes nothing of it.
        pace.took(later, SLOW / 2);
        pace.took(long_ago, SLOW);
        assert!(!pace.is_quick());
    }
}
