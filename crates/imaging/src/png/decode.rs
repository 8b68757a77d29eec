//! Decodes a PNG row by row, shrinking on the way.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, DecodingError, Reader, Transformations};

use crate::picture::Picture;
use crate::pixels::{Decoded, Kind, Profile, zeroed};
use crate::shrink::{Shrinker, factor};
use crate::{ImagingError, Limits};

/// What rows in flight and inflated chunks (an ICC profile) may take.
const MAX_AUXILIARY_BYTES: usize = 64 * 1024 * 1024;

/// Decodes `bytes`, not smaller than twice `long_edge` unless the file's is.
pub(crate) fn decode(
    bytes: &[u8],
    long_edge: u32,
    limits: &Limits,
) -> Result<Decoded, ImagingError> {
    // A profile that is broken, or inflates without end, does not fail the picture.
    let mut reader = open(bytes, false).or_else(|_| open(bytes, true))?;
    let (width, height) = reader.info().size();
    let interlaced = reader.info().interlaced;
    let icc = reader.info().icc_profile.as_ref().map(|p| p.to_vec());
    let (color, depth) = reader.output_color_type();
    if depth != BitDepth::Eight {
        return Err(ImagingError::corrupt("sample depth"));
    }
    let channels = color.samples();
    let kind = match color {
        ColorType::Grayscale => Kind::Gray,
        ColorType::Rgb => Kind::Rgb,
        ColorType::GrayscaleAlpha | ColorType::Rgba => Kind::Rgba,
        ColorType::Indexed => return Err(ImagingError::corrupt("palette left")),
    };

    let factor = factor(width.max(height), long_edge);
    let cells = |side: u32| u64::from(side.div_ceil(factor));
    let mut needed = cells(width) * cells(height) * kind.channels() as u64;
    if interlaced {
        needed += u64::from(width) * u64::from(height) * channels as u64;
    }
    if needed > limits.max_decode_bytes {
        return Err(ImagingError::memory(format!("{needed} bytes")));
    }
    let mut shrinker = Shrinker::start(width, height, kind, factor)?;
    let mut widened = Vec::new();
    let mut push = |row: &[u8]| {
        if color == ColorType::GrayscaleAlpha {
            widened.clear();
            for pixel in row.as_chunks::<2>().0 {
                let [gray, alpha] = *pixel;
                widened.extend_from_slice(&[gray, gray, gray, alpha]);
            }
            shrinker.push(&widened);
        } else {
            shrinker.push(row);
        }
    };
    if interlaced {
        // Rows come in seven passes over the whole picture, so it has to be whole.
        let row_bytes = width as usize * channels;
        let mut whole = zeroed(row_bytes.saturating_mul(height as usize))?;
        reader.next_frame(&mut whole).map_err(|e| failed(&e))?;
        for row in whole.chunks_exact(row_bytes) {
            push(row);
        }
    } else {
        for _ in 0..height {
            let row = reader.next_row().map_err(|e| failed(&e))?;
            push(
                row.ok_or_else(|| ImagingError::corrupt("rows missing"))?
                    .data(),
            );
        }
    }
    let (pixels, extent) = shrinker.finish(height);
    Ok(Decoded {
        picture: Picture::Packed(pixels),
        extent,
        profile: icc.map(Profile::Icc),
    })
}

/// Reads up to the first pixels. Text chunks are skipped: they may inflate to anything.
fn open(bytes: &[u8], ignore_profile: bool) -> Result<Reader<Cursor<&[u8]>>, ImagingError> {
    let mut decoder = Decoder::new_with_limits(
        Cursor::new(bytes),
        png::Limits {
            bytes: MAX_AUXILIARY_BYTES,
        },
    );
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(ignore_profile);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.read_info().map_err(|e| failed(&e))
}

fn failed(error: &DecodingError) -> ImagingError {
    match error {
        DecodingError::LimitsExceeded => ImagingError::memory("rows too long"),
        other => ImagingError::corrupt(other.to_string()),
    }
}
