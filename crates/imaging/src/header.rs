//! What a picture claims to be, read without decoding it.

use crate::orientation::Orientation;
use crate::sniff::{MediaType, sniff};
use crate::{ImagingError, Limits, gif, heif, jpeg, png, raw, webp};

/// What the header says. Nothing here has been proven by decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The kind of file, by content.
    pub media: MediaType,
    /// Columns as stored, before the orientation is applied. Of a raw photo, those of the JPEG that it is shown by, as all below.
    pub width: u32,
    /// Rows as stored.
    pub height: u32,
    /// Columns and rows that have to be decoded: of HEIF, what a crop leaves may be far less.
    pub coded: (u32, u32),
    /// Bytes of a JPEG's coefficients, which a decoder holds all at once if there is more than one scan; 0 of other kinds.
    pub coefficient_bytes: u64,
    /// Whether a plane of alpha is decoded by itself, as that of HEIF is.
    pub has_alpha_plane: bool,
    /// How to turn what is stored upright. Upright where it cannot be read.
    pub orientation: Orientation,
}

impl Header {
    /// Width and height of the upright picture.
    #[must_use]
    pub fn upright_size(&self) -> (u32, u32) {
        self.orientation.upright_size(self.width, self.height)
    }
}

/// Reads the header of a JPEG, PNG, WebP, GIF, HEIC, AVIF or raw photo and checks it against `limits`.
///
/// # Errors
/// [`ImagingError::Unsupported`] for every other kind of file, [`ImagingError::Corrupt`] when the
/// header is not whole, [`ImagingError::PixelLimit`] and [`ImagingError::FrameLimit`] when it claims too many pixels, or there are too
/// many pictures.
pub fn header(bytes: &[u8], limits: &Limits) -> Result<Header, ImagingError> {
    let media = sniff(bytes).ok_or_else(|| ImagingError::unsupported("a file of unknown type"))?;
    let mut coded = None;
    let mut coefficient_bytes = 0;
    let mut has_alpha_plane = false;
    let (width, height, orientation) = match media {
        MediaType::Jpeg => {
            let found = jpeg::walk(bytes, limits.max_scans)?;
            let frame = found
                .frame
                .ok_or_else(|| ImagingError::corrupt("no frame header"))?;
            let orientation = found.orientation.unwrap_or(Orientation::Upright);
            coefficient_bytes = frame.coefficient_bytes();
            (frame.width, frame.height, orientation)
        }
        MediaType::Png => {
            let found = png::read(bytes)?;
            check_frames(found.frames, limits)?;
            (found.width, found.height, found.orientation)
        }
        MediaType::Webp => {
            let found = webp::read(bytes)?;
            check_frames(found.frames, limits)?;
            (found.width, found.height, found.orientation)
        }
        MediaType::Gif => {
            let found = gif::read(bytes)?;
            check_frames(gif::frames(bytes, limits.max_frames), limits)?;
            (found.width, found.height, Orientation::Upright)
        }
        MediaType::Tiff | MediaType::Dng => {
            let found = raw::find(bytes, limits)?;
            coefficient_bytes = found.coefficient_bytes;
            (found.size.0, found.size.1, found.orientation)
        }
        MediaType::Heic | MediaType::Avif => {
            let found = heif::read(bytes)?;
            // What is cut off has to be decoded as well.
            check_pixels(found.coded, limits)?;
            coded = Some(found.coded);
            has_alpha_plane = found.has_alpha;
            (found.width, found.height, found.orientation)
        }
        MediaType::Svg | MediaType::Mp4 | MediaType::Mov | MediaType::ThreeGp => {
            return Err(ImagingError::unsupported(media.mime()));
        }
    };
    check_pixels((width, height), limits)?;
    Ok(Header {
        media,
        width,
        height,
        coded: coded.unwrap_or((width, height)),
        coefficient_bytes,
        has_alpha_plane,
        orientation,
    })
}

fn check_frames(frames: u32, limits: &Limits) -> Result<(), ImagingError> {
    if frames > limits.max_frames {
        return Err(ImagingError::FrameLimit {
            frames,
            max_frames: limits.max_frames,
        });
    }
    Ok(())
}

fn check_pixels((width, height): (u32, u32), limits: &Limits) -> Result<(), ImagingError> {
    if width == 0 || height == 0 {
        return Err(ImagingError::corrupt("a picture without pixels"));
    }
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(ImagingError::PixelLimit {
            width,
            height,
            max_pixels: limits.max_pixels,
        });
    }
    Ok(())
}
