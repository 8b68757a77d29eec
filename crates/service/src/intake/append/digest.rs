//! Digests of what one request brings.

use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

/// A digest that is counted while bytes come, and what it has to be.
#[derive(Clone)]
pub struct Expected {
    counting: Counting,
    wanted: Vec<u8>,
}

#[derive(Clone)]
enum Counting {
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

/// An algorithm that requests may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-1, which tus demands.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// The length of its digests.
    #[must_use]
    pub fn digest_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl Expected {
    /// Expects these digest bytes of that algorithm.
    #[must_use]
    pub fn of(algorithm: Algorithm, wanted: Vec<u8>) -> Self {
        let counting = match algorithm {
            Algorithm::Sha1 => Counting::Sha1(Sha1::new()),
            Algorithm::Sha256 => Counting::Sha256(Sha256::new()),
            Algorithm::Sha512 => Counting::Sha512(Box::new(Sha512::new())),
        };
        Self { counting, wanted }
    }

    /// Counts bytes in.
    pub fn count(&mut self, bytes: &[u8]) {
        match &mut self.counting {
            Counting::Sha1(sum) => sum.update(bytes),
            Counting::Sha256(sum) => sum.update(bytes),
            Counting::Sha512(sum) => sum.update(bytes),
        }
    }

    /// Whether the bytes counted are those expected.
    #[must_use]
    pub fn holds(self) -> bool {
        match self.counting {
            Counting::Sha1(sum) => sum.finalize()[..] == self.wanted[..],
            Counting::Sha256(sum) => sum.finalize()[..] == self.wanted[..],
            Counting::Sha512(sum) => sum.finalize()[..] == self.wanted[..],
        }
    }
}
