//! Pixels in memory between decoding and encoding.

use std::alloc::{Layout, alloc_zeroed};

use crate::ImagingError;
use crate::picture::Picture;

/// What the bytes of a pixel mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One byte of lightness.
    Gray,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue, and opacity that they are not multiplied with.
    Rgba,
    /// Ink: 255 is full.
    Cmyk,
}

impl Kind {
    pub(crate) fn channels(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::Rgb => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }
}

/// Rows of pixels, eight bits a channel, without padding. Both sides are at least 1.
#[derive(Clone, Debug)]
pub(crate) struct Pixels {
    pub width: u32,
    pub height: u32,
    pub kind: Kind,
    pub bytes: Vec<u8>,
}

impl Pixels {
    /// Black (or, with alpha, clear) pixels.
    pub(crate) fn zeroed(width: u32, height: u32, kind: Kind) -> Result<Self, ImagingError> {
        let len = u64::from(width)
            .checked_mul(u64::from(height))
            .and_then(|n| n.checked_mul(kind.channels() as u64))
            .and_then(|n| usize::try_from(n).ok())
            .ok_or_else(|| ImagingError::memory("a picture larger than memory"))?;
        Ok(Self {
            width,
            height,
            kind,
            bytes: zeroed(len)?,
        })
    }

    /// A part of them, as far as it is there.
    pub(crate) fn cut(&self, (left, top): (u32, u32), (width, height): (u32, u32)) -> Self {
        let left = left.min(self.width.saturating_sub(1));
        let top = top.min(self.height.saturating_sub(1));
        let width = width.clamp(1, self.width.max(1) - left);
        let height = height.clamp(1, self.height.max(1) - top);
        let channels = self.kind.channels();
        let (begin, length) = (left as usize * channels, width as usize * channels);
        let rows = self.bytes.chunks_exact(self.stride().max(1));
        let bytes = rows
            .skip(top as usize)
            .take(height as usize)
            .filter_map(|row| row.get(begin..begin + length))
            .flatten()
            .copied()
            .collect();
        Self {
            width,
            height,
            kind: self.kind,
            bytes,
        }
    }

    pub(crate) fn stride(&self) -> usize {
        self.width as usize * self.kind.channels()
    }
}

/// Zeroed bytes, or an error where `vec![0; len]` would abort the process.
pub(crate) fn zeroed(len: usize) -> Result<Vec<u8>, ImagingError> {
    let refused = || ImagingError::memory(format!("{len} bytes were refused"));
    if len == 0 {
        return Ok(Vec::new());
    }
    let layout = Layout::array::<u8>(len).map_err(|_| refused())?;
    // SAFETY: the layout is not empty.
    let start = unsafe { alloc_zeroed(layout) };
    if start.is_null() {
        return Err(refused());
    }
    // SAFETY: allocated just now by the global allocator with this layout, and initialised.
    Ok(unsafe { Vec::from_raw_parts(start, len, len) })
}

/// A decoded picture, possibly smaller than the file's, in the file's own colours.
#[derive(Clone, Debug)]
pub(crate) struct Decoded {
    pub picture: Picture,
    /// Which of the decoded columns and rows the picture covers.
    pub extent: Extent,
    /// What its colours mean, where the file says so and it is still to be converted.
    pub profile: Option<Profile>,
}

/// A part of pixels. Not whole where they were shrunk while decoding and the last cell is cut, or
/// where the file has more than it shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extent {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

impl Extent {
    /// The first columns and rows.
    pub(crate) fn from_corner(width: f64, height: f64) -> Self {
        Self {
            left: 0.0,
            top: 0.0,
            width,
            height,
        }
    }

    /// All columns and rows of a picture of this size.
    pub(crate) fn whole(width: u32, height: u32) -> Self {
        Self::from_corner(f64::from(width), f64::from(height))
    }
}

/// What colours mean.
#[derive(Clone, Debug)]
pub(crate) enum Profile {
    /// An ICC profile.
    Icc(Vec<u8>),
    /// Coding-independent code points (ISO/IEC 23091-2).
    CodePoints { primaries: u8, transfer: u8 },
}
