//! What a link does to what it carries.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Bytes of a packet's payload on Ethernet and most mobile networks.
const SEGMENT_BYTES: f64 = 1460.0;

/// How a link behaves. The default carries everything at once.
#[derive(Clone, Debug, Default)]
pub struct Weather {
    /// What all connections together move up, in bits a second; `None` for as much as comes.
    pub up_bits_per_s: Option<u64>,
    /// The same downward.
    pub down_bits_per_s: Option<u64>,
    /// Half of it in each direction.
    pub round_trip: Duration,
    /// Packets that are lost, of one. They are sent again by TCP, so what is seen of them is that each connection by
    /// itself is slow: see [`Weather::connection_bits_per_s`].
    pub loss: f64,
    /// A connection breaks when it has carried so many bytes up, drawn anew for each.
    pub cut_after_bytes: Option<RangeInclusive<u64>>,
    /// Of the breaks, those that nobody hears of: both sides keep waiting.
    pub silent_cuts: f64,
    /// Of the requests, those that are carried out and whose answer is lost with the connection.
    pub lost_answers: f64,
    /// Of the small requests, those that arrive a second time, after others that were sent later.
    pub duplicates: f64,
    /// Nothing passes, and nothing is lost.
    pub is_out: bool,
}

impl Weather {
    /// What a connection moves at most when packets are lost: `MSS / RTT * sqrt(3/2) / sqrt(p)` (Mathis, Semke, Mahdavi
    /// and Ott, "The macroscopic behavior of the TCP congestion avoidance algorithm", 1997).
    #[must_use]
    pub fn connection_bits_per_s(&self) -> Option<u64> {
        let round_trip_s = self.round_trip.as_secs_f64();
        if self.loss <= 0.0 || round_trip_s <= 0.0 {
            return None;
        }
        let bytes_per_s = SEGMENT_BYTES / round_trip_s * 1.5_f64.sqrt() / self.loss.sqrt();
        Some((bytes_per_s * 8.0) as u64)
    }

    /// What a connection has under way then: as much as it moves in a round trip.
    #[must_use]
    pub fn connection_bytes_under_way(&self) -> Option<u32> {
        let bytes_per_s = self.connection_bits_per_s()? as f64 / 8.0;
        Some((bytes_per_s * self.round_trip.as_secs_f64()) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_on_a_long_way_slows_a_connection() {
        let weather = |loss, round_trip_ms| Weather {
            loss,
            round_trip: Duration::from_millis(round_trip_ms),
            ..Weather::default()
        };
        // 2 % at 300 ms: about 42 kB/s.
        let slow = weather(0.02, 300).connection_bits_per_s().unwrap();
        assert!((330_000..345_000).contains(&slow), "{slow}");
        let under_way = weather(0.02, 300).connection_bytes_under_way().unwrap();
        assert!((12_000..13_000).contains(&under_way), "{under_way}");
        assert!(weather(0.02, 30).connection_bits_per_s().unwrap() > 9 * slow);
        assert_eq!(weather(0.0, 300).connection_bits_per_s(), None);
        assert_eq!(weather(0.02, 0).connection_bits_per_s(), None);
    }
}
