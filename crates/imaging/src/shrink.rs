//! Averages blocks of pixels while rows arrive, so that a large picture is never whole in memory.

use crate::ImagingError;
use crate::pixels::{Extent, Kind, Pixels};

/// Largest block side: sums of 64 by 64 products of two bytes stay within 32 bits.
const MAX_FACTOR: u32 = 64;

/// The block side for which a picture of this longer edge is still at least twice `long_edge`, so
/// that the filter that follows decides the quality.
pub(crate) fn factor(long: u32, long_edge: u32) -> u32 {
    (long / long_edge.saturating_mul(2).max(1)).clamp(1, MAX_FACTOR)
}

/// Takes rows, gives the averaged picture.
pub(crate) struct Shrinker {
    factor: u32,
    source_width: u32,
    sums: Vec<u32>,
    rows_in_sum: u32,
    next_row: usize,
    to: Pixels,
}

impl Shrinker {
    /// For rows of a picture of this size and kind.
    pub(crate) fn start(
        width: u32,
        height: u32,
        kind: Kind,
        factor: u32,
    ) -> Result<Self, ImagingError> {
        let factor = factor.clamp(1, MAX_FACTOR);
        let to = Pixels::zeroed(width.div_ceil(factor), height.div_ceil(factor), kind)?;
        let sums = if factor > 1 {
            vec![0; to.stride()]
        } else {
            Vec::new()
        };
        Ok(Self {
            factor,
            source_width: width,
            sums,
            rows_in_sum: 0,
            next_row: 0,
            to,
        })
    }

    /// Takes the next row. What is beyond the last is ignored.
    pub(crate) fn push(&mut self, row: &[u8]) {
        if self.factor == 1 {
            let stride = self.to.stride();
            let at = self.next_row * stride;
            if let (Some(to), Some(from)) =
                (self.to.bytes.get_mut(at..at + stride), row.get(..stride))
            {
                to.copy_from_slice(from);
            }
            self.next_row += 1;
            return;
        }
        let channels = self.to.kind.channels();
        let cell = self.factor as usize * channels;
        let cells = row.chunks(cell).zip(self.sums.chunks_exact_mut(channels));
        for (pixels, sum) in cells {
            for pixel in pixels.chunks_exact(channels) {
                if let ([r, g, b, a], [sr, sg, sb, sa], Kind::Rgba) =
                    (pixel, &mut *sum, self.to.kind)
                {
                    let alpha = u32::from(*a);
                    *sr += u32::from(*r) * alpha;
                    *sg += u32::from(*g) * alpha;
                    *sb += u32::from(*b) * alpha;
                    *sa += alpha;
                } else {
                    for (s, p) in sum.iter_mut().zip(pixel) {
                        *s += u32::from(*p);
                    }
                }
            }
        }
        self.rows_in_sum += 1;
        if self.rows_in_sum == self.factor {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let channels = self.to.kind.channels();
        let stride = self.to.stride();
        let at = self.next_row * stride;
        let Some(row) = self.to.bytes.get_mut(at..at + stride) else {
            return;
        };
        let mut left = self.source_width;
        let cells = row
            .chunks_exact_mut(channels)
            .zip(self.sums.chunks_exact_mut(channels));
        for (to, sum) in cells {
            let count = left.min(self.factor).max(1) * self.rows_in_sum;
            left = left.saturating_sub(self.factor);
            if let ([r, g, b, a], [sr, sg, sb, sa], Kind::Rgba) = (&mut *to, &*sum, self.to.kind) {
                let alpha = (*sa).max(1);
                *r = byte((sr + alpha / 2) / alpha);
                *g = byte((sg + alpha / 2) / alpha);
                *b = byte((sb + alpha / 2) / alpha);
                *a = byte((sa + count / 2) / count);
            } else {
                for (t, s) in to.iter_mut().zip(&*sum) {
                    *t = byte((s + count / 2) / count);
                }
            }
            sum.fill(0);
        }
        self.rows_in_sum = 0;
        self.next_row += 1;
    }

    /// The averaged picture, and how many of its columns and rows a source of `height` rows covers.
    pub(crate) fn finish(mut self, height: u32) -> (Pixels, Extent) {
        if self.rows_in_sum > 0 {
            self.flush();
        }
        let factor = f64::from(self.factor);
        let extent = Extent::from_corner(
            (f64::from(self.source_width) / factor).max(1.0),
            (f64::from(height) / factor).max(1.0),
        );
        (self.to, extent)
    }
}

fn byte(value: u32) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_whole_and_cut_cells() {
        let mut shrinker = Shrinker::start(3, 3, Kind::Gray, 2).unwrap();
        for row in [[0, 2, 9], [4, 6, 11], [1, 3, 7]] {
            shrinker.push(&row);
        }
        let (pixels, extent) = shrinker.finish(3);
        assert_eq!((pixels.width, pixels.height), (2, 2));
        assert_eq!(pixels.bytes, [3, 10, 2, 7]);
        assert_eq!(extent, Extent::from_corner(1.5, 1.5));
    }

    #[test]
    fn clear_pixels_do_not_bleed() {
        let mut shrinker = Shrinker::start(2, 1, Kind::Rgba, 2).unwrap();
        shrinker.push(&[200, 10, 20, 255, 0, 255, 255, 0]);
        let (pixels, _) = shrinker.finish(1);
        assert_eq!(pixels.bytes, [200, 10, 20, 128]);
    }

    #[test]
    fn factor_leaves_twice_the_edge() {
        assert_eq!(factor(2532, 320), 3);
        assert_eq!(factor(1000, 2048), 1);
        assert_eq!(factor(u32::MAX, 1), MAX_FACTOR);
    }
}
