//! Prefixed, time-ordered ids: UUIDv7 (RFC 9562, section 5.7) in Crockford base 32, lower case.
//!
//! What stands in a public link is random instead ([`public_id`]), since a time-ordered id tells
//! when a picture was taken.

use crate::clock::Micros;
use crate::entropy::{self, Entropy};

/// Crockford's alphabet: no `i`, `l`, `o`, `u`.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Prefix of capture ids.
pub const CAPTURE: &str = "cap";
/// Prefix of asset ids.
pub const ASSET: &str = "ast";
/// Prefix of resource ids.
pub const RESOURCE: &str = "res";
/// Prefix of upload ids.
pub const UPLOAD: &str = "upl";
/// Prefix of blob ids.
pub const BLOB: &str = "blb";
/// Prefix of job ids.
pub const JOB: &str = "job";
/// Prefix of album ids.
pub const ALBUM: &str = "alb";
/// Prefix of event ids.
pub const EVENT: &str = "evt";
/// Prefix of tenant ids.
pub const TENANT: &str = "ten";
/// Prefix of API key ids.
pub const API_KEY: &str = "key";
/// Prefix of webhook ids.
pub const WEBHOOK: &str = "whk";
/// Prefix of catalog ids.
pub const CATALOG: &str = "cat";
/// Prefix of request ids.
pub const REQUEST: &str = "req";
/// Prefix of idempotency fingerprints' rows and worker names.
pub const WORKER: &str = "wrk";

/// A fresh id `{prefix}_{26 characters}`, ordered by `now` to the millisecond.
#[must_use]
pub fn fresh(prefix: &str, now: Micros, source: &dyn Entropy) -> String {
    let mut raw: [u8; 16] = entropy::bytes(source);
    let millis = u64::try_from(now.0 / 1_000).unwrap_or(0).to_be_bytes();
    raw[..6].copy_from_slice(&millis[2..]);
    raw[6] = (raw[6] & 0x0f) | 0x70;
    raw[8] = (raw[8] & 0x3f) | 0x80;
    format!("{prefix}_{}", base32(u128::from_be_bytes(raw)))
}

/// The smallest text that an id with this prefix can be that was made at `at` or later.
#[must_use]
pub fn floor(prefix: &str, at: Micros) -> String {
    let millis = u64::try_from(at.0 / 1_000).unwrap_or(0).min((1 << 48) - 1);
    format!("{prefix}_{}", base32(u128::from(millis) << 80))
}

/// 26 random characters (128 bits) for public links; says nothing about time or order.
#[must_use]
pub fn public_id(source: &dyn Entropy) -> String {
    base32(u128::from_be_bytes(entropy::bytes(source)))
}

/// Whether `text` has the form of an id with this prefix.
#[must_use]
pub fn is(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .is_some_and(|body| body.len() == 26 && body.bytes().all(|b| ALPHABET.contains(&b)))
}

/// `length` random base62 characters, without bias.
#[must_use]
pub fn base62(length: usize, source: &dyn Entropy) -> String {
    let mut out = String::with_capacity(length);
    while out.len() < length {
        let draw: [u8; 32] = entropy::bytes(source);
        // 248 is the largest multiple of 62 in a byte: above it the draw is thrown away.
        for byte in draw
            .into_iter()
            .filter(|b| *b < 248)
            .take(length - out.len())
        {
            out.push(char::from(BASE62[usize::from(byte % 62)]));
        }
    }
    out
}

fn base32(value: u128) -> String {
    (0..26)
        .rev()
        .map(|i| char::from(ALPHABET[((value >> (i * 5)) & 31) as usize]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn ids_sort_by_time_and_read_back() {
        let source = SeededEntropy::new(1);
        let early = fresh(ASSET, Micros(1_700_000_000_000_000), &source);
        let late = fresh(ASSET, Micros(1_700_000_000_001_000), &source);
        assert!(early < late, "{early} {late}");
        assert!(is(ASSET, &early) && !is(CAPTURE, &early));
        assert_eq!(early.len(), 30);
        assert!(!is(ASSET, "ast_ILOU"));
    }

    #[test]
    fn a_floor_parts_earlier_from_later_ids() {
        let source = SeededEntropy::new(3);
        let at = Micros(1_700_000_000_001_000);
        let floor_of_it = floor(ASSET, at);
        assert!(is(ASSET, &floor_of_it));
        for _ in 0..50 {
            assert!(fresh(ASSET, Micros(at.0 - 1), &source) < floor_of_it);
            assert!(fresh(ASSET, at, &source) >= floor_of_it);
        }
        assert_eq!(floor(ASSET, Micros(-5)), floor(ASSET, Micros(0)));
        assert!(floor(ASSET, Micros(i64::MAX)) > floor_of_it);
    }

    #[test]
    fn public_ids_and_keys_are_random() {
        let source = SeededEntropy::new(2);
        assert_ne!(public_id(&source), public_id(&source));
        let key = base62(32, &source);
        assert_eq!(key.len(), 32);
        assert!(key.bytes().all(|b| b.is_ascii_alphanumeric()));
    }
}
