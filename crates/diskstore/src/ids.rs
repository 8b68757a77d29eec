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

    /// An ETag that nothing had before. What stands behind the dash keeps clients from taking it for an MD5,
    /// as they do with 32 hexadecimal digits alone: they would call every object damaged.
    pub(crate) fn next_etag(&self) -> String {
        format!("{}-1", self.next())
    }

    /// The ETag of content with this SHA-256: the same bytes sent twice are the same version, so that a
    /// late repetition of a PUT takes nothing from a reader who holds on to an ETag. No MD5 either.
    pub(crate) fn of_content(sha256: &str) -> String {
        let mut hasher = Sha256::new();
        hasher.update(b"safelight etag 1\n");
        hasher.update(sha256.as_bytes());
        format!("{}-1", hex::encode(&hasher.finalize()[..16]))
    }

    /// Whether this may be such an id: safe as the name of a directory.
    pub(crate) fn is_id(text: &str) -> bool {
        text.len() == 32
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    }
}
