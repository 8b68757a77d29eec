//! Pictures that look nearly alike: how that is measured, and what counts as near.
//!
//! A picture's hash says of each of its 64 lowest spatial frequencies whether it is positive (`imaging/src/picture_hash.rs`).
//! What leaves a picture what it is turns few of these bits, and two different pictures differ in half of them. The bounds
//! below were chosen by measurement on 56 photographs (those of the test media, frames of hand-held video, and photographs
//! that come with scikit-image and scikit-learn). The share of them that is still within a distance of itself:
//!
//! | made of it | ≤ 3 | ≤ 7 | ≤ 12 |
//! |---|---|---|---|
//! | half the size; 160 pixels across | 1.00 | 1.00 | 1.00 |
//! | JPEG at quality 30 | 0.98 | 1.00 | 1.00 |
//! | darker by 30 %; warmer | 1.00 | 1.00 | 1.00 |
//! | brighter by 20 %, partly clipped | 0.88 | 0.96 | 1.00 |
//! | contrast up by 30 %; gamma 1.4 | 0.91; 0.77 | 1.00 | 1.00 |
//! | 1 % cut off on each side | 0.77 | 0.96 | 0.98 |
//! | aimed 2 % aside on both axes | 0.39 | 0.84 | 1.00 |
//! | turned by 1 degree | 0.21 | 0.79 | 0.96 |
//! | aimed 4 % aside on both axes | 0.04 | 0.36 | 0.82 |
//! | turned by 2 degrees | 0.00 | 0.20 | 0.62 |
//! | 5 % cut off on each side | 0.02 | 0.14 | 0.57 |
//! | 10 % cut off on each side | 0.00 | 0.00 | 0.05 |
//!
//! Of 73,941 pairs of different scenes (each photograph and six random windows of it) none is within 14, nine are within 16,
//! and the mean is 32.

use crate::clock::Micros;

/// How far apart two pictures may be at any time to count as near: one is the other re-encoded, resized or lightly edited.
pub const COPY_DISTANCE: u32 = 7;
/// How far apart two pictures may be that were taken within [`RETAKE_MICROS`] of one another: a scene taken again by hand
/// is framed otherwise. Within minutes what is alike is seldom so by chance.
pub const RETAKE_DISTANCE: u32 = 12;
/// How long after a picture another is still taken for the same moment: somebody looked at it and tried again.
pub const RETAKE_MICROS: i64 = 10 * 60 * 1_000_000;

/// How many quarters a hash has.
pub const QUARTERS: usize = 4;
/// How many bits a quarter has.
const QUARTER_BITS: u32 = 16;

/// The perceptual hash of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PictureHash(pub u64);

impl PictureHash {
    /// As a database keeps it: the same bits with a sign.
    #[must_use]
    pub fn to_stored(self) -> i64 {
        self.0.cast_signed()
    }

    /// From what a database kept.
    #[must_use]
    pub fn from_stored(stored: i64) -> Self {
        Self(stored.cast_unsigned())
    }

    /// In how many of 64 bits the two differ.
    #[must_use]
    pub fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }

    /// A quarter: 0 has the lowest bits.
    #[must_use]
    pub fn quarter(self, index: usize) -> u16 {
        let shift = u32::try_from(index % QUARTERS).unwrap_or(0) * QUARTER_BITS;
        u16::try_from((self.0 >> shift) & u64::from(u16::MAX)).unwrap_or(0)
    }

    /// What a quarter of any hash within [`COPY_DISTANCE`] may be, in at least one of the four places: this one's own and those
    /// that differ from it in one bit. Were all four quarters two bits apart, the whole would be eight.
    pub fn quarters_near(self, index: usize) -> impl Iterator<Item = u16> {
        let own = self.quarter(index);
        std::iter::once(own).chain((0..QUARTER_BITS).map(move |bit| own ^ (1 << bit)))
    }
}

/// Whether two pictures of one owner, so far apart and taken at these moments, count as near.
#[must_use]
pub fn is_near(distance: u32, taken_at: Micros, other_taken_at: Micros) -> bool {
    let apart = taken_at.0.abs_diff(other_taken_at.0);
    distance <= COPY_DISTANCE
        || (distance <= RETAKE_DISTANCE && apart <= RETAKE_MICROS.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // What `quarters_near` says rests on it.
    const _: () = assert!(COPY_DISTANCE < 2 * QUARTERS as u32);

    #[test]
    fn a_hash_is_its_quarters() {
        let hash = PictureHash(0xfedc_ba98_7654_3210);
        let quarters: Vec<u16> = (0..QUARTERS).map(|n| hash.quarter(n)).collect();
        assert_eq!(quarters, [0x3210, 0x7654, 0xba98, 0xfedc]);
        assert_eq!(PictureHash::from_stored(hash.to_stored()), hash);
        assert!(hash.to_stored() < 0);
    }

    #[test]
    fn near_goes_by_distance_and_then_by_time() {
        let (at, soon, late) = (Micros(0), Micros(RETAKE_MICROS), Micros(-RETAKE_MICROS - 1));
        for (distance, other, near) in [
            (0, late, true),
            (COPY_DISTANCE, late, true),
            (COPY_DISTANCE + 1, late, false),
            (COPY_DISTANCE + 1, soon, true),
            (RETAKE_DISTANCE, soon, true),
            (RETAKE_DISTANCE + 1, at, false),
            (RETAKE_DISTANCE, Micros(i64::MIN), false),
        ] {
            assert_eq!(is_near(distance, at, other), near, "{distance} {other:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_within_the_distance_shares_a_quarter_nearly(
            hash: u64,
            bits in prop::collection::btree_set(0_u32..64, 0..=COPY_DISTANCE as usize)
        ) {
            let hash = PictureHash(hash);
            let other = PictureHash(bits.iter().fold(hash.0, |all, bit| all ^ (1 << bit)));
            prop_assert_eq!(hash.distance(other), bits.len() as u32);
            prop_assert!((0..QUARTERS).any(|n| hash.quarters_near(n).any(|q| q == other.quarter(n))));
        }
    }
}
