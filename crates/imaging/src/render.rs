//! One decode, all renditions.

use fast_image_resize::Resizer;
use safelight_model::near::PictureHash;
use safelight_model::preset::{Format, Preset};

use crate::color::to_srgb;
use crate::header::header;
use crate::orientation::Orientation;
use crate::picture_hash::picture_hash;
use crate::pixels::{Extent, Kind, Pixels};
use crate::resize::{fit, resize};
use crate::sniff::MediaType;
use crate::thumbhash::{THUMBHASH_EDGE, thumbhash};
use crate::webp::encode_webp;
use crate::{ImagingError, Limits, encode_jpeg, heif, jpeg, png, webp};

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

/// One encoded output: upright, sRGB, without metadata.
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
/// The pixels come from the main image: never from an embedded thumbnail, never from a trailer.
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
        MediaType::Heic | MediaType::Avif => heif::decode(input, long_edge, limits)?,
        // `header` lets nothing else through but JPEG.
        _ => jpeg::decode(input, long_edge, least_edge, limits)?,
    };

    // Largest first, each made from the one before.
    let mut order: Vec<usize> = (0..presets.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(presets.get(*i).map_or(0, |p| p.long_edge)));
    let mut resizer = Resizer::new();
    // A JPEG's decoder may have made what serves as it is; all else is resized from more.
    let long_edge = match header.media {
        MediaType::Jpeg => long_edge.min(longer_side(decoded.extent)),
        _ => long_edge,
    };
    let target = fit(header.width, header.height, long_edge);
    let whole = Extent::whole(decoded.pixels.width, decoded.pixels.height);
    let first = if whole == Extent::whole(target.0, target.1) && decoded.extent == whole {
        decoded.pixels
    } else {
        resize(
            &mut resizer,
            &decoded.pixels,
            decoded.extent,
            target.0,
            target.1,
        )?
    };
    let mut current = to_srgb(first, decoded.profile.as_ref())?;
    if current.kind == Kind::Rgba && current.bytes.as_chunks::<4>().0.iter().all(|p| p[3] == 255) {
        current = without_alpha(&current)?;
    }
    let mut made: Vec<Option<Rendition>> = vec![None; presets.len()];
    for index in order {
        let (Some(preset), Some(slot)) = (presets.get(index), made.get_mut(index)) else {
            continue;
        };
        let target = fit(header.width, header.height, preset.long_edge.min(long_edge));
        current = shrink_to(&mut resizer, current, target)?;
        *slot = Some(encode(*preset, &current, header.orientation)?);
    }
    let (mut placeholder, mut perceptual) = (None, None);
    if want_hashes {
        let target = fit(header.width, header.height, THUMBHASH_EDGE);
        current = shrink_to(&mut resizer, current, target)?;
        let upright = header.orientation.apply(&current);
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

fn shrink_to(
    resizer: &mut Resizer,
    from: Pixels,
    (width, height): (u32, u32),
) -> Result<Pixels, ImagingError> {
    if (from.width, from.height) == (width, height) {
        return Ok(from);
    }
    let extent = Extent::whole(from.width, from.height);
    resize(resizer, &from, extent, width, height)
}

fn encode(
    preset: Preset,
    stored: &Pixels,
    orientation: Orientation,
) -> Result<Rendition, ImagingError> {
    let turned;
    let upright = if orientation == Orientation::Upright {
        stored
    } else {
        turned = orientation.apply(stored);
        &turned
    };
    let (width, height) = (upright.width, upright.height);
    let alpha = upright.kind == Kind::Rgba;
    let bytes = match preset.format {
        Format::Webp => encode_webp(width, height, &upright.bytes, alpha, preset.quality)?,
        Format::Jpeg if alpha => {
            let flat = on_white(upright)?;
            encode_jpeg(width, height, &flat.bytes, preset.quality)?
        }
        Format::Jpeg => encode_jpeg(width, height, &upright.bytes, preset.quality)?,
    };
    Ok(Rendition {
        preset,
        width,
        height,
        bytes,
    })
}

fn without_alpha(from: &Pixels) -> Result<Pixels, ImagingError> {
    per_pixel(from, |[r, g, b, _]| [r, g, b])
}

fn on_white(from: &Pixels) -> Result<Pixels, ImagingError> {
    per_pixel(from, |[r, g, b, a]| {
        let over = |colour: u8| {
            let sum = u32::from(colour) * u32::from(a) + 255 * u32::from(255 - a);
            u8::try_from((sum + 127) / 255).unwrap_or(u8::MAX)
        };
        [over(r), over(g), over(b)]
    })
}

fn per_pixel(from: &Pixels, f: impl Fn([u8; 4]) -> [u8; 3]) -> Result<Pixels, ImagingError> {
    let mut to = Pixels::zeroed(from.width, from.height, Kind::Rgb)?;
    let (rgba, _) = from.bytes.as_chunks::<4>();
    let (rgb, _) = to.bytes.as_chunks_mut::<3>();
    for (to, from) in rgb.iter_mut().zip(rgba) {
        *to = f(*from);
    }
    Ok(to)
}
