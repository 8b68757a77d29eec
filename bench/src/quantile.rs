//! Quantiles of measured times.

use std::time::Duration;

/// The value that `share` of all are at or below (nearest rank), in milliseconds. Sorts `times`.
pub fn quantile_ms(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let rank = (share * times.len() as f64).ceil() as usize;
    times
        .get(rank.saturating_sub(1))
        .map_or(f64::NAN, |t| t.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rank_is_taken() {
        let mut times: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(quantile_ms(&mut times, 0.5), 50.0);
        assert_eq!(quantile_ms(&mut times, 0.99), 99.0);
        assert_eq!(quantile_ms(&mut times, 1.0), 100.0);
        assert_eq!(quantile_ms(&mut times[..1], 0.99), 1.0);
        assert!(quantile_ms(&mut [], 0.5).is_nan());
    }
}
