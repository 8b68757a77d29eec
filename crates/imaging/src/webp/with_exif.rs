//! EXIF in a WebP that has none (RFC 9649, section 2.7).

use super::chunks::chunk;

/// In `VP8X`: there is EXIF.
const HAS_EXIF: u8 = 0x08;

/// A lossy WebP of one picture of this size with EXIF, a TIFF structure, behind all else; as it is where it is none, or would be too long.
pub(crate) fn with_exif(webp: Vec<u8>, (width, height): (u32, u32), exif: &[u8]) -> Vec<u8> {
    extended(&webp, (width, height), exif).unwrap_or(webp)
}

fn extended(webp: &[u8], (width, height): (u32, u32), exif: &[u8]) -> Option<Vec<u8>> {
    let mut at = 12;
    let (first, content) = chunk(webp, &mut at)?;
    let mut body = b"WEBP".to_vec();
    match first {
        b"VP8X" => {
            body.extend(webp.get(12..content.start)?);
            let (flags, rest) = webp.get(content.start..)?.split_first()?;
            body.push(flags | HAS_EXIF);
            body.extend(rest);
        }
        b"VP8 " => {
            let side = |length: u32| Some(length.checked_sub(1)?.to_le_bytes());
            let ([w0, w1, w2, 0], [h0, h1, h2, 0]) = (side(width)?, side(height)?) else {
                return None;
            };
            body.extend(b"VP8X\x0a\0\0\0");
            body.extend([HAS_EXIF, 0, 0, 0, w0, w1, w2, h0, h1, h2]);
            body.extend(webp.get(12..)?);
        }
        _ => return None,
    }
    body.extend(b"EXIF");
    body.extend(u32::try_from(exif.len()).ok()?.to_le_bytes());
    body.extend(exif);
    if exif.len() % 2 == 1 {
        body.push(0);
    }
    let mut out = b"RIFF".to_vec();
    out.extend(u32::try_from(body.len()).ok()?.to_le_bytes());
    out.extend(body);
    Some(out)
}
