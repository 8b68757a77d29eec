//! Lanczos resizing.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::ImagingError;
use crate::pixels::{Extent, Kind, Pixels};

/// The size of a picture whose longer edge is to be `long_edge`, never enlarged, no side below 1.
pub(crate) fn fit(width: u32, height: u32, long_edge: u32) -> (u32, u32) {
    let long = width.max(height);
    if long <= long_edge {
        return (width, height);
    }
    let scale = |side: u32| {
        let scaled =
            (u64::from(side) * u64::from(long_edge) + u64::from(long) / 2) / u64::from(long);
        u32::try_from(scaled).unwrap_or(long_edge).max(1)
    };
    (scale(width), scale(height))
}

/// Resizes the part of `from` that the picture covers to exactly `width` by `height`.
pub(crate) fn resize(
    resizer: &mut Resizer,
    from: &Pixels,
    extent: Extent,
    width: u32,
    height: u32,
) -> Result<Pixels, ImagingError> {
    let pixel_type = match from.kind {
        Kind::Gray => PixelType::U8,
        Kind::Rgb => PixelType::U8x3,
        Kind::Rgba | Kind::Cmyk => PixelType::U8x4,
    };
    let mut to = Pixels::zeroed(width, height, from.kind)?;
    let failed = |e: &dyn std::fmt::Display| ImagingError::corrupt(format!("resizing: {e}"));
    let source =
        ImageRef::new(from.width, from.height, &from.bytes, pixel_type).map_err(|e| failed(&e))?;
    let mut target =
        Image::from_slice_u8(width, height, &mut to.bytes, pixel_type).map_err(|e| failed(&e))?;
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .use_alpha(from.kind == Kind::Rgba)
        .crop(extent.left, extent.top, extent.width, extent.height);
    resizer
        .resize(&source, &mut target, &options)
        .map_err(|e| failed(&e))?;
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_without_enlarging() {
        assert_eq!(fit(4032, 3024, 2048), (2048, 1536));
        assert_eq!(fit(3024, 4032, 320), (240, 320));
        assert_eq!(fit(300, 200, 320), (300, 200));
        assert_eq!(fit(200_000_000, 1, 320), (320, 1));
        assert_eq!(fit(1, 1, 320), (1, 1));
    }
}
