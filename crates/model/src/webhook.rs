//! When a webhook's delivery is tried again, and when no more.

use std::time::Duration;

/// How long after each failed try the next one comes: all in about twenty-eight hours, so that one which is away
/// for a day misses nothing. Then the delivery is given up.
pub const WAITS: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(10 * 3600),
];

/// The longest that a receiver may ask to be left alone (`Retry-After`).
pub const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// An endpoint that has failed for so long without a single success is disabled, …
pub const FAILING_FOR: Duration = Duration::from_secs(5 * 24 * 3600);
/// … if it was tried so often meanwhile: more than one delivery was given up.
pub const FAILING_TIMES: i64 = 12;

/// The longest that an endpoint rests after a failure.
const LONGEST_REST: Duration = Duration::from_secs(5 * 60);

/// How long after a failed try the next one comes, if the delivery was tried `attempts` times before this; `None` if
/// it is given up. `fraction` from `[0, 1)` spreads the tries: a wait is up to a fifth longer. `asked` is what the
/// receiver asked for: it makes a wait longer, never shorter.
#[must_use]
pub fn wait(attempts: i64, asked: Option<Duration>, fraction: f64) -> Option<Duration> {
    let planned = WAITS.get(usize::try_from(attempts).ok()?)?;
    let asked = asked.unwrap_or_default().min(LONGEST_ASKED);
    Some((*planned).max(asked).mul_f64(1.0 + fraction / 5.0))
}

/// How long an endpoint rests after so many failures in a row, so that one which is down or slow does not keep others
/// from their turns: 1 second, doubling. `asked` is what the receiver asked for: it wants no other message sooner either.
#[must_use]
pub fn rest(failures: i64, asked: Option<Duration>) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1).clamp(0, 16)).unwrap_or(0);
    let asked = asked.unwrap_or_default().min(LONGEST_ASKED);
    Duration::from_secs(1 << doublings)
        .min(LONGEST_REST)
        .max(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_tried_for_more_than_a_day() {
        assert_eq!(wait(0, None, 0.0), Some(Duration::from_secs(5)));
        assert_eq!(wait(5, None, 0.0), Some(Duration::from_secs(36_000)));
        assert_eq!(wait(6, None, 0.0), Some(Duration::from_secs(36_000)));
        assert_eq!(wait(7, None, 0.0), None);
        assert_eq!(wait(-1, None, 0.0), None);
        let all: Duration = WAITS.iter().sum();
        assert!(all > Duration::from_secs(24 * 3600) && all < Duration::from_secs(30 * 3600));
        let late = wait(5, None, 0.999).unwrap();
        assert!(late > WAITS[5] && late < WAITS[5].mul_f64(1.2));
    }

    #[test]
    fn what_a_receiver_asks_for_has_a_limit() {
        let asked = |s| wait(0, Some(Duration::from_secs(s)), 0.0);
        assert_eq!(asked(1), Some(Duration::from_secs(5)));
        assert_eq!(asked(90), Some(Duration::from_secs(90)));
        assert_eq!(asked(u64::MAX), Some(LONGEST_ASKED));
        assert_eq!(wait(7, Some(Duration::from_secs(9)), 0.0), None);
    }

    #[test]
    fn an_endpoint_rests_longer_the_more_it_fails() {
        let rests: Vec<u64> = (0..12).map(|n| rest(n, None).as_secs()).collect();
        assert_eq!(rests, [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(rest(i64::MAX, None), LONGEST_REST);
        let asked = |s| rest(3, Some(Duration::from_secs(s))).as_secs();
        assert_eq!((asked(1), asked(900), asked(u64::MAX)), (4, 900, 3_600));
    }
}
