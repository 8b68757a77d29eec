//! Which part of the coded picture is shown, and how it is turned: `clap`, `irot` and `imir`
//! (ISO/IEC 23008-12, 6.5.9 to 6.5.12).

use crate::boxes::Reader;
use crate::orientation::Orientation;

/// One step from the coded picture to the upright one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transform {
    /// Anticlockwise, by so many quarters.
    Rotate(u8),
    /// 0 swaps top and bottom, 1 left and right.
    Mirror(u8),
    /// Keeps the clean aperture: each a fraction, numerator and denominator.
    Crop {
        width: (u32, u32),
        height: (u32, u32),
        /// How far the centre of what is kept lies from the picture's, to the right.
        right: (i32, u32),
        /// The same, downwards.
        down: (i32, u32),
    },
}

impl Transform {
    /// Reads a `clap` box.
    pub(super) fn aperture(mut reader: Reader<'_>) -> Option<Self> {
        let mut fraction = || reader.u32().zip(reader.u32()).filter(|(_, d)| *d != 0);
        let (width, height, right, down) = (fraction()?, fraction()?, fraction()?, fraction()?);
        let signed = |(n, d): (u32, u32)| (n.cast_signed(), d);
        Some(Self::Crop {
            width,
            height,
            right: signed(right),
            down: signed(down),
        })
    }
}

/// The part of the coded picture that is shown, and how it is turned upright.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
    pub orientation: Orientation,
}

impl Placement {
    /// Applies `transforms` to a coded picture of this size, one after another. Nothing where no
    /// pixel is left.
    pub(super) fn new(size: (u32, u32), transforms: &[Transform]) -> Option<Self> {
        let mut placed = Self {
            left: 0,
            top: 0,
            width: size.0,
            height: size.1,
            orientation: Orientation::Upright,
        };
        for transform in transforms {
            match *transform {
                Transform::Rotate(quarters) => placed.turn(match quarters {
                    0 => Orientation::Upright,
                    1 => Orientation::Rotate270,
                    2 => Orientation::Rotate180,
                    _ => Orientation::Rotate90,
                }),
                Transform::Mirror(0) => placed.turn(Orientation::MirrorVertical),
                Transform::Mirror(_) => placed.turn(Orientation::MirrorHorizontal),
                Transform::Crop {
                    width,
                    height,
                    right,
                    down,
                } => placed.crop((width, right), (height, down))?,
            }
        }
        Some(placed)
    }

    fn turn(&mut self, next: Orientation) {
        self.orientation = self.orientation.then(next);
    }

    /// Crops what is seen so far, which may be turned already.
    fn crop(&mut self, across: (Fraction, Offset), along: (Fraction, Offset)) -> Option<()> {
        let (width, height) = self.orientation.upright_size(self.width, self.height);
        let (left, shown_width) = aperture(width, across)?;
        let (top, shown_height) = aperture(height, along)?;
        // The corners of what is kept, back in stored pixels.
        let back = |x, y| self.orientation.stored_at(x, y, self.width, self.height);
        let (x0, y0) = back(left, top);
        let (x1, y1) = back(left + shown_width - 1, top + shown_height - 1);
        self.left += x0.min(x1);
        self.top += y0.min(y1);
        self.width = x0.abs_diff(x1) + 1;
        self.height = y0.abs_diff(y1) + 1;
        Some(())
    }
}

type Fraction = (u32, u32);
type Offset = (i32, u32);

/// Where the aperture begins on a side of this length, and how long it is: whole pixels, within
/// the side.
fn aperture(side: u32, (kept, offset): (Fraction, Offset)) -> Option<(u32, u32)> {
    let side = i128::from(side);
    let kept = i128::from(kept.0) / i128::from(kept.1);
    let (n, d) = (i128::from(offset.0), i128::from(offset.1));
    let start = ((side - kept) * d + 2 * n).div_euclid(2 * d);
    let end = (start + kept).min(side);
    let start = start.max(0);
    let length = u32::try_from(end - start).ok().filter(|n| *n > 0)?;
    Some((u32::try_from(start).ok()?, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crop(width: u32, height: u32, right: (i32, u32), down: (i32, u32)) -> Transform {
        Transform::Crop {
            width: (width, 1),
            height: (height, 1),
            right,
            down,
        }
    }

    fn placed(size: (u32, u32), transforms: &[Transform]) -> (u32, u32, u32, u32, Orientation) {
        let p = Placement::new(size, transforms).unwrap();
        (p.left, p.top, p.width, p.height, p.orientation)
    }

    #[test]
    fn apertures() {
        let upright = Orientation::Upright;
        // Centred; to the right bottom corner, whose centre is a half off; more than there is.
        for (transform, expected) in [
            (crop(4, 2, (0, 1), (0, 1)), (3, 2, 4, 2, upright)),
            (crop(4, 3, (3, 1), (3, 2)), (6, 3, 4, 3, upright)),
            (crop(40, 30, (0, 1), (0, 1)), (0, 0, 10, 6, upright)),
            (crop(4, 2, (-4, 1), (0, 1)), (0, 2, 3, 2, upright)),
        ] {
            assert_eq!(placed((10, 6), &[transform]), expected, "{transform:?}");
        }
        for nothing in [
            crop(0, 2, (0, 1), (0, 1)),
            crop(4, 2, (i32::MAX, 1), (0, 1)),
            crop(4, 2, (0, 1), (i32::MIN, 1)),
        ] {
            assert_eq!(Placement::new((10, 6), &[nothing]), None, "{nothing:?}");
        }
    }

    #[test]
    fn crop_behind_a_turn_counts_in_what_is_seen() {
        // Turned clockwise, the left column of what is seen is the bottom row of what is stored.
        let left_column = crop(1, 10, (-5, 2), (0, 1));
        let turned = placed((10, 6), &[Transform::Rotate(3), left_column]);
        assert_eq!(turned, (0, 5, 10, 1, Orientation::Rotate90));
    }

    #[test]
    fn turns_add_up() {
        use Transform::{Mirror, Rotate};
        for (transforms, expected) in [
            (&[Rotate(1), Rotate(3)][..], Orientation::Upright),
            (&[Rotate(3)], Orientation::Rotate90),
            (&[Rotate(1), Mirror(1)], Orientation::Transverse),
            (&[Rotate(3), Mirror(1)], Orientation::Transpose),
            (&[Rotate(2), Mirror(1)], Orientation::MirrorVertical),
        ] {
            let (.., orientation) = placed((2, 2), transforms);
            assert_eq!(orientation, expected, "{transforms:?}");
        }
    }
}
