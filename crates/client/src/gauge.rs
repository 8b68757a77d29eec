//! What the client itself measures of its link, over a sliding window: what it carries, how soon the server answers, and
//! how often connections break.
//!
//! | number | of what | believed |
//! |---|---|---|
//! | uplink | bytes that moved, by the time in which anything was under way, over the last 64 stretches of transfers and a minute | from 512 KiB that were answered, or 4 s, on; below 50 Mbit/s, above which a store's disk is measured rather than a link |
//! | round trip | the quickest of the API's last 16 answers | from 2 on; it includes the server's own time, so it is an upper bound |
//! | breaks | the last 16 transfers | from 3 that broke, and a quarter, on |
//!
//! Short transfers of little (less than 256 KiB in less than a second) say more of the round trip than of the link, and
//! are left out of the uplink.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Stretches that are kept, and for how long.
const STRETCHES: usize = 64;
const WINDOW: Duration = Duration::from_secs(60);
/// A stretch of a transfer that goes on for longer is cut here.
const STRETCH: Duration = Duration::from_secs(1);
/// Less than this in less than [`STRETCH`] says nothing of the link.
const LEAST_BYTES: u64 = 256 * 1024;
/// What is needed until the uplink is believed.
const ANSWERED_BYTES: u64 = 512 * 1024;
const LEAST_TIME: Duration = Duration::from_secs(4);
/// Faster links are not told from the disk behind them.
const MOST_KBPS: u32 = 50_000;
/// Answers and endings that are kept.
const KEPT: usize = 16;
const LEAST_ANSWERS: usize = 2;
/// From so many breaks on, and from this share of endings (one in so many), connections break.
const LEAST_BREAKS: usize = 3;
const BREAKS_ONE_IN: usize = 4;

/// What was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// What the link carries towards the server, in kbit/s.
    pub uplink_kbps: Option<u32>,
    /// A round trip, in milliseconds, rounded up.
    pub round_trip_ms: Option<u32>,
    /// Whether connections break often.
    pub breaks: bool,
}

impl Measured {
    /// Where this says nothing, what was known before.
    #[must_use]
    pub fn or(self, before: Self) -> Self {
        Self {
            uplink_kbps: self.uplink_kbps.or(before.uplink_kbps),
            round_trip_ms: self.round_trip_ms.or(before.round_trip_ms),
            breaks: self.breaks || before.breaks,
        }
    }
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With an answer.
    Answered,
    /// The connection broke.
    Broken,
    /// It was given up here, or never began.
    GivenUp,
}

/// Measures.
#[derive(Debug, Default)]
pub struct Gauge {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    stretches: VecDeque<Stretch>,
    answers: VecDeque<Duration>,
    /// Whether each broke.
    endings: VecDeque<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    from: Instant,
    to: Instant,
    bytes: u64,
    /// Whether the other side said that it has them.
    answered: bool,
}

/// A transfer under way.
#[derive(Debug)]
pub struct Flow {
    gauge: Arc<Gauge>,
    moving: Mutex<Moving>,
}

#[derive(Debug)]
struct Moving {
    from: Instant,
    last: Instant,
    bytes: u64,
    all_bytes: u64,
    has_ended: bool,
}

impl Gauge {
    /// What was measured by now.
    #[must_use]
    pub fn measured(&self) -> Measured {
        self.seen().measured()
    }

    /// Forgets it all: the link is another.
    pub fn forget(&self) {
        *self.seen() = Seen::default();
    }

    /// The server answered a small request after `took`.
    pub fn answered(&self, took: Duration) {
        let mut seen = self.seen();
        seen.answers.push_back(took);
        if seen.answers.len() > KEPT {
            seen.answers.pop_front();
        }
    }

    /// A transfer begins.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Flow {
        let now = Instant::now();
        Flow {
            gauge: self.clone(),
            moving: Mutex::new(Moving {
                from: now,
                last: now,
                bytes: 0,
                all_bytes: 0,
                has_ended: false,
            }),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn stretch(&mut self, stretch: Stretch) {
        self.stretches.push_back(stretch);
        while self.stretches.len() > STRETCHES
            || self
                .stretches
                .front()
                .is_some_and(|s| stretch.to.saturating_duration_since(s.to) > WINDOW)
        {
            self.stretches.pop_front();
        }
    }

    fn ending(&mut self, broke: bool) {
        self.endings.push_back(broke);
        if self.endings.len() > KEPT {
            self.endings.pop_front();
        }
    }

    fn measured(&self) -> Measured {
        let quickest = self.answers.iter().min();
        let round_trip = quickest.filter(|_| self.answers.len() >= LEAST_ANSWERS);
        let breaks = self.endings.iter().filter(|broke| **broke).count();
        Measured {
            uplink_kbps: self.uplink_kbps(),
            round_trip_ms: round_trip
                .map(|d| u32::try_from(d.as_millis()).map_or(u32::MAX, |ms| ms.saturating_add(1))),
            breaks: breaks >= LEAST_BREAKS && breaks * BREAKS_ONE_IN >= self.endings.len(),
        }
    }

    fn uplink_kbps(&self) -> Option<u32> {
        let mut spans: Vec<(Instant, Instant)> =
            self.stretches.iter().map(|s| (s.from, s.to)).collect();
        spans.sort();
        let (mut busy, mut until) = (Duration::ZERO, None);
        for (from, to) in spans {
            let from = until.map_or(from, |until| from.max(until));
            busy += to.saturating_duration_since(from);
            until = until.max(Some(to));
        }
        let bytes = |answered: bool| -> u64 {
            let counted = self.stretches.iter().filter(|s| s.answered || !answered);
            counted.map(|s| s.bytes).sum()
        };
        if busy < LEAST_TIME && bytes(true) < ANSWERED_BYTES {
            return None;
        }
        let ms = u64::try_from(busy.as_millis()).unwrap_or(u64::MAX).max(1);
        // bit/ms is kbit/s.
        let kbps = u32::try_from(bytes(false).saturating_mul(8) / ms).unwrap_or(u32::MAX);
        (kbps < MOST_KBPS).then(|| kbps.max(1))
    }
}

impl Flow {
    /// So many more bytes were handed to the network.
    pub fn moved(&self, bytes: u64) {
        self.moved_at(bytes, Instant::now());
    }

    /// It has ended.
    pub fn end(&self, ending: Ending) {
        self.end_at(ending, Instant::now());
    }

    fn moved_at(&self, bytes: u64, now: Instant) {
        let mut moving = self.moving();
        moving.bytes += bytes;
        moving.all_bytes += bytes;
        moving.last = now;
        if now.saturating_duration_since(moving.from) >= STRETCH {
            self.gauge.seen().stretch(Stretch {
                from: moving.from,
                to: now,
                bytes: moving.bytes,
                answered: false,
            });
            moving.from = now;
            moving.bytes = 0;
        }
    }

    fn end_at(&self, ending: Ending, now: Instant) {
        let mut moving = self.moving();
        if std::mem::replace(&mut moving.has_ended, true) {
            return;
        }
        let answered = ending == Ending::Answered;
        // What hung at its end moved until its last byte did.
        let to = if answered { now } else { moving.last };
        let is_long = to.saturating_duration_since(moving.from) >= STRETCH;
        let mut seen = self.gauge.seen();
        if moving.bytes > 0 && (moving.all_bytes >= LEAST_BYTES || is_long) {
            seen.stretch(Stretch {
                from: moving.from,
                to,
                bytes: moving.bytes,
                answered,
            });
        }
        if ending != Ending::GivenUp {
            seen.ending(ending == Ending::Broken);
        }
    }

    fn moving(&self) -> MutexGuard<'_, Moving> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.end(Ending::GivenUp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(begin: Instant, ms: u64) -> Instant {
        begin + Duration::from_millis(ms)
    }

    fn transfer(gauge: &Arc<Gauge>, from: Instant, took_ms: u64, bytes: u64, ending: Ending) {
        let flow = gauge.begin();
        *flow.moving() = Moving {
            from,
            last: from,
            bytes: 0,
            all_bytes: 0,
            has_ended: false,
        };
        flow.moved_at(bytes, from);
        flow.end_at(ending, after(from, took_ms));
    }

    #[test]
    fn transfers_at_the_same_time_count_their_time_once() {
        let (gauge, begin) = (Arc::new(Gauge::default()), Instant::now());
        assert_eq!(gauge.measured(), Measured::default());
        // Two of 500,000 bytes, one half beside the other: 8,000 kbit in 3 s.
        transfer(&gauge, begin, 2_000, 500_000, Ending::Answered);
        transfer(
            &gauge,
            after(begin, 1_000),
            2_000,
            500_000,
            Ending::Answered,
        );
        assert_eq!(gauge.measured().uplink_kbps, Some(2_666));
        // A pause costs nothing.
        transfer(
            &gauge,
            after(begin, 9_000),
            3_000,
            1_000_000,
            Ending::Answered,
        );
        assert_eq!(gauge.measured().uplink_kbps, Some(2_666));
        gauge.forget();
        assert_eq!(gauge.measured().uplink_kbps, None);
    }

    #[test]
    fn what_says_little_of_the_link_is_left_out() {
        let (gauge, begin) = (Arc::new(Gauge::default()), Instant::now());
        for i in 0..20 {
            transfer(
                &gauge,
                after(begin, 1_000 * i),
                900,
                30_000,
                Ending::Answered,
            );
        }
        assert_eq!(gauge.measured().uplink_kbps, None, "short and small");
        transfer(
            &gauge,
            after(begin, 30_000),
            10,
            10_000_000,
            Ending::Answered,
        );
        assert_eq!(gauge.measured().uplink_kbps, None, "a disk");
    }

    #[test]
    fn a_long_transfer_is_measured_on_its_way_and_the_window_slides() {
        let (gauge, begin) = (Arc::new(Gauge::default()), Instant::now());
        let flow = gauge.begin();
        flow.moving().from = begin;
        for second in 1..=3 {
            flow.moved_at(125_000, after(begin, 1_000 * second));
        }
        assert_eq!(gauge.measured().uplink_kbps, None, "it may be buffers only");
        for second in 4..=70 {
            flow.moved_at(125_000, after(begin, 1_000 * second));
        }
        assert_eq!(gauge.measured().uplink_kbps, Some(1_000));
        for second in 71..=140 {
            flow.moved_at(62_500, after(begin, 1_000 * second));
        }
        assert_eq!(gauge.measured().uplink_kbps, Some(500));
    }

    #[test]
    fn breaks_and_answers_are_those_of_late() {
        let (gauge, begin) = (Arc::new(Gauge::default()), Instant::now());
        for ending in [Ending::Broken, Ending::Broken, Ending::GivenUp] {
            transfer(&gauge, begin, 10, 10, ending);
        }
        assert!(!gauge.measured().breaks, "two may be chance");
        transfer(&gauge, begin, 10, 10, Ending::Broken);
        assert!(gauge.measured().breaks);
        for _ in 0..KEPT {
            transfer(&gauge, begin, 10, 10, Ending::Answered);
        }
        assert!(!gauge.measured().breaks);

        gauge.answered(Duration::from_millis(20));
        assert_eq!(gauge.measured().round_trip_ms, None);
        gauge.answered(Duration::from_millis(300));
        assert_eq!(gauge.measured().round_trip_ms, Some(21));
        for _ in 0..KEPT {
            gauge.answered(Duration::from_millis(300));
        }
        assert_eq!(gauge.measured().round_trip_ms, Some(301));
    }
}
