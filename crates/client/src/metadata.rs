//! What a camera wrote into a file about the act of the shutter: burst and time.
//!
//! Only hints for grouping: a file without them, or with broken ones, is simply a capture of its own.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use exif::{Exif, In, Tag, Value};
use safelight_model::clock::Micros;

/// XMP of a phone stands in the first segments.
const HEAD_BYTES: u64 = 256 * 1024;
/// Larger pictures are not looked into, since some containers are read whole for it.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// Longest burst id that is believed.
const MAX_ID_BYTES: usize = 128;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShutterNote {
    /// Names the burst: Google's `GCamera:BurstID` or Apple's `BurstUUID`.
    pub burst_id: Option<String>,
    /// Whether the camera chose this frame to stand for the burst.
    pub burst_primary: bool,
    /// When it was taken, RFC 3339. Only when the camera noted the offset from UTC.
    pub captured_at: Option<String>,
}

/// Reads what the picture at `path` says. Nothing, if it cannot be read.
#[must_use]
pub fn read(path: &Path) -> ShutterNote {
    let Ok(mut file) = File::open(path) else {
        return ShutterNote::default();
    };
    if !file
        .metadata()
        .is_ok_and(|m| m.is_file() && m.len() <= MAX_BYTES)
    {
        return ShutterNote::default();
    }
    let mut head = Vec::new();
    if file
        .by_ref()
        .take(HEAD_BYTES)
        .read_to_end(&mut head)
        .is_err()
    {
        return ShutterNote::default();
    }
    let exif = exif::Reader::new()
        .read_from_container(&mut Cursor::new(&head))
        .or_else(|_| {
            let whole = File::open(path)?;
            exif::Reader::new().read_from_container(&mut BufReader::new(whole))
        })
        .ok();
    ShutterNote {
        burst_id: xmp_value(&head, b"GCamera:BurstID")
            .or_else(|| exif.as_ref().and_then(apple_burst_uuid)),
        burst_primary: xmp_value(&head, b"GCamera:BurstPrimary").is_some_and(|v| v == "1"),
        captured_at: exif.as_ref().and_then(captured_at),
    }
}

/// The value of an XMP property, written as an attribute (`name="…"`) or as an element (`name>…<`).
fn xmp_value(head: &[u8], name: &[u8]) -> Option<String> {
    let at = head.windows(name.len()).position(|w| w == name)? + name.len();
    let rest = head.get(at..)?;
    let (start, end): (usize, &[u8]) = match rest {
        [b'>', ..] => (1, b"<"),
        [b'=', quote @ (b'"' | b'\''), ..] => (2, std::slice::from_ref(quote)),
        _ => return None,
    };
    let value = rest.get(start..)?;
    let length = value
        .iter()
        .take(MAX_ID_BYTES + 1)
        .position(|b| end.contains(b))?;
    let text = std::str::from_utf8(&value[..length]).ok()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn captured_at(exif: &Exif) -> Option<String> {
    let ascii = |tag| match &exif.get_field(tag, In::PRIMARY)?.value {
        Value::Ascii(texts) => texts.first().cloned(),
        _ => None,
    };
    let mut at = exif::DateTime::from_ascii(&ascii(Tag::DateTimeOriginal)?).ok()?;
    at.parse_offset(&ascii(Tag::OffsetTimeOriginal)?).ok()?;
    if let Some(fraction) = ascii(Tag::SubSecTimeOriginal) {
        // A fraction that cannot be read is left out.
        let _ = at.parse_subsec(&fraction);
    }
    let offset = at.offset?;
    let text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}{}{:02}:{:02}",
        at.year,
        at.month,
        at.day,
        at.hour,
        at.minute,
        at.second,
        at.nanosecond.unwrap_or(0),
        if offset < 0 { '-' } else { '+' },
        offset.unsigned_abs() / 60,
        offset.unsigned_abs() % 60,
    );
    Some(Micros::parse_rfc3339(&text)?.rfc3339())
}

/// `BurstUUID` (0x000b) of an Apple maker note: `Apple iOS\0`, two bytes of version, the byte
/// order, then one directory whose offsets count from the note's first byte.
fn apple_burst_uuid(exif: &Exif) -> Option<String> {
    let Value::Undefined(note, _) = &exif.get_field(Tag::MakerNote, In::PRIMARY)?.value else {
        return None;
    };
    if !note.starts_with(b"Apple iOS\0") {
        return None;
    }
    let little = match note.get(12..14)? {
        b"MM" => false,
        b"II" => true,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let b: [u8; 2] = note.get(at..at + 2)?.try_into().ok()?;
        Some(if little {
            u16::from_le_bytes(b)
        } else {
            u16::from_be_bytes(b)
        })
    };
    let u32_at = |at: usize| {
        let b: [u8; 4] = note.get(at..at + 4)?.try_into().ok()?;
        Some(if little {
            u32::from_le_bytes(b)
        } else {
            u32::from_be_bytes(b)
        })
    };
    const BURST_UUID: u16 = 0x000b;
    const ASCII: u16 = 2;
    for i in 0..usize::from(u16_at(14)?) {
        let entry = 16 + 12 * i;
        if u16_at(entry)? != BURST_UUID || u16_at(entry + 2)? != ASCII {
            continue;
        }
        let length = usize::try_from(u32_at(entry + 4)?).ok()?;
        let at = match length {
            0..=4 => entry + 8,
            5..=MAX_ID_BYTES => usize::try_from(u32_at(entry + 8)?).ok()?,
            _ => return None,
        };
        let text = std::str::from_utf8(note.get(at..at.checked_add(length)?)?).ok()?;
        let text = text.trim_end_matches('\0').trim();
        return (!text.is_empty()).then(|| text.to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TIFF (big-endian) whose EXIF directory holds these entries: tag, type, value.
    fn tiff(entries: &[(u16, u16, Vec<u8>)]) -> Vec<u8> {
        let mut out = b"MM\0*\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x1a\0\0\0\0".to_vec();
        let mut values = Vec::<u8>::new();
        let values_at = out.len() + 2 + 12 * entries.len() + 4;
        out.extend((entries.len() as u16).to_be_bytes());
        for (tag, kind, value) in entries {
            out.extend(tag.to_be_bytes());
            out.extend(kind.to_be_bytes());
            out.extend((value.len() as u32).to_be_bytes());
            out.extend(((values_at + values.len()) as u32).to_be_bytes());
            values.extend(value);
        }
        out.extend([0; 4]);
        out.extend(values);
        out
    }

    fn exif(entries: &[(u16, u16, Vec<u8>)]) -> Exif {
        exif::Reader::new().read_raw(tiff(entries)).unwrap()
    }

    #[test]
    fn the_time_needs_an_offset() {
        let at = (0x9003, 2, b"2026:11:23 10:30:00\0".to_vec());
        let offset = (0x9011, 2, b"+02:00\0".to_vec());
        let fraction = (0x9291, 2, b"12345\0".to_vec());
        assert_eq!(captured_at(&exif(std::slice::from_ref(&at))), None);
        assert_eq!(
            captured_at(&exif(&[at, offset, fraction])).as_deref(),
            Some("2026-11-23T08:30:00.12345Z")
        );
    }

    #[test]
    fn apples_burst_is_found() {
        let uuid = b"9B1D0A9E-5E37-4C5B-9A44-0A35E4E1C1B2\0";
        let mut note = b"Apple iOS\0\0\x01MM\0\x01".to_vec();
        note.extend(b"\0\x0b\0\x02");
        note.extend((uuid.len() as u32).to_be_bytes());
        note.extend(32_u32.to_be_bytes());
        note.extend([0; 4]);
        note.extend(uuid);
        let found = apple_burst_uuid(&exif(&[(0x927c, 7, note.clone())]));
        assert_eq!(
            found.as_deref(),
            Some("9B1D0A9E-5E37-4C5B-9A44-0A35E4E1C1B2")
        );
        note.truncate(40);
        assert_eq!(apple_burst_uuid(&exif(&[(0x927c, 7, note)])), None);
    }

    #[test]
    fn xmp_is_read_in_both_forms() {
        let name = b"GCamera:BurstID";
        let value = |xmp: &str| xmp_value(xmp.as_bytes(), name);
        assert_eq!(value("<GCamera:BurstID> b1 </GC").as_deref(), Some("b1"));
        assert_eq!(value("GCamera:BurstID='b2' x").as_deref(), Some("b2"));
        assert_eq!(value("GCamera:BurstID=\"never closed"), None);
        assert_eq!(value("GCamera:BurstID"), None);
    }
}
