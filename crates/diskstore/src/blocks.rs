//! Sums over blocks of a body, by which damage is seen before wrong bytes are given out.
//!
//! A CRC32C of every 64 KiB finds any flipped bits up to three, any burst of up to 32, and anything else but one time in
//! four thousand million (Hamming distance 4 at this length: P. Koopman, "32-bit cyclic redundancy codes for internet
//! applications", DSN 2002, table 1, 0x8F6E37A0). The sums take a 16,384th of the body's room.

use crc_fast::{CrcAlgorithm, Digest};

/// The bytes that one sum is taken of; the last block may be shorter.
pub(crate) const BLOCK_BYTES: u64 = 64 << 10;
/// What a sum takes, little endian.
const SUM_BYTES: u64 = 4;

/// The sums of a body that is being written.
#[derive(Debug)]
pub(crate) struct BlockSums {
    sums: Vec<u8>,
    open: Digest,
    open_bytes: u64,
}

impl BlockSums {
    pub(crate) fn begin() -> Self {
        Self {
            sums: Vec::new(),
            open: Digest::new(CrcAlgorithm::Crc32Iscsi),
            open_bytes: 0,
        }
    }

    /// Goes on with these bytes.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = (BLOCK_BYTES - self.open_bytes) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.open.update(now);
            self.open_bytes += now.len() as u64;
            if self.open_bytes == BLOCK_BYTES {
                self.close();
            }
            bytes = later;
        }
    }

    /// All of them, in order.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.open_bytes > 0 {
            self.close();
        }
        self.sums
    }

    fn close(&mut self) {
        let sum = self.open.finalize_reset() as u32;
        self.sums.extend_from_slice(&sum.to_le_bytes());
        self.open_bytes = 0;
    }
}

/// How many bytes the sums of a body take.
pub(crate) fn sums_bytes(body_bytes: u64) -> u64 {
    body_bytes.div_ceil(BLOCK_BYTES) * SUM_BYTES
}

/// Where in the sums that of the block with this byte begins.
pub(crate) fn sum_offset(at: u64) -> u64 {
    at / BLOCK_BYTES * SUM_BYTES
}

/// Compares whole blocks with their sums. Tells the number of bytes before the first that differs, if one does.
pub(crate) fn verify(blocks: &[u8], sums: &[u8]) -> Result<(), u64> {
    let mut sums = sums.chunks_exact(SUM_BYTES as usize);
    for (at, block) in blocks.chunks(BLOCK_BYTES as usize).enumerate() {
        let sum = crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, block) as u32;
        if sums.next() != Some(sum.to_le_bytes().as_slice()) {
            return Err(at as u64 * BLOCK_BYTES);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sums_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut sums = BlockSums::begin();
        for piece in pieces {
            sums.update(piece);
        }
        sums.finish()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_flipped_bit_is_found_in_its_block(
            bytes in 1_usize..300_000,
            piece in 1_usize..100_000,
            seed in any::<u8>(),
            at in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let mut body: Vec<u8> = (0..bytes).map(|n| (n as u8).wrapping_mul(31).wrapping_add(seed)).collect();
            let sums = sums_of(body.chunks(piece));
            prop_assert_eq!(sums.len() as u64, sums_bytes(bytes as u64));
            prop_assert_eq!(&sums, &sums_of([body.as_slice()]));
            prop_assert_eq!(verify(&body, &sums), Ok(()));
            let at = at.index(bytes);
            body[at] ^= 1 << bit;
            prop_assert_eq!(verify(&body, &sums), Err(at as u64 / BLOCK_BYTES * BLOCK_BYTES));
        }
    }

    #[test]
    fn no_bytes_have_no_sums() {
        assert!(sums_of([]).is_empty() && sums_bytes(0) == 0);
        assert_eq!(verify(&[], &[]), Ok(()));
        assert_eq!(verify(&[1], &[]), Err(0));
    }
}
