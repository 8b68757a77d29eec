//! How light pixels are.

use crate::pixels::{Kind, Pixels};

/// Lightness by ITU-R BT.601 in 256ths, what is clear on white.
pub(crate) fn luma(pixels: &Pixels) -> Vec<u8> {
    let of = |r: u8, g: u8, b: u8| {
        let sum = 77 * u32::from(r) + 150 * u32::from(g) + 29 * u32::from(b);
        // The weights are 256 in all.
        (sum >> 8) as u8
    };
    match pixels.kind {
        Kind::Gray => pixels.bytes.clone(),
        Kind::Rgb => {
            let (rgb, _) = pixels.bytes.as_chunks::<3>();
            rgb.iter().map(|[r, g, b]| of(*r, *g, *b)).collect()
        }
        // Ink is converted to sRGB before it comes here.
        Kind::Rgba | Kind::Cmyk => {
            let (rgba, _) = pixels.bytes.as_chunks::<4>();
            let over = |[r, g, b, a]: &[u8; 4]| {
                let (luma, alpha) = (u32::from(of(*r, *g, *b)), u32::from(*a));
                u8::try_from((luma * alpha + 255 * (255 - alpha) + 127) / 255).unwrap_or(u8::MAX)
            };
            rgba.iter().map(over).collect()
        }
    }
}
