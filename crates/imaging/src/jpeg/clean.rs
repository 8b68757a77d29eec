//! What stays of a JPEG when it is cleaned.

use super::structure::{Part, walk, walk_parts};
use crate::clean::{Cleaned, orientation_tiff};
use crate::{ImagingError, Orientation};

const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP14: u8 = 0xee;
/// The length of what JFIF and Adobe's marker say; behind it may be a thumbnail, or anything.
const JFIF_BYTES: usize = 14;
const ADOBE_BYTES: usize = 12;
/// Most pieces that a cleaned JPEG is made of: what goes lies between them. Cameras and editors leave a few dozen, and each
/// takes more memory than the least segment has bytes.
const MAX_PIECES: usize = 4096;

/// Keeps the first image up to its end marker.
///
/// # Errors
/// [`ImagingError::Corrupt`] when there is no image, or its markers do not follow one another.
pub(crate) fn clean(bytes: &[u8]) -> Result<Cleaned, ImagingError> {
    // Twice, so that nothing is kept of the segments: the orientation is written before most, and may stand behind them.
    let structure = walk(bytes, u32::MAX)?;
    if structure.frame.is_none() || structure.scans == 0 {
        return Err(ImagingError::corrupt("a JPEG without an image"));
    }
    let orientation = structure.orientation.unwrap_or(Orientation::Upright);
    let mut exif = orientation_tiff(orientation);
    let mut cleaned = Cleaned::default();
    let mut too_many = false;
    cleaned.keep(0..2);
    walk_parts(bytes, u32::MAX, |part| {
        too_many |= cleaned.segments().len() > MAX_PIECES;
        if !too_many && stays(&part, bytes) {
            keep_part(&mut cleaned, &part, bytes, &mut exif);
        }
    })?;
    if too_many {
        return Err(ImagingError::corrupt("too many segments of no use"));
    }
    // Some cameras forget it.
    cleaned.write(&[0xff, 0xd9]);
    Ok(cleaned)
}

fn keep_part(cleaned: &mut Cleaned, part: &Part, bytes: &[u8], exif: &mut Option<Vec<u8>>) {
    let content = part.content(bytes);
    // JFIF wants to come first, and so does EXIF.
    if part.marker != APP0 {
        write_exif(cleaned, exif.take());
    }
    match part.marker {
        APP0 => {
            let mut body = content.get(..JFIF_BYTES).unwrap_or_default().to_vec();
            // The size of a thumbnail, which is not there any more.
            if let Some(size) = body.last_chunk_mut::<2>() {
                *size = [0, 0];
            }
            write_segment(cleaned, APP0, &body);
        }
        APP14 => {
            let body = content.get(..ADOBE_BYTES).unwrap_or_default();
            write_segment(cleaned, APP14, body);
        }
        _ => cleaned.keep(part.whole.clone()),
    }
}

/// Whether pixels or colours depend on it.
fn stays(part: &Part, bytes: &[u8]) -> bool {
    let content = part.content(bytes);
    match part.marker {
        // Frames, tables of Huffman and arithmetic coding, scans, quantisation, the number of
        // lines, the restart interval, and hierarchies.
        0xc0..=0xc7 | 0xc9..=0xcf | 0xda..=0xdf => true,
        APP0 => content.starts_with(b"JFIF\0") && content.len() >= JFIF_BYTES,
        APP14 => content.starts_with(b"Adobe") && content.len() >= ADOBE_BYTES,
        _ => part.is_icc(bytes),
    }
}

fn write_exif(cleaned: &mut Cleaned, tiff: Option<Vec<u8>>) {
    if let Some(tiff) = tiff {
        write_segment(cleaned, APP1, &[b"Exif\0\0", tiff.as_slice()].concat());
    }
}

/// `body` is one of the few dozen bytes above.
fn write_segment(cleaned: &mut Cleaned, marker: u8, body: &[u8]) {
    let length = u16::try_from(body.len() + 2).unwrap_or(u16::MAX);
    cleaned.write(&[0xff, marker]);
    cleaned.write(&length.to_be_bytes());
    cleaned.write(body);
}
