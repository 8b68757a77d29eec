//! Walks the chunks of a PNG without inflating any.

use crate::ImagingError;
use crate::orientation::Orientation;

/// What the chunks say.
pub(crate) struct Chunks {
    pub width: u32,
    pub height: u32,
    pub orientation: Orientation,
}

/// Reads size and orientation.
///
/// # Errors
/// [`ImagingError::Corrupt`] when the header chunk is not whole.
pub(crate) fn read(bytes: &[u8]) -> Result<Chunks, ImagingError> {
    let cut = || ImagingError::corrupt("PNG header cut short");
    let mut at = 8;
    let (kind, header) = chunk(bytes, &mut at).ok_or_else(cut)?;
    if &kind != b"IHDR" {
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
    while let Some((kind, content)) = chunk(bytes, &mut at) {
        match &kind {
            b"eXIf" => {
                orientation = Orientation::from_tiff(content);
                break;
            }
            b"IEND" => break,
            _ => {}
        }
    }
    Ok(Chunks {
        width,
        height,
        orientation,
    })
}

fn chunk<'a>(bytes: &'a [u8], at: &mut usize) -> Option<([u8; 4], &'a [u8])> {
    let word =
        |at: usize| -> Option<[u8; 4]> { bytes.get(at..at.checked_add(4)?)?.try_into().ok() };
    let length = usize::try_from(u32::from_be_bytes(word(*at)?)).ok()?;
    let kind = word(*at + 4)?;
    let start = *at + 8;
    let content = bytes.get(start..start.checked_add(length)?)?;
    *at = start + length + 4;
    Some((kind, content))
}
