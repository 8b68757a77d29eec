//! Lossy WebP without any metadata.

use std::ffi::{c_int, c_void};

use libwebp_sys as sys;

use crate::ImagingError;
use crate::planes::Planes;

/// How the encoder goes about it. Chosen by measurement over eleven photos of 8 to 108 megapixels, against libwebp's defaults
/// at quality 75 as others use them; `docs/guide/benchmarks.md` has the figures.
struct Settings {
    /// Effort, 0 to 6. From 3 on coefficients are tried out, which costs two and a half times as much.
    method: c_int,
    /// How much more is spent on plain areas than on busy ones, 0 to 100.
    noise_shaping: c_int,
    /// Strength of the decoder's deblocking, 0 to 100.
    filter: c_int,
    /// Taken off the quality asked for, where the rest makes up for it.
    less: f32,
}

/// Longer edge up to which a picture is small.
const SMALL_EDGE: u32 = 512;
const SMALL: Settings = Settings {
    method: 4,
    noise_shaping: 50,
    filter: 60,
    less: 1.0,
};
const LARGE: Settings = Settings {
    method: 2,
    noise_shaping: 65,
    filter: 100,
    less: 0.5,
};

impl Settings {
    fn of(width: c_int, height: c_int) -> &'static Self {
        let long = width.max(height).unsigned_abs();
        if long <= SMALL_EDGE { &SMALL } else { &LARGE }
    }
}

/// Encodes upright sRGB pixels at `quality` 1 to 100. `pixels` has three bytes each, or four with
/// `alpha`, row by row, no padding.
///
/// # Errors
/// [`ImagingError::Encode`] when the buffer does not fit the size, a side is 0 or above 16,383, or
/// the encoder refuses.
pub fn encode_webp(
    width: u32,
    height: u32,
    pixels: &[u8],
    alpha: bool,
    quality: u8,
) -> Result<Vec<u8>, ImagingError> {
    let channels: u32 = if alpha { 4 } else { 3 };
    let size = u64::from(width) * u64::from(height) * u64::from(channels);
    if size != pixels.len() as u64 || pixels.is_empty() {
        return Err(ImagingError::encode(format!(
            "{} bytes are no {width}x{height} picture",
            pixels.len()
        )));
    }
    let mut picture = Picture::start(width, height)?;
    let stride = signed(width.saturating_mul(channels))?;
    // SAFETY: the buffer was checked above to hold `height` rows of `stride` bytes.
    let imported = unsafe {
        if alpha {
            sys::WebPPictureImportRGBA(&mut picture.0, pixels.as_ptr(), stride)
        } else {
            sys::WebPPictureImportRGB(&mut picture.0, pixels.as_ptr(), stride)
        }
    };
    if imported == 0 {
        return Err(failed(&picture));
    }
    finish(picture, quality)
}

/// Encodes upright planes, whose chroma is halved, at `quality` 1 to 100.
pub(crate) fn encode_webp_planes(planes: &Planes, quality: u8) -> Result<Vec<u8>, ImagingError> {
    let mut picture = Picture::start(planes.luma.width, planes.luma.height)?;
    // SAFETY: sizes are set, and nothing is allocated yet.
    if unsafe { sys::WebPPictureAlloc(&mut picture.0) } == 0 {
        return Err(failed(&picture));
    }
    let (y, y_stride) = (picture.0.y, picture.0.y_stride);
    let (u, v, uv_stride) = (picture.0.u, picture.0.v, picture.0.uv_stride);
    let [blue, red] = &planes.chroma;
    let halved = (
        planes.luma.width.div_ceil(2),
        planes.luma.height.div_ceil(2),
    );
    if [blue, red].iter().any(|c| (c.width, c.height) != halved) {
        return Err(ImagingError::encode("chroma of another size"));
    }
    let narrow_luma: fn(&[u8], &mut [u8]) = narrow::<219, DARKEST>;
    let narrow_chroma: fn(&[u8], &mut [u8]) = narrow::<224, LEAST_COLOUR>;
    for (from, start, stride, narrow) in [
        (&planes.luma, y, y_stride, narrow_luma),
        (blue, u, uv_stride, narrow_chroma),
        (red, v, uv_stride, narrow_chroma),
    ] {
        let stride = usize::try_from(stride).map_err(ImagingError::encode)?;
        let width = from.width as usize;
        if start.is_null() || stride < width {
            return Err(ImagingError::encode("no planes"));
        }
        for (number, row) in from.bytes.chunks_exact(width.max(1)).enumerate() {
            // SAFETY: the library has allocated as many rows of `stride` bytes as luma, or chroma at half its size,
            // has, and `from` has no more.
            let to = unsafe { std::slice::from_raw_parts_mut(start.add(number * stride), width) };
            narrow(row, to);
        }
    }
    finish(picture, quality)
}

/// What WebP's lowest level is, in 255ths, after ITU-R BT.601: black is 16, and no colour is 128 in both.
const DARKEST: u16 = 16 * 255;
const LEAST_COLOUR: u16 = 128 * 255 - 128 * 224;

/// From 256 levels to fewer.
fn narrow<const LEVELS: u16, const LOWEST: u16>(from: &[u8], to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        // At most 61,216; divided by 255, rounded.
        let scaled = u16::from(*from) * LEVELS + LOWEST + 128;
        *to = ((scaled + (scaled >> 8)) >> 8) as u8;
    }
}

fn signed(value: u32) -> Result<c_int, ImagingError> {
    c_int::try_from(value).map_err(ImagingError::encode)
}

fn finish(mut picture: Picture, quality: u8) -> Result<Vec<u8>, ImagingError> {
    let mut config = sys::WebPConfig::new().map_err(refused)?;
    let settings = Settings::of(picture.0.width, picture.0.height);
    config.quality = (f32::from(quality.clamp(1, 100)) - settings.less).max(0.0);
    config.method = settings.method;
    config.sns_strength = settings.noise_shaping;
    config.filter_strength = settings.filter;
    let mut out: Vec<u8> = Vec::new();
    picture.0.writer = Some(append);
    picture.0.custom_ptr = (&raw mut out).cast::<c_void>();
    // SAFETY: configuration and picture are initialised; `out` lives through the call.
    if unsafe { sys::WebPEncode(&config, &mut picture.0) } == 0 {
        return Err(failed(&picture));
    }
    Ok(out)
}

fn refused(_: ()) -> ImagingError {
    ImagingError::encode("no WebP encoder")
}

fn failed(picture: &Picture) -> ImagingError {
    ImagingError::encode(format!("WebP: {:?}", picture.0.error_code))
}

/// Takes what the encoder writes. Answers 0, which stops the encoder, when memory is out.
extern "C" fn append(bytes: *const u8, len: usize, picture: *const sys::WebPPicture) -> c_int {
    // SAFETY: the encoder passes its picture, whose pointer was set to a live vector above, and
    // `len` bytes.
    let (out, written) = unsafe {
        (
            &mut *(*picture).custom_ptr.cast::<Vec<u8>>(),
            std::slice::from_raw_parts(bytes, len),
        )
    };
    if out.try_reserve(len).is_err() {
        return 0;
    }
    out.extend_from_slice(written);
    1
}

struct Picture(sys::WebPPicture);

impl Picture {
    fn start(width: u32, height: u32) -> Result<Self, ImagingError> {
        let mut picture = Self(sys::WebPPicture::new().map_err(refused)?);
        picture.0.width = signed(width)?;
        picture.0.height = signed(height)?;
        // Straight to YUV: the encoder's own detour over ARGB gives the same picture.
        picture.0.use_argb = 0;
        Ok(picture)
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        // SAFETY: initialised, and not used again.
        unsafe { sys::WebPPictureFree(&mut self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_rounded() {
        let from: Vec<u8> = (0..=255).collect();
        let mut to = [0; 256];
        narrow::<219, DARKEST>(&from, &mut to);
        for (from, to) in from.iter().zip(to) {
            let expected = 16.0 + f64::from(*from) * 219.0 / 255.0;
            assert_eq!(f64::from(to), expected.round(), "{from}");
        }
        narrow::<224, LEAST_COLOUR>(&from, &mut to);
        for (from, to) in from.iter().zip(to) {
            let expected = 128.0 + (f64::from(*from) - 128.0) * 224.0 / 255.0;
            assert_eq!(f64::from(to), expected.round(), "{from}");
        }
    }
}
