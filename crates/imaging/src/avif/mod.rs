//! AVIF: the encoder, and the file around what it codes. AVIF is read where HEIC is.

mod code;
mod file;
mod split;

use crate::ImagingError;
use crate::pixels::{Kind, Pixels};
use crate::planes::Planes;

/// Encodes upright sRGB pixels at `quality` 1 to 100, with EXIF if there is any.
pub(crate) fn encode_avif(
    upright: &Pixels,
    quality: u8,
    exif: Option<&[u8]>,
) -> Result<Vec<u8>, ImagingError> {
    let planes = split::planes(upright)?;
    let alpha = match upright.kind {
        Kind::Rgba => Some(code::alpha(&split::alpha(upright)?, quality)?),
        _ => None,
    };
    let colour = code::colour(&planes, quality)?;
    file::file(
        (upright.width, upright.height),
        &colour,
        alpha.as_ref(),
        exif,
    )
}

/// Encodes upright planes, whose chroma is halved, at `quality` 1 to 100, with EXIF if there is any.
pub(crate) fn encode_avif_planes(
    planes: &Planes,
    quality: u8,
    exif: Option<&[u8]>,
) -> Result<Vec<u8>, ImagingError> {
    let colour = code::colour(planes, quality)?;
    file::file((planes.luma.width, planes.luma.height), &colour, None, exif)
}
