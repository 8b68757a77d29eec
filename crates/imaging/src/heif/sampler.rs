//! Rows of one plane at the size that is wanted: averaged in blocks, or spread over more pixels.

use super::frame::Plane;

/// Gives rows of a plane.
pub(super) struct Sampler<'a> {
    plane: Plane<'a>,
    /// Columns and rows of the plane that belong to the picture.
    size: (u32, u32),
    resampling: Resampling,
    stored: [Vec<u8>; 2],
    sums: Vec<u32>,
    row: Vec<u8>,
}

/// How a plane's samples become a picture's.
#[derive(Clone, Copy)]
pub(super) enum Resampling {
    /// Each pixel is the average of a block of so many columns and rows of samples.
    Average(u32, u32),
    /// Each sample lies in the middle of so many columns (1 or 2) and rows (1 or 2) of pixels.
    Spread(u32, u32),
}

impl<'a> Sampler<'a> {
    /// For the first columns and rows, as many as `size` says, of a plane.
    pub(super) fn new(plane: Plane<'a>, size: (u32, u32), resampling: Resampling) -> Self {
        Self {
            plane,
            size,
            resampling,
            stored: [Vec::new(), Vec::new()],
            sums: Vec::new(),
            row: Vec::new(),
        }
    }

    /// Row `y` of the result.
    pub(super) fn row(&mut self, y: u32) -> &[u8] {
        match self.resampling {
            Resampling::Average(1, 1) | Resampling::Spread(1, 1) => {
                let [buffer, _] = &mut self.stored;
                self.plane.row(y, self.size.0, buffer)
            }
            Resampling::Average(columns, rows) => self.average(y, columns, rows),
            Resampling::Spread(columns, rows) => self.spread(y, columns, rows),
        }
    }

    fn average(&mut self, y: u32, columns: u32, rows: u32) -> &[u8] {
        let (width, height) = self.size;
        self.sums.clear();
        self.sums.resize(width.div_ceil(columns) as usize, 0);
        let first = y.saturating_mul(rows);
        let last = first.saturating_add(rows).min(height);
        let [buffer, _] = &mut self.stored;
        for y in first..last {
            let row = self.plane.row(y, width, buffer);
            // Blocks of a known size are summed much faster.
            match columns {
                1 => add::<1>(row, &mut self.sums),
                2 => add::<2>(row, &mut self.sums),
                4 => add::<4>(row, &mut self.sums),
                8 => add::<8>(row, &mut self.sums),
                16 => add::<16>(row, &mut self.sums),
                32 => add::<32>(row, &mut self.sums),
                _ => add::<64>(row, &mut self.sums),
            }
        }
        let rows = last.saturating_sub(first).max(1);
        let whole = (columns * rows).max(1);
        self.row.clear();
        let average = |sum: u32, count: u32| u8::try_from((sum + count / 2) / count);
        self.row.extend(
            self.sums
                .iter()
                .map(|sum| average(*sum, whole).unwrap_or(u8::MAX)),
        );
        // The last block may have fewer columns.
        let over = width % columns;
        if over > 0
            && let (Some(last), Some(sum)) = (self.row.last_mut(), self.sums.last())
        {
            *last = average(*sum, over * rows).unwrap_or(u8::MAX);
        }
        &self.row
    }

    /// Weighs the two nearest samples by 3 and 1, in both directions.
    fn spread(&mut self, y: u32, columns: u32, rows: u32) -> &[u8] {
        let (width, height) = self.size;
        let [near, far] = &mut self.stored;
        let own = y / rows;
        let near = self.plane.row(own, width, near);
        let other = match (rows, y % 2) {
            (1, _) => own,
            (_, 0) => own.saturating_sub(1),
            _ => (own + 1).min(height.saturating_sub(1)),
        };
        let far = self.plane.row(other, width, far);
        self.sums.clear();
        self.sums.extend(
            near.iter()
                .zip(far)
                .map(|(n, f)| 3 * u32::from(*n) + u32::from(*f)),
        );
        self.row.clear();
        let fourth = |sum: u32, of: u32| u8::try_from((sum + of / 2) / of).unwrap_or(u8::MAX);
        if columns == 1 {
            self.row.extend(self.sums.iter().map(|sum| fourth(*sum, 4)));
            return &self.row;
        }
        let mut left = self.sums.first().copied().unwrap_or_default();
        let mut samples = self.sums.iter().peekable();
        while let Some(sample) = samples.next() {
            let right = samples.peek().copied().unwrap_or(sample);
            self.row.push(fourth(3 * sample + left, 16));
            self.row.push(fourth(3 * sample + right, 16));
            left = *sample;
        }
        &self.row
    }
}

/// Adds blocks of `N` samples to their sums.
fn add<const N: usize>(row: &[u8], sums: &mut [u32]) {
    let (blocks, over) = row.as_chunks::<N>();
    let total = |block: &[u8]| block.iter().map(|s| u32::from(*s)).sum::<u32>();
    for (block, sum) in blocks.iter().zip(&mut *sums) {
        *sum += total(block);
    }
    if let Some(sum) = sums.get_mut(blocks.len()) {
        *sum += total(over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: [u8; 8] = [0, 40, 80, 255, 100, 60, 20, 255];

    fn plane(bytes: &[u8]) -> Plane<'_> {
        Plane {
            bytes,
            stride_bytes: 4,
            bits: 8,
        }
    }

    fn rows(resampling: Resampling, count: u32) -> Vec<Vec<u8>> {
        // Three columns belong to the picture; the fourth is padding.
        let mut sampler = Sampler::new(plane(&SAMPLES), (3, 2), resampling);
        (0..count).map(|y| sampler.row(y).to_vec()).collect()
    }

    #[test]
    fn as_they_are() {
        let expected = vec![vec![0, 40, 80], vec![100, 60, 20]];
        assert_eq!(rows(Resampling::Average(1, 1), 2), expected);
        assert_eq!(rows(Resampling::Spread(1, 1), 2), expected);
    }

    #[test]
    fn blocks_are_averaged_also_cut_ones() {
        assert_eq!(rows(Resampling::Average(2, 2), 1), vec![vec![50, 50]]);
        assert_eq!(rows(Resampling::Average(2, 1), 2), [[20, 80], [80, 20]]);
        assert_eq!(rows(Resampling::Average(4, 4), 1), vec![vec![50]]);
    }

    #[test]
    fn samples_are_spread() {
        let wide = rows(Resampling::Spread(2, 1), 1);
        assert_eq!(wide, vec![vec![0, 10, 30, 50, 70, 80]]);
        let both = rows(Resampling::Spread(2, 2), 4);
        assert_eq!(both[0], [0, 10, 30, 50, 70, 80]);
        assert_eq!(both[1], [25, 30, 40, 50, 60, 65]);
        assert_eq!(both[3], [100, 90, 70, 50, 30, 20]);
    }

    #[test]
    fn more_bits_are_rounded() {
        let samples: Vec<u8> = [0_u16, 2, 511, 1023]
            .into_iter()
            .flat_map(u16::to_ne_bytes)
            .collect();
        let deep = Plane {
            bytes: &samples,
            stride_bytes: 8,
            bits: 10,
        };
        let mut sampler = Sampler::new(deep, (4, 1), Resampling::Average(1, 1));
        assert_eq!(sampler.row(0), [0, 1, 128, 255]);
    }
}
