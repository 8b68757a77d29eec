//! What a link carries, and what holds a connection on it down.

use super::{Link, NetworkKind, Policy};

/// What holds the transfer down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// It is not known.
    Unknown,
    /// The link: one connection fills it.
    Bandwidth,
    /// Loss on a long round trip: several connections carry more.
    Loss,
    /// The round trip and the window: several connections carry more.
    RoundTrip,
}

/// A link as the policy sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it carries upwards, in kbit/s, measured or assumed by its kind.
    pub kbps: Option<u64>,
    /// Connections that fill it, 1 to [`Policy::most_connections`].
    pub flows: u32,
    /// What holds the transfer down.
    pub limit: Limit,
}

/// The payload of a TCP segment on Ethernet, in bytes.
const SEGMENT_BYTES: f64 = 1_460.0;

impl Line {
    /// Sees `link` as `policy` does.
    #[must_use]
    pub fn of(link: &Link, policy: &Policy) -> Self {
        let assumed = match link.kind {
            NetworkKind::Cellular2g => Some(policy.kbps_2g),
            NetworkKind::Cellular3g => Some(policy.kbps_3g),
            NetworkKind::Cellular4g => Some(policy.kbps_4g),
            _ => None,
        };
        let measured = link.uplink_kbps.or(link.downlink_kbps).map(u64::from);
        let kbps = measured.or(assumed);
        let rtt_ms = link.rtt_ms.map_or(policy.assumed_rtt_ms, u64::from).max(1);
        // bit/ms is kbit/s.
        let window_kbps = (policy.window_bytes.saturating_mul(8) / rtt_ms).max(1);
        let loss_kbps = link
            .loss_millionths
            .filter(|loss| *loss > 0)
            .map_or(u64::MAX, |loss| mathis_kbps(rtt_ms, loss));
        let each = window_kbps.min(loss_kbps);
        let Some(carries) = kbps else {
            // How many would fill it is not known; that they hold each other up is.
            let (flows, limit) = if loss_kbps < window_kbps {
                (policy.most_connections, Limit::Loss)
            } else {
                (policy.connections, Limit::Unknown)
            };
            return Self {
                kbps,
                flows: narrow(flows),
                limit,
            };
        };
        let flows = carries
            .div_ceil(each)
            .clamp(1, policy.most_connections.max(1));
        let limit = match flows {
            1 => Limit::Bandwidth,
            _ if loss_kbps < window_kbps => Limit::Loss,
            _ => Limit::RoundTrip,
        };
        Self {
            kbps,
            flows: narrow(flows),
            limit,
        }
    }

    /// What it carries in so many seconds, in bytes.
    #[must_use]
    pub fn bytes_in(&self, seconds: u64) -> Option<i64> {
        let bytes = self.kbps?.saturating_mul(125).saturating_mul(seconds);
        Some(i64::try_from(bytes).unwrap_or(i64::MAX))
    }
}

fn narrow(flows: u64) -> u32 {
    u32::try_from(flows).unwrap_or(u32::MAX).max(1)
}

/// What one connection carries by Mathis, Semke, Mahdavi and Ott (1997), in kbit/s: a segment each round trip, by the
/// square root of two thirds of the loss.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
fn mathis_kbps(rtt_ms: u64, loss_millionths: u32) -> u64 {
    let loss = f64::from(loss_millionths) / 1_000_000.0;
    let kbps = SEGMENT_BYTES * 8.0 / (rtt_ms as f64 * (2.0 * loss / 3.0).sqrt());
    kbps.clamp(1.0, 1e12) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kbps: Option<u32>, rtt_ms: Option<u32>, loss_millionths: Option<u32>) -> Line {
        let link = Link {
            uplink_kbps: kbps,
            rtt_ms,
            loss_millionths,
            ..Link::default()
        };
        Line::of(&link, &Policy::default())
    }

    #[test]
    fn connections_are_as_many_as_fill_the_link() {
        for (kbps, rtt_ms, loss, flows, limit) in [
            (None, None, None, 4, Limit::Unknown),
            (None, Some(300), Some(10_000), 6, Limit::Loss),
            (Some(5_000), Some(40), None, 1, Limit::Bandwidth),
            (Some(5_000), Some(40), Some(1_000), 1, Limit::Bandwidth),
            // 11,680 bit each 200 ms by 0.0816: 715 kbit/s.
            (Some(2_000), Some(200), Some(10_000), 3, Limit::Loss),
            (Some(20_000), Some(200), Some(10_000), 6, Limit::Loss),
            // 4,194,304 bit each 600 ms: 6,990 kbit/s.
            (Some(20_000), Some(600), None, 3, Limit::RoundTrip),
        ] {
            let seen = line(kbps, rtt_ms, loss);
            assert_eq!(
                (seen.flows, seen.limit),
                (flows, limit),
                "{kbps:?} {rtt_ms:?} {loss:?}"
            );
        }
        assert_eq!(mathis_kbps(200, 10_000), 715);
    }

    #[test]
    fn what_was_measured_upwards_goes_before_what_is_assumed() {
        let policy = Policy::default();
        let mut link = Link {
            kind: NetworkKind::Cellular3g,
            ..Link::default()
        };
        assert_eq!(Line::of(&link, &policy).kbps, Some(750));
        link.downlink_kbps = Some(9_000);
        assert_eq!(Line::of(&link, &policy).kbps, Some(9_000));
        link.uplink_kbps = Some(600);
        assert_eq!(Line::of(&link, &policy).kbps, Some(600));
    }
}
