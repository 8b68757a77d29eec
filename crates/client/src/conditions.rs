//! What the app knows of the device at a moment: its network, its battery. The platform tells an app of changes; the app
//! tells the uploader through a [`tokio::sync::watch`] channel, of which the uploader reads the latest value.

use safelight_api::captures::{Battery, Network};
use tokio::sync::watch;

/// The kind of network that the device is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NetworkKind {
    /// A cable.
    Ethernet,
    /// Wi-Fi.
    Wifi,
    /// Cellular, of a generation that is not known.
    Cellular,
    /// Cellular of the second generation.
    Cellular2g,
    /// Of the third.
    Cellular3g,
    /// Of the fourth.
    Cellular4g,
    /// Of the fifth.
    Cellular5g,
    /// None at all: nothing is tried until there is one.
    Offline,
}

impl NetworkKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Ethernet,
        Self::Wifi,
        Self::Cellular,
        Self::Cellular2g,
        Self::Cellular3g,
        Self::Cellular4g,
        Self::Cellular5g,
        Self::Offline,
    ];

    /// The word for it, as on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ethernet => "ethernet",
            Self::Wifi => "wifi",
            Self::Cellular => "cellular",
            Self::Cellular2g => "2g",
            Self::Cellular3g => "3g",
            Self::Cellular4g => "4g",
            Self::Cellular5g => "5g",
            Self::Offline => "offline",
        }
    }

    /// The kind of this word; `None` for one that is not known.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether it is one that a user means by "Wi-Fi only".
    #[must_use]
    pub fn is_wifi(self) -> bool {
        matches!(self, Self::Wifi | Self::Ethernet)
    }
}

/// What the app knows. Anything may be missing; what the app measured goes before what the client measures itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditions {
    /// The network.
    pub network: Option<NetworkKind>,
    /// Whether bytes cost the user money.
    pub metered: Option<bool>,
    /// Whether the user asked to save them.
    pub save_data: Option<bool>,
    /// What the app measured towards the server, in kbit/s.
    pub uplink_kbps: Option<u32>,
    /// What it measured towards the device, in kbit/s.
    pub downlink_kbps: Option<u32>,
    /// The round trip that it measured, in milliseconds.
    pub round_trip_ms: Option<u32>,
    /// Packets lost, from 0 to 1.
    pub loss: Option<f32>,
    /// The battery, from 0 to 1.
    pub battery_level: Option<f32>,
    /// Whether it is being charged.
    pub charging: Option<bool>,
    /// Whether the system saves it (low power mode, battery saver).
    pub battery_saver: Option<bool>,
    /// Whether the system sends the files in the background, whether the app runs or not.
    pub background: bool,
}

impl Conditions {
    /// Conditions that never change.
    #[must_use]
    pub fn fixed(self) -> watch::Receiver<Self> {
        watch::channel(self).1
    }

    /// Whether the battery is to be spared: the user wants it, or it is at most at 20 %, where phones begin to warn, and not being
    /// charged.
    #[must_use]
    pub fn spares_battery(&self) -> bool {
        let is_low = self.battery_level.is_some_and(|level| level <= 0.2);
        (is_low || self.battery_saver == Some(true)) && self.charging != Some(true)
    }

    /// The battery, as the API takes it; `None` if nothing is known of it.
    #[must_use]
    pub fn battery(&self) -> Option<Battery> {
        let known =
            self.battery_level.is_some() || self.charging.is_some() || self.battery_saver.is_some();
        known.then_some(Battery {
            level: self.battery_level,
            charging: self.charging,
            saver: self.battery_saver,
        })
    }
}

impl From<Network> for Conditions {
    /// What a request says of a network.
    fn from(network: Network) -> Self {
        Self {
            network: network.kind.as_deref().and_then(NetworkKind::parse),
            metered: network.metered,
            save_data: network.save_data,
            uplink_kbps: network.uplink_kbps,
            downlink_kbps: network.downlink_kbps,
            round_trip_ms: network.rtt_ms,
            loss: network.loss,
            ..Self::default()
        }
    }
}

/// What must hold for bytes to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Only over Wi-Fi or a cable.
    pub wifi: bool,
    /// Only while the battery is being charged.
    pub charging: bool,
}

impl Needs {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            wifi: self.wifi || other.wifi,
            charging: self.charging || other.charging,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        for kind in NetworkKind::ALL {
            assert_eq!(NetworkKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(NetworkKind::parse("WiFi"), None);
        assert!(Conditions::default().battery().is_none());
    }
}
