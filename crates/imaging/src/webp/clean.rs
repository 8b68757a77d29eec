//! What stays of a WebP when it is cleaned.

use std::ops::Range;

use super::chunks::{chunk, read};
use crate::ImagingError;
use crate::clean::{Cleaned, orientation_tiff};

/// Image, alpha, animation and colour.
const STAY: [&[u8]; 5] = [b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ICCP"];
/// What a frame of an animation begins with: where it is, how large, and for how long.
const FRAME_BYTES: usize = 16;
/// In the first byte of `VP8X`: that there are chunks of EXIF, and of XMP.
const EXIF_FLAG: u8 = 0x08;
const XMP_FLAG: u8 = 0x04;
const VP8X_BYTES: usize = 10;

/// Keeps the chunks that matter. The orientation goes last, in an EXIF chunk of its own.
///
/// # Errors
/// [`ImagingError::Corrupt`] when a chunk is cut off, or there is no image.
pub(crate) fn clean(bytes: &[u8]) -> Result<Cleaned, ImagingError> {
    let exif = orientation_tiff(read(bytes)?.orientation);
    let cut = || ImagingError::corrupt("cut off: a chunk is not whole");
    let mut body = Cleaned::default();
    let mut has_image = false;
    let end = riff_end(bytes).ok_or_else(cut)?;
    let mut at = 12;
    while at < end {
        let from = at;
        let (kind, content) = chunk(bytes, &mut at).ok_or_else(cut)?;
        // The byte that makes the length even may be missing at the end.
        let whole = from..at.min(bytes.len());
        if content.end > bytes.len() || content.len() != declared_bytes(bytes, from) {
            return Err(cut());
        }
        if kind == b"VP8X" {
            let head = bytes.get(content.clone()).and_then(|c| c.first_chunk());
            let mut head: [u8; VP8X_BYTES] = *head.ok_or_else(cut)?;
            head[0] &= !(EXIF_FLAG | XMP_FLAG);
            if exif.is_some() {
                head[0] |= EXIF_FLAG;
            }
            write_chunk(&mut body, b"VP8X", &head);
        } else if kind == b"ANMF" {
            keep_frame(&mut body, bytes, whole, content).ok_or_else(cut)?;
            has_image = true;
        } else if STAY.contains(&kind) {
            has_image |= kind.starts_with(b"VP8");
            body.keep(whole.clone());
            if whole.len() % 2 == 1 {
                body.write(&[0]);
            }
        }
    }
    if !has_image {
        return Err(ImagingError::corrupt("a WebP without an image"));
    }
    if let Some(tiff) = exif {
        write_chunk(&mut body, b"EXIF", &tiff);
    }
    let length = u32::try_from(body.len_bytes() + 4)
        .map_err(|_| ImagingError::corrupt("longer than a WebP can be"))?;
    let mut cleaned = Cleaned::default();
    cleaned.write(b"RIFF");
    cleaned.write(&length.to_le_bytes());
    cleaned.write(b"WEBP");
    cleaned.append(body);
    Ok(cleaned)
}

/// Keeps of a frame what is shown: its head, the first chunk of alpha and the first of an image. Nothing where one is cut
/// off, or there is no image.
fn keep_frame(
    body: &mut Cleaned,
    bytes: &[u8],
    whole: Range<usize>,
    content: Range<usize>,
) -> Option<()> {
    let frame = bytes.get(..content.end)?;
    let mut at = content.start.checked_add(FRAME_BYTES)?;
    let head = content.start..at;
    let (mut alpha, mut image) = (None, None);
    while at < content.end && image.is_none() {
        let from = at;
        let (kind, inner) = chunk(frame, &mut at)?;
        if inner.len() != declared_bytes(frame, from) {
            return None;
        }
        let piece = from..at.min(content.end);
        match kind {
            b"ALPH" if alpha.is_none() => alpha = Some(piece),
            b"VP8 " | b"VP8L" => image = Some(piece),
            _ => {}
        }
    }
    let image = image?;
    let alpha = alpha.unwrap_or(image.start..image.start);
    // The byte that makes the length even may be missing at the end.
    let padding = image.len() % 2;
    let length = head.len() + alpha.len() + image.len() + padding;
    if length == content.len() {
        body.keep(whole.clone());
        if whole.len() % 2 == 1 {
            body.write(&[0]);
        }
        return Some(());
    }
    body.write(b"ANMF");
    body.write(&u32::try_from(length).ok()?.to_le_bytes());
    for piece in [head, alpha, image] {
        body.keep(piece);
    }
    if padding == 1 {
        body.write(&[0]);
    }
    Some(())
}

/// Where what is said to belong to the file ends. Readers go by it, so what follows is no chunk.
/// Nothing where that is beyond the file.
fn riff_end(bytes: &[u8]) -> Option<usize> {
    let length = usize::try_from(u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?)).ok()?;
    let end = length.checked_add(8)?;
    // An odd length is rounded up by some writers and not by others.
    (end <= bytes.len() + 1).then_some(end.min(bytes.len()))
}

/// The length that the chunk at `from` says it has.
fn declared_bytes(bytes: &[u8], from: usize) -> usize {
    let length = bytes.get(from + 4..).and_then(|rest| rest.first_chunk());
    length.map_or(0, |length| u32::from_le_bytes(*length) as usize)
}

/// `body` is a few dozen bytes long, an even number.
fn write_chunk(cleaned: &mut Cleaned, kind: &[u8; 4], body: &[u8]) {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    cleaned.write(kind);
    cleaned.write(&length.to_le_bytes());
    cleaned.write(body);
}
