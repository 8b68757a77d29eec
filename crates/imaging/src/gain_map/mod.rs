//! Gain maps: how much brighter each part of a picture is on a screen that can show it (Ultra HDR, ISO 21496-1, and Apple's).
//!
//! A rendition that keeps one is an Ultra HDR JPEG: the same picture as without, for everyone else, and behind it the gain map,
//! resized and turned as the picture was. What cannot be read of a gain map, or does not fit, costs nothing but that.

mod apple;
mod find;
mod iso;
mod meaning;
mod ultra_hdr;
mod xmp;

use fast_image_resize::Resizer;
use safelight_model::preset::Preset;

pub(crate) use find::find;
use meaning::Meaning;
use ultra_hdr::join;

use crate::ImagingError;
use crate::encode_jpeg::encode_gray_jpeg;
use crate::orientation::Orientation;
use crate::picture::Picture;
use crate::pixels::{Extent, Kind};
use crate::resize::fit;

/// The longer edge of gain maps that are kept, in pixels: half of the rendition's. Light changes slowly, and phones store a
/// quarter or a half of the photo's.
const LONG_EDGE: u32 = 1024;
/// The quality at which they are encoded.
const QUALITY: u8 = 85;

/// A gain map as it was stored, with what its values mean.
pub(crate) struct GainMap {
    picture: Picture,
    extent: Extent,
    size: (u32, u32),
    meaning: Meaning,
    /// What stored values become, where they were of another scale.
    scale: Option<[u8; 256]>,
}

impl GainMap {
    /// Puts it behind `base`, a JPEG of the same picture whose orientation it had.
    ///
    /// # Errors
    /// When it cannot be resized or encoded, or `base` is no JPEG.
    pub(crate) fn behind(
        self,
        base: &[u8],
        resizer: &mut Resizer,
        orientation: Orientation,
        preset: Preset,
    ) -> Result<Vec<u8>, ImagingError> {
        let size = fit(self.size.0, self.size.1, LONG_EDGE);
        let preset = Preset {
            quality: QUALITY,
            ..preset
        };
        let bytes = match self.picture.resize(resizer, self.extent, size)? {
            Picture::Packed(mut gray) if gray.kind == Kind::Gray => {
                for value in &mut gray.bytes {
                    if let Some(scale) = &self.scale {
                        *value = scale[usize::from(*value)];
                    }
                }
                let upright = orientation.apply(&gray);
                encode_gray_jpeg(&upright, QUALITY)?
            }
            coloured => coloured.encode(preset, orientation, None)?.2,
        };
        join(base, &bytes, &self.meaning)
            .ok_or_else(|| ImagingError::encode("a gain map behind no JPEG"))
    }
}
