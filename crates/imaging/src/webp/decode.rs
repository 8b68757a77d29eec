//! Decodes a WebP through libwebp, shrinking on the way; of an animation, the first frame.

use std::ffi::c_int;
use std::ptr;

use libwebp_sys as sys;

use super::chunks::Chunks;
use crate::picture::Picture;
use crate::pixels::{Decoded, Extent, Kind, Pixels, Profile};
use crate::shrink::factor;
use crate::{ImagingError, Limits};

/// `WebPBitstreamFeatures::format` of a lossless picture.
const LOSSLESS: c_int = 2;

/// Decodes `bytes`, not smaller than twice `long_edge` unless the file's is.
pub(crate) fn decode(
    bytes: &[u8],
    chunks: &Chunks,
    long_edge: u32,
    limits: &Limits,
) -> Result<Decoded, ImagingError> {
    let mut config =
        sys::WebPDecoderConfig::new().map_err(|()| ImagingError::memory("no WebP decoder"))?;
    // SAFETY: pointer and length are those of a live slice; the features are initialised.
    let status = unsafe { sys::WebPGetFeatures(bytes.as_ptr(), bytes.len(), &mut config.input) };
    check(status)?;
    let side = |value: c_int| {
        u32::try_from(value)
            .ok()
            .filter(|side| *side > 0)
            .ok_or_else(|| ImagingError::corrupt("an empty WebP"))
    };
    let (width, height) = (side(config.input.width)?, side(config.input.height)?);
    if (width, height) != (chunks.width, chunks.height) {
        return Err(ImagingError::corrupt("two readings of the WebP header"));
    }
    let whole = u64::from(width) * u64::from(height) * 4;
    let pixels = if config.input.has_animation != 0 {
        // The library keeps two canvases beside the copy made here.
        demand(whole * 3, limits)?;
        first_frame(bytes, width, height)?
    } else {
        let factor = factor(width.max(height), long_edge);
        let (to_width, to_height) = (width.div_ceil(factor), height.div_ceil(factor));
        let kind = if config.input.has_alpha != 0 {
            Kind::Rgba
        } else {
            Kind::Rgb
        };
        let inside = if config.input.format == LOSSLESS {
            whole
        } else if kind == Kind::Rgba {
            whole / 4
        } else {
            0
        };
        let out = u64::from(to_width) * u64::from(to_height) * kind.channels() as u64;
        demand(inside + out, limits)?;
        let mut pixels = Pixels::zeroed(to_width, to_height, kind)?;
        if factor > 1 {
            config.options.use_scaling = 1;
            config.options.scaled_width = to_width.cast_signed();
            config.options.scaled_height = to_height.cast_signed();
        }
        config.output.colorspace = if kind == Kind::Rgba {
            sys::WEBP_CSP_MODE::MODE_RGBA
        } else {
            sys::WEBP_CSP_MODE::MODE_RGB
        };
        config.output.is_external_memory = 1;
        config.output.u.RGBA = sys::WebPRGBABuffer {
            rgba: pixels.bytes.as_mut_ptr(),
            stride: c_int::try_from(pixels.stride())
                .map_err(|_| ImagingError::memory("rows too long"))?,
            size: pixels.bytes.len(),
        };
        // SAFETY: the slice and the output buffer live through the call; the library checks the
        // buffer's size and stride against what it writes.
        let status = unsafe { sys::WebPDecode(bytes.as_ptr(), bytes.len(), &mut config) };
        check(status)?;
        pixels
    };
    Ok(Decoded {
        extent: Extent::whole(pixels.width, pixels.height),
        picture: Picture::Packed(pixels),
        profile: chunks
            .icc
            .clone()
            .and_then(|range| bytes.get(range))
            .map(|icc| Profile::Icc(icc.to_vec())),
    })
}

fn demand(needed: u64, limits: &Limits) -> Result<(), ImagingError> {
    if needed > limits.max_decode_bytes {
        return Err(ImagingError::memory(format!("{needed} bytes")));
    }
    Ok(())
}

fn check(status: sys::VP8StatusCode) -> Result<(), ImagingError> {
    match status {
        sys::VP8StatusCode::VP8_STATUS_OK => Ok(()),
        sys::VP8StatusCode::VP8_STATUS_OUT_OF_MEMORY => {
            Err(ImagingError::memory("the WebP decoder ran out"))
        }
        other => Err(ImagingError::corrupt(format!("WebP: {other:?}"))),
    }
}

/// The first frame of an animation, on its canvas.
fn first_frame(bytes: &[u8], width: u32, height: u32) -> Result<Pixels, ImagingError> {
    let refused = || ImagingError::corrupt("WebP animation");
    // SAFETY: plain data that the call below initialises.
    let mut options: sys::WebPAnimDecoderOptions = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is valid.
    if unsafe { sys::WebPAnimDecoderOptionsInit(&mut options) } == 0 {
        return Err(refused());
    }
    options.color_mode = sys::WEBP_CSP_MODE::MODE_RGBA;
    let input = sys::WebPData {
        bytes: bytes.as_ptr(),
        size: bytes.len(),
    };
    // SAFETY: input and options live through the call; the bytes outlive the decoder.
    let decoder = Animation(unsafe { sys::WebPAnimDecoderNew(&input, &options) });
    if decoder.0.is_null() {
        return Err(refused());
    }
    let mut canvas = ptr::null_mut();
    let mut timestamp = 0;
    // SAFETY: the decoder is alive, the out pointers are valid.
    let more = unsafe { sys::WebPAnimDecoderGetNext(decoder.0, &mut canvas, &mut timestamp) };
    if more == 0 || canvas.is_null() {
        return Err(refused());
    }
    let mut pixels = Pixels::zeroed(width, height, Kind::Rgba)?;
    // SAFETY: the canvas has the size that the header gave, four bytes a pixel, and lives as long
    // as the decoder.
    let drawn = unsafe { std::slice::from_raw_parts(canvas, pixels.bytes.len()) };
    pixels.bytes.copy_from_slice(drawn);
    Ok(pixels)
}

struct Animation(*mut sys::WebPAnimDecoder);

impl Drop for Animation {
    fn drop(&mut self) {
        // SAFETY: null, or alive and not used again.
        unsafe { sys::WebPAnimDecoderDelete(self.0) };
    }
}
