//! Walks the chunks of a PNG without inflating any.

use std::ops::Range;

use crate::ImagingError;
use crate::orientation::Orientation;

/// What the chunks say.
pub(crate) struct Chunks {
    pub width: u32,
    pub height: u32,
    pub orientation: Orientation,
    /// Of an animation; 1 of what is none.
    pub frames: u32,
    /// Where the TIFF structure of the first EXIF chunk lies.
    pub exif: Option<Range<usize>>,
}

/// A chunk, and where it lies.
pub(crate) struct Chunk {
    pub kind: [u8; 4],
    /// From its length to its checksum.
    pub whole: Range<usize>,
    pub body: Range<usize>,
}

/// Reads size and orientation.
///
/// # Errors
/// [`ImagingError::Corrupt`] when the header chunk is not whole.
pub(crate) fn read(bytes: &[u8]) -> Result<Chunks, ImagingError> {
    let cut = || ImagingError::corrupt("PNG header cut short");
    let mut at = 8;
    let first = chunk(bytes, &mut at).ok_or_else(cut)?;
    let header = bytes.get(first.body).unwrap_or_default();
    if &first.kind != b"IHDR" {
        return Err(ImagingError::corrupt("a PNG without a header"));
    }
    let side = |range| -> Option<u32> {
        let bytes: [u8; 4] = header
            .get::<std::ops::Range<usize>>(range)?
            .try_into()
            .ok()?;
        Some(u32::from_be_bytes(bytes))
    };
    let (width, height) = side(0..4).zip(side(4..8)).ok_or_else(cut)?;
    let mut orientation = Orientation::Upright;
    let (mut exif, mut frames) = (None, 1);
    while let Some(chunk) = chunk(bytes, &mut at) {
        match &chunk.kind {
            b"eXIf" => {
                let content = bytes.get(chunk.body.clone()).unwrap_or_default();
                orientation = Orientation::from_tiff(content);
                exif = Some(chunk.body);
                break;
            }
            b"acTL" => {
                let content = bytes.get(chunk.body).unwrap_or_default();
                frames = content.first_chunk().map_or(1, |n| u32::from_be_bytes(*n));
            }
            b"IEND" => break,
            _ => {}
        }
    }
    Ok(Chunks {
        width,
        height,
        orientation,
        frames,
        exif,
    })
}

/// The chunk at `at`, which is moved behind it. Nothing where it is cut off; of the last one, the
/// checksum may be.
pub(crate) fn chunk(bytes: &[u8], at: &mut usize) -> Option<Chunk> {
    let word =
        |at: usize| -> Option<[u8; 4]> { bytes.get(at..at.checked_add(4)?)?.try_into().ok() };
    let length = usize::try_from(u32::from_be_bytes(word(*at)?)).ok()?;
    let kind = word(*at + 4)?;
    let from = *at;
    let start = from + 8;
    let end = start
        .checked_add(length)
        .filter(|end| *end <= bytes.len())?;
    *at = end + 4;
    Some(Chunk {
        kind,
        whole: from..*at,
        body: start..end,
    })
}
