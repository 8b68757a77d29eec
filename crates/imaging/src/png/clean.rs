//! What stays of a PNG when it is cleaned.

use super::chunks::{chunk, read};
use crate::ImagingError;
use crate::clean::{Cleaned, orientation_tiff};

/// What pixels, colours, animation and density depend on (PNG, third edition, 11.2 and 11.3).
const STAY: [&[u8; 4]; 20] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB",
    b"cICP", b"mDCV", b"mDCv", b"cLLI", b"cLLi", b"bKGD", b"pHYs", b"acTL", b"fcTL", b"fdAT",
];
/// Set in the first letter of the names of chunks that may be left out.
const ANCILLARY: u8 = 0x20;

/// Keeps the chunks that matter.
///
/// # Errors
/// [`ImagingError::Corrupt`] when the end is missing, [`ImagingError::Unsupported`] when a chunk
/// that must be understood is not known.
pub(crate) fn clean(bytes: &[u8]) -> Result<Cleaned, ImagingError> {
    let mut exif = orientation_tiff(read(bytes)?.orientation);
    let mut cleaned = Cleaned::default();
    cleaned.keep(0..8);
    let mut at = 8;
    loop {
        let next = chunk(bytes, &mut at).filter(|next| next.whole.end <= bytes.len());
        let next = next.ok_or_else(|| ImagingError::corrupt("cut off before its last chunk"))?;
        if STAY.contains(&&next.kind) {
            cleaned.keep(next.whole);
        } else if next.kind[0] & ANCILLARY == 0 {
            let name = String::from_utf8_lossy(&next.kind).into_owned();
            return Err(ImagingError::unsupported(format!(
                "a PNG with the chunk {name}"
            )));
        }
        if &next.kind == b"IEND" {
            return Ok(cleaned);
        }
        // The first chunk is the header; this may stand anywhere behind it.
        if let Some(tiff) = exif.take() {
            write_chunk(&mut cleaned, *b"eXIf", &tiff);
        }
    }
}

/// `body` is a few dozen bytes long.
fn write_chunk(cleaned: &mut Cleaned, kind: [u8; 4], body: &[u8]) {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let named = [&kind, body].concat();
    cleaned.write(&length.to_be_bytes());
    cleaned.write(&named);
    cleaned.write(&crc32(&named).to_be_bytes());
}

/// The CRC of ISO 3309, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
        crc
    })
}
