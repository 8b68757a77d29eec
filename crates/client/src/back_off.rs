//! When to try again, and when to give up.

use std::sync::Arc;
use std::time::Duration;

use safelight_model::entropy::{self, Entropy};

use crate::pause::Pause;
use crate::progress::{Event, Progress};

/// First ceiling of a wait. Shorter than the server's own jobs use: a person is looking on.
const FIRST: Duration = Duration::from_millis(500);
/// Largest ceiling of a wait: a phone that found its network again is noticed within it.
const LARGEST: Duration = Duration::from_secs(20);

/// What retries need: time to wait, chance to spread the waits, and somebody to tell.
#[derive(Clone)]
pub struct Patience {
    /// Waits.
    pub pause: Arc<dyn Pause>,
    /// Spreads the waits.
    pub entropy: Arc<dyn Entropy>,
    /// Hears of each wait.
    pub progress: Arc<dyn Progress>,
    /// How long one operation may wait in all, from its first failure, until it is given up.
    pub give_up_after: Duration,
}

impl Patience {
    /// Counts the failures of one operation.
    #[must_use]
    pub fn begin(&self) -> Attempts<'_> {
        Attempts {
            patience: self,
            failures: 0,
            waited: Duration::ZERO,
        }
    }
}

/// The failures of one operation so far.
pub struct Attempts<'a> {
    patience: &'a Patience,
    failures: u32,
    waited: Duration,
}

impl Attempts<'_> {
    /// How often it failed.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Counts a failure and waits. `false` when patience is at its end: nothing was waited for then.
    ///
    /// The wait is drawn from the whole range below a ceiling of 500 ms doubling to 20 s (full
    /// jitter: Brooker, "Exponential Backoff and Jitter", AWS 2015); on top of `retry_after` when
    /// the other side named a time.
    pub async fn failed(&mut self, why: &str, retry_after: Option<Duration>) -> bool {
        let doublings = self.failures.min(10);
        self.failures += 1;
        let ceiling = FIRST.saturating_mul(1 << doublings).min(LARGEST);
        let spread = ceiling.mul_f64(entropy::fraction(&*self.patience.entropy));
        let wait = match retry_after {
            Some(named) => named.saturating_add(spread.min(Duration::from_secs(1))),
            None => spread,
        };
        if self.waited.saturating_add(wait) > self.patience.give_up_after {
            return false;
        }
        self.waited += wait;
        self.patience.progress.event(&Event::Waiting { why, wait });
        self.patience.pause.pause(wait).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use safelight_model::entropy::SeededEntropy;

    use super::*;
    use crate::progress::Silent;

    #[derive(Default)]
    struct Noted(Mutex<Vec<Duration>>);

    #[async_trait::async_trait]
    impl Pause for Noted {
        async fn pause(&self, duration: Duration) {
            self.0.lock().unwrap().push(duration);
        }
    }

    #[tokio::test]
    async fn waits_grow_keep_to_the_named_time_and_end() {
        let noted = Arc::new(Noted::default());
        let patience = Patience {
            pause: noted.clone(),
            entropy: Arc::new(SeededEntropy::new(1)),
            progress: Arc::new(Silent),
            give_up_after: Duration::from_secs(60),
        };
        let mut attempts = patience.begin();
        while attempts.failed("no answer", None).await {}
        let waits = std::mem::take(&mut *noted.0.lock().unwrap());
        assert!(waits.len() >= 5, "{waits:?}");
        assert!(waits.iter().sum::<Duration>() <= Duration::from_secs(60));
        assert!(waits.iter().all(|w| *w <= LARGEST));

        let mut attempts = patience.begin();
        assert!(attempts.failed("busy", Some(Duration::from_secs(7))).await);
        let waits = std::mem::take(&mut *noted.0.lock().unwrap());
        assert!((7.0..=8.0).contains(&waits[0].as_secs_f64()), "{waits:?}");
        assert!(
            !attempts
                .failed("busy", Some(Duration::from_secs(3600)))
                .await
        );
    }
}
