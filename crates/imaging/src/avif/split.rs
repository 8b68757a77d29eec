//! Pixels as AV1 codes them: lightness, colour at half its size, and opacity, each by itself.

use crate::ImagingError;
use crate::pixels::{Kind, Pixels};
use crate::planes::{HALVED, Planes};

/// What Y'CbCr is in 65,536ths of red, green and blue, by ITU-R BT.601 as JFIF has it.
const LUMA: [i32; 3] = [19_595, 38_470, 7_471];
const BLUE: [i32; 3] = [-11_056, -21_712, 32_768];
const RED: [i32; 3] = [32_768, -27_440, -5_328];

/// The planes of red, green and blue; each sample of chroma is that of the mean of the pixels that it belongs to.
pub(super) fn planes(from: &Pixels) -> Result<Planes, ImagingError> {
    let (columns, rows) = (from.width.div_ceil(2), from.height.div_ceil(2));
    let channels = from.kind.channels();
    if channels < 3 {
        return Err(ImagingError::encode("pixels without colours"));
    }
    let mut luma = Pixels::zeroed(from.width, from.height, Kind::Gray)?;
    for (to, pixel) in luma.bytes.iter_mut().zip(from.bytes.chunks_exact(channels)) {
        *to = weighted(sum_of([pixel]), LUMA, 1, 0);
    }
    let mut blue = Pixels::zeroed(columns, rows, Kind::Gray)?;
    let mut red = blue.clone();
    let pairs = from.bytes.chunks(2 * from.stride());
    let to = blue.bytes.chunks_exact_mut(columns as usize);
    let to = to.zip(red.bytes.chunks_exact_mut(columns as usize));
    for ((blue, red), pair) in to.zip(pairs) {
        let (upper, lower) = pair.split_at(from.stride().min(pair.len()));
        // An odd last row, or column, stands for itself.
        let lower = if lower.is_empty() { upper } else { lower };
        let blocks = upper.chunks(2 * channels).zip(lower.chunks(2 * channels));
        for ((blue, red), (upper, lower)) in blue.iter_mut().zip(red).zip(blocks) {
            let of_both = upper
                .chunks_exact(channels)
                .chain(lower.chunks_exact(channels));
            let count = if upper.len() > channels { 4 } else { 2 };
            let sum = sum_of(of_both);
            *blue = weighted(sum, BLUE, count, 128);
            *red = weighted(sum, RED, count, 128);
        }
    }
    Ok(Planes {
        luma,
        chroma: [blue, red],
        sampling: HALVED,
    })
}

/// The opacity of each pixel.
pub(super) fn alpha(from: &Pixels) -> Result<Pixels, ImagingError> {
    let mut to = Pixels::zeroed(from.width, from.height, Kind::Gray)?;
    for (to, [.., opacity]) in to.bytes.iter_mut().zip(from.bytes.as_chunks::<4>().0) {
        *to = *opacity;
    }
    Ok(to)
}

fn sum_of<'a>(pixels: impl IntoIterator<Item = &'a [u8]>) -> [i32; 3] {
    let mut sum = [0; 3];
    for pixel in pixels {
        for (sum, level) in sum.iter_mut().zip(pixel) {
            *sum += i32::from(*level);
        }
    }
    sum
}

/// A level of the mean of `count` pixels with this sum. Of four pixels it is below 2^27.
fn weighted(sum: [i32; 3], weights: [i32; 3], count: i32, middle: i32) -> u8 {
    let weighted: i32 = sum.iter().zip(weights).map(|(sum, by)| sum * by).sum();
    let scale = count << 16;
    let rounded = (weighted + scale / 2).div_euclid(scale);
    u8::try_from((rounded + middle).clamp(0, 255)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_jfif() {
        let of = |rgb: [u8; 3]| {
            let one = Pixels {
                width: 1,
                height: 1,
                kind: Kind::Rgb,
                bytes: rgb.to_vec(),
            };
            let planes = planes(&one).unwrap();
            let [blue, red] = &planes.chroma;
            [planes.luma.bytes[0], blue.bytes[0], red.bytes[0]]
        };
        assert_eq!(of([0; 3]), [0, 128, 128]);
        assert_eq!(of([255; 3]), [255, 128, 128]);
        assert_eq!(of([255, 0, 0]), [76, 85, 255]);
        assert_eq!(of([0, 255, 0]), [150, 44, 21]);
        assert_eq!(of([0, 0, 255]), [29, 255, 107]);
    }

    #[test]
    fn odd_edges_stand_for_themselves() {
        let mut bytes = vec![10; 3 * 3 * 4];
        // The corner, a block of its own: red, and half opaque.
        bytes[32..].copy_from_slice(&[255, 0, 0, 128]);
        let pixels = Pixels {
            width: 3,
            height: 3,
            kind: Kind::Rgba,
            bytes,
        };
        let split = planes(&pixels).unwrap();
        assert_eq!(split.chroma[1].bytes, [128, 128, 128, 255]);
        assert_eq!(split.luma.bytes[8], 76);
        assert_eq!(
            alpha(&pixels).unwrap().bytes,
            [10, 10, 10, 10, 10, 10, 10, 10, 128]
        );
    }
}
