//! SHA-256 in the two forms we meet: lower-case hex in rows and requests, base64 where S3 wants it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The base64 form of a hash in hex; `None` when it is not 32 bytes of hex.
pub(crate) fn base64_of_hex(hash: &str) -> Option<String> {
    let mut raw = [0_u8; 32];
    hex::decode_to_slice(hash, &mut raw).ok()?;
    Some(STANDARD.encode(raw))
}

/// The hex form of a hash in base64; `None` when it is not 32 bytes, as with composite checksums.
pub(crate) fn hex_of_base64(hash: &str) -> Option<String> {
    let raw = STANDARD.decode(hash).ok()?;
    (raw.len() == 32).then(|| hex::encode(raw))
}

/// The base64 form of the hash of `bytes`.
pub(crate) fn base64_of(bytes: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(bytes))
}

/// S3's composite checksum of an object of parts with these hashes (hex): the hash of the hashes,
/// in base64, and the number of parts. `None` when a hash is not one.
pub(crate) fn composite<'a>(parts: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut whole = Sha256::new();
    let mut count = 0_usize;
    for hash in parts {
        let mut raw = [0_u8; 32];
        hex::decode_to_slice(hash, &mut raw).ok()?;
        whole.update(raw);
        count += 1;
    }
    Some(format!("{}-{count}", STANDARD.encode(whole.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_agree() {
        let hash = hex::encode(Sha256::digest(b"abc"));
        let encoded = base64_of_hex(&hash).unwrap();
        assert_eq!(encoded, base64_of(b"abc"));
        assert_eq!(hex_of_base64(&encoded), Some(hash.clone()));
        assert_eq!(base64_of_hex("abc"), None);
        assert_eq!(hex_of_base64("AAAA-2"), None);
        let both = composite([hash.as_str(), hash.as_str()].into_iter()).unwrap();
        assert!(both.ends_with("-2"));
        assert_eq!(hex_of_base64(&both), None);
    }
}
