//! EXIF: a TIFF structure with what cameras say about a picture (JEITA CP-3451).

use exif::{Context, Exif, In, Reader, Tag, Value};

use super::{Captured, Metadata, Place, plain};
use crate::Orientation;

/// Blocks above this are not looked at: cameras stay below 64 KiB.
pub(super) const MAX_EXIF_BYTES: usize = 1024 * 1024;
/// With this Apple's maker note begins. At its end, a directory.
const APPLE: &[u8] = b"Apple iOS\0\0\x01MM";
/// In Apple's directory: what pictures of a burst share, and the halves of a Live Photo.
const BURST_UUID: u16 = 0x000b;
const CONTENT_IDENTIFIER: u16 = 0x0011;
const HDR_HEADROOM: u16 = 0x0021;
const HDR_GAIN: u16 = 0x0030;

/// Parses what can be parsed.
pub(crate) fn parse_tiff(tiff: &[u8]) -> Option<Exif> {
    if tiff.len() > MAX_EXIF_BYTES {
        return None;
    }
    let mut reader = Reader::new();
    reader.continue_on_error(true);
    reader
        .read_raw(tiff.to_vec())
        .or_else(|e| e.distill_partial_result(|_| ()))
        .ok()
}

/// Reads what is known of it.
pub(super) fn read(tiff: &[u8], found: &mut Metadata) {
    let Some(exif) = parse_tiff(tiff) else { return };
    found.captured = captured(
        &exif,
        [
            Tag::DateTimeOriginal,
            Tag::SubSecTimeOriginal,
            Tag::OffsetTimeOriginal,
        ],
    )
    .or_else(|| {
        captured(
            &exif,
            [
                Tag::DateTimeDigitized,
                Tag::SubSecTimeDigitized,
                Tag::OffsetTimeDigitized,
            ],
        )
    });
    found.make = text(&exif, Tag::Make);
    found.model = text(&exif, Tag::Model);
    found.lens = text(&exif, Tag::LensModel);
    found.copyright = copyright(&exif);
    found.exposure_s = positive(&exif, Tag::ExposureTime);
    found.f_number = positive(&exif, Tag::FNumber);
    found.focal_length_mm = positive(&exif, Tag::FocalLength);
    found.iso = uint(&exif, Tag::PhotographicSensitivity).filter(|iso| *iso > 0);
    found.orientation =
        uint(&exif, Tag::Orientation).map_or(Orientation::Upright, Orientation::from_exif);
    found.place = place(&exif);
    if let Some(Value::Undefined(note, _)) = value(&exif, Tag::MakerNote) {
        read_apple(note, found);
    }
}

/// How much light Apple's camera measured: what its maker note calls headroom and gain.
pub(crate) fn apple_light(tiff: &[u8]) -> Option<(f64, f64)> {
    let exif = parse_tiff(tiff)?;
    let Some(Value::Undefined(note, _)) = value(&exif, Tag::MakerNote) else {
        return None;
    };
    let note = apple_note(note)?;
    let number = |tag| numbers(&note, Tag(Context::Tiff, tag)).first().copied()?;
    Some((number(HDR_HEADROOM)?, number(HDR_GAIN)?))
}

/// Reads Apple's maker note. Its directory is one of TIFF, whose offsets count from where the note
/// begins; so with a header of TIFF in place of the name it is a TIFF structure.
fn apple_note(note: &[u8]) -> Option<Exif> {
    note.starts_with(APPLE).then_some(())?;
    let mut tiff = note.to_vec();
    tiff[..8].copy_from_slice(b"MM\0*\0\0\0\x0e");
    parse_tiff(&tiff)
}

fn read_apple(note: &[u8], found: &mut Metadata) {
    if let Some(note) = apple_note(note) {
        found.burst_id = text(&note, Tag(Context::Tiff, BURST_UUID));
        found.live_id = text(&note, Tag(Context::Tiff, CONTENT_IDENTIFIER));
    }
}

fn value(exif: &Exif, tag: Tag) -> Option<&Value> {
    exif.get_field(tag, In::PRIMARY).map(|field| &field.value)
}

fn uint(exif: &Exif, tag: Tag) -> Option<u32> {
    value(exif, tag)?.get_uint(0)
}

fn text(exif: &Exif, tag: Tag) -> Option<String> {
    match value(exif, tag)? {
        Value::Ascii(parts) => plain(parts.first()?),
        _ => None,
    }
}

/// Whose it is: the photographer, or an editor alone, who stands behind a blank. Many write the sign as Latin-1 has it.
fn copyright(exif: &Exif) -> Option<String> {
    let Value::Ascii(parts) = value(exif, Tag::Copyright)? else {
        return None;
    };
    parts
        .iter()
        .find_map(|part| match std::str::from_utf8(part) {
            Ok(_) => plain(part),
            Err(_) => plain(
                part.iter()
                    .map(|byte| char::from(*byte))
                    .collect::<String>()
                    .as_bytes(),
            ),
        })
}

/// The fractions of a field; nothing for one over 0. Some cameras write signed ones where the
/// standard has others.
fn numbers(exif: &Exif, tag: Tag) -> Vec<Option<f64>> {
    let number = |n: f64, d: f64| (d != 0.0).then(|| n / d);
    match value(exif, tag) {
        Some(Value::Rational(all)) => {
            let pairs = all.iter().map(|r| (f64::from(r.num), f64::from(r.denom)));
            pairs.map(|(n, d)| number(n, d)).collect()
        }
        Some(Value::SRational(all)) => {
            let pairs = all.iter().map(|r| (f64::from(r.num), f64::from(r.denom)));
            pairs.map(|(n, d)| number(n, d)).collect()
        }
        _ => Vec::new(),
    }
}

fn positive(exif: &Exif, tag: Tag) -> Option<f64> {
    let first = numbers(exif, tag).first().copied().flatten();
    first.filter(|number| *number > 0.0)
}

fn captured(exif: &Exif, [time, fraction, zone]: [Tag; 3]) -> Option<Captured> {
    let (fraction, zone) = (text(exif, fraction), text(exif, zone));
    Captured::parse(&text(exif, time)?, fraction.as_deref(), zone.as_deref())
}

fn place(exif: &Exif) -> Option<Place> {
    let latitude = degrees(exif, Tag::GPSLatitude, Tag::GPSLatitudeRef, ["N", "S"])?;
    let longitude = degrees(exif, Tag::GPSLongitude, Tag::GPSLongitudeRef, ["E", "W"])?;
    let below = uint(exif, Tag::GPSAltitudeRef) == Some(1);
    let altitude = numbers(exif, Tag::GPSAltitude).first().copied().flatten();
    Place::new(
        latitude,
        longitude,
        altitude.map(|m| if below { -m } else { m }),
    )
}

/// Degrees, minutes and seconds; some cameras write the last as 0/0 when there are none.
fn degrees(exif: &Exif, tag: Tag, reference: Tag, [ahead, behind]: [&str; 2]) -> Option<f64> {
    let [degrees, minutes, seconds, ..] = *numbers(exif, tag) else {
        return None;
    };
    let degrees = degrees? + minutes? / 60.0 + seconds.unwrap_or(0.0) / 3600.0;
    let reference = text(exif, reference)?;
    if reference == ahead {
        Some(degrees)
    } else {
        (reference == behind).then_some(-degrees)
    }
}
