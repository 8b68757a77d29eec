//! What items say about the picture: EXIF and XMP.

use std::borrow::Cow;
use std::ops::Range;

use super::meta::Meta;
use crate::ImagingError;
use crate::boxes::Boxes;

/// Most items of a kind that are looked at. Cameras write one of each.
const MAX_LOOKED_AT: usize = 4;

/// What is attached to a picture.
#[derive(Default)]
pub(crate) struct Attached<'a> {
    /// A TIFF structure.
    pub exif: Option<Cow<'a, [u8]>>,
    /// Packets, or what else has a media type: few.
    pub xmp: Vec<Cow<'a, [u8]>>,
    /// Where a clip lies in the file, as in motion photos.
    pub clip: Option<Range<usize>>,
}

/// Finds it. What cannot be read of it is left out.
///
/// # Errors
/// See [`Meta::read`].
pub(crate) fn attached(file: &[u8]) -> Result<Attached<'_>, ImagingError> {
    let meta = Meta::read(file)?;
    let of_kind = |kind: &'static [u8; 4]| {
        let items = meta.items.values().filter(move |item| &item.kind == kind);
        items
            .take(MAX_LOOKED_AT)
            .filter_map(|item| meta.payload(item).ok())
    };
    Ok(Attached {
        exif: of_kind(b"Exif").find_map(behind_offset),
        xmp: of_kind(b"mime").collect(),
        clip: Boxes::new(file, 0..file.len())
            .find(|found| &found.kind == b"mpvd")
            .map(|found| found.body),
    })
}

/// The TIFF structure in an item, which says first where it begins (ISO/IEC 23008-12, A.2.1).
fn behind_offset(item: Cow<'_, [u8]>) -> Option<Cow<'_, [u8]>> {
    let offset = u32::from_be_bytes(*item.first_chunk()?);
    let start = usize::try_from(offset).ok()?.checked_add(4)?;
    match item {
        Cow::Borrowed(bytes) => bytes.get(start..).map(Cow::Borrowed),
        Cow::Owned(bytes) => bytes.get(start..).map(|tiff| Cow::Owned(tiff.to_vec())),
    }
}
