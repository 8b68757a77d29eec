//! One image item as its coded pictures: a single one, or the tiles of a grid.

use super::meta::{Item, Meta};
use super::properties::{Cicp, Properties};
use crate::ImagingError;
use crate::boxes::Reader;

/// What a coded picture is coded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    /// H.265.
    Hevc,
    /// AV1.
    Av1,
}

/// A coded picture.
pub(super) struct Tile<'a> {
    pub item: &'a Item,
    pub codec: Codec,
    /// The decoder's configuration; what it is depends on the codec.
    pub config: &'a [u8],
    /// What the container says of its colours, which comes before what the coded picture says.
    pub cicp: Option<Cicp>,
}

/// Coded pictures of one size, row by row; what is over on the right and at the bottom is cut off.
pub(super) struct Mosaic<'a> {
    pub width: u32,
    pub height: u32,
    pub columns: u32,
    pub tile_width: u32,
    pub tile_height: u32,
    pub tiles: Vec<Tile<'a>>,
    /// The profile of the item, or of its first tile.
    pub icc: Option<&'a [u8]>,
}

impl<'a> Mosaic<'a> {
    /// Reads what `item` is made of. No coded picture is looked at.
    ///
    /// # Errors
    /// [`ImagingError::Unsupported`] for items that are neither coded pictures nor grids,
    /// [`ImagingError::Corrupt`] when its parts do not fit together.
    pub(super) fn of(
        meta: &'a Meta<'a>,
        item: &'a Item,
        properties: &Properties<'a>,
    ) -> Result<Self, ImagingError> {
        if &item.kind == b"grid" {
            return grid(meta, item, properties);
        }
        let (width, height) = properties.size.ok_or_else(no_size)?;
        Ok(Self {
            width,
            height,
            columns: 1,
            tile_width: width,
            tile_height: height,
            tiles: vec![tile(item, properties)?],
            icc: properties.icc,
        })
    }
}

fn no_size() -> ImagingError {
    ImagingError::corrupt("a picture without a size")
}

fn tile<'a>(item: &'a Item, properties: &Properties<'a>) -> Result<Tile<'a>, ImagingError> {
    let codec = match &item.kind {
        b"hvc1" => Codec::Hevc,
        b"av01" => Codec::Av1,
        other => {
            let kind = String::from_utf8_lossy(other);
            return Err(ImagingError::unsupported(format!("a HEIF item `{kind}`")));
        }
    };
    let config = properties
        .config
        .ok_or_else(|| ImagingError::corrupt("a coded picture without a configuration"))?;
    Ok(Tile {
        item,
        codec,
        config,
        cicp: properties.cicp,
    })
}

/// Pixels of all tiles of a grid: twice the most that a picture may have, since tiles overhang.
const MAX_TILE_PIXELS: u64 = 2 * 200_000_000;

/// A `grid` item (ISO/IEC 23008-12, 6.6.2.3).
fn grid<'a>(
    meta: &'a Meta<'a>,
    item: &'a Item,
    properties: &Properties<'a>,
) -> Result<Mosaic<'a>, ImagingError> {
    let payload = meta.payload(item)?;
    let cut = || ImagingError::corrupt("grid cut short");
    let (columns, rows, width, height) = layout(Reader::new(&payload)).ok_or_else(cut)?;
    let mismatched = || ImagingError::corrupt("the tiles of a grid do not fit it");
    if item.derived_from.len() as u64 != u64::from(columns) * u64::from(rows) {
        return Err(mismatched());
    }
    let mut size = None;
    let mut icc = properties.icc;
    let mut tiles = Vec::with_capacity(item.derived_from.len());
    for id in &item.derived_from {
        let item = meta.item(*id)?;
        let own = Properties::of(meta, item)?;
        let tile_size = own.size.ok_or_else(no_size)?;
        if *size.get_or_insert(tile_size) != tile_size || !own.transforms.is_empty() {
            return Err(mismatched());
        }
        icc = icc.or(own.icc);
        let mut tile = tile(item, &own)?;
        tile.cicp = properties.cicp.or(own.cicp);
        tiles.push(tile);
    }
    let (tile_width, tile_height) = size.ok_or_else(mismatched)?;
    // The tiles cover the picture, and none lies outside.
    let fits = |count: u32, tile: u32, side: u32| {
        let (count, tile, side) = (u64::from(count), u64::from(tile), u64::from(side));
        count * tile >= side && (count - 1) * tile < side
    };
    // A tile may say that it has 2^64 pixels.
    let of_tile = u64::from(tile_width).saturating_mul(u64::from(tile_height));
    if of_tile.saturating_mul(tiles.len() as u64) > MAX_TILE_PIXELS {
        return Err(ImagingError::memory("the tiles of a grid"));
    }
    if !fits(columns, tile_width, width) || !fits(rows, tile_height, height) {
        return Err(mismatched());
    }
    Ok(Mosaic {
        width,
        height,
        columns,
        tile_width,
        tile_height,
        tiles,
        icc,
    })
}

/// Columns and rows of tiles, width and height in pixels.
fn layout(mut reader: Reader<'_>) -> Option<(u32, u32, u32, u32)> {
    let _version = reader.u8()?;
    let wide = reader.u8()? & 1 != 0;
    let rows = u32::from(reader.u8()?) + 1;
    let columns = u32::from(reader.u8()?) + 1;
    let mut side = || {
        let side = reader.sized(if wide { 4 } else { 2 })?;
        u32::try_from(side).ok()
    };
    let (width, height) = (side()?, side()?);
    Some((columns, rows, width, height))
}
