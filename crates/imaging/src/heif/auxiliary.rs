//! Pictures that add something to the primary item: by name, or as another item says.

use super::decode::{demand, extent, factor, paint};
use super::meta::{Item, Meta};
use super::mosaic::Mosaic;
use super::picture::Picture;
use super::placement::Placement;
use super::properties::Properties;
use crate::pixels::Decoded;
use crate::{ImagingError, Limits};

/// A gray picture, and its columns and rows.
pub(crate) type Auxiliary = (Decoded, (u32, u32));

/// Most items that tell how a picture becomes brighter that are looked at. Cameras write one.
const MAX_LOOKED_AT: usize = 4;
/// What three channels take, with a denominator for each number, is 147.
const MAX_TONE_MAP_BYTES: usize = 1024;

/// Decodes the lightness of the auxiliary item of this name, not smaller than `long_edge` unless it is. Nothing where there is
/// none, or it lies otherwise than the primary item, or that is cropped.
///
/// # Errors
/// As for what is shown.
pub(crate) fn decode_auxiliary(
    file: &[u8],
    name: &[u8],
    long_edge: u32,
    limits: &Limits,
) -> Result<Option<Auxiliary>, ImagingError> {
    let meta = Meta::read(file)?;
    for item in meta.items.values() {
        if item.auxiliary_of != Some(meta.primary) {
            continue;
        }
        if Properties::of(&meta, item)?.auxiliary == Some(name) {
            return decode_beside(&meta, item, long_edge, limits);
        }
    }
    Ok(None)
}

/// Decodes the lightness of the gain map by which a `tmap` item makes a brighter picture of the primary item, in the same way, and
/// answers what `read` makes of what that item says of it (ISO/IEC 23008-12:2022/Amd 1: the metadata of ISO 21496-1, behind a version).
/// Nothing where `read` makes nothing of it.
///
/// # Errors
/// As for what is shown.
pub(crate) fn decode_tone_map<T>(
    file: &[u8],
    long_edge: u32,
    limits: &Limits,
    read: impl Fn(&[u8]) -> Option<T>,
) -> Result<Option<(T, Auxiliary)>, ImagingError> {
    let meta = Meta::read(file)?;
    let all = meta.items.values().filter(|item| &item.kind == b"tmap");
    let understood = all.take(MAX_LOOKED_AT).find_map(|item| {
        let gain = gain_of(&meta, item)?;
        let places = meta.places(item).ok()?;
        let bytes: usize = places.iter().map(ExactSizeIterator::len).sum();
        let said = (bytes <= MAX_TONE_MAP_BYTES).then(|| meta.payload(item))?;
        match said.ok()?.split_first() {
            Some((0, said)) => Some((read(said)?, gain)),
            _ => None,
        }
    });
    let Some((said, gain)) = understood else {
        return Ok(None);
    };
    let decoded = decode_beside(&meta, gain, long_edge, limits)?;
    Ok(decoded.map(|decoded| (said, decoded)))
}

/// The gain map that a `tmap` item puts on the primary item.
fn gain_of<'a>(meta: &'a Meta<'_>, item: &Item) -> Option<&'a Item> {
    match item.derived_from[..] {
        [base, gain] if base == meta.primary && gain != base => meta.items.get(&gain),
        _ => None,
    }
}

/// Decodes the lightness of an item that lies as the primary one does, which is not cropped.
fn decode_beside(
    meta: &Meta<'_>,
    item: &Item,
    long_edge: u32,
    limits: &Limits,
) -> Result<Option<Auxiliary>, ImagingError> {
    let shown = Picture::of(meta)?;
    let whole = (shown.color.width, shown.color.height);
    if (shown.placement.width, shown.placement.height) != whole {
        return Ok(None);
    }
    let properties = Properties::of(meta, item)?;
    let color = Mosaic::of(meta, item, &properties)?;
    let size = (color.width, color.height);
    // Its pixels were not counted when it was decided what this file may take.
    let is_small = size.0 <= whole.0 && size.1 <= whole.1;
    let placement = Placement::new(size, &properties.transforms);
    let Some(placement) = placement.filter(|place| {
        is_small
            && (place.width, place.height) == size
            && place.orientation == shown.placement.orientation
    }) else {
        return Ok(None);
    };
    let picture = Picture {
        color,
        alpha: None,
        premultiplied: false,
        placement,
    };
    let factor = factor(&picture, (long_edge, u32::MAX));
    demand(&picture, factor, limits)?;
    let (pixels, _) = paint(meta, &picture.color, factor, true)?;
    let decoded = Decoded {
        extent: extent(picture.placement, factor),
        picture: crate::picture::Picture::Packed(pixels),
        profile: None,
    };
    Ok(Some((decoded, size)))
}
