//! When an upload is looked at of which nobody says anything.

use std::time::Duration;

use crate::clock::Micros;
use crate::limits;

/// Who looks has the upload to itself for so long: longer than all that a look asks of a store that answers.
pub const LOOK_LEASE: Duration = Duration::from_secs(120);
/// Where the store or the catalog failed, the next look comes after so long, doubled each time,
const FAILED: Duration = Duration::from_secs(15);
/// and at last so long.
const LONGEST: Duration = Duration::from_secs(600);

/// The first look at an open upload after a URL for it was signed at `now`.
#[must_use]
pub fn first(now: Micros, quiet: Duration, expires_at: Micros) -> Micros {
    now.plus(quiet).min(expires_at)
}

/// The look after the one at `now`, the `looks`-th since the last URL was signed, which found bytes missing.
///
/// The wait doubles, and once nothing can arrive any more there is nothing to see before the upload's end: so an upload
/// that is abandoned costs a handful of questions, however long it lives.
#[must_use]
pub fn next(
    now: Micros,
    looks: i64,
    quiet: Duration,
    signed_until: Micros,
    expires_at: Micros,
) -> Micros {
    let last_arrival = signed_until.plus(limits::LATE_BYTES);
    if now >= last_arrival {
        return expires_at;
    }
    let doubled = quiet.saturating_mul(1 << looks.clamp(0, 20));
    now.plus(doubled).min(last_arrival).min(expires_at)
}

/// The look after the one at `now`, the `looks`-th, at which store or catalog failed.
#[must_use]
pub fn after_failure(now: Micros, looks: i64) -> Micros {
    now.plus(
        FAILED
            .saturating_mul(1 << looks.clamp(1, 20) >> 1)
            .min(LONGEST),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = limits::QUIET;

    #[test]
    fn an_abandoned_upload_costs_a_handful_of_looks() {
        let signed = Micros(1_000_000_000_000);
        let (until, end) = (
            signed.plus(limits::PRESIGNED_URL),
            signed.plus(limits::UPLOAD),
        );
        let mut at = first(signed, QUIET, end);
        let mut minutes = Vec::new();
        while at < end {
            minutes.push(at.since(signed).as_secs() / 60);
            at = next(at, i64::try_from(minutes.len()).unwrap(), QUIET, until, end);
        }
        // The last one when nothing can come any more; then only its end.
        assert_eq!(minutes, [1, 3, 7, 15, 31, 63, 75]);
        assert_eq!(at, end);
    }

    #[test]
    fn nothing_is_looked_at_behind_its_end() {
        let (now, end) = (Micros(10), Micros(20));
        assert_eq!(first(now, QUIET, end), end);
        assert_eq!(next(now, 90, QUIET, now, end), end);
        assert_eq!(
            next(now, i64::MAX, Duration::MAX, now, Micros(i64::MAX)),
            now.plus(limits::LATE_BYTES)
        );
    }

    #[test]
    fn a_store_that_fails_is_asked_less_and_less() {
        let waits: Vec<u64> = [1, 2, 3, 6, 7, 1000]
            .map(|looks| after_failure(Micros(0), looks).since(Micros(0)).as_secs())
            .into();
        assert_eq!(waits, [15, 30, 60, 480, 600, 600]);
    }
}
