//! The perceptual hash: 64 bits that pictures share which look nearly alike.
//!
//! After "pHash" (C. Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010, section 3.2.1): the
//! picture is made 32 by 32 pixels of lightness, whatever its shape, and transformed by a discrete cosine transform
//! (DCT-II). Of that the 64 lowest frequencies count, without the mean brightness: in the order of the sum of their two
//! indices rather than a square of 8 by 8, which takes high frequencies at its far corner, where a slight shift turns bits.
//! Each bit says whether its frequency is positive. The lowest bit is the lowest frequency.
//!
//! A frequency whose amplitude is hardly above the noise says nothing, and where that is so of more than half of them, as in
//! pictures of one colour, of a plain gradient, or of the inside of a lens cap, there is no hash.

use std::f64::consts::PI;

use fast_image_resize::Resizer;
use safelight_model::near::PictureHash;

use crate::ImagingError;
use crate::pixels::{Extent, Kind, Pixels};
use crate::resize::resize;

/// Pixels of lightness on each side.
const EDGE: u32 = 32;
const SIDE: usize = EDGE as usize;
/// Indices of frequencies along one side: the 64 lowest end within those whose indices sum to ten.
const INDICES: usize = 11;
/// The amplitude from which on a frequency says something, in steps of 8-bit lightness. Noise of a deviation of 8
/// steps in a picture of 0.3 megapixels makes 0.03.
const LEAST_AMPLITUDE: f64 = 0.2;
/// So many of 64 frequencies must say something. Photographs had 44 and more; plain colours, gradients, skies without a
/// cloud and stray light in a black picture had 10 at most; a screenshot of a few flat areas had 23.
const LEAST_TELLING: usize = 32;

/// Hashes upright sRGB pixels. `None` where they say too little.
pub(crate) fn picture_hash(
    resizer: &mut Resizer,
    upright: &Pixels,
) -> Result<Option<PictureHash>, ImagingError> {
    let whole = Extent::whole(upright.width, upright.height);
    let small = if whole == Extent::whole(EDGE, EDGE) {
        upright.clone()
    } else {
        resize(resizer, upright, whole, EDGE, EDGE)?
    };
    Ok(hash(&lightness(&small)))
}

/// Lightness by ITU-R BT.601, what is clear on white.
fn lightness(pixels: &Pixels) -> Vec<f64> {
    let luma =
        |r: u8, g: u8, b: u8| 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b);
    match pixels.kind {
        Kind::Gray => pixels.bytes.iter().map(|g| f64::from(*g)).collect(),
        Kind::Rgb => {
            let (rgb, _) = pixels.bytes.as_chunks::<3>();
            rgb.iter().map(|[r, g, b]| luma(*r, *g, *b)).collect()
        }
        // Ink is converted to sRGB before it comes here.
        Kind::Rgba | Kind::Cmyk => {
            let (rgba, _) = pixels.bytes.as_chunks::<4>();
            let over = |[r, g, b, a]: &[u8; 4]| {
                let opacity = f64::from(*a) / 255.0;
                luma(*r, *g, *b) * opacity + 255.0 * (1.0 - opacity)
            };
            rgba.iter().map(over).collect()
        }
    }
}

/// The bits of rows of lightness, [`EDGE`] of each.
fn hash(lightness: &[f64]) -> Option<PictureHash> {
    // cosines[k][n] of the orthonormal DCT-II.
    let cosines: Vec<[f64; SIDE]> = (0..INDICES)
        .map(|k| {
            let scale: f64 = if k == 0 { 1.0 } else { 2.0 };
            std::array::from_fn(|n| {
                (scale / SIDE as f64).sqrt()
                    * (PI * (2 * n + 1) as f64 * k as f64 / (2 * SIDE) as f64).cos()
            })
        })
        .collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    // along[x index][row]
    let along: Vec<Vec<f64>> = cosines
        .iter()
        .map(|cosine| lightness.chunks(SIDE).map(|row| dot(row, cosine)).collect())
        .collect();
    let (mut bits, mut telling) = (0_u64, 0);
    for (place, (down, across)) in lowest().enumerate() {
        let (Some(column), Some(cosine)) = (along.get(across), cosines.get(down)) else {
            continue;
        };
        // Divided by the edge, an amplitude is in steps of lightness whatever the edge.
        let amplitude = dot(column, cosine) / SIDE as f64;
        telling += usize::from(amplitude.abs() >= LEAST_AMPLITUDE);
        bits |= u64::from(amplitude > 0.0) << place;
    }
    (telling >= LEAST_TELLING).then_some(PictureHash(bits))
}

/// The indices, down and across, of the 64 lowest frequencies but the mean.
fn lowest() -> impl Iterator<Item = (usize, usize)> {
    (1..INDICES)
        .flat_map(|sum| (0..=sum).map(move |down| (down, sum - down)))
        .take(64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Kind, width: u32, height: u32, pixel: impl Fn(f64, f64) -> Vec<u8>) -> Option<u64> {
        let mut pixels = Pixels::zeroed(width, height, kind).unwrap();
        pixels.bytes = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .flat_map(|(x, y)| {
                pixel(
                    (f64::from(x) + 0.5) / f64::from(width),
                    (f64::from(y) + 0.5) / f64::from(height),
                )
            })
            .collect();
        let hash = picture_hash(&mut Resizer::new(), &pixels).unwrap();
        hash.map(|h| h.0)
    }

    /// Lightness with much at every low frequency, for places from 0 to 1.
    fn busy(x: f64, y: f64) -> f64 {
        let mut sum = 127.0;
        for (place, (down, across)) in lowest().enumerate() {
            let sign = if place % 3 == 0 { -1.0 } else { 1.0 };
            sum += sign * 3.0 * (PI * x * across as f64).cos() * (PI * y * down as f64).cos();
        }
        sum
    }

    #[test]
    fn the_lowest_frequencies_come_first() {
        let all: Vec<_> = lowest().collect();
        assert_eq!(all.len(), 64);
        assert_eq!(all[..5], [(0, 1), (1, 0), (0, 2), (1, 1), (2, 0)]);
        assert_eq!(all[63], (9, 1));
    }

    #[test]
    fn each_bit_is_the_sign_of_its_frequency() {
        let wanted = (0..64)
            .filter(|place| place % 3 != 0)
            .fold(0_u64, |bits, place| bits | 1 << place);
        let gray = |x, y| vec![busy(x, y) as u8];
        for (width, height) in [(32, 32), (320, 240), (97, 100)] {
            assert_eq!(of(Kind::Gray, width, height, gray), Some(wanted));
        }
        let rgb = |x, y| vec![busy(x, y) as u8; 3];
        assert_eq!(of(Kind::Rgb, 64, 48, rgb), Some(wanted));
        let clear = |x, y| vec![0, 0, 0, 255 - busy(x, y) as u8];
        assert_eq!(of(Kind::Rgba, 64, 48, clear), Some(wanted));
    }

    #[test]
    fn what_says_nothing_has_no_hash() {
        assert_eq!(of(Kind::Gray, 100, 75, |_, _| vec![0]), None);
        assert_eq!(of(Kind::Rgb, 1, 1, |_, _| vec![200, 10, 20]), None);
        assert_eq!(of(Kind::Rgba, 9, 9, |_, _| vec![9, 9, 9, 0]), None);
        let gradient = |x: f64, y: f64| vec![(60.0 + 80.0 * y + 40.0 * x) as u8];
        assert_eq!(of(Kind::Gray, 100, 75, gradient), None);
        let glow = |x: f64, y: f64| vec![(12.0 * (-60.0 * (x * x + y * y)).exp()) as u8];
        assert_eq!(of(Kind::Gray, 100, 75, glow), None);
        let halves = |x: f64, _| vec![if x < 0.5 { 0 } else { 255 }];
        assert_eq!(of(Kind::Gray, 100, 75, halves), None);
    }
}
