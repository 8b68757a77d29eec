//! What is said to the server of the link, and whether that has changed much since a plan was made by it.

use std::time::Duration;

use safelight_api::captures::{InitiateCapture, Network};
use tokio::time::Instant;

use super::Uploader;
use crate::conditions::{Conditions, NetworkKind};
use crate::gauge::Measured;
use crate::journal::JournalError;

/// How long what was measured of a link counts in later runs. A café's Wi-Fi is not the one at home.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// A number has changed much when it is this many times as large as before, or as small.
const MUCH: u32 = 2;
/// A round trip also has to differ by so many milliseconds.
const MUCH_MS: u32 = 100;
/// What a plan assumes of a link of which nothing was known: about what the server does.
const ASSUMED_KBPS: u32 = 10_000;
const ASSUMED_MS: u32 = 100;
/// What is said of a link whose connections break: the loss from which TCP's retransmissions time out.
const LOSS_OF_BREAKS: f32 = 0.05;

/// The payload of a TCP segment on Ethernet and most mobile networks, in bytes.
const SEGMENT_BYTES: f64 = 1460.0;
/// No more is said of loss that is concluded from what is carried: connections that lose more do not hold.
const MOST_LOSS: f64 = 0.2;

/// Least time between two notes of what was measured, so that many small files do not cost the disk more.
const NOTED: Duration = Duration::from_secs(5);

/// What an earlier run measured of the link in use.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Remembered {
    kind: Option<NetworkKind>,
    measured: Measured,
    /// Whether it was looked up.
    is_known: bool,
    noted_at: Option<Instant>,
}

impl Uploader {
    /// The network as the app says and the client measured it; `None` if nothing is known of it.
    pub(super) fn network(&self) -> Option<Network> {
        let conditions = self.settings.conditions.borrow().clone();
        let remembered = *self.remembered();
        let measured = self.session.gauge().measured();
        if remembered.kind == conditions.network {
            let held_down = self.breadth.held_down_bytes_per_s();
            said(&conditions, measured.or(remembered.measured), held_down)
        } else {
            // What was measured is of another link.
            said(&conditions, Measured::default(), None)
        }
    }

    /// Whether connections over the link in use break often, by what was measured now or in an earlier run.
    pub(super) fn link_breaks(&self) -> bool {
        let kind = self.settings.conditions.borrow().network;
        let remembered = *self.remembered();
        let measured = self.session.gauge().measured();
        measured.or(remembered.measured).breaks && remembered.kind == kind
    }

    /// Whether it is known what the link in use is or carries.
    pub(super) fn knows_link(&self) -> bool {
        let conditions = self.settings.conditions.borrow().clone();
        let network = self.network().unwrap_or_default();
        conditions.network.is_some() || network.uplink_kbps.or(network.downlink_kbps).is_some()
    }

    /// What was measured before belongs to another link when the app says that this is another.
    pub(super) async fn look_at_link(&self) -> Result<(), JournalError> {
        let kind = self.settings.conditions.borrow().network;
        {
            let mut remembered = self.remembered();
            if remembered.kind == kind && remembered.is_known {
                return Ok(());
            }
            // At the start nothing was measured of any other.
            if remembered.is_known {
                self.session.gauge().forget();
                self.breadth.forget();
            }
            *remembered = Remembered {
                kind,
                is_known: true,
                ..Remembered::default()
            };
        }
        let since = self.settings.clock.now().minus(REMEMBERED);
        let link = self.journal(move |j| j.link(word(kind), since)).await?;
        let mut remembered = self.remembered();
        if remembered.kind == kind {
            remembered.measured = link.unwrap_or_default();
        }
        Ok(())
    }

    /// Notes what was measured, for the next run: now and then, and at the `end`.
    pub(super) async fn note_link(&self, end: bool) -> Result<(), JournalError> {
        let kind = {
            let mut remembered = self.remembered();
            let is_due = remembered.noted_at.is_none_or(|at| at.elapsed() >= NOTED);
            if !end && !is_due {
                return Ok(());
            }
            remembered.noted_at = Some(Instant::now());
            remembered.kind
        };
        let (measured, at) = (self.session.gauge().measured(), self.settings.clock.now());
        if measured == Measured::default() {
            return Ok(());
        }
        self.journal(move |j| j.measured(word(kind), measured, at))
            .await
    }
}

fn word(kind: Option<NetworkKind>) -> &'static str {
    kind.map_or("unknown", NetworkKind::as_str)
}

/// What the app says goes before what was measured here: `held_down` is what a connection carries where more of them carry
/// more, in bytes a second.
fn said(conditions: &Conditions, measured: Measured, held_down: Option<f64>) -> Option<Network> {
    let rtt_ms = conditions.round_trip_ms.or(measured.round_trip_ms);
    let breaks = measured.breaks.then_some(LOSS_OF_BREAKS);
    let felt = held_down.zip(rtt_ms);
    let felt = felt.and_then(|(bytes_per_s, rtt_ms)| loss(bytes_per_s, rtt_ms));
    let network = Network {
        kind: conditions
            .network
            .filter(|kind| *kind != NetworkKind::Offline)
            .map(|kind| kind.as_str().to_owned()),
        downlink_kbps: conditions.downlink_kbps,
        uplink_kbps: conditions.uplink_kbps.or(measured.uplink_kbps),
        loss: conditions.loss.or(breaks).or(felt),
        rtt_ms,
        metered: conditions.metered,
        save_data: conditions.save_data,
    };
    let is_known = network.kind.is_some()
        || network.downlink_kbps.is_some()
        || network.uplink_kbps.is_some()
        || network.loss.is_some()
        || network.rtt_ms.is_some()
        || network.metered.is_some()
        || network.save_data.is_some();
    is_known.then_some(network)
}

/// The loss at which a connection carries so much: what Mathis, Semke, Mahdavi and Ott (1997) say of loss, turned round. It is what
/// the plan needs of it, whatever holds the connection down.
fn loss(bytes_per_s: f64, rtt_ms: u32) -> Option<f32> {
    let segments = bytes_per_s * f64::from(rtt_ms) / 1000.0 / SEGMENT_BYTES;
    let loss = 1.5 / (segments * segments);
    #[allow(clippy::cast_possible_truncation, reason = "a few digits of it count")]
    let loss = loss.min(MOST_LOSS) as f32;
    (segments > 0.0 && loss.is_finite()).then_some(loss)
}

/// What a plan was made by.
#[derive(Clone, Debug, Default)]
pub(super) struct Basis(Network);

/// How the present differs from the [`Basis`] of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The link is another, or bytes cost something now, or no longer.
    Network,
    /// It carries twice as much, or half; or answers take twice as long, or half; or connections over it begin to break.
    Numbers,
}

impl Basis {
    pub(super) fn of(network: Option<Network>) -> Self {
        Self(network.unwrap_or_default())
    }

    /// The basis of what was planned for this request of the journal.
    pub(super) fn of_request(request: &str) -> Self {
        let request = serde_json::from_str::<InitiateCapture>(request).ok();
        Self::of(request.and_then(|r| r.network))
    }

    /// How much `now` is another, if so.
    pub(super) fn change(&self, now: Option<&Network>) -> Option<Change> {
        let nothing = Network::default();
        let now = now.unwrap_or(&nothing);
        let is_other = |before: &Option<String>, now: &Option<String>| {
            // What the app does not say is no change.
            now.is_some() && before != now
        };
        if is_other(&self.0.kind, &now.kind)
            || now.metered.is_some() && self.0.metered != now.metered
            || now.save_data.is_some() && self.0.save_data != now.save_data
        {
            return Some(Change::Network);
        }
        let carried = |n: &Network| n.uplink_kbps.or(n.downlink_kbps);
        let kbps = carried(now).is_some_and(|kbps| {
            let before = carried(&self.0).unwrap_or(ASSUMED_KBPS);
            kbps.saturating_mul(MUCH) <= before || before.saturating_mul(MUCH) <= kbps
        });
        let ms = now.rtt_ms.is_some_and(|ms| {
            let before = self.0.rtt_ms.unwrap_or(ASSUMED_MS);
            let (less, more) = (ms.min(before), ms.max(before));
            less.saturating_mul(MUCH) <= more && more - less >= MUCH_MS
        });
        let breaks = |n: &Network| n.loss.is_some_and(|loss| loss >= LOSS_OF_BREAKS);
        let begins_to_break = breaks(now) && !breaks(&self.0);
        (kbps || ms || begins_to_break).then_some(Change::Numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(kind: &str, kbps: u32, ms: u32) -> Network {
        Network {
            kind: Some(kind.to_owned()),
            uplink_kbps: (kbps > 0).then_some(kbps),
            rtt_ms: (ms > 0).then_some(ms),
            ..Network::default()
        }
    }

    #[test]
    fn much_is_twice_and_another_network_always() {
        let basis = Basis::of(Some(link("4g", 4_000, 80)));
        for (now, change) in [
            (link("4g", 4_000, 80), None),
            (link("4g", 7_999, 80), None),
            (link("4g", 8_000, 80), Some(Change::Numbers)),
            (link("4g", 2_001, 80), None),
            (link("4g", 2_000, 80), Some(Change::Numbers)),
            (link("4g", 4_000, 170), None),
            (link("4g", 4_000, 180), Some(Change::Numbers)),
            (link("4g", 0, 0), None),
            (link("wifi", 4_000, 80), Some(Change::Network)),
        ] {
            assert_eq!(basis.change(Some(&now)), change, "{now:?}");
        }
        assert_eq!(basis.change(None), None);
        let unknown = Basis::of(None);
        let slow = Network {
            uplink_kbps: Some(3_000),
            ..Network::default()
        };
        assert_eq!(unknown.change(Some(&slow)), Some(Change::Numbers));
        let dear = Network {
            metered: Some(true),
            ..Network::default()
        };
        assert_eq!(unknown.change(Some(&dear)), Some(Change::Network));
    }

    #[test]
    fn what_the_app_says_goes_before_what_was_measured() {
        let measured = Measured {
            uplink_kbps: Some(3_000),
            round_trip_ms: Some(90),
            breaks: true,
        };
        let conditions = Conditions {
            network: Some(NetworkKind::Cellular2g),
            uplink_kbps: Some(200),
            ..Conditions::default()
        };
        let network = said(&conditions, measured, Some(42_000.0)).unwrap();
        assert_eq!(
            (network.uplink_kbps, network.rtt_ms, network.loss),
            (Some(200), Some(90), Some(0.05))
        );
        assert_eq!(network.kind.as_deref(), Some("2g"));
        assert!(said(&Conditions::default(), Measured::default(), None).is_none());
    }

    #[test]
    fn loss_is_what_holds_a_connection_down() {
        let conditions = Conditions::default();
        let measured = Measured {
            round_trip_ms: Some(300),
            ..Measured::default()
        };
        let of = |measured, held_down| said(&conditions, measured, held_down).and_then(|n| n.loss);
        let two_percent = of(measured, Some(42_000.0)).unwrap();
        assert!((0.019..0.021).contains(&two_percent), "{two_percent}");
        assert_eq!(of(measured, None), None, "nothing holds it down");
        assert_eq!(of(Measured::default(), Some(42_000.0)), None);
        assert_eq!(of(measured, Some(0.0)), None);
        assert_eq!(of(measured, Some(1.0)), Some(0.2));
    }
}
