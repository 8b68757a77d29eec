//! What a file says about how, when and where it was taken.

mod captured;
mod place;
mod text;
mod tiff;
mod xmp;

pub use captured::Captured;
pub use place::Place;
pub(crate) use text::plain;
pub(crate) use tiff::{apple_light, parse_tiff};
pub(crate) use xmp::property;

use std::ops::Range;

use crate::sniff::{MediaType, sniff};
use crate::{ImagingError, Orientation, clip, heif, jpeg, motion, png, webp};

/// What a file says about itself. Nothing here has been proven, and anybody can write it.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Metadata {
    /// When it was taken.
    pub captured: Option<Captured>,
    /// The maker of the camera.
    pub make: Option<String>,
    /// The camera, as its maker calls it.
    pub model: Option<String>,
    /// The lens.
    pub lens: Option<String>,
    /// How long light fell in.
    pub exposure_s: Option<f64>,
    /// Focal length over aperture.
    pub f_number: Option<f64>,
    /// Sensitivity.
    pub iso: Option<u32>,
    /// The focal length as it is, not as it would be on film.
    pub focal_length_mm: Option<f64>,
    /// Whose the picture is.
    pub copyright: Option<String>,
    /// How to turn what is stored upright.
    pub orientation: Orientation,
    /// Where it was taken.
    pub place: Option<Place>,
    /// What the pictures of one burst share.
    pub burst_id: Option<String>,
    /// What the still and the clip of a Live Photo share.
    pub live_id: Option<String>,
    /// Whether the file of a picture holds a clip too.
    pub is_motion_photo: bool,
    /// Where in the file that clip lies, in bytes, if it is there.
    pub motion: Option<Range<u64>>,
    /// How long a clip runs.
    pub duration_ms: Option<u64>,
}

/// Reads it, from EXIF, from Apple's maker note, from XMP (motion, burst and lens alone), and from what
/// QuickTime, Apple and Android write into clips. What is damaged or makes no sense is left out.
///
/// Each part of `input` is read once; what EXIF takes in memory is a small multiple of its size,
/// which is at most 1 MiB.
///
/// # Errors
/// [`ImagingError::Unsupported`] for other kinds of files than JPEG, PNG, WebP, HEIC, AVIF, TIFF, DNG,
/// MP4, MOV and 3GP; [`ImagingError::Corrupt`] when the structure of the file itself cannot be followed.
pub fn read_metadata(input: &[u8]) -> Result<Metadata, ImagingError> {
    let media = sniff(input).ok_or_else(|| ImagingError::unsupported("a file of unknown type"))?;
    let piece = |place: Option<std::ops::Range<usize>>| input.get(place?);
    let mut found = Metadata::default();
    match media {
        MediaType::Jpeg => {
            let structure = jpeg::walk(input, u32::MAX)?;
            let xmp = piece(structure.xmp.clone());
            found.add(piece(structure.exif.clone()), xmp);
            let behind = structure.end.and_then(|end| input.get(end..));
            found.is_motion_photo |= behind.is_some_and(is_samsung_motion);
            let end = structure.end.filter(|_| found.is_motion_photo);
            let place = end.and_then(|end| motion::find(input, end..input.len()));
            found.motion = place.map(in_file);
        }
        MediaType::Png => {
            let chunks = png::read(input)?;
            found.add(piece(chunks.exif), None);
        }
        MediaType::Webp => {
            let chunks = webp::read(input)?;
            found.add(piece(chunks.exif), piece(chunks.xmp));
        }
        MediaType::Heic | MediaType::Avif => {
            let attached = heif::attached(input)?;
            found.add(attached.exif.as_deref(), None);
            for xmp in &attached.xmp {
                found.add(None, Some(xmp));
            }
            found.is_motion_photo |= attached.clip.is_some();
            let place = attached.clip.and_then(|part| motion::find(input, part));
            found.motion = place.map(in_file);
            // Not what EXIF says.
            let shown = heif::read(input).map(|shown| shown.orientation);
            found.orientation = shown.unwrap_or_default();
        }
        MediaType::Mp4 | MediaType::Mov | MediaType::ThreeGp => {
            clip::read_metadata(input, &mut found)?;
        }
        MediaType::Tiff | MediaType::Dng => {
            // Directories stand before pixels.
            let head = input.get(..tiff::MAX_EXIF_BYTES).unwrap_or(input);
            found.add(Some(head), None);
        }
        MediaType::Gif | MediaType::Svg => {
            return Err(ImagingError::unsupported(media.mime()));
        }
    }
    Ok(found)
}

impl Metadata {
    fn add(&mut self, tiff: Option<&[u8]>, xmp: Option<&[u8]>) {
        if let Some(tiff) = tiff {
            tiff::read(tiff, self);
        }
        if let Some(xmp) = xmp {
            xmp::read(xmp, self);
        }
    }
}

fn in_file(place: Range<usize>) -> Range<u64> {
    place.start as u64..place.end as u64
}

/// Whether a trailer is Samsung's, with a clip in it.
fn is_samsung_motion(trailer: &[u8]) -> bool {
    trailer.ends_with(b"SEFT") && memchr::memmem::find(trailer, b"MotionPhoto_Data").is_some()
}
