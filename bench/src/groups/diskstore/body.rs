//! Bodies that differ in every mebibyte, so that no store can keep one block for several, and that cost the
//! generator no copying.

use sha2::{Digest as _, Sha256};

/// Between two stamps.
const BLOCK_BYTES: u64 = 1 << 20;
const STAMP_BYTES: usize = 16;

/// What all bodies have in common: a block of noise.
pub struct Noise(Vec<u8>);

/// One body.
pub struct Body<'a> {
    noise: &'a Noise,
    stamps: Vec<[u8; STAMP_BYTES]>,
    size_bytes: u64,
}

impl Noise {
    /// Makes it.
    pub fn new() -> Self {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let draw = || {
            // Xorshift64*, Marsaglia 2003 and Vigna 2016: compresses no better than a photo.
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
        };
        let words = BLOCK_BYTES as usize / 8;
        Self(std::iter::repeat_with(draw).take(words).flatten().collect())
    }

    /// The body with this number; other numbers have other bytes.
    pub fn body(&self, number: u64, size_bytes: u64) -> Body<'_> {
        let stamp = |block: u64| {
            let mut stamp = [0; STAMP_BYTES];
            stamp[..8].copy_from_slice(&number.to_be_bytes());
            stamp[8..].copy_from_slice(&block.to_be_bytes());
            stamp
        };
        Body {
            noise: self,
            stamps: (0..size_bytes.div_ceil(BLOCK_BYTES)).map(stamp).collect(),
            size_bytes,
        }
    }
}

impl Body<'_> {
    /// Its bytes, in pieces.
    pub fn pieces(&self) -> Vec<&[u8]> {
        let mut left = usize::try_from(self.size_bytes).unwrap_or(usize::MAX);
        let mut pieces: Vec<&[u8]> = Vec::with_capacity(self.stamps.len() * 2);
        for stamp in &self.stamps {
            for part in [stamp.as_slice(), &self.noise.0[STAMP_BYTES..]] {
                let piece = &part[..left.min(part.len())];
                left -= piece.len();
                pieces.push(piece);
            }
        }
        pieces
    }

    /// Its SHA-256, in hex.
    pub fn sha256_hex(&self) -> String {
        let mut hash = Sha256::new();
        for piece in self.pieces() {
            hash.update(piece);
        }
        hex::encode(hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_their_size_and_differ_in_every_block() {
        let noise = Noise::new();
        let bytes = |number, size| noise.body(number, size).pieces().concat();
        for size in [1, 16, 17, 1 << 20, (1 << 20) + 5, 3 << 20] {
            assert_eq!(bytes(1, size).len() as u64, size);
        }
        let (one, two) = (bytes(1, 3 << 20), bytes(2, 3 << 20));
        for (a, b) in one.chunks(1 << 20).zip(two.chunks(1 << 20)) {
            assert_ne!(a, b);
        }
        assert_ne!(one[..1 << 20], one[1 << 20..2 << 20]);
    }
}
