//! When links end.

use std::time::Duration;

use crate::clock::Micros;

/// When a link that is given out now ends: at least `at_least` from now, rounded up to a whole
/// `window`, so that within a window the same picture has the same URL. Unix seconds.
#[must_use]
pub fn expiry(now: Micros, at_least: Duration, window: Duration) -> i64 {
    let window = i64::try_from(window.as_secs()).unwrap_or(i64::MAX).max(1);
    let end = now.plus(at_least).unix_seconds();
    end.div_euclid(window)
        .saturating_add(1)
        .saturating_mul(window)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_one_window_end_together() {
        let hour = Duration::from_secs(3600);
        let first = expiry(Micros(7_200_000_000), hour, hour);
        let last = expiry(Micros(10_799_000_000), hour, hour);
        assert_eq!(first, last);
        assert!((7_200 + 3_600..=7_200 + 7_200).contains(&first));
    }
}
