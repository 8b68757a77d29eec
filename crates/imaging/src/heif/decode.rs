//! From the file to pixels: each tile is decoded, shrunk, converted and put in its place.

use super::frame::{Chroma, Frame};
use super::meta::Meta;
use super::mosaic::{Codec, Mosaic, Tile};
use super::picture::Picture;
use super::placement::Placement;
use super::properties::Cicp;
use super::sampler::{Resampling, Sampler};
use super::ycbcr::Conversion;
use super::{av1, hevc};
use crate::pixels::{Decoded, Extent, Kind, Pixels, Profile};
use crate::shrink;
use crate::{ImagingError, Limits};

/// What a decoder holds for each pixel of the tile that it decodes: planes of 4:2:0 and 8 bits, a
/// copy of them for a filter, and notes on blocks. More bits take more: there the process decides.
const DECODER_BYTES_PER_PIXEL: u64 = 5;

/// Sides of blocks whose averages may be given out as they are, somewhat smaller than wanted. Of larger ones the average is too coarse to
/// be looked at without a filter behind it.
const FACTORS_AS_IS: [u32; 2] = [4, 2];

/// Decodes `bytes`. The longer edge is not below the first of `edges` unless the file's is, or unless it is at least the second and averages
/// alone get there. Where it takes larger blocks than of two, it is at least twice the first, so that the filter that follows decides the
/// quality.
pub(crate) fn decode(
    bytes: &[u8],
    edges: (u32, u32),
    limits: &Limits,
) -> Result<Decoded, ImagingError> {
    let meta = Meta::read(bytes)?;
    let picture = Picture::of(&meta)?;
    let factor = factor(&picture, edges);
    demand(&picture, factor, limits)?;
    let (mut pixels, cicp) = paint(&meta, &picture.color, factor, false)?;
    if let Some(alpha) = &picture.alpha {
        let (alpha, _) = paint(&meta, alpha, factor, true)?;
        pixels = with_alpha(&pixels, &alpha, picture.premultiplied)?;
    }
    let profile = match picture.color.icc {
        Some(icc) => Profile::Icc(icc.to_vec()),
        None => Profile::CodePoints {
            primaries: cicp.primaries,
            transfer: cicp.transfer,
        },
    };
    Ok(Decoded {
        extent: extent(picture.placement, factor),
        picture: crate::picture::Picture::Packed(pixels),
        profile: Some(profile),
    })
}

/// What of the shrunk pixels is shown.
pub(super) fn extent(place: Placement, factor: u32) -> Extent {
    let scaled = |side: u32| f64::from(side) / f64::from(factor);
    Extent {
        left: scaled(place.left),
        top: scaled(place.top),
        width: scaled(place.width),
        height: scaled(place.height),
    }
}

/// The side of the blocks that are averaged: a power of two, so that it divides the tiles. [`decode`] says what `edges` are; where the second
/// is above the first, averages are never given out as they are.
pub(super) fn factor(picture: &Picture<'_>, (long_edge, least_edge): (u32, u32)) -> u32 {
    let place = picture.placement;
    let long = place.width.max(place.height);
    let serves = |factor: &u32| (least_edge..=long_edge).contains(&(long / factor));
    let as_is = FACTORS_AS_IS.into_iter().find(serves);
    let most = as_is.unwrap_or_else(|| {
        let halves = if long / 2 >= long_edge { 2 } else { 1 };
        shrink::factor(long, long_edge).max(halves)
    });
    let fits = |mosaic: &Mosaic<'_>, factor: u32| {
        mosaic.tiles.len() == 1
            || (mosaic.tile_width.is_multiple_of(factor)
                && mosaic.tile_height.is_multiple_of(factor))
    };
    let mut factor = 1 << most.ilog2();
    while factor > 1
        && !(fits(&picture.color, factor)
            && picture
                .alpha
                .as_ref()
                .is_none_or(|alpha| fits(alpha, factor)))
    {
        factor /= 2;
    }
    factor
}

/// Refuses what would take more memory than allowed.
pub(super) fn demand(
    picture: &Picture<'_>,
    factor: u32,
    limits: &Limits,
) -> Result<(), ImagingError> {
    let pixels = |width: u32, height: u32| u64::from(width) * u64::from(height);
    let tile = |mosaic: &Mosaic<'_>| {
        pixels(mosaic.tile_width, mosaic.tile_height).saturating_mul(DECODER_BYTES_PER_PIXEL)
    };
    let cells = |side: u32| side.div_ceil(factor);
    let color = &picture.color;
    let whole = pixels(cells(color.width), cells(color.height));
    let (channels, alpha) = match &picture.alpha {
        // Colours, alpha, and both together.
        Some(alpha) => (3 + 1 + 4, tile(alpha)),
        None => (3, 0),
    };
    let needed = tile(color).max(alpha).saturating_add(whole * channels);
    if needed > limits.max_decode_bytes {
        let most = limits.max_decode_bytes;
        let detail = format!("{needed} bytes, where {most} are");
        return Err(ImagingError::memory(detail));
    }
    Ok(())
}

/// Decodes all tiles. With `luma_only` nothing else is looked at, as for alpha. Also tells what
/// the colours mean.
pub(super) fn paint(
    meta: &Meta<'_>,
    mosaic: &Mosaic<'_>,
    factor: u32,
    luma_only: bool,
) -> Result<(Pixels, Cicp), ImagingError> {
    let mut painted: Option<(Pixels, Cicp)> = None;
    for (n, tile) in mosaic.tiles.iter().enumerate() {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        let (column, row) = (n % mosaic.columns, n / mosaic.columns);
        let (left, top) = (column * mosaic.tile_width, row * mosaic.tile_height);
        decode_tile(meta, mosaic, tile, |frame| {
            let cicp = tile.cicp.unwrap_or(frame.cicp);
            let kind = if luma_only || frame.chroma == Chroma::Monochrome {
                Kind::Gray
            } else {
                Kind::Rgb
            };
            let (pixels, _) = match &mut painted {
                Some(painted) => painted,
                None => {
                    let cells = |side: u32| side.div_ceil(factor);
                    let (width, height) = (cells(mosaic.width), cells(mosaic.height));
                    painted.insert((Pixels::zeroed(width, height, kind)?, cicp))
                }
            };
            if pixels.kind != kind {
                return Err(ImagingError::corrupt("tiles with and without colour"));
            }
            // What is over is cut off before it is averaged with what is seen.
            let width = frame.width.min(mosaic.width.saturating_sub(left));
            let height = frame.height.min(mosaic.height.saturating_sub(top));
            let conversion = Conversion::new(cicp)?;
            let at = (left / factor, top / factor);
            put(frame, (width, height), factor, &conversion, pixels, at)
        })?;
    }
    painted.ok_or_else(|| ImagingError::corrupt("a picture without tiles"))
}

fn decode_tile<T>(
    meta: &Meta<'_>,
    mosaic: &Mosaic<'_>,
    tile: &Tile<'_>,
    seen: impl FnOnce(&Frame<'_>) -> Result<T, ImagingError>,
) -> Result<T, ImagingError> {
    let payload = meta.payload(tile.item)?;
    let size = (mosaic.tile_width, mosaic.tile_height);
    match tile.codec {
        Codec::Hevc => hevc::decode(tile.config, &payload, size, seen),
        Codec::Av1 => av1::decode(&payload, size, seen),
    }
}

/// Puts the first columns and rows of a frame, shrunk by `factor`, at a place among `pixels`.
fn put(
    frame: &Frame<'_>,
    (width, height): (u32, u32),
    factor: u32,
    conversion: &Conversion,
    pixels: &mut Pixels,
    (left, top): (u32, u32),
) -> Result<(), ImagingError> {
    let (across, along) = frame.chroma.subsampling();
    let [first, second, third] = frame.planes;
    let mut luma = Sampler::new(first, (width, height), Resampling::Average(factor, factor));
    // Samples that several pixels share need less averaging, or have to be spread.
    let resampling = if factor == 1 {
        Resampling::Spread(across, along)
    } else {
        Resampling::Average(factor / across, factor / along)
    };
    let size = (width.div_ceil(across), height.div_ceil(along));
    let mut blue = Sampler::new(second, size, resampling);
    let mut red = Sampler::new(third, size, resampling);
    let (channels, stride) = (pixels.kind.channels(), pixels.stride());
    let (columns, rows) = (width.div_ceil(factor), height.div_ceil(factor));
    for y in 0..rows {
        let start = (top + y) as usize * stride + left as usize * channels;
        let end = start + columns as usize * channels;
        let to = pixels
            .bytes
            .get_mut(start..end)
            .ok_or_else(|| ImagingError::corrupt("a tile outside its grid"))?;
        if channels == 1 {
            conversion.gray(luma.row(y), to);
        } else {
            conversion.rgb([luma.row(y), blue.row(y), red.row(y)], to);
        }
    }
    Ok(())
}

/// Colours with their opacity; where they have been multiplied with it, that is undone.
fn with_alpha(color: &Pixels, alpha: &Pixels, premultiplied: bool) -> Result<Pixels, ImagingError> {
    let mut joined = Pixels::zeroed(color.width, color.height, Kind::Rgba)?;
    let plain = |channel: u8, alpha: u8| match (premultiplied, alpha) {
        (true, 1..) => {
            let alpha = u32::from(alpha);
            u8::try_from((u32::from(channel) * 255 + alpha / 2) / alpha).unwrap_or(u8::MAX)
        }
        _ => channel,
    };
    let (to, _) = joined.bytes.as_chunks_mut::<4>();
    let each = color.bytes.chunks_exact(color.kind.channels());
    for ((to, color), a) in to.iter_mut().zip(each).zip(&alpha.bytes) {
        let (r, g, b) = match color {
            [r, g, b] => (*r, *g, *b),
            _ => {
                let gray = color.first().copied().unwrap_or_default();
                (gray, gray, gray)
            }
        };
        *to = [plain(r, *a), plain(g, *a), plain(b, *a), *a];
    }
    Ok(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_as_large_as_serves() {
        for (long, edges, expected) in [
            // Halves and fourths as they are; and where nothing smaller is wanted.
            (4032, (2048, 1946), 2),
            (8064, (2048, 1946), 4),
            (4032, (2048, 2048), 1),
            (4032, (2048, u32::MAX), 1),
            (4096, (2048, 2048), 2),
            // Halves, and the filter behind them.
            (4608, (2048, 1946), 2),
            (8192, (2048, u32::MAX), 2),
            // Enough for the filter alone.
            (4032, (320, 304), 4),
            (12_000, (320, 304), 16),
            (3200, (2048, 1946), 1),
            (1, (320, 304), 1),
        ] {
            let color = Mosaic {
                width: long,
                height: 64,
                columns: long.div_ceil(64),
                tile_width: 64,
                tile_height: 64,
                tiles: Vec::new(),
                icc: None,
            };
            let placement = Placement::new((long, 64), &[]).unwrap();
            let picture = Picture {
                color,
                alpha: None,
                premultiplied: false,
                placement,
            };
            assert_eq!(factor(&picture, edges), expected, "{long} {edges:?}");
        }
    }
}
