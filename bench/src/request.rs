//! Requests as templates: built once per owner, filled with fresh hexadecimal digits for each use.

use safelight_api::captures::{
    Battery, Device, InitiateAsset, InitiateCapture, InitiateResource, Network,
};
use safelight_api::paths;

use crate::wire::head;

/// Stands for one hexadecimal digit that is drawn anew for every request.
const DIGIT: char = '#';

/// A whole request of one owner.
pub struct Template {
    bytes: Vec<u8>,
    /// Where the digits go.
    digits: Vec<usize>,
}

impl Template {
    /// Initiation of a capture of `assets` photos, with the hints that a phone gives.
    pub fn initiation(token: &str, assets: usize) -> anyhow::Result<Self> {
        let uuid = [8, 4, 4, 4, 12].map(drawn).join("-");
        let body = serde_json::to_string(&capture(&uuid, assets))?;
        let key = format!("idempotency-key: \"{uuid}\"\r\n");
        let head = head("POST", paths::CAPTURES, token, &key, body.len());
        let bytes = (head + &body).into_bytes();
        let digits = (0..bytes.len())
            .filter(|at| bytes.get(*at) == Some(&(DIGIT as u8)))
            .collect();
        Ok(Self { bytes, digits })
    }

    /// Writes the request with this number into `out`. Another number gives another key, reference
    /// and hashes.
    pub fn fill(&self, number: u64, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.bytes);
        let (mut state, mut left) = (mixed(number), 0);
        let mut word = 0;
        for at in &self.digits {
            if left == 0 {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                (word, left) = (mixed(state), 16);
            }
            if let Some(byte) = out.get_mut(*at) {
                *byte = b"0123456789abcdef"[(word & 15) as usize];
            }
            word >>= 4;
            left -= 1;
        }
    }
}

/// SplitMix64's finish: spreads a number over 64 bits, each number to another.
fn mixed(number: u64) -> u64 {
    let mut z = number;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn drawn(count: usize) -> String {
    String::from(DIGIT).repeat(count)
}

fn capture(client_ref: &str, assets: usize) -> InitiateCapture {
    let burst = assets > 1;
    InitiateCapture {
        duplicates: None,
        client_ref: client_ref.to_owned(),
        mode: if burst { "burst" } else { "single" }.to_owned(),
        purpose: Some("post".to_owned()),
        captured_at: Some("2026-11-23T08:00:00.250Z".to_owned()),
        device: Some(Device {
            model: Some("Pixel 9 Pro".to_owned()),
            os: Some("Android".to_owned()),
            os_version: Some("16".to_owned()),
            app_version: Some("4.12.0".to_owned()),
            memory_mb: Some(16_384),
            cores: Some(8),
        }),
        network: Some(Network {
            kind: Some("cellular".to_owned()),
            downlink_kbps: Some(24_000),
            rtt_ms: Some(55),
            metered: Some(true),
            ..Network::default()
        }),
        battery: Some(Battery {
            level: Some(0.75),
            charging: Some(false),
            ..Battery::default()
        }),
        background: false,
        accept_transports: vec!["single".to_owned(), "multipart".to_owned()],
        assets: (0..assets).map(|i| asset(i, burst)).collect(),
    }
}

fn asset(i: usize, burst: bool) -> InitiateAsset {
    let role = match (burst, i) {
        (false, _) => "still",
        (true, 0) => "key",
        (true, _) => "frame",
    };
    InitiateAsset {
        client_ref: format!("frame-{i:02}"),
        role: role.to_owned(),
        resources: vec![InitiateResource {
            kind: "primary".to_owned(),
            filename: Some(format!("IMG_20261123_080000_{i:03}.jpg")),
            mime: Some("image/jpeg".to_owned()),
            size_bytes: 4_200_000 + i64::try_from(i).unwrap_or(0),
            sha256: Some(drawn(64)),
            ..InitiateResource::default()
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &Template, number: u64) -> String {
        let mut out = Vec::new();
        template.fill(number, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_request_is_whole_and_its_own() {
        let template = Template::initiation("token", 12).unwrap();
        let (first, second) = (filled(&template, 1), filled(&template, 2));
        assert_eq!(first, filled(&template, 1));
        assert_ne!(first, second);
        assert!(!first.contains(DIGIT));
        let (head, body) = first.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())));
        let capture: InitiateCapture = serde_json::from_str(body).unwrap();
        let hashes: std::collections::HashSet<_> = capture
            .assets
            .iter()
            .map(|a| a.resources[0].sha256.clone())
            .collect();
        assert_eq!(hashes.len(), 12);
        assert_eq!(capture.assets[0].role, "key");
    }
}
