//! How many files had better be under way at once. It begins where the server says, which does not know what a connection
//! loses, and goes by what is carried: while more connections carry more together, one more is tried; when they only
//! share what fewer carried, there is one less. So one file goes after another where bandwidth is the limit, and several go
//! where loss on a long round trip is.
//!
//! It is judged while files are under way, each two seconds or a little longer, by what each of them hands to the network, times their number;
//! and when a file has ended, by all of it. What a connection takes at once at its beginning fills buffers, and is
//! not counted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

/// Without the server's word, and most for what was never measured.
const UNSAID: u32 = 2;
/// What is smaller or quicker says more of the round trip than of the link.
const LEAST_BYTES: i64 = 128 * 1024;
const LEAST_TIME: Duration = Duration::from_millis(500);
/// Of what one more would carry if connections did not hold each other up, so much is enough to be worth it.
const WORTH: f64 = 0.5;
/// The same where several carry more than one: there one more costs little, and the last one fills what the others leave.
const WORTH_OF_SEVERAL: f64 = 0.2;
/// Samples that differ by less were taken with as many.
const AS_MANY: f64 = 0.5;
/// So long it stays before one more is tried again.
const REST: Duration = Duration::from_secs(120);
/// What is handed over so soon after a file began fills buffers, and what others are after one more began is not yet what
/// they will be.
const SETTLES: Duration = Duration::from_secs(1);
/// Over so long, or longer, it is judged what a connection carries, if as many files were under way all the time, about.
const WINDOW: Duration = Duration::from_secs(2);
const ABOUT: f64 = 0.25;
/// When nothing is handed over for longer, the link was out, or the file waited.
const LONGEST_GAP: Duration = Duration::from_secs(6);
/// What is handed over within this is a lump: what waits on the way takes some at a time. A window holds so many times the largest, as
/// a lump more or less would count for much of it otherwise.
const LUMP: Duration = Duration::from_millis(250);
const LUMPS: u64 = 4;
/// What is older says nothing any more of the link.
const KEPT: Duration = Duration::from_secs(600);
/// With fewer files on average, one was alone.
const ALONE: f64 = 1.0 + AS_MANY;

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
    /// When there were last more of them than before, and when before that: who comes as another goes makes them no more.
    grew_at: [Option<Instant>; 2],
    left_at: Option<Instant>,
    /// Files under way times seconds, up to `counted`.
    file_seconds: f64,
    counted: Option<Instant>,
    /// What was carried by how many files under way: the last word for each number.
    carried: Vec<Carried>,
    rests_until: Option<Instant>,
}

/// What all carried together.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Carried {
    /// With so many files under way, on average.
    files: f64,
    bytes_per_s: f64,
    at: Instant,
}

impl Carried {
    /// Whether this is so much more than `fewer` carried that it is worth it.
    fn is_worth_more_than(&self, fewer: &Self) -> bool {
        let more = self.files / fewer.files.max(1.0) - 1.0;
        let worth = if fewer.files < ALONE {
            WORTH
        } else {
            WORTH_OF_SEVERAL
        };
        self.bytes_per_s >= fewer.bytes_per_s * (1.0 + worth * more)
    }
}

impl Level {
    fn count(&mut self, now: Instant) {
        if let Some(counted) = self.counted {
            let since = now.saturating_duration_since(counted).as_secs_f64();
            self.file_seconds += since * f64::from(self.under_way);
        }
        self.counted = Some(now);
    }

    fn more_under_way(&mut self, now: Instant) {
        self.count(now);
        self.under_way += 1;
        let left = self.left_at.take();
        if left.is_none_or(|at| now.saturating_duration_since(at) >= SETTLES) {
            self.grew_at = [Some(now), self.grew_at[0]];
        }
    }

    fn fewer_under_way(&mut self, now: Instant) {
        self.count(now);
        self.under_way = self.under_way.saturating_sub(1);
        let [grew, before] = self.grew_at;
        if grew.is_some_and(|at| now.saturating_duration_since(at) < SETTLES) {
            self.grew_at = [before, None];
        } else {
            self.left_at = Some(now);
        }
    }

    fn carried(&mut self, files: f64, bytes_per_s: f64, at: Instant) {
        self.carried
            .retain(|c| at.saturating_duration_since(c.at) < KEPT);
        let now = Carried {
            files,
            bytes_per_s,
            at,
        };
        let fewer = self.carried.iter().filter(|c| c.files <= files - AS_MANY);
        let best = fewer.max_by(|a, b| a.bytes_per_s.total_cmp(&b.bytes_per_s));
        let is_worth_it = best.is_none_or(|fewer| now.is_worth_more_than(fewer));
        let enough = best.map_or(1.0, |fewer| (fewer.files - ABOUT).ceil());
        self.carried.retain(|c| (c.files - files).abs() >= AS_MANY);
        self.carried.push(now);
        let rests = self.rests_until.is_some_and(|until| at < until);
        if !is_worth_it {
            // One less than these; who goes on meanwhile says the same again. But no less than carried about as much.
            let fewer = (files.round() - 1.0).max(enough) as u32;
            self.at_once = self.at_once.min(fewer);
            self.rests_until = Some(at + REST);
        } else if !rests && files >= f64::from(self.at_once) - AS_MANY {
            self.at_once += 1;
        }
    }

    /// What one file carried alone, of late.
    fn alone(&self, now: Instant) -> Option<Carried> {
        let recent = |c: &&Carried| now.saturating_duration_since(c.at) < KEPT;
        let alone = self.carried.iter().filter(recent);
        alone.copied().find(|c| c.files < ALONE)
    }

    /// Whether more carried more, by what was measured last.
    fn more_carry_more(&self, now: Instant) -> Option<bool> {
        let alone = self.alone(now)?;
        let recent = |c: &&Carried| now.saturating_duration_since(c.at) < KEPT;
        let more = self.carried.iter().filter(recent);
        let last = more.filter(|c| c.files >= ALONE).max_by_key(|c| c.at)?;
        // Where three fill the link a fourth adds nothing, and four still carry more than one.
        let more = (last.files - 1.0).min(1.0);
        Some(last.bytes_per_s >= alone.bytes_per_s * (1.0 + WORTH * more))
    }
}

impl Breadth {
    /// The server says how many, by what it knows now. What was measured stays: the server knows less of it, and does not
    /// take back what carries more.
    pub(super) fn said(&self, at_once: u32) {
        let mut level = self.level();
        if level.said != at_once {
            level.said = at_once;
            let measured = level.more_carry_more(Instant::now()) == Some(true);
            level.at_once = if measured {
                level.at_once.max(at_once)
            } else {
                at_once
            };
            level.rests_until = None;
            self.changed.notify_waiters();
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

    /// Whether more files at once carry more, as was measured of late; `None` if it was not.
    pub(super) fn more_carry_more(&self) -> Option<bool> {
        self.level().more_carry_more(Instant::now())
    }

    /// What one file carried alone of late, in bytes a second.
    pub(super) fn alone_bytes_per_s(&self) -> Option<f64> {
        let alone = self.level().alone(Instant::now());
        alone.map(|c| c.bytes_per_s)
    }

    /// What a connection carries where more of them carry more, as was measured of late, in bytes a second.
    pub(super) fn held_down_bytes_per_s(&self) -> Option<f64> {
        let (level, now) = (self.level(), Instant::now());
        let alone = level.alone(now)?.bytes_per_s;
        (level.more_carry_more(now) == Some(true)).then_some(alone)
    }

    /// The link is another: nothing of what was measured holds.
    pub(super) fn forget(&self) {
        let mut level = self.level();
        level.carried.clear();
        level.rests_until = None;
    }

    /// Returns when it is another number than it was, perhaps.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// A file begins.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.begin_at(Instant::now())
    }

    fn begin_at(self: &Arc<Self>, now: Instant) -> UnderWay {
        let mut level = self.level();
        level.more_under_way(now);
        UnderWay {
            breadth: self.clone(),
            begun: now,
            file_seconds: level.file_seconds,
            moving: Mutex::default(),
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
    moving: Mutex<Moving>,
}

#[derive(Debug, Default)]
struct Moving {
    window: Option<Window>,
    /// Went in pieces, with waits between them: it says nothing of what a connection carries.
    in_pieces: bool,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: Instant,
    /// As they were then.
    file_seconds: f64,
    /// Handed over since.
    bytes: u64,
    last: Instant,
    lump_from: Instant,
    lump_bytes: u64,
    largest_lump_bytes: u64,
}

impl Window {
    fn begin(now: Instant, file_seconds: f64) -> Self {
        Self {
            from: now,
            file_seconds,
            bytes: 0,
            last: now,
            lump_from: now,
            lump_bytes: 0,
            largest_lump_bytes: 0,
        }
    }

    fn moved(&mut self, bytes: u64, now: Instant) {
        if now.saturating_duration_since(self.lump_from) >= LUMP {
            (self.lump_from, self.lump_bytes) = (now, 0);
        }
        self.lump_bytes += bytes;
        self.largest_lump_bytes = self.largest_lump_bytes.max(self.lump_bytes);
        self.bytes += bytes;
        self.last = now;
    }

    /// Whether it says enough. It ends between lumps.
    fn is_long_enough(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.lump_from) >= LUMP
            && now.saturating_duration_since(self.from) >= WINDOW
            && self.bytes >= self.largest_lump_bytes.saturating_mul(LUMPS)
    }
}

impl UnderWay {
    /// So many more bytes of it were handed to the network.
    pub(super) fn moved(&self, bytes: u64) {
        self.moved_at(bytes, Instant::now());
    }

    fn moved_at(&self, bytes: u64, now: Instant) {
        let mut moving = self.moving();
        if moving.in_pieces {
            return;
        }
        let mut level = self.breadth.level();
        level.count(now);
        let settled = level.grew_at[0].map_or(self.begun, |at| at.max(self.begun)) + SETTLES;
        let mut fresh = Window::begin(now, level.file_seconds);
        fresh.moved(bytes, now);
        let Some(mut window) = moving.window else {
            moving.window = Some(fresh);
            return;
        };
        let was_out = now.saturating_duration_since(window.last) > LONGEST_GAP;
        // It began too soon, unless who came takes another's place.
        let is_late = window.from < settled && now >= settled;
        if was_out || is_late {
            moving.window = Some(fresh);
            return;
        }
        if window.from < settled || !window.is_long_enough(now) {
            window.moved(bytes, now);
            moving.window = Some(window);
            return;
        }
        moving.window = Some(fresh);
        let seconds = now.saturating_duration_since(window.from).as_secs_f64();
        let files = (level.file_seconds - window.file_seconds) / seconds;
        let is_steady = (files - f64::from(level.under_way)).abs() <= ABOUT;
        if is_steady {
            let before = level.at_once;
            level.carried(files, files * window.bytes as f64 / seconds, now);
            if level.at_once != before {
                self.breadth.changed.notify_waiters();
            }
        }
    }

    /// It goes in pieces from now on.
    pub(super) fn goes_in_pieces(&self) {
        self.moving().in_pieces = true;
    }

    /// So many bytes of it were carried, which are all.
    pub(super) fn arrived(&self, bytes: i64) {
        self.arrived_at(bytes, Instant::now());
    }

    fn arrived_at(&self, bytes: i64, now: Instant) {
        let took = now.saturating_duration_since(self.begun);
        if bytes < LEAST_BYTES || took < LEAST_TIME || self.moving().in_pieces {
            return;
        }
        let mut level = self.breadth.level();
        level.count(now);
        let seconds = took.as_secs_f64();
        let files = (level.file_seconds - self.file_seconds) / seconds;
        let before = level.at_once;
        level.carried(files, files * bytes as f64 / seconds, now);
        if level.at_once != before {
            self.breadth.changed.notify_waiters();
        }
    }

    fn moving(&self) -> MutexGuard<'_, Moving> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.breadth.level().fewer_under_way(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u32 = 6;

    /// Looks each two seconds at a link that carries `all`, and `each` on one connection, in bytes a second; how many were at
    /// once.
    fn send(said: u32, looks: u32, each: f64, all: f64) -> Vec<u32> {
        let breadth = Breadth::default();
        breadth.said(said);
        let mut numbers = Vec::new();
        let mut now = Instant::now();
        for _ in 0..looks {
            let n = breadth.at_once(MOST, false);
            numbers.push(n);
            let carried = (each * f64::from(n)).min(all);
            now += WINDOW;
            breadth.level().carried(f64::from(n), carried, now);
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
    fn the_one_that_fills_the_rest_of_the_link_is_worth_it() {
        // Three carry 93 %.
        let numbers = send(1, 12, 39_000.0, 125_000.0);
        assert!(numbers[3..].contains(&4), "{numbers:?}");
        assert_eq!(numbers.last(), Some(&4), "{numbers:?}");
    }

    #[test]
    fn what_carried_as_much_is_not_given_up_for_a_fraction_more_that_adds_nothing() {
        let breadth = Breadth::default();
        breadth.said(3);
        for (files, bytes_per_s) in [(1.0, 39_000.0), (2.6, 117_000.0), (3.2, 117_000.0)] {
            breadth.level().carried(files, bytes_per_s, Instant::now());
        }
        assert_eq!(breadth.at_once(MOST, false), 3);
    }

    #[test]
    fn what_is_tried_again_is_tried_seldom() {
        let numbers = send(1, 200, 125_000.0, 125_000.0);
        let tries = numbers.iter().filter(|n| **n > 1).count();
        assert!((2..=400 / 120 + 1).contains(&tries), "{tries}");
    }

    #[test]
    fn where_the_servers_word_holds_it_is_not_exceeded() {
        let breadth = Breadth::default();
        breadth.said(1);
        breadth.level().carried(1.0, 100.0, Instant::now());
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
        breadth.level().carried(1.0, 100.0, Instant::now());
        breadth.level().carried(4.0, 100.0, Instant::now());
        assert_eq!(breadth.at_once(6, false), 3);
        breadth.said(4);
        assert_eq!(breadth.at_once(6, false), 3);
        breadth.said(2);
        assert_eq!(breadth.at_once(6, false), 2);
        assert_eq!(breadth.more_carry_more(), Some(false), "it is still known");
        assert_eq!(breadth.held_down_bytes_per_s(), None);
        breadth.level().carried(2.0, 200.0, Instant::now());
        assert_eq!(breadth.at_once(6, false), 3);
        breadth.said(1);
        assert_eq!(breadth.at_once(6, false), 3, "more carry more");
        assert_eq!(breadth.held_down_bytes_per_s(), Some(100.0));
    }

    #[tokio::test]
    async fn who_waits_hears_of_another_word() {
        let breadth = Breadth::default();
        breadth.said(1);
        let waits = breadth.changed();
        tokio::pin!(waits);
        breadth.said(1);
        assert!(futures::poll!(&mut waits).is_pending(), "the same word");
        breadth.said(3);
        assert!(futures::poll!(&mut waits).is_ready());
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
        assert_eq!((carried[0].files, carried[0].bytes_per_s), (1.5, 750_000.0));
        second.arrived_at(1_000, at(9_000));
        assert_eq!(breadth.level().carried, carried, "too little says nothing");
    }

    /// Hands over what a connection carries, in chunks of 4 KiB, for so long.
    fn hand_over(file: &UnderWay, from: Instant, bytes_per_s: f64, ms: u64) -> Instant {
        const CHUNK: u64 = 4096;
        let each = Duration::from_secs_f64(CHUNK as f64 / bytes_per_s);
        let mut at = from;
        while at < from + Duration::from_millis(ms) {
            at += each;
            file.moved_at(CHUNK, at);
        }
        at
    }

    #[test]
    fn it_is_judged_while_files_are_under_way() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        for (two, more) in [(21_000.0, false), (42_000.0, true)] {
            let breadth = Arc::new(Breadth::default());
            breadth.said(1);
            let first = breadth.begin_at(begun);
            // Into buffers.
            first.moved_at(100_000, begun);
            let reached = hand_over(&first, begun, 42_000.0, 2_500);
            assert_eq!(breadth.level().alone(at(2_500)), None, "too soon");
            let reached = hand_over(&first, reached, 42_000.0, 1_500);
            let alone = breadth.level().alone(at(4_000)).unwrap().bytes_per_s;
            assert!((41_000.0..43_000.0).contains(&alone), "{alone}");
            assert_eq!(breadth.level().more_carry_more(at(4_000)), None);
            assert_eq!(breadth.at_once(6, false), 2);
            let second = breadth.begin_at(reached);
            second.moved_at(100_000, reached);
            hand_over(&second, reached, two, 3_800);
            assert_eq!(breadth.level().more_carry_more(at(8_000)), Some(more));
            assert_eq!(breadth.at_once(6, false), if more { 3 } else { 1 });
            breadth.forget();
            assert_eq!(breadth.level().more_carry_more(at(8_000)), None);
        }
    }

    #[test]
    fn what_leaves_in_lumps_is_judged_by_several_of_them() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let breadth = Arc::new(Breadth::default());
        breadth.said(1);
        let file = breadth.begin_at(begun);
        // 126 kB at once, two seconds apart on average.
        let lumps = [1_500, 2_500, 5_500, 6_500, 9_500];
        for ms in lumps {
            file.moved_at(63_000, at(ms));
            file.moved_at(63_000, at(ms));
            let known = breadth.level().alone(at(ms)).is_some();
            assert_eq!(known, ms == 9_500, "after {ms} ms");
        }
        let alone = breadth.level().alone(at(9_500)).unwrap().bytes_per_s;
        assert!((55_000.0..71_000.0).contains(&alone), "{alone}");
    }

    #[test]
    fn who_takes_anothers_place_changes_nothing() {
        let begun = Instant::now();
        let breadth = Arc::new(Breadth::default());
        let key = breadth.begin_at(begun);
        let other = breadth.begin_at(begun);
        let reached = hand_over(&key, begun, 42_000.0, 2_000);
        // One more comes a little before the other goes.
        let next = breadth.begin_at(reached);
        let reached = hand_over(&key, reached, 42_000.0, 150);
        breadth.level().fewer_under_way(reached);
        hand_over(&key, reached, 42_000.0, 1_200);
        let carried = breadth.level().carried.clone();
        assert_eq!(carried.len(), 1, "{carried:?}");
        assert!((1.9..2.2).contains(&carried[0].files), "{carried:?}");
        drop((other, next));
    }

    #[test]
    fn outages_and_pieces_say_nothing_of_the_link() {
        let breadth = Arc::new(Breadth::default());
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let file = breadth.begin_at(begun);
        file.moved_at(4_096, at(1_500));
        file.moved_at(4_096, at(1_600));
        file.moved_at(4_096, at(21_600));
        assert_eq!(breadth.level().carried, []);
        file.goes_in_pieces();
        hand_over(&file, at(30_000), 42_000.0, 9_000);
        file.arrived_at(1_000_000, at(40_000));
        assert_eq!(breadth.level().carried, []);
        drop(file);
        assert_eq!(breadth.level().under_way, 0);
    }
}
