//! The thumbhash: a few bytes from which a blurred placeholder can be drawn.

use crate::pixels::{Kind, Pixels};

/// The longer edge that the hash is made from, which is the most that it takes.
pub(crate) const THUMBHASH_EDGE: u32 = 100;

/// Hashes upright sRGB pixels whose longer edge is at most [`THUMBHASH_EDGE`].
pub(crate) fn thumbhash(pixels: &Pixels) -> Vec<u8> {
    let rgba: Vec<u8> = match pixels.kind {
        Kind::Rgba | Kind::Cmyk => pixels.bytes.clone(),
        Kind::Rgb => {
            let (rgb, _) = pixels.bytes.as_chunks::<3>();
            rgb.iter().flat_map(|[r, g, b]| [*r, *g, *b, 255]).collect()
        }
        Kind::Gray => pixels
            .bytes
            .iter()
            .flat_map(|g| [*g, *g, *g, 255])
            .collect(),
    };
    fast_thumbhash::rgba_to_thumb_hash(pixels.width as usize, pixels.height as usize, &rgba)
}
