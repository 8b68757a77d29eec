//! What a file shows: its primary item, the alpha plane of that, and how they are placed.

use super::meta::Meta;
use super::mosaic::Mosaic;
use super::placement::Placement;
use super::properties::Properties;
use crate::ImagingError;
use crate::orientation::Orientation;

/// What the container says, as far as [`crate::header`] wants to know it.
pub(crate) struct Shown {
    /// Columns and rows that are stored, also those that are cut off when it is shown.
    pub coded: (u32, u32),
    /// Columns and rows that are shown, as stored.
    pub width: u32,
    pub height: u32,
    pub orientation: Orientation,
    /// Whether there is a plane of alpha to be decoded as well.
    pub has_alpha: bool,
}

/// Reads the size and the orientation of what `bytes` shows. Decodes nothing.
///
/// # Errors
/// See [`Picture::of`] and [`Meta::read`].
pub(crate) fn read(bytes: &[u8]) -> Result<Shown, ImagingError> {
    let meta = Meta::read(bytes)?;
    let picture = Picture::of(&meta)?;
    Ok(Shown {
        coded: (picture.color.width, picture.color.height),
        width: picture.placement.width,
        height: picture.placement.height,
        orientation: picture.placement.orientation,
        has_alpha: picture.alpha.is_some(),
    })
}

/// The primary item with all that belongs to it.
pub(super) struct Picture<'a> {
    pub color: Mosaic<'a>,
    pub alpha: Option<Mosaic<'a>>,
    /// Whether the colours have been multiplied with alpha.
    pub premultiplied: bool,
    pub placement: Placement,
}

impl<'a> Picture<'a> {
    /// Reads the primary item.
    ///
    /// # Errors
    /// [`ImagingError::Unsupported`] when it is of a kind that cannot be decoded,
    /// [`ImagingError::Corrupt`] when what is said of it does not fit together.
    pub(super) fn of(meta: &'a Meta<'a>) -> Result<Self, ImagingError> {
        let primary = meta.item(meta.primary)?;
        let properties = Properties::of(meta, primary)?;
        let color = Mosaic::of(meta, primary, &properties)?;
        if color.width == 0 || color.height == 0 {
            return Err(ImagingError::corrupt("a picture without pixels"));
        }
        let size = (color.width, color.height);
        let placement = Placement::new(size, &properties.transforms)
            .ok_or_else(|| ImagingError::corrupt("nothing is left of the picture"))?;
        let mut alpha = None;
        let mut premultiplied = false;
        for (id, item) in &meta.items {
            if item.auxiliary_of != Some(meta.primary) {
                continue;
            }
            let properties = Properties::of(meta, item)?;
            if !properties.is_alpha {
                continue;
            }
            let plane = Mosaic::of(meta, item, &properties)?;
            if (plane.width, plane.height) != size {
                return Err(ImagingError::corrupt("alpha of another size"));
            }
            premultiplied = primary.premultiplied_by == Some(*id);
            alpha = Some(plane);
            break;
        }
        Ok(Self {
            color,
            alpha,
            premultiplied,
            placement,
        })
    }
}
