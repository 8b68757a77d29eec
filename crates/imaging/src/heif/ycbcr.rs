//! From luma and colour differences to red, green and blue (ISO/IEC 23091-2, 8.3).

use super::properties::Cicp;
use crate::ImagingError;

/// Code points of matrix coefficients.
const IDENTITY: u8 = 0;
const BT_709: u8 = 1;
const UNSPECIFIED: u8 = 2;
const FCC: u8 = 4;
const BT_601_625: u8 = 5;
const BT_601_525: u8 = 6;
const SMPTE_240: u8 = 7;
const BT_2020: u8 = 9;

/// How samples of eight bits become light.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conversion {
    luma_scale: f32,
    luma_offset: f32,
    /// Nothing where the planes are green, blue and red themselves.
    difference: Option<Difference>,
}

/// What the colour differences add to luma.
#[derive(Clone, Copy, Debug)]
struct Difference {
    red_to_red: f32,
    red_to_green: f32,
    blue_to_green: f32,
    blue_to_blue: f32,
}

impl Conversion {
    /// The conversion for these code points. Without any, it is that of BT.601, as with JPEG.
    ///
    /// # Errors
    /// [`ImagingError::Unsupported`] for matrices that no camera uses.
    pub(super) fn new(cicp: Cicp) -> Result<Self, ImagingError> {
        // The shares of red and blue in luma.
        let shares = match cicp.matrix {
            IDENTITY => None,
            BT_709 => Some((0.2126, 0.0722)),
            FCC => Some((0.30, 0.11)),
            UNSPECIFIED | BT_601_625 | BT_601_525 => Some((0.299, 0.114)),
            SMPTE_240 => Some((0.212, 0.087)),
            BT_2020 => Some((0.2627, 0.0593)),
            other => {
                let found = format!("a picture with matrix coefficients {other}");
                return Err(ImagingError::unsupported(found));
            }
        };
        // In the limited range luma goes from 16 to 235, and differences from 16 to 240.
        let (luma_scale, luma_offset, scale) = if cicp.full_range {
            (1.0, 0.0, 1.0)
        } else {
            (255.0 / 219.0, -16.0 * 255.0 / 219.0, 255.0 / 224.0)
        };
        let difference = shares.map(|(red, blue): (f32, f32)| {
            let green = 1.0 - red - blue;
            Difference {
                red_to_red: scale * 2.0 * (1.0 - red),
                red_to_green: scale * -2.0 * red * (1.0 - red) / green,
                blue_to_green: scale * -2.0 * blue * (1.0 - blue) / green,
                blue_to_blue: scale * 2.0 * (1.0 - blue),
            }
        });
        Ok(Self {
            luma_scale,
            luma_offset,
            difference,
        })
    }

    /// Converts a row of luma alone.
    pub(super) fn gray(&self, luma: &[u8], to: &mut [u8]) {
        for (to, y) in to.iter_mut().zip(luma) {
            *to = self.light(*y, 0.0);
        }
    }

    /// Converts a row: luma, blue and red difference, or green, blue and red.
    pub(super) fn rgb(&self, [first, second, third]: [&[u8]; 3], to: &mut [u8]) {
        let (pixels, _) = to.as_chunks_mut::<3>();
        let samples = first.iter().zip(second).zip(third);
        let Some(d) = self.difference else {
            for (to, ((g, b), r)) in pixels.iter_mut().zip(samples) {
                *to = [
                    self.light(*r, 0.0),
                    self.light(*g, 0.0),
                    self.light(*b, 0.0),
                ];
            }
            return;
        };
        for (to, ((y, cb), cr)) in pixels.iter_mut().zip(samples) {
            let (cb, cr) = (f32::from(*cb) - 128.0, f32::from(*cr) - 128.0);
            *to = [
                self.light(*y, d.red_to_red * cr),
                self.light(*y, d.blue_to_green * cb + d.red_to_green * cr),
                self.light(*y, d.blue_to_blue * cb),
            ];
        }
    }

    #[inline]
    fn light(&self, luma: u8, more: f32) -> u8 {
        let light = f32::from(luma) * self.luma_scale + self.luma_offset + more;
        // The cast clamps to what a byte holds.
        (light + 0.5) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(matrix: u8, full_range: bool, samples: [u8; 3]) -> [u8; 3] {
        let conversion = Conversion::new(Cicp {
            primaries: 1,
            transfer: 1,
            matrix,
            full_range,
        });
        let mut to = [0; 3];
        let [a, b, c] = samples;
        conversion.unwrap().rgb([&[a], &[b], &[c]], &mut to);
        to
    }

    /// Colours by the published equations: red, and a gray, for each matrix and range.
    #[test]
    fn known_colours() {
        for (matrix, full_range, samples, expected) in [
            (BT_601_525, true, [76, 85, 255], [254, 0, 0]),
            (UNSPECIFIED, true, [76, 85, 255], [254, 0, 0]),
            (BT_709, true, [54, 99, 255], [254, 0, 1]),
            (BT_709, false, [63, 102, 240], [255, 1, 0]),
            (BT_2020, false, [74, 97, 240], [255, 0, 0]),
            (BT_601_625, false, [16, 128, 128], [0, 0, 0]),
            (BT_601_625, false, [235, 128, 128], [255, 255, 255]),
            (IDENTITY, true, [10, 20, 30], [30, 10, 20]),
            (IDENTITY, false, [16, 235, 126], [128, 0, 255]),
        ] {
            let got = converted(matrix, full_range, samples);
            let near = got.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 1);
            assert!(
                near,
                "{matrix} {full_range} {samples:?}: {got:?}, not {expected:?}"
            );
        }
    }

    #[test]
    fn gray_by_range() {
        let mut cicp = Cicp {
            primaries: 1,
            transfer: 1,
            matrix: BT_709,
            full_range: false,
        };
        let mut to = [0; 4];
        let limited = Conversion::new(cicp).unwrap();
        limited.gray(&[0, 16, 235, 255], &mut to);
        assert_eq!(to, [0, 0, 255, 255]);
        cicp.full_range = true;
        Conversion::new(cicp)
            .unwrap()
            .gray(&[0, 16, 235, 255], &mut to);
        assert_eq!(to, [0, 16, 235, 255]);
    }

    #[test]
    fn strange_matrices_are_refused() {
        let cicp = Cicp {
            primaries: 9,
            transfer: 16,
            matrix: 14,
            full_range: true,
        };
        assert!(Conversion::new(cicp).is_err());
    }
}
