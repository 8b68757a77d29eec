//! The secrets that sign device tokens and links.

use ed25519_dalek::SigningKey;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::{DecodingKey, EncodingKey};
use sha2::Sha256;

/// PKCS #8 version 1 around a 32-byte Ed25519 seed (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The secrets, as they are kept in the key directory.
#[derive(Clone)]
pub struct Keyring {
    /// Names the link secret in URLs, so that it can be changed.
    pub link_key_id: String,
    link_secret: [u8; 32],
    /// What secrets of webhooks are made from.
    webhook_root: [u8; 32],
    pub(crate) token_signing: EncodingKey,
    pub(crate) token_verifying: DecodingKey,
}

impl Keyring {
    /// A keyring of these secrets.
    #[must_use]
    pub fn of(token_seed: &[u8; 32], link_secret: [u8; 32]) -> Self {
        let mut pkcs8 = PKCS8_PREFIX.to_vec();
        pkcs8.extend_from_slice(token_seed);
        let public = SigningKey::from_bytes(token_seed).verifying_key();
        Self {
            link_key_id: hex::encode(&blake3::hash(&link_secret).as_bytes()[..4]),
            link_secret,
            webhook_root: link_secret,
            token_signing: EncodingKey::from_ed_der(&pkcs8),
            token_verifying: DecodingKey::from_ed_der(public.as_bytes()),
        }
    }

    /// With webhooks' secrets made from this instead of the link secret, so that either can be changed without the
    /// other.
    #[must_use]
    pub fn with_webhook_root(self, webhook_root: [u8; 32]) -> Self {
        Self {
            webhook_root,
            ..self
        }
    }

    /// The signature of a link to `path` that ends at `expiry` (Unix seconds).
    #[must_use]
    pub fn sign_link(&self, path: &str, expiry: i64) -> [u8; 32] {
        self.link_mac(path, expiry).finalize().into_bytes().into()
    }

    /// Whether a link is signed by this keyring. In constant time.
    #[must_use]
    pub fn verify_link(&self, path: &str, expiry: i64, key_id: &str, signature: &[u8]) -> bool {
        key_id == self.link_key_id && self.link_mac(path, expiry).verify_slice(signature).is_ok()
    }

    /// The secret of a webhook: from the server's own and the salt in the webhook's row, so that neither alone signs
    /// anything. What a link's signature is made from begins with a slash; this does not.
    #[must_use]
    pub fn webhook_secret(&self, tenant_id: &str, webhook_id: &str, salt: &str) -> [u8; 32] {
        let mut mac = mac(&self.webhook_root);
        for part in ["webhook", tenant_id, webhook_id, salt] {
            mac.update(part.as_bytes());
            mac.update(b"\n");
        }
        mac.finalize().into_bytes().into()
    }

    fn link_mac(&self, path: &str, expiry: i64) -> Hmac<Sha256> {
        let mut mac = mac(&self.link_secret);
        mac.update(path.as_bytes());
        mac.update(b"\n");
        mac.update(expiry.to_string().as_bytes());
        mac
    }
}

#[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn mac(secret: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_webhook_has_a_secret_of_its_own() {
        let ring = Keyring::of(&[1; 32], [2; 32]);
        let secret = ring.webhook_secret("ten_1", "whk_1", "salt");
        assert_eq!(secret, ring.webhook_secret("ten_1", "whk_1", "salt"));
        for (tenant, id, salt) in [
            ("ten_2", "whk_1", "salt"),
            ("ten_1", "whk_2", "salt"),
            ("ten_1", "whk_1", "pepper"),
        ] {
            assert_ne!(secret, ring.webhook_secret(tenant, id, salt));
        }
        let other = Keyring::of(&[1; 32], [3; 32]);
        assert_ne!(secret, other.webhook_secret("ten_1", "whk_1", "salt"));
        // The old link secret under its own name: links change, webhooks do not.
        let kept = other.with_webhook_root([2; 32]);
        assert_eq!(secret, kept.webhook_secret("ten_1", "whk_1", "salt"));
        assert_ne!(ring.sign_link("/a", 9), kept.sign_link("/a", 9));
    }

    #[test]
    fn a_link_holds_for_its_path_and_expiry_only() {
        let ring = Keyring::of(&[1; 32], [2; 32]);
        let signature = ring.sign_link("/m/a/cover@1.webp", 100);
        assert!(ring.verify_link("/m/a/cover@1.webp", 100, &ring.link_key_id, &signature));
        assert!(!ring.verify_link("/m/b/cover@1.webp", 100, &ring.link_key_id, &signature));
        assert!(!ring.verify_link("/m/a/cover@1.webp", 101, &ring.link_key_id, &signature));
        assert!(!ring.verify_link("/m/a/cover@1.webp", 100, "other", &signature));
        let other = Keyring::of(&[1; 32], [3; 32]);
        assert!(!other.verify_link("/m/a/cover@1.webp", 100, &other.link_key_id, &signature));
    }
}
