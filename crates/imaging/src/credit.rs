//! Whose a picture is, in renditions of it: EXIF with the copyright and nothing else, where a tenant wants it there.

use std::io::Cursor;

use exif::experimental::Writer;
use exif::{Field, In, Tag, Value};
use safelight_model::preset::Format;

use crate::kept_exif::with_exif;
use crate::{read_metadata, webp};

/// What renditions of a picture say of whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credit {
    exif: Vec<u8>,
}

impl Credit {
    /// What this file says; nothing where it says nothing.
    pub(crate) fn of(input: &[u8]) -> Option<Self> {
        let copyright = read_metadata(input).ok()?.copyright?;
        let field = Field {
            tag: Tag::Copyright,
            ifd_num: In::PRIMARY,
            value: Value::Ascii(vec![copyright.into_bytes()]),
        };
        let mut writer = Writer::new();
        writer.push_field(&field);
        let mut out = Cursor::new(Vec::new());
        writer.write(&mut out, false).ok()?;
        Some(Self {
            exif: out.into_inner(),
        })
    }

    /// The TIFF structure.
    pub(crate) fn exif(&self) -> &[u8] {
        &self.exif
    }

    /// A picture of this size with it; AVIF has it from its encoder.
    pub(crate) fn on(&self, format: Format, size: (u32, u32), bytes: Vec<u8>) -> Vec<u8> {
        match format {
            Format::Jpeg => with_exif(bytes, &self.exif),
            Format::Webp => webp::with_exif(bytes, size, &self.exif),
            Format::Avif | Format::Mp4 | Format::M3u8 => bytes,
        }
    }
}
