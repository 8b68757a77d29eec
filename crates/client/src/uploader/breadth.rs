//! How many files had better be under way at once. It begins where the server says, which does not know what a connection
//! loses, and goes by what is carried: while more connections carry more together, one more is tried; when they only
//! share what fewer carried, there is one less. So one file goes after another where bandwidth is the limit, and several go
//! where loss on a long round trip is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Without the server's word, and most for what was never measured.
const UNSAID: u32 = 2;
/// What is smaller or quicker says more of the round trip than of the link.
const LEAST_BYTES: i64 = 128 * 1024;
const LEAST_TIME: Duration = Duration::from_millis(500);
/// Of what one more would carry if connections did not hold each other up, so much is enough to be worth it.
const WORTH: f64 = 0.5;
/// Samples that differ by less were taken with as many.
const AS_MANY: f64 = 0.5;
/// So many files are sent before one more is tried again.
const REST: u32 = 16;

/// The number, and what it is found by.
#[derive(Debug, Default)]
pub(super) struct Breadth {
    level: Mutex<Level>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Level {
    /// By the server; 0 if it did not.
    said: u32,
    at_once: u32,
    under_way: u32,
    /// Files under way times seconds, up to `counted`.
    file_seconds: f64,
    counted: Option<Instant>,
    /// With how many files under way, on average, so many bytes a second were carried by all together: the last word for each
    /// number.
    carried: Vec<(f64, f64)>,
    rest: u32,
}

impl Level {
    fn count(&mut self, now: Instant) {
        if let Some(counted) = self.counted {
            let since = now.saturating_duration_since(counted).as_secs_f64();
            self.file_seconds += since * f64::from(self.under_way);
        }
        self.counted = Some(now);
    }

    fn carried(&mut self, files: f64, bytes_per_s: f64) {
        let fewer = self.carried.iter().filter(|(n, _)| *n <= files - AS_MANY);
        let best = fewer.copied().max_by(|a, b| a.1.total_cmp(&b.1));
        self.carried.retain(|(n, _)| (n - files).abs() >= AS_MANY);
        self.carried.push((files, bytes_per_s));
        let is_worth_it = best.is_none_or(|(fewer, carried)| {
            bytes_per_s >= carried * (1.0 + WORTH * (files / fewer.max(1.0) - 1.0))
        });
        if !is_worth_it {
            if self.at_once > 1 {
                self.at_once -= 1;
            }
            self.rest = REST;
        } else if self.rest > 0 {
            self.rest -= 1;
        } else if files >= f64::from(self.at_once) - AS_MANY {
            self.at_once += 1;
        }
    }
}

impl Breadth {
    /// The server says how many, by what it knows now.
    pub(super) fn said(&self, at_once: u32) {
        let mut level = self.level();
        if level.said != at_once {
            level.said = at_once;
            level.at_once = at_once;
            level.carried.clear();
            level.rest = 0;
        }
    }

    /// How many, and no more than `most`; no more than the server said either, where `as_said` is to hold.
    pub(super) fn at_once(&self, most: u32, as_said: bool) -> u32 {
        let mut level = self.level();
        let most = match level.said {
            said @ 1.. if as_said => said.min(most),
            _ => most,
        };
        if level.at_once == 0 {
            level.at_once = UNSAID;
        }
        level.at_once = level.at_once.min(most).max(1);
        level.at_once
    }

    /// Returns when it is another number than it was, perhaps. One may wait.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// A file begins.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.begin_at(Instant::now())
    }

    fn begin_at(self: &Arc<Self>, now: Instant) -> UnderWay {
        let mut level = self.level();
        level.count(now);
        level.under_way += 1;
        UnderWay {
            breadth: self.clone(),
            begun: now,
            file_seconds: level.file_seconds,
        }
    }

    fn level(&self) -> MutexGuard<'_, Level> {
        self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file under way, on one connection; dropped when it is not any more.
#[derive(Debug)]
pub(super) struct UnderWay {
    breadth: Arc<Breadth>,
    begun: Instant,
    file_seconds: f64,
}

impl UnderWay {
    /// So many bytes of it were carried.
    pub(super) fn arrived(self, bytes: i64) {
        self.arrived_at(bytes, Instant::now());
    }

    fn arrived_at(self, bytes: i64, now: Instant) {
        let took = now.saturating_duration_since(self.begun);
        if bytes < LEAST_BYTES || took < LEAST_TIME {
            return;
        }
        let mut level = self.breadth.level();
        level.count(now);
        let seconds = took.as_secs_f64();
        let files = (level.file_seconds - self.file_seconds) / seconds;
        let before = level.at_once;
        level.carried(files, files * bytes as f64 / seconds);
        if level.at_once != before {
            self.breadth.changed.notify_one();
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut level = self.breadth.level();
        level.count(Instant::now());
        level.under_way = level.under_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u32 = 6;

    /// Sends files over a link that carries `all`, and `each` on one connection, in bytes a second; how many were at once.
    fn send(said: u32, files: u32, each: f64, all: f64) -> Vec<u32> {
        let breadth = Breadth::default();
        breadth.said(said);
        let mut numbers = Vec::new();
        for _ in 0..files {
            let n = breadth.at_once(MOST, false);
            numbers.push(n);
            let carried = (each * f64::from(n)).min(all);
            breadth.level().carried(f64::from(n), carried);
        }
        numbers
    }

    #[test]
    fn where_bandwidth_is_the_limit_one_goes_after_another() {
        let numbers = send(1, 12, 125_000.0, 125_000.0);
        assert_eq!(numbers[..4], [1, 2, 1, 1]);
        assert!(numbers[4..].iter().all(|n| *n == 1), "{numbers:?}");
        let numbers = send(2, 6, 125_000.0, 125_000.0);
        assert_eq!(numbers.first(), Some(&2));
    }

    #[test]
    fn where_each_connection_is_slow_more_go_until_the_link_is_full() {
        let numbers = send(1, 12, 42_000.0, 125_000.0);
        assert_eq!(numbers[..4], [1, 2, 3, 4]);
        assert!(numbers[5..].iter().all(|n| *n == 3), "{numbers:?}");
        let numbers = send(1, 12, 10_000.0, 125_000.0);
        assert_eq!(numbers.last(), Some(&MOST));
    }

    #[test]
    fn what_is_tried_again_is_tried_seldom() {
        let numbers = send(1, 200, 125_000.0, 125_000.0);
        let tries = numbers.iter().filter(|n| **n > 1).count();
        assert!((2..=200 / 16 + 1).contains(&tries), "{tries}");
    }

    #[test]
    fn where_the_servers_word_holds_it_is_not_exceeded() {
        let breadth = Breadth::default();
        breadth.said(1);
        breadth.level().carried(1.0, 100.0);
        assert_eq!(breadth.at_once(6, false), 2);
        assert_eq!(breadth.at_once(6, true), 1);
    }

    #[test]
    fn another_word_of_the_server_begins_anew() {
        let breadth = Breadth::default();
        assert_eq!(
            (breadth.at_once(6, false), breadth.at_once(1, false)),
            (2, 1)
        );
        breadth.said(4);
        assert_eq!(breadth.at_once(6, false), 4);
        breadth.level().carried(1.0, 100.0);
        breadth.level().carried(4.0, 100.0);
        assert_eq!(breadth.at_once(6, false), 3);
        breadth.said(4);
        assert_eq!(breadth.at_once(6, false), 3);
        breadth.said(2);
        assert_eq!(breadth.at_once(6, false), 2);
    }

    #[test]
    fn files_under_way_are_counted_by_the_time_they_were() {
        let breadth = Arc::new(Breadth::default());
        breadth.said(2);
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let first = breadth.begin_at(at(0));
        let second = breadth.begin_at(at(1_000));
        first.arrived_at(1_000_000, at(2_000));
        let carried = breadth.level().carried.clone();
        // One for a second, two for another.
        assert_eq!(carried, [(1.5, 750_000.0)]);
        second.arrived_at(1_000, at(9_000));
        assert_eq!(breadth.level().carried, carried, "too little says nothing");
    }
}
