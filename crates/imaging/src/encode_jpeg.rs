//! Baseline JPEG, 4:2:0, without any metadata but the JFIF header.

use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

use crate::ImagingError;

/// Encodes upright sRGB pixels (`rgb`: three bytes each, row by row, no padding) at `quality`
/// 1 to 100.
///
/// # Errors
/// [`ImagingError::Encode`] when the buffer does not fit the size, a side is 0 or above 65,535,
/// or the encoder refuses.
pub fn encode_jpeg(
    width: u32,
    height: u32,
    rgb: &[u8],
    quality: u8,
) -> Result<Vec<u8>, ImagingError> {
    if u64::from(width) * u64::from(height) * 3 != rgb.len() as u64 || rgb.is_empty() {
        return Err(ImagingError::encode(format!(
            "{} bytes are no {width}x{height} RGB picture",
            rgb.len()
        )));
    }
    let mut compressor = Compressor::new().map_err(ImagingError::encode)?;
    compressor
        .set_quality(i32::from(quality.clamp(1, 100)))
        .map_err(ImagingError::encode)?;
    compressor
        .set_subsamp(Subsamp::Sub2x2)
        .map_err(ImagingError::encode)?;
    let image = Image {
        pixels: rgb,
        width: width as usize,
        pitch: width as usize * 3,
        height: height as usize,
        format: PixelFormat::RGB,
    };
    compressor
        .compress_to_vec(image)
        .map_err(ImagingError::encode)
}
