//! What a clip says about how, when and where it was taken: the movie's header, user data as
//! QuickTime and Android write them, and Apple's keys.

use safelight_model::clock::Micros;

use super::track::{child, descendant, handler, is_enabled};
use crate::boxes::{Boxes, Placed, Reader};
use crate::metadata::{Captured, Metadata, Place, plain};
use crate::{ImagingError, Orientation};

/// Seconds between the epochs of QuickTime (1904) and Unix (1970).
const EPOCHS_APART_S: i64 = 2_082_844_800;
/// Most keys that are looked at. Phones write about ten.
const MAX_KEYS: usize = 256;

/// Reads what is known of it.
///
/// # Errors
/// [`ImagingError::Corrupt`] when there is no whole `moov` box.
pub(crate) fn read_metadata(file: &[u8], found: &mut Metadata) -> Result<(), ImagingError> {
    let movie = Boxes::new(file, 0..file.len())
        .find(|found| &found.kind == b"moov")
        .ok_or_else(|| ImagingError::corrupt("cut off: no whole `moov` box"))?;
    if let Some(user) = child(file, &movie, b"udta") {
        read_user_data(file, &user, found);
        if let Some(meta) = child(file, &user, b"meta") {
            read_keys(file, &meta, found);
        }
    }
    if let Some(meta) = child(file, &movie, b"meta") {
        read_keys(file, &meta, found);
    }
    if let Some(header) = child(file, &movie, b"mvhd") {
        let _ = read_header(file, &header, found);
    }
    found.orientation = Boxes::new(file, movie.body.clone())
        .filter(|found| &found.kind == b"trak")
        .find(|track| {
            handler(file, track).as_ref() == Some(b"vide") && is_enabled(file, track) == Some(true)
        })
        .and_then(|track| orientation(file, &track))
        .unwrap_or_default();
    Ok(())
}

/// The movie's header. Its time is a moment, and no more than that: Apple's keys know the zone.
fn read_header(file: &[u8], header: &Placed, found: &mut Metadata) -> Option<()> {
    let mut reader = Reader::new(file.get(header.body.clone())?);
    let (version, _) = reader.version_and_flags()?;
    let width = if version == 1 { 8 } else { 4 };
    let created = reader.sized(width)?;
    reader.sized(width)?;
    let per_second = u64::from(reader.u32()?);
    let duration = reader.sized(width)?;
    let is_known = duration != u64::from(u32::MAX) && duration != u64::MAX;
    if is_known && per_second > 0 {
        let ms = u128::from(duration) * 1000 / u128::from(per_second);
        found.duration_ms = u64::try_from(ms).ok();
    }
    if found.captured.is_none() {
        let unix_s = i64::try_from(created).ok()?.checked_sub(EPOCHS_APART_S)?;
        let at = unix_s.checked_mul(1_000_000).filter(|at| *at > 0)?;
        found.captured = Some(Captured::moment(Micros(at)));
    }
    Some(())
}

/// QuickTime's user data: texts with their length and language.
fn read_user_data(file: &[u8], user: &Placed, found: &mut Metadata) {
    for entry in Boxes::new(file, user.body.clone()).take(MAX_KEYS) {
        let text = || {
            let mut reader = Reader::new(file.get(entry.body.clone())?);
            let length = usize::from(reader.u16()?);
            reader.u16()?;
            plain(reader.take(length)?)
        };
        match &entry.kind {
            b"\xa9xyz" => set_place(found, text()),
            b"\xa9mak" => found.make = text(),
            b"\xa9mod" => found.model = text(),
            b"\xa9day" => set_captured(found, text()),
            _ => {}
        }
    }
}

/// Names and values, as Apple began and Android went on with.
fn read_keys(file: &[u8], meta: &Placed, found: &mut Metadata) {
    // QuickTime has boxes at once, MP4 version and flags before them.
    let at_once = file.get(meta.body.start + 4..).and_then(|b| b.get(..4)) == Some(b"hdlr");
    let start = meta.body.start + if at_once { 0 } else { 4 };
    let inside = |kind: &[u8; 4]| {
        Boxes::new(file, start..meta.body.end.max(start)).find(|found| &found.kind == kind)
    };
    let Some((keys, values)) = inside(b"keys").zip(inside(b"ilst")) else {
        return;
    };
    // Behind version, flags and count. The kind of such a box is a namespace.
    let names: Vec<Placed> = Boxes::new(file, keys.body.start.saturating_add(8)..keys.body.end)
        .take(MAX_KEYS)
        .collect();
    for entry in Boxes::new(file, values.body.clone()).take(MAX_KEYS) {
        let number = usize::try_from(u32::from_be_bytes(entry.kind)).unwrap_or_default();
        let name = number.checked_sub(1).and_then(|at| names.get(at));
        let Some(name) = name.and_then(|name| file.get(name.body.clone())) else {
            continue;
        };
        let value = || {
            let value = child(file, &entry, b"data")?;
            // Behind type and language.
            plain(file.get(value.body)?.get(8..)?)
        };
        match name {
            b"com.apple.quicktime.location.ISO6709" => set_place(found, value()),
            b"com.apple.quicktime.creationdate" => set_captured(found, value()),
            b"com.apple.quicktime.make" | b"com.android.manufacturer" => found.make = value(),
            b"com.apple.quicktime.model" | b"com.android.model" => found.model = value(),
            b"com.apple.quicktime.camera.lens_model" => found.lens = value(),
            b"com.apple.quicktime.content.identifier" => found.live_id = value(),
            _ => {}
        }
    }
}

fn set_place(found: &mut Metadata, text: Option<String>) {
    if let Some(place) = text.and_then(|text| Place::parse_iso6709(&text)) {
        found.place = Some(place);
    }
}

fn set_captured(found: &mut Metadata, text: Option<String>) {
    if let Some(captured) = text.and_then(|text| Captured::parse(&text, None, None)) {
        found.captured = Some(captured);
    }
}

/// How the matrix in a track's header turns the picture; nothing where it does something else.
fn orientation(file: &[u8], track: &Placed) -> Option<Orientation> {
    let header = descendant(file, track, &[b"tkhd"])?;
    let mut reader = Reader::new(file.get(header.body)?);
    let (version, _) = reader.version_and_flags()?;
    // Times, number and duration; then layer, group and volume.
    reader.take(if version == 1 { 32 } else { 20 })?;
    reader.take(16)?;
    let mut entry = || Some(reader.u32()?.cast_signed().signum());
    let (a, b, _) = (entry()?, entry()?, entry()?);
    let (c, d) = (entry()?, entry()?);
    Some(match (a, b, c, d) {
        (1, 0, 0, 1) => Orientation::Upright,
        (-1, 0, 0, 1) => Orientation::MirrorHorizontal,
        (-1, 0, 0, -1) => Orientation::Rotate180,
        (1, 0, 0, -1) => Orientation::MirrorVertical,
        (0, 1, 1, 0) => Orientation::Transpose,
        (0, 1, -1, 0) => Orientation::Rotate90,
        (0, -1, -1, 0) => Orientation::Transverse,
        (0, -1, 1, 0) => Orientation::Rotate270,
        _ => return None,
    })
}
