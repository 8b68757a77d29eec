//! Smaller copies of the user's own pictures: decoded, upright, in sRGB, and encoded as JPEG.

use std::io::Cursor;
use std::path::Path;

use exif::experimental::Writer;
use exif::{Field, In, Tag};
use safelight_client::encode::{Compress, Encode};
use safelight_imaging::{Limits, header, render};
use safelight_model::preset::{Format, Preset};

/// What of an original's EXIF goes into its copy: the time, and the camera. Not the orientation, since copies are upright, nor
/// where it was taken, serial numbers, or the thumbnail.
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
/// Larger files are sent as they are.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Encodes JPEG. Asked for anything else (a screenshot is best kept without loss), it declines.
pub struct Jpeg;

impl Encode for Jpeg {
    fn encode(
        &self,
        original: &Path,
        copy: &Path,
        advice: &Compress,
    ) -> std::io::Result<Option<String>> {
        let format = Format::Jpeg;
        if advice.format != format.mime() || std::fs::metadata(original)?.len() > MAX_BYTES {
            return Ok(None);
        }
        let bytes = std::fs::read(original)?;
        let limits = Limits::default();
        let edge = match advice.max_edge_px {
            Some(edge) => edge,
            None => {
                let header = header(&bytes, &limits).map_err(std::io::Error::other)?;
                header.width.max(header.height)
            }
        };
        let preset = Preset {
            name: "copy",
            version: 1,
            long_edge: edge,
            format,
            quality: u8::try_from(advice.quality).unwrap_or(100),
        };
        let rendered = render(&bytes, &[preset], &limits, false).map_err(std::io::Error::other)?;
        let Some(rendition) = rendered.renditions.into_iter().next() else {
            return Ok(None);
        };
        std::fs::write(copy, with_exif(rendition.bytes, &bytes))?;
        Ok(Some(format.mime().to_owned()))
    }
}

/// `jpeg` with what is kept of `original`'s EXIF, in an APP1 segment right behind its first marker.
fn with_exif(jpeg: Vec<u8>, original: &[u8]) -> Vec<u8> {
    let Some(exif) = kept_exif(original) else {
        return jpeg;
    };
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

fn kept_exif(original: &[u8]) -> Option<Vec<u8>> {
    let read = exif::Reader::new().read_from_container(&mut Cursor::new(original));
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

#[cfg(test)]
mod tests {
    use safelight_testkit::camera::{self, Scene};

    use super::*;

    fn advice(quality: u32, max_edge_px: Option<u32>) -> Compress {
        Compress {
            format: "image/jpeg".to_owned(),
            quality,
            max_edge_px,
        }
    }

    #[test]
    fn a_copy_is_upright_and_smaller_and_keeps_the_time_but_not_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let (original, copy) = (dir.path().join("a.jpg"), dir.path().join("copy"));
        let file = camera::photo(&Scene {
            orientation: 6,
            ..Scene::default()
        });
        std::fs::write(&original, &file).unwrap();
        let exif_of = |bytes: &[u8]| {
            let read = exif::Reader::new().read_from_container(&mut Cursor::new(bytes));
            read.unwrap()
        };
        let before = exif_of(&file);
        assert!(before.get_field(Tag::GPSLatitude, In::PRIMARY).is_some());
        // A longer edge than there is enlarges nothing.
        for (max_edge_px, size) in [
            (Some(320), (240, 320)),
            (None, (480, 640)),
            (Some(4_000), (480, 640)),
        ] {
            let made = Jpeg.encode(&original, &copy, &advice(70, max_edge_px));
            assert_eq!(made.unwrap().as_deref(), Some("image/jpeg"));
            let bytes = std::fs::read(&copy).unwrap();
            assert!(bytes.len() < file.len());
            let header = safelight_imaging::header(&bytes, &Limits::default()).unwrap();
            assert_eq!(header.upright_size(), size, "{max_edge_px:?}");
            assert_eq!((header.width, header.height), size);
            let after = exif_of(&bytes);
            for tag in [Tag::DateTimeOriginal, Tag::OffsetTimeOriginal, Tag::Make] {
                let of = |exif: &exif::Exif| {
                    let field = exif.get_field(tag, In::PRIMARY);
                    field.map(|f| f.display_value().to_string())
                };
                assert!(of(&before).is_some(), "{tag}");
                assert_eq!(of(&after), of(&before), "{tag}");
            }
            let mut left = after.fields().map(|f| f.tag);
            assert!(left.all(|tag| KEPT.contains(&tag)));
        }
    }

    #[test]
    fn what_it_cannot_do_it_declines() {
        let dir = tempfile::tempdir().unwrap();
        let (original, copy) = (dir.path().join("a.jpg"), dir.path().join("copy"));
        std::fs::write(&original, b"no picture").unwrap();
        assert!(Jpeg.encode(&original, &copy, &advice(80, None)).is_err());
        let lossless = Compress {
            format: "image/webp".to_owned(),
            ..advice(100, None)
        };
        let declined = Jpeg.encode(&original, &copy, &lossless);
        assert_eq!(declined.unwrap(), None);
        assert!(!copy.exists());
    }
}
