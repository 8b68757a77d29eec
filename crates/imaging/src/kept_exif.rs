//! What of an original's EXIF goes into a smaller copy of it.

use std::io::Cursor;

use exif::experimental::Writer;
use exif::{Field, In, Reader, Tag};

/// The time, and the camera. Not the orientation, since copies are upright, nor where it was taken, serial numbers, or the
/// thumbnail.
const KEPT: [Tag; 8] = [
    Tag::DateTimeOriginal,
    Tag::OffsetTimeOriginal,
    Tag::SubSecTimeOriginal,
    Tag::DateTimeDigitized,
    Tag::OffsetTimeDigitized,
    Tag::Make,
    Tag::Model,
    Tag::LensModel,
];

/// `jpeg` with the time and the camera of `original`'s EXIF, in an APP1 segment right behind its first marker; as it is where
/// there is none, or it cannot be read.
#[must_use]
pub fn with_kept_exif(jpeg: Vec<u8>, original: &[u8]) -> Vec<u8> {
    match kept(original) {
        Some(exif) => with_exif(jpeg, &exif),
        None => jpeg,
    }
}

/// `jpeg` with EXIF, a TIFF structure, in an APP1 segment right behind its first marker; as it is where that is too long for one.
pub(crate) fn with_exif(jpeg: Vec<u8>, exif: &[u8]) -> Vec<u8> {
    let (Ok(length), Some((start, rest))) =
        (u16::try_from(exif.len() + 8), jpeg.split_at_checked(2))
    else {
        return jpeg;
    };
    let mut out = start.to_vec();
    out.extend([0xff, 0xe1]);
    out.extend(length.to_be_bytes());
    out.extend(b"Exif\0\0");
    out.extend(exif);
    out.extend(rest);
    out
}

fn kept(original: &[u8]) -> Option<Vec<u8>> {
    let read = Reader::new().read_from_container(&mut Cursor::new(original));
    let read = read.ok()?;
    let kept: Vec<&Field> = KEPT
        .iter()
        .filter_map(|tag| read.get_field(*tag, In::PRIMARY))
        .collect();
    if kept.is_empty() {
        return None;
    }
    let mut writer = Writer::new();
    for field in kept {
        writer.push_field(field);
    }
    let mut out = Cursor::new(Vec::new());
    writer.write(&mut out, false).ok()?;
    Some(out.into_inner())
}
