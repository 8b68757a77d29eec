//! Cleaned originals: the same pixels and sound, without what else a file tells.
//!
//! What stays is named, format by format; everything else goes, known or not. Nothing is decoded
//! or encoded anew, so that not a bit of a picture changes.

mod cleaned;
mod iso;
mod tiff;

pub use cleaned::{Cleaned, Segment};
pub(crate) use cleaned::{Edits, Kept};
pub(crate) use iso::Blanker;
pub(crate) use tiff::orientation_tiff;

use crate::sniff::{MediaType, sniff};
use crate::{ImagingError, jpeg, png, webp};

/// Says what a cleaned original of `input` is made of: its pixels (and sound), how they are turned
/// and what their colours mean, and nothing that tells of place, time, camera or people.
///
/// | kind | what stays | what goes |
/// |---|---|---|
/// | JPEG | the first image up to its end, JFIF, Adobe's marker, ICC; the orientation, as EXIF with nothing else | EXIF, XMP, IPTC, comments, thumbnails, all other segments; everything behind the image: gain maps, MPF pictures, motion photos, makers' trailers |
/// | PNG | pixels, palette, transparency, animation, colour, density; the orientation | text, EXIF, time, chunks not known, what follows the end |
/// | WebP | image, alpha, animation, ICC; the orientation | EXIF, XMP, chunks not known, also within frames; what follows the end |
/// | HEIC, AVIF | the primary picture with its tiles and alpha, and tracks as below | all other items: EXIF, XMP, thumbnails, gain map, depth, further pictures; motion photos |
/// | MP4, MOV, 3GP | the enabled tracks of pictures and sound, with what says how to decode them | all other tracks (timed metadata, time codes, subtitles) with their samples; places, names, times, XMP, previews |
///
/// A gain map goes, so that HDR pictures are shown as any screen shows them. In HEIF, MP4 and
/// QuickTime no byte moves: what goes is overwritten with zeros, and its box becomes `free`.
///
/// Reads `input` once or twice, whatever is in it; what is answered takes no more memory than a
/// small multiple of `input`, next to nothing for what cameras write.
///
/// What this cannot see: text in the ICC profile, user data within coded pictures and sound, and
/// what the picture shows.
///
/// # Errors
/// [`ImagingError::Unsupported`] for other kinds of files, and for what cannot be cleaned without
/// moving bytes; [`ImagingError::Corrupt`] when `input` is damaged or cut off.
pub fn clean(input: &[u8]) -> Result<Cleaned, ImagingError> {
    let media = sniff(input).ok_or_else(|| ImagingError::unsupported("a file of unknown type"))?;
    match media {
        MediaType::Jpeg => jpeg::clean(input),
        MediaType::Png => png::clean(input),
        MediaType::Webp => webp::clean(input),
        MediaType::Heic | MediaType::Avif => iso::clean(input, true),
        MediaType::Mp4 | MediaType::Mov | MediaType::ThreeGp => iso::clean(input, false),
        MediaType::Gif | MediaType::Tiff | MediaType::Dng | MediaType::Svg => {
            Err(ImagingError::unsupported(media.mime()))
        }
    }
}
