//! Names that nobody has used before.

use std::sync::atomic::{AtomicU64, Ordering};

use s3s::crypto::{Checksum as _, Sha256};

/// A source of 128-bit ids: a hash over a secret drawn once and a counter, so
/// that they neither repeat nor can be guessed.
pub(crate) struct Ids {
    secret: [u8; 32],
    next: AtomicU64,
}

impl Ids {
    /// Draws the secret.
    #[allow(
        clippy::disallowed_methods,
        reason = "the store stands alone; nothing depends on the value of an id but its being new"
    )]
    pub(crate) fn draw() -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self {
            secret,
            next: AtomicU64::new(0),
        })
    }

    /// 32 hexadecimal digits.
    pub(crate) fn next(&self) -> String {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let mut hasher = Sha256::new();
        hasher.update(&self.secret);
        hasher.update(&count.to_le_bytes());
        hex::encode(&hasher.finalize()[..16])
    }

    /// The same for an upload that begins now. Those of later moments sort after
    /// it, as S3 lists uploads of one key by the time they began.
    pub(crate) fn of_upload(&self, now_us: i64) -> String {
        format!("{now_us:016x}{}", &self.next()[..16])
    }

    /// Whether this may be such an id: safe as the name of a directory.
    pub(crate) fn is_id(text: &str) -> bool {
        text.len() == 32
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    }
}
