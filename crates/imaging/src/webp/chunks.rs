//! Walks the chunks of a WebP.

use std::ops::Range;

use crate::ImagingError;
use crate::orientation::Orientation;

/// What the chunks say.
pub(crate) struct Chunks {
    pub width: u32,
    pub height: u32,
    pub orientation: Orientation,
    /// Pictures of an animation; 0 where it is none.
    pub frames: u32,
    /// Where the colour profile lies.
    pub icc: Option<Range<usize>>,
    /// Where the TIFF structure of the last EXIF chunk lies.
    pub exif: Option<Range<usize>>,
    /// Where the XMP packet lies.
    pub xmp: Option<Range<usize>>,
}

/// Reads size, orientation and profile.
///
/// # Errors
/// [`ImagingError::Corrupt`] when there is no image chunk with a size.
pub(crate) fn read(bytes: &[u8]) -> Result<Chunks, ImagingError> {
    let mut canvas = None;
    let mut frame = None;
    let mut frames: u32 = 0;
    let mut orientation = Orientation::Upright;
    let (mut icc, mut exif, mut xmp) = (None, None, None);
    let mut at = 12;
    while let Some((kind, range)) = chunk(bytes, &mut at) {
        let content = bytes.get(range.clone()).unwrap_or_default();
        match kind {
            b"VP8X" => {
                let side = |low: usize| {
                    let b = content.get(low..low + 3)?;
                    Some(u32::from_le_bytes([b[0], b[1], b[2], 0]) + 1)
                };
                canvas = side(4).zip(side(7));
            }
            b"ANMF" => frames = frames.saturating_add(1),
            b"VP8 " if frame.is_none() => frame = lossy_size(content),
            b"VP8L" if frame.is_none() => frame = lossless_size(content),
            b"ICCP" if icc.is_none() => icc = Some(range),
            b"EXIF" => {
                // Some writers keep JPEG's prefix.
                let tiff = content.strip_prefix(b"Exif\0\0").unwrap_or(content);
                orientation = Orientation::from_tiff(tiff);
                exif = Some(range.end - tiff.len()..range.end);
            }
            b"XMP " => xmp = Some(range),
            _ => {}
        }
    }
    let (width, height) = canvas
        .or(frame)
        .ok_or_else(|| ImagingError::corrupt("WebP header cut short"))?;
    Ok(Chunks {
        width,
        height,
        orientation,
        frames,
        icc,
        exif,
        xmp,
    })
}

/// The next chunk; the last may be cut off, as its header is what matters.
pub(crate) fn chunk<'a>(bytes: &'a [u8], at: &mut usize) -> Option<(&'a [u8], Range<usize>)> {
    let kind = bytes.get(*at..at.checked_add(4)?)?;
    let length: [u8; 4] = bytes.get(*at + 4..*at + 8)?.try_into().ok()?;
    let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
    let start = *at + 8;
    let end = start.checked_add(length)?.min(bytes.len());
    *at = start.checked_add(length)?.checked_add(length % 2)?;
    Some((kind, start..end))
}

fn lossy_size(content: &[u8]) -> Option<(u32, u32)> {
    let side = |low: usize| {
        let bytes: [u8; 2] = content.get(low..low + 2)?.try_into().ok()?;
        Some(u32::from(u16::from_le_bytes(bytes) & 0x3fff))
    };
    (content.get(3..6)? == b"\x9d\x01\x2a").then_some(())?;
    side(6).zip(side(8))
}

fn lossless_size(content: &[u8]) -> Option<(u32, u32)> {
    (*content.first()? == 0x2f).then_some(())?;
    let bits = u32::from_le_bytes(content.get(1..5)?.try_into().ok()?);
    Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
}
