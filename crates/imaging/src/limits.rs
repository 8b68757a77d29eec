//! What a picture may cost before it is refused.

use safelight_model::limits::{MAX_FRAMES, MAX_PIXELS};

/// Bounds that are checked before and while a picture is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Most pixels that a header may claim.
    pub max_pixels: u64,
    /// Most pictures that an animation may have, although only the first is decoded.
    pub max_frames: u32,
    /// Most scans of a JPEG. Encoders write about ten; each may make the decoder walk the whole
    /// picture again, at a cost of a few bytes in the file.
    pub max_scans: u32,
    /// Most bytes that decoding may take at once, counted from the header: pixels, and the
    /// coefficients of a progressive JPEG.
    pub max_decode_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_pixels: MAX_PIXELS,
            max_frames: MAX_FRAMES,
            max_scans: 100,
            // A progressive JPEG of 200 megapixels, 4:2:0, holds 600 MB of coefficients.
            max_decode_bytes: 704 * 1024 * 1024,
        }
    }
}
