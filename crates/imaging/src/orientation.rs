//! The EXIF orientation: read from metadata, applied to pixels.

use exif::{In, Tag};

use crate::metadata::parse_tiff;
use crate::pixels::Pixels;

/// Side of the square blocks in which pixels are turned, so that both sides stay in the cache.
const TILE: usize = 32;

/// How stored pixels have to be turned to stand upright; values as in EXIF tag 0x0112.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Orientation {
    /// 1: stored upright.
    #[default]
    Upright,
    /// 2: mirror left and right.
    MirrorHorizontal,
    /// 3: turn by half.
    Rotate180,
    /// 4: mirror top and bottom.
    MirrorVertical,
    /// 5: mirror along the main diagonal.
    Transpose,
    /// 6: turn clockwise by a quarter.
    Rotate90,
    /// 7: mirror along the other diagonal.
    Transverse,
    /// 8: turn anticlockwise by a quarter.
    Rotate270,
}

impl Orientation {
    /// The orientation of this EXIF value; what is not 1 to 8 is upright.
    #[must_use]
    pub fn from_exif(value: u32) -> Self {
        match value {
            2 => Self::MirrorHorizontal,
            3 => Self::Rotate180,
            4 => Self::MirrorVertical,
            5 => Self::Transpose,
            6 => Self::Rotate90,
            7 => Self::Transverse,
            8 => Self::Rotate270,
            _ => Self::Upright,
        }
    }

    /// Its EXIF value, 1 to 8.
    #[must_use]
    pub fn exif_value(self) -> u8 {
        match self {
            Self::Upright => 1,
            Self::MirrorHorizontal => 2,
            Self::Rotate180 => 3,
            Self::MirrorVertical => 4,
            Self::Transpose => 5,
            Self::Rotate90 => 6,
            Self::Transverse => 7,
            Self::Rotate270 => 8,
        }
    }

    /// Whether width and height change places.
    #[must_use]
    pub fn swaps_sides(self) -> bool {
        matches!(
            self,
            Self::Transpose | Self::Rotate90 | Self::Transverse | Self::Rotate270
        )
    }

    /// The upright size of stored pixels of this size.
    #[must_use]
    pub fn upright_size(self, width: u32, height: u32) -> (u32, u32) {
        if self.swaps_sides() {
            (height, width)
        } else {
            (width, height)
        }
    }

    /// Where the pixel seen upright at `x` and `y` is stored in a picture of this stored size.
    pub(crate) fn stored_at(self, x: u32, y: u32, width: u32, height: u32) -> (u32, u32) {
        let (right, bottom) = (width - 1, height - 1);
        match self {
            Self::Upright => (x, y),
            Self::MirrorHorizontal => (right - x, y),
            Self::Rotate180 => (right - x, bottom - y),
            Self::MirrorVertical => (x, bottom - y),
            Self::Transpose => (y, x),
            Self::Rotate90 => (y, bottom - x),
            Self::Transverse => (right - y, bottom - x),
            Self::Rotate270 => (right - y, x),
        }
    }

    /// Turned as `self` says, and then as `next` says.
    #[must_use]
    pub(crate) fn then(self, next: Self) -> Self {
        let (swaps, mirrors_x, mirrors_y) = self.parts();
        let (next_swaps, next_x, next_y) = next.parts();
        let (next_x, next_y) = if swaps {
            (next_y, next_x)
        } else {
            (next_x, next_y)
        };
        match (
            swaps != next_swaps,
            mirrors_x != next_x,
            mirrors_y != next_y,
        ) {
            (false, false, false) => Self::Upright,
            (false, true, false) => Self::MirrorHorizontal,
            (false, true, true) => Self::Rotate180,
            (false, false, true) => Self::MirrorVertical,
            (true, false, false) => Self::Transpose,
            (true, false, true) => Self::Rotate90,
            (true, true, true) => Self::Transverse,
            (true, true, false) => Self::Rotate270,
        }
    }

    /// Whether the sides are swapped, and whether stored columns and stored rows count backwards.
    fn parts(self) -> (bool, bool, bool) {
        let (x, y) = self.stored_at(0, 0, 2, 2);
        (self.swaps_sides(), x == 1, y == 1)
    }

    /// Whether stored columns and stored rows count backwards.
    pub(crate) fn mirrors(self) -> (bool, bool) {
        let (_, mirrors_x, mirrors_y) = self.parts();
        (mirrors_x, mirrors_y)
    }

    /// Reads the orientation from a TIFF structure. Whatever is wrong with it, the picture can
    /// still be shown: then it is upright.
    pub(crate) fn from_tiff(tiff: &[u8]) -> Self {
        Self::told_by(tiff).unwrap_or(Self::Upright)
    }

    /// The same; nothing where the structure tells none.
    pub(crate) fn told_by(tiff: &[u8]) -> Option<Self> {
        let exif = parse_tiff(tiff)?;
        let field = exif.get_field(Tag::Orientation, In::PRIMARY)?;
        field.value.get_uint(0).map(Self::from_exif)
    }

    /// Turns pixels upright.
    pub(crate) fn apply(self, pixels: &Pixels) -> Pixels {
        if self == Self::Upright {
            return pixels.clone();
        }
        match pixels.kind.channels() {
            1 => self.turn::<1>(pixels),
            3 => self.turn::<3>(pixels),
            _ => self.turn::<4>(pixels),
        }
    }

    fn turn<const N: usize>(self, from: &Pixels) -> Pixels {
        let (width, height) = self.upright_size(from.width, from.height);
        let stride = from.width as usize;
        let (stored, _) = from.bytes.as_chunks::<N>();
        let mut bytes = vec![0; from.bytes.len()];
        let (upright, _) = bytes.as_chunks_mut::<N>();
        // From each upright pixel to the stored one of its right and of its lower neighbour. Sums
        // wrap: what matters is where they end.
        let (swaps, mirrors_x, mirrors_y) = self.parts();
        let signed = |step: usize, backwards: bool| {
            if backwards { step.wrapping_neg() } else { step }
        };
        let (column, row) = (signed(1, mirrors_x), signed(stride, mirrors_y));
        let (right, down) = if swaps { (row, column) } else { (column, row) };
        let (x, y) = self.stored_at(0, 0, from.width, from.height);
        let start = y as usize * stride + x as usize;
        let (rows, columns) = (height as usize, width as usize);
        for top in (0..rows).step_by(TILE) {
            for left in (0..columns).step_by(TILE) {
                for y in top..rows.min(top + TILE) {
                    let begin = y * columns + left;
                    let end = y * columns + columns.min(left + TILE);
                    let mut at = start
                        .wrapping_add(y.wrapping_mul(down))
                        .wrapping_add(left.wrapping_mul(right));
                    for to in &mut upright[begin..end] {
                        *to = stored[at];
                        at = at.wrapping_add(right);
                    }
                }
            }
        }
        Pixels {
            width,
            height,
            kind: from.kind,
            bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::Kind;

    #[test]
    fn one_turn_after_another() {
        let picture = Pixels {
            width: 3,
            height: 2,
            kind: Kind::Gray,
            bytes: vec![1, 2, 3, 4, 5, 6],
        };
        for first in (1..=8).map(Orientation::from_exif) {
            for second in (1..=8).map(Orientation::from_exif) {
                let twice = second.apply(&first.apply(&picture));
                let once = first.then(second).apply(&picture);
                assert_eq!((once.width, once.height), (twice.width, twice.height));
                assert_eq!(once.bytes, twice.bytes, "{first:?}, {second:?}");
            }
        }
    }

    #[test]
    fn each_pixel_comes_from_where_it_is_stored() {
        for (width, height) in [(1, 1), (1, 7), (7, 1), (33, 65), (64, 32)] {
            let pixels = Pixels {
                width,
                height,
                kind: Kind::Gray,
                bytes: (0..width * height).map(|n| (n * 7 % 251) as u8).collect(),
            };
            for orientation in (1..=8).map(Orientation::from_exif) {
                let upright = orientation.apply(&pixels);
                for (n, seen) in (0..).zip(&upright.bytes) {
                    let (x, y) = (n % upright.width, n / upright.width);
                    let (x, y) = orientation.stored_at(x, y, width, height);
                    let stored = pixels.bytes[(y * width + x) as usize];
                    assert_eq!(*seen, stored, "{orientation:?}, {width} by {height}, {n}");
                }
            }
        }
    }
}
