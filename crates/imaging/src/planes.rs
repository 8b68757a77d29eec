//! A picture as JPEG and WebP hold it: lightness, and two planes of colour at half its size.
//!
//! What comes from a JPEG and goes into a JPEG or a WebP needs no detour over red, green and blue: planes have half
//! the samples, and no colours are converted. Resizing is linear, so that it comes to the same.

use fast_image_resize::Resizer;

use crate::ImagingError;
use crate::orientation::Orientation;
use crate::pixels::{Extent, Kind, Pixels};
use crate::resize::resize;

/// Samples of luma for one of chroma, across and down, in what is encoded.
pub(crate) const HALVED: (u32, u32) = (2, 2);

/// What chroma is where there is none.
const NO_COLOUR: u8 = 128;

/// Y'CbCr by ITU-R BT.601 with all 256 levels in use, as JFIF has it. Each plane is of [`Kind::Gray`]; a sample of
/// chroma lies in the middle of the luma that it belongs to, the last one beyond an odd edge.
#[derive(Clone, Debug)]
pub(crate) struct Planes {
    pub luma: Pixels,
    /// Cb and Cr.
    pub chroma: [Pixels; 2],
    /// Samples of luma for one of chroma, across and down.
    pub sampling: (u32, u32),
}

impl Planes {
    /// The part that `extent` covers, in samples of luma, resized to exactly `width` by `height`, with chroma at half of that.
    pub(crate) fn resized(
        &self,
        resizer: &mut Resizer,
        extent: Extent,
        width: u32,
        height: u32,
    ) -> Result<Self, ImagingError> {
        let luma = resize(resizer, &self.luma, extent, width, height)?;
        let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
        let mut sized = |plane: &Pixels| {
            // Beyond an odd edge the last sample covers one column that luma has not.
            let covered = |extent: f64, sampling: u32, count: u32, of: u32| {
                (extent / f64::from(sampling) * f64::from(count * 2) / f64::from(of)).max(1.0)
            };
            let part = Extent::from_corner(
                covered(extent.width, self.sampling.0, columns, width),
                covered(extent.height, self.sampling.1, rows, height),
            );
            let continued = continued(plane, part)?;
            let plane = continued.as_ref().unwrap_or(plane);
            resize(resizer, plane, part, columns, rows)
        };
        let [blue, red] = &self.chroma;
        let chroma = [sized(blue)?, sized(red)?];
        Ok(Self {
            luma,
            chroma,
            sampling: HALVED,
        })
    }

    /// Luma as it is, with chroma at half of its size: means of two or four, as JPEG's encoders have it.
    pub(crate) fn halved(mut self) -> Result<Self, ImagingError> {
        let (across, down) = self.sampling;
        for plane in &mut self.chroma {
            if down == 1 {
                let mut half = Pixels::zeroed(plane.width, plane.height.div_ceil(2), Kind::Gray)?;
                let width = (plane.width as usize).max(1);
                let pairs = plane.bytes.chunks(2 * width);
                for (to, pair) in half.bytes.chunks_exact_mut(width).zip(pairs) {
                    let (upper, lower) = pair.split_at(width.min(pair.len()));
                    // An odd last row stands for itself.
                    let lower = if lower.is_empty() { upper } else { lower };
                    for ((to, upper), lower) in to.iter_mut().zip(upper).zip(lower) {
                        *to = between(*upper, *lower);
                    }
                }
                *plane = half;
            }
            if across == 1 {
                let mut half = Pixels::zeroed(plane.width.div_ceil(2), plane.height, Kind::Gray)?;
                let rows = plane.bytes.chunks_exact((plane.width as usize).max(1));
                let halves = half.bytes.chunks_exact_mut((half.width as usize).max(1));
                for (to, row) in halves.zip(rows) {
                    let (pairs, odd) = row.as_chunks::<2>();
                    for (to, [left, right]) in to.iter_mut().zip(pairs) {
                        *to = ((u16::from(*left) + u16::from(*right)) / 2) as u8;
                    }
                    if let (Some(to), [odd]) = (to.last_mut(), odd) {
                        *to = *odd;
                    }
                }
                *plane = half;
            }
        }
        self.sampling = HALVED;
        Ok(self)
    }

    /// A part as it is. It begins at an even column and row, at or before those given; chroma must be halved.
    pub(crate) fn cut(&self, (left, top): (u32, u32), (width, height): (u32, u32)) -> Self {
        Self {
            luma: self.luma.cut((left & !1, top & !1), (width, height)),
            chroma: self.chroma.each_ref().map(|plane| {
                let size = (width.div_ceil(2), height.div_ceil(2));
                plane.cut((left / 2, top / 2), size)
            }),
            sampling: self.sampling,
        }
    }

    /// Turns the picture upright; chroma must be halved.
    pub(crate) fn upright(&self, orientation: Orientation) -> Self {
        let (mirrors_x, mirrors_y) = orientation.mirrors();
        let moves_x = mirrors_x && self.luma.width % 2 == 1;
        let moves_y = mirrors_y && self.luma.height % 2 == 1;
        let turn = |plane: &Pixels| {
            if !moves_x && !moves_y {
                return orientation.apply(plane);
            }
            let mut moved = plane.clone();
            let width = (moved.width as usize).max(1);
            if moves_x {
                for row in moved.bytes.chunks_exact_mut(width) {
                    for at in (1..width).rev() {
                        row[at] = between(row[at], row[at - 1]);
                    }
                }
            }
            if moves_y {
                for at in (width..moved.bytes.len()).rev() {
                    moved.bytes[at] = between(moved.bytes[at], moved.bytes[at - width]);
                }
            }
            orientation.apply(&moved)
        };
        Self {
            luma: orientation.apply(&self.luma),
            chroma: self.chroma.each_ref().map(turn),
            sampling: self.sampling,
        }
    }

    /// Red, green and blue at `width` by `height`.
    pub(crate) fn rgb(
        &self,
        resizer: &mut Resizer,
        width: u32,
        height: u32,
    ) -> Result<Pixels, ImagingError> {
        let mut sized = |plane: &Pixels, sampling: (u32, u32)| {
            let across = f64::from(self.luma.width) / f64::from(sampling.0);
            let down = f64::from(self.luma.height) / f64::from(sampling.1);
            let part = Extent::from_corner(
                across.clamp(1.0, f64::from(plane.width.max(1))),
                down.clamp(1.0, f64::from(plane.height.max(1))),
            );
            resize(resizer, plane, part, width, height)
        };
        let luma = sized(&self.luma, (1, 1))?;
        let [blue, red] = &self.chroma;
        let (blue, red) = (sized(blue, self.sampling)?, sized(red, self.sampling)?);
        let mut to = Pixels::zeroed(width, height, Kind::Rgb)?;
        let samples = luma.bytes.iter().zip(&blue.bytes).zip(&red.bytes);
        for (to, ((y, cb), cr)) in to.bytes.as_chunks_mut::<3>().0.iter_mut().zip(samples) {
            *to = rgb(*y, *cb, *cr);
        }
        Ok(to)
    }
}

/// The plane with its last column and row repeated as far as `part` goes; nothing where it goes no further than the plane.
fn continued(plane: &Pixels, part: Extent) -> Result<Option<Pixels>, ImagingError> {
    // Saturates, and is not much more than the plane.
    let (width, height) = (part.width.ceil() as u32, part.height.ceil() as u32);
    if width <= plane.width && height <= plane.height {
        return Ok(None);
    }
    let (width, height) = (width.max(plane.width), height.max(plane.height));
    let mut to = Pixels::zeroed(width, height, Kind::Gray)?;
    let stride = (plane.width as usize).max(1);
    let rows = plane.bytes.chunks_exact(stride);
    let last = rows.clone().next_back().unwrap_or_default();
    let rows = rows.chain(std::iter::repeat(last));
    for (to, from) in to.bytes.chunks_exact_mut(width as usize).zip(rows) {
        let (inside, beyond) = to.split_at_mut(from.len().min(width as usize));
        inside.copy_from_slice(from.get(..inside.len()).unwrap_or_default());
        beyond.fill(from.last().copied().unwrap_or(NO_COLOUR));
    }
    Ok(Some(to))
}

/// The mean of two neighbours: chroma of an odd picture that is mirrored lies half a sample further.
fn between(a: u8, b: u8) -> u8 {
    // At most 255.
    ((u16::from(a) + u16::from(b)).div_ceil(2)) as u8
}

/// By JFIF, in 65,536ths.
fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y) << 16, i32::from(cb) - 128, i32::from(cr) - 128);
    [
        y + 91_881 * cr,
        y - 22_554 * cb - 46_802 * cr,
        y + 116_130 * cb,
    ]
    .map(|v| ((v + 32_768) >> 16).clamp(0, 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(width: u32, height: u32, value: impl Fn(u32, u32) -> u8) -> Pixels {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Pixels {
            width,
            height,
            kind: Kind::Gray,
            bytes: places.map(|(x, y)| value(x, y)).collect(),
        }
    }

    /// Colour that grows to the right and downwards, sampled where chroma lies.
    fn slope(width: u32, height: u32) -> Planes {
        let chroma = |step: u32| {
            plane(width.div_ceil(2), height.div_ceil(2), move |x, y| {
                (40 + (4 * x + 2) * step + (2 * y + 1)) as u8
            })
        };
        Planes {
            luma: plane(width, height, |x, y| (60 + x + 2 * y) as u8),
            chroma: [chroma(1), chroma(2)],
            sampling: HALVED,
        }
    }

    #[test]
    fn colours_by_jfif() {
        // Red, green and blue of the corners, within the rounding of eight bits.
        for (ycc, expected) in [
            ([255, 128, 128], [255, 255, 255]),
            ([0, 128, 128], [0, 0, 0]),
            ([76, 85, 255], [254, 0, 0]),
            ([150, 44, 21], [0, 255, 1]),
            ([29, 255, 107], [0, 0, 254]),
        ] {
            let got = rgb(ycc[0], ycc[1], ycc[2]);
            let apart = got.iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max();
            assert!(apart <= Some(1), "{ycc:?}: {got:?}");
        }
    }

    /// Wherever a picture is mirrored, colour stays with the lightness that it belongs to.
    #[test]
    fn odd_pictures_keep_their_colours_in_place() {
        for (width, height) in [(16, 12), (17, 12), (16, 13), (17, 13)] {
            let stored = slope(width, height);
            for value in 1..=8 {
                let orientation = Orientation::from_exif(value);
                let upright = stored.upright(orientation);
                let (wide, high) = (upright.luma.width, upright.luma.height);
                assert_eq!(upright.chroma[0].width, wide.div_ceil(2), "{value}");
                assert_eq!(upright.chroma[0].height, high.div_ceil(2), "{value}");
                // Not the last, which has half of its luma.
                for y in 0..high / 2 {
                    for x in 0..wide / 2 {
                        let mut expected = 0.0;
                        for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                            let (x, y) =
                                orientation.stored_at(2 * x + dx, 2 * y + dy, width, height);
                            expected += (f64::from(40 + 2 * x + y) + 1.5) / 4.0;
                        }
                        let got = upright.chroma[0].bytes[(y * wide.div_ceil(2) + x) as usize];
                        assert!(
                            (f64::from(got) - expected).abs() <= 1.01,
                            "{width} by {height}, orientation {value}, {x} {y}: {got} {expected}"
                        );
                    }
                }
            }
        }
    }

    /// Resized to odd sizes, colour stays with the lightness that it belongs to, up to the last edge.
    #[test]
    fn odd_sizes_do_not_stretch_colours() {
        let planes = slope(48, 32);
        let extent = Extent::whole(48, 32);
        for (width, height) in [(31, 21), (24, 16), (31, 20), (30, 21)] {
            let to = planes
                .resized(&mut Resizer::new(), extent, width, height)
                .unwrap();
            let [blue, _] = &to.chroma;
            // Away from the edges, where a filter has something to see on both sides.
            for y in 2..height / 2 - 3 {
                for x in 2..width / 2 - 3 {
                    let place = |at: u32, of: u32, from: u32| {
                        f64::from(at * 2 + 1) * f64::from(from) / f64::from(of)
                    };
                    let expected = 40.0 + place(x, width, 48) * 2.0 + place(y, height, 32);
                    let got = blue.bytes[(y * blue.width + x) as usize];
                    assert!(
                        (f64::from(got) - expected).abs() < 1.2,
                        "{width} by {height}, {x} {y}: {got}, not {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn chroma_is_halved_by_means() {
        for sampling in [(1, 1), (2, 1), (2, 2)] {
            let (width, height) = (5_u32, 3_u32);
            let colour = plane(
                width.div_ceil(sampling.0),
                height.div_ceil(sampling.1),
                |x, y| (10 * x * sampling.0 + 40 * y * sampling.1) as u8,
            );
            let planes = Planes {
                luma: plane(width, height, |_, _| 7),
                chroma: [colour.clone(), colour],
                sampling,
            };
            let half = planes.halved().unwrap();
            let [blue, _] = &half.chroma;
            assert_eq!((blue.width, blue.height), (3, 2), "{sampling:?}");
            let expected = match sampling {
                (1, 1) => [25, 45, 60, 85, 105, 120],
                (2, 1) => [20, 40, 60, 80, 100, 120],
                _ => [0, 20, 40, 80, 100, 120],
            };
            assert_eq!(blue.bytes, expected, "{sampling:?}");
        }
    }

    #[test]
    fn sizes_of_odd_and_of_tiny_pictures() {
        let mut resizer = Resizer::new();
        for (width, height) in [(1, 1), (2, 1), (1, 9), (33, 65), (64, 32)] {
            for (to_width, to_height) in [(1, 1), (7, 3), (20, 20)] {
                let from = slope(width, height);
                let extent = Extent::whole(width, height);
                let to = from.resized(&mut resizer, extent, to_width, to_height);
                let to = to.unwrap();
                assert_eq!((to.luma.width, to.luma.height), (to_width, to_height));
                let half = (to_width.div_ceil(2), to_height.div_ceil(2));
                for plane in &to.chroma {
                    assert_eq!((plane.width, plane.height), half);
                }
                let rgb = to.rgb(&mut resizer, 5, 4).unwrap();
                assert_eq!((rgb.width, rgb.height, rgb.bytes.len()), (5, 4, 60));
            }
        }
    }
}
