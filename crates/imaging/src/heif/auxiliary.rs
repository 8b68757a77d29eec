//! Pictures that add something to the primary item, by name.

use super::decode::{demand, extent, factor, paint};
use super::meta::Meta;
use super::mosaic::Mosaic;
use super::picture::Picture;
use super::placement::Placement;
use super::properties::Properties;
use crate::pixels::Decoded;
use crate::{ImagingError, Limits};

/// A gray picture, and its columns and rows.
pub(crate) type Auxiliary = (Decoded, (u32, u32));

/// Decodes the lightness of the auxiliary item of this name, not smaller than twice `long_edge` unless it is. Nothing where there is
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
    let shown = Picture::of(&meta)?;
    let whole = (shown.color.width, shown.color.height);
    if (shown.placement.width, shown.placement.height) != whole {
        return Ok(None);
    }
    for item in meta.items.values() {
        if item.auxiliary_of != Some(meta.primary) {
            continue;
        }
        let properties = Properties::of(&meta, item)?;
        if properties.auxiliary != Some(name) {
            continue;
        }
        let color = Mosaic::of(&meta, item, &properties)?;
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
        let factor = factor(&picture, long_edge);
        demand(&picture, factor, limits)?;
        let (pixels, _) = paint(&meta, &picture.color, factor, true)?;
        let decoded = Decoded {
            extent: extent(picture.placement, factor),
            picture: crate::picture::Picture::Packed(pixels),
            profile: None,
        };
        return Ok(Some((decoded, size)));
    }
    Ok(None)
}
