//! Decodes the first frame of a GIF, shrinking on the way.

use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};

use super::blocks::read;
use crate::picture::Picture;
use crate::pixels::{Decoded, Kind, zeroed};
use crate::shrink::{Shrinker, factor};
use crate::{ImagingError, Limits};

const CLEAR: [u8; 4] = [0; 4];

/// Decodes the first frame of `bytes` on its screen, which is clear around it, not smaller than twice `long_edge` unless the
/// file's is.
pub(crate) fn decode(
    bytes: &[u8],
    long_edge: u32,
    limits: &Limits,
) -> Result<Decoded, ImagingError> {
    let screen = read(bytes)?;
    let (width, height) = (screen.width, screen.height);
    let factor = factor(width.max(height), long_edge);
    let cells = |side: u32| u64::from(side.div_ceil(factor));
    // Colours by their numbers, and the picture that is made of them.
    let numbers = u64::from(screen.frame.0) * u64::from(screen.frame.1);
    let needed = numbers + cells(width) * cells(height) * Kind::Rgba.channels() as u64;
    if needed > limits.max_decode_bytes {
        return Err(ImagingError::memory(format!("{needed} bytes")));
    }

    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    let most = NonZeroU64::new(limits.max_decode_bytes).unwrap_or(NonZeroU64::MIN);
    options.set_memory_limit(MemoryLimit::Bytes(most));
    let mut decoder = options.read_info(bytes).map_err(|e| failed(&e))?;
    let frame = decoder.next_frame_info().map_err(|e| failed(&e))?;
    let frame = frame.ok_or_else(|| ImagingError::corrupt("a GIF without a frame"))?;
    let place = [frame.left, frame.top, frame.width, frame.height].map(u32::from);
    let transparent = frame.transparent;
    if place != [screen.left, screen.top, screen.frame.0, screen.frame.1] {
        return Err(ImagingError::corrupt("two readings of the GIF's frame"));
    }
    let [_, _, columns, rows] = place.map(|side| side as usize);
    let mut numbers = zeroed(columns.saturating_mul(rows))?;
    // Rows in their order, whether they are stored so or not.
    let read = decoder.read_into_buffer(&mut numbers);
    read.map_err(|e| failed(&e))?;
    let palette = decoder.palette().map_err(|e| failed(&e))?;
    let (palette, _) = palette.as_chunks::<3>();
    let colour = |number: u8| match palette.get(usize::from(number)) {
        Some([r, g, b]) if transparent != Some(number) => [*r, *g, *b, 255],
        _ => CLEAR,
    };

    let mut shrinker = Shrinker::start(width, height, Kind::Rgba, factor)?;
    let (left, top) = (screen.left as usize, screen.top);
    let mut row = zeroed(width as usize * Kind::Rgba.channels())?;
    for y in 0..height {
        let (pixels, _) = row.as_chunks_mut::<4>();
        pixels.fill(CLEAR);
        let from = y.checked_sub(top).map(|y| y as usize * columns);
        let stored = from.and_then(|from| numbers.get(from..from + columns));
        let drawn = pixels.iter_mut().skip(left);
        for (to, number) in drawn.zip(stored.unwrap_or_default()) {
            *to = colour(*number);
        }
        shrinker.push(&row);
    }
    let (pixels, extent) = shrinker.finish(height);
    Ok(Decoded {
        picture: Picture::Packed(pixels),
        extent,
        profile: None,
    })
}

fn failed(error: &DecodingError) -> ImagingError {
    match error {
        DecodingError::MemoryLimit | DecodingError::OutOfMemory => {
            ImagingError::memory("a GIF's frame")
        }
        other => ImagingError::corrupt(format!("GIF: {other}")),
    }
}
