//! Time as a value that is handed in.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment: microseconds since the Unix epoch, UTC. As it stands in database rows.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// The moment `later` after this one; saturates at the end of time.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(later.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// The moment `earlier` before this one; saturates at the beginning of time.
    #[must_use]
    pub fn minus(self, earlier: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(earlier.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// How long after `earlier` this moment is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// RFC 3339 text in UTC with microseconds, as on the wire: `2026-11-23T08:00:00.000001Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000)
            .ok()
            .and_then(|at| at.format(&Rfc3339).ok())
            .unwrap_or_else(|| "9999-12-31T23:59:59Z".to_owned())
    }

    /// Reads RFC 3339 text. `None` when it is not a valid moment.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos() / 1_000)
            .ok()
            .map(Self)
    }

    /// Year, month and day in UTC, for object keys.
    #[must_use]
    pub fn date(self) -> (i32, u8, u8) {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000)
            .map_or((1970, 1, 1), |at| {
                (at.year(), u8::from(at.month()), at.day())
            })
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The present moment. It jumps where somebody sets the clock.
    fn now(&self) -> Micros;

    /// How long ago some moment was that stays the same for as long as the process runs: for how long something lasts, whoever
    /// sets the clock meanwhile.
    fn uptime(&self) -> Duration;
}

/// When time was first asked for.
static BEGUN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();

/// The machine's own clock. The one place where it is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the injected clock itself"
    )]
    fn now(&self) -> Micros {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn uptime(&self) -> Duration {
        BEGUN.get_or_init(std::time::Instant::now).elapsed()
    }
}

/// A clock that stands still until it is moved. For tests and simulations.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: AtomicI64,
    uptime: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `at`.
    #[must_use]
    pub fn at(at: Micros) -> Self {
        Self {
            now: AtomicI64::new(at.0),
            uptime: AtomicU64::new(0),
        }
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.now.fetch_add(micros, Ordering::SeqCst);
        self.uptime
            .fetch_add(micros.unsigned_abs(), Ordering::SeqCst);
    }

    /// Sets the clock, while no time passes.
    pub fn set(&self, to: Micros) {
        self.now.store(to.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Micros {
        Micros(self.now.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Duration {
        Duration::from_micros(self.uptime.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_round_trips() {
        let at = Micros(1_795_000_000_123_456);
        assert_eq!(Micros::parse_rfc3339(&at.rfc3339()), Some(at));
        assert_eq!(Micros(0).rfc3339(), "1970-01-01T00:00:00Z");
        assert_eq!(
            Micros::parse_rfc3339("2026-11-23T10:00:00+02:00"),
            Micros::parse_rfc3339("2026-11-23T08:00:00Z")
        );
        assert_eq!(Micros::parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::at(Micros(5));
        assert_eq!(clock.now(), Micros(5));
        clock.advance(Duration::from_micros(7));
        assert_eq!(clock.now(), Micros(12));
        assert_eq!(Micros(12).since(Micros(5)), Duration::from_micros(7));
        assert_eq!(Micros(5).since(Micros(12)), Duration::ZERO);
        assert_eq!(clock.uptime(), Duration::from_micros(7));
        clock.set(Micros(3));
        assert_eq!(
            (clock.now(), clock.uptime()),
            (Micros(3), Duration::from_micros(7))
        );
    }
}
