//! A decoded picture as decoders give it: planes of samples.

use super::properties::Cicp;

/// How many columns and rows of the luma plane share a sample of the chroma planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chroma {
    /// There is no chroma.
    Monochrome,
    /// 4:2:0.
    TwoByTwo,
    /// 4:2:2.
    TwoByOne,
    /// 4:4:4.
    OneByOne,
}

impl Chroma {
    /// Columns and rows of luma for each sample of chroma.
    pub(super) fn subsampling(self) -> (u32, u32) {
        match self {
            Self::Monochrome | Self::OneByOne => (1, 1),
            Self::TwoByTwo => (2, 2),
            Self::TwoByOne => (2, 1),
        }
    }
}

/// Rows of samples: one byte each, or two in the machine's order where `bits` is above 8.
#[derive(Clone, Copy)]
pub(super) struct Plane<'a> {
    pub bytes: &'a [u8],
    /// From one row to the next.
    pub stride_bytes: usize,
    pub bits: u8,
}

/// Planes of one picture.
pub(super) struct Frame<'a> {
    pub width: u32,
    pub height: u32,
    pub chroma: Chroma,
    /// Luma, blue and red difference; or green, blue and red; or luma alone.
    pub planes: [Plane<'a>; 3],
    /// What the coded picture says about its colours.
    pub cicp: Cicp,
}

impl<'a> Plane<'a> {
    /// No samples.
    pub(super) const NONE: Self = Self {
        bytes: &[],
        stride_bytes: 0,
        bits: 8,
    };

    /// The first `width` samples of row `y` as bytes: rounded where they have more bits, then put
    /// into `buffer`. What is not there is left out.
    pub(super) fn row<'b>(&self, y: u32, width: u32, buffer: &'b mut Vec<u8>) -> &'b [u8]
    where
        'a: 'b,
    {
        let start = (y as usize).saturating_mul(self.stride_bytes);
        let rest = self.bytes.get(start..).unwrap_or_default();
        let width = width as usize;
        if self.bits == 8 {
            return rest.get(..width).unwrap_or_default();
        }
        let shift = self.bits.saturating_sub(8).min(8);
        let half = 1_u32 << shift >> 1;
        buffer.clear();
        let samples = rest.as_chunks::<2>().0.iter().take(width);
        buffer.extend(samples.map(|sample| {
            let rounded = (u32::from(u16::from_ne_bytes(*sample)) + half) >> shift;
            u8::try_from(rounded).unwrap_or(u8::MAX)
        }));
        buffer
    }
}
