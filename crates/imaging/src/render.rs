//! One decode, all renditions.

use fast_image_resize::Resizer;
use safelight_model::near::PictureHash;
use safelight_model::preset::Preset;

use crate::header::header;
use crate::picture_hash::picture_hash;
use crate::pixels::Extent;
use crate::resize::fit;
use crate::sniff::MediaType;
use crate::thumbhash::{THUMBHASH_EDGE, thumbhash};
use crate::{ImagingError, Limits, gain_map, gif, heif, jpeg, png, raw, webp};

/// What came of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The original's kind, by content.
    pub media: MediaType,
    /// Columns of the original, upright.
    pub width: u32,
    /// Rows of the original, upright.
    pub height: u32,
    /// In the order of the presets asked for.
    pub renditions: Vec<Rendition>,
    /// The placeholder's bytes, if hashes were asked for.
    pub thumbhash: Option<Vec<u8>>,
    /// The perceptual hash, if hashes were asked for and the picture is not too plain for one.
    pub picture_hash: Option<PictureHash>,
}

/// One encoded output: upright, sRGB, without metadata but what belongs to a gain map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
    /// What it was made by.
    pub preset: Preset,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Decodes `input` once and makes every preset's rendition of it.
///
/// The pixels come from the main image: never from an embedded thumbnail, never from a trailer. A raw photo alone is shown by the
/// largest JPEG that its camera put into it.
///
/// # Errors
/// See [`ImagingError`]. A file that is cut off or damaged inside is an error, not a picture that
/// is partly gray.
pub fn render(
    input: &[u8],
    presets: &[Preset],
    limits: &Limits,
    want_hashes: bool,
) -> Result<Rendered, ImagingError> {
    let header = header(input, limits)?;
    let (long_edge, least_edge) = presets
        .iter()
        .map(|p| (p.long_edge, p.least_long_edge()))
        .max()
        .unwrap_or((THUMBHASH_EDGE, THUMBHASH_EDGE));
    let decoded = match header.media {
        MediaType::Png => png::decode(input, long_edge, limits)?,
        MediaType::Webp => webp::decode(input, &webp::read(input)?, long_edge, limits)?,
        MediaType::Gif => gif::decode(input, long_edge, limits)?,
        MediaType::Tiff | MediaType::Dng => {
            let place = raw::find(input, limits)?.place;
            let shown = input.get(place).unwrap_or_default();
            jpeg::decode(shown, long_edge, least_edge, limits)?
        }
        MediaType::Heic | MediaType::Avif => heif::decode(input, long_edge, limits)?,
        // `header` lets nothing else through but JPEG.
        _ => jpeg::decode(input, long_edge, least_edge, limits)?,
    };

    let mut gain_map = match presets.iter().any(Preset::keeps_gain_map) {
        true => gain_map::find(input, &header, decoded.profile.as_ref(), limits),
        false => None,
    };

    // Largest first, each made from the one before.
    let mut order: Vec<usize> = (0..presets.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(presets.get(*i).map_or(0, |p| p.long_edge)));
    let mut resizer = Resizer::new();
    // A JPEG's decoder may have made what serves as it is; all else is resized from more.
    let long_edge = match header.media {
        MediaType::Jpeg | MediaType::Tiff | MediaType::Dng => {
            long_edge.min(longer_side(decoded.extent))
        }
        _ => long_edge,
    };
    let target = fit(header.width, header.height, long_edge);
    let mut current = decoded
        .picture
        .resize(&mut resizer, decoded.extent, target)?
        .srgb(decoded.profile.as_ref())?;
    let mut made: Vec<Option<Rendition>> = vec![None; presets.len()];
    for index in order {
        let (Some(preset), Some(slot)) = (presets.get(index), made.get_mut(index)) else {
            continue;
        };
        let target = fit(header.width, header.height, preset.long_edge.min(long_edge));
        current = current.shrink_to(&mut resizer, target)?;
        let (width, height, mut bytes) = current.encode(*preset, header.orientation)?;
        if preset.keeps_gain_map()
            && let Some(map) = gain_map.take()
        {
            // The picture is whole without it.
            if let Ok(both) = map.behind(&bytes, &mut resizer, header.orientation, *preset) {
                bytes = both;
            }
        }
        *slot = Some(Rendition {
            preset: *preset,
            width,
            height,
            bytes,
        });
    }
    let (mut placeholder, mut perceptual) = (None, None);
    if want_hashes {
        let target = fit(header.width, header.height, THUMBHASH_EDGE);
        let upright = current.upright_pixels(&mut resizer, target, header.orientation)?;
        placeholder = Some(thumbhash(&upright));
        perceptual = picture_hash(&mut resizer, &upright)?;
    }
    let (width, height) = header.upright_size();
    Ok(Rendered {
        media: header.media,
        width,
        height,
        renditions: made.into_iter().flatten().collect(),
        thumbhash: placeholder,
        picture_hash: perceptual,
    })
}

/// Whole pixels along the longer side.
fn longer_side(extent: Extent) -> u32 {
    // Saturates, and no picture is that large.
    extent.width.max(extent.height) as u32
}
