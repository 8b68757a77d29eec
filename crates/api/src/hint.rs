//! Numbers and flags that are only hints: what makes no sense is as if it had not been said, so that nobody's photo is refused
//! for it. Browsers and phones give fractions of kilobits, and -1 where they know nothing.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// What was said, whatever it is.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Number(f64),
    Flag(bool),
    #[allow(dead_code, reason = "read, and not looked at")]
    Other(IgnoredAny),
}

impl Said {
    fn number(self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Flag(_) | Self::Other(_) => None,
        }
    }
}

/// A count: fractions are rounded; what is negative, too large or no number is none.
pub(crate) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let said = Said::deserialize(from)?.number();
    let fits = said.filter(|n| (0.0..=f64::from(u32::MAX)).contains(n));
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is within"
    )]
    Ok(fits.map(|n| n.round() as u32))
}

/// A share from 0 to 1; any other is none.
pub(crate) fn share<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f32>, D::Error> {
    let said = Said::deserialize(from)?.number();
    #[allow(clippy::cast_possible_truncation, reason = "a few digits of it count")]
    Ok(said.filter(|n| (0.0..=1.0).contains(n)).map(|n| n as f32))
}

/// Yes or no; anything else is none.
pub(crate) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    Ok(match Said::deserialize(from)? {
        Said::Flag(flag) => Some(flag),
        Said::Number(_) | Said::Other(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use crate::captures::{Battery, Network};

    #[test]
    fn what_makes_no_sense_is_as_if_it_had_not_been_said() {
        let read = |text: &str| serde_json::from_str::<Network>(text).unwrap();
        for (said, kbps) in [
            ("812.5", Some(813)),
            ("0", Some(0)),
            ("-1", None),
            ("-0.4", None),
            ("1e99", None),
            ("null", None),
            ("\"fast\"", None),
            ("[1]", None),
        ] {
            let network = read(&format!("{{\"uplink_kbps\": {said}, \"type\": \"4g\"}}"));
            assert_eq!(
                (network.uplink_kbps, network.kind.as_deref()),
                (kbps, Some("4g")),
                "{said}"
            );
        }
        let network = read(r#"{"loss": 1.5, "rtt_ms": 80.4, "metered": "yes", "save_data": true}"#);
        assert_eq!((network.loss, network.rtt_ms), (None, Some(80)));
        assert_eq!((network.metered, network.save_data), (None, Some(true)));
        let battery: Battery = serde_json::from_str(r#"{"level": -1, "charging": 1}"#).unwrap();
        assert_eq!((battery.level, battery.charging), (None, None));
        let battery: Battery = serde_json::from_str(r#"{"level": 0.25}"#).unwrap();
        assert_eq!(battery.level, Some(0.25));
    }
}
