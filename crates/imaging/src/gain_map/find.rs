//! Where a gain map is, in a JPEG and in HEIF.

use std::ops::Range;

use super::meaning::Meaning;
use super::{GainMap, LONG_EDGE, apple, iso, xmp};
use crate::color::is_srgb;
use crate::header::Header;
use crate::picture::Picture;
use crate::pixels::{Decoded, Kind, Profile};
use crate::sniff::MediaType;
use crate::{Limits, heif, jpeg};

const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// Pictures behind the first that are looked at. Phones write one or two.
const MAX_PICTURES: usize = 8;
/// Bytes between pictures that belong to neither: some round up.
const MAX_GAP_BYTES: usize = 64 * 1024;

/// The gain map of a picture with this colour profile, decoded, if it has one that can be kept: what makes each colour brighter
/// by itself fits the rendition only if its colours are the same, sRGB's.
pub(crate) fn find(
    file: &[u8],
    header: &Header,
    profile: Option<&Profile>,
    limits: &Limits,
) -> Option<GainMap> {
    let found = match header.media {
        MediaType::Jpeg => in_jpeg(file, header, limits),
        MediaType::Heic | MediaType::Avif => in_heif(file, limits),
        _ => None,
    }?;
    let is_gray = matches!(&found.picture, Picture::Packed(pixels) if pixels.kind == Kind::Gray);
    let is_ink = matches!(&found.picture, Picture::Packed(pixels) if pixels.kind == Kind::Cmyk);
    let fits = (is_gray && !found.meaning.is_coloured()) || is_srgb(profile);
    // Only gray values are put through another scale.
    let is_scaled = found.scale.is_none() || is_gray;
    (fits && is_scaled && !is_ink && is_alike(found.size, (header.width, header.height)))
        .then_some(found)
}

/// Whether two sizes are of one shape, to a fiftieth.
fn is_alike(a: (u32, u32), b: (u32, u32)) -> bool {
    let (one, other) = (
        u64::from(a.0) * u64::from(b.1),
        u64::from(a.1) * u64::from(b.0),
    );
    one.abs_diff(other) * 50 <= one.max(other)
}

fn in_jpeg(file: &[u8], header: &Header, limits: &Limits) -> Option<GainMap> {
    if !is_announced(file) {
        return None;
    }
    let first = jpeg::walk(file, limits.max_scans).ok()?;
    let exif = first.exif.and_then(|place| file.get(place));
    let mut at = first.end?;
    for _ in 0..MAX_PICTURES {
        let behind = file.get(at..)?;
        let gap = behind.get(..MAX_GAP_BYTES).unwrap_or(behind);
        let picture = behind.get(memchr::memmem::find(gap, b"\xff\xd8\xff")?..)?;
        at = file.len() - picture.len();
        let mut told = Told::default();
        let walked = jpeg::walk_parts(picture, limits.max_scans, |part| {
            told.hear(part.marker, part.body.clone(), picture);
        });
        let structure = walked.ok()?;
        let frame = structure.frame?;
        if let Some((meaning, scale)) = told.meaning(picture, exif) {
            // Its pixels were not counted when it was decided what this file may take.
            let is_small = frame.width <= header.width && frame.height <= header.height;
            let decoded = is_small.then(|| jpeg::decode(picture, LONG_EDGE, LONG_EDGE, limits))?;
            return Some(of(
                decoded.ok()?,
                (frame.width, frame.height),
                meaning,
                scale,
            ));
        }
        at += structure.end?;
    }
    None
}

fn of(decoded: Decoded, size: (u32, u32), meaning: Meaning, scale: Option<[u8; 256]>) -> GainMap {
    GainMap {
        picture: decoded.picture,
        extent: decoded.extent,
        size,
        meaning,
        scale,
    }
}

/// Whether what stands before the pixels says that there are more pictures: to look for the end of these costs time that most
/// photos need not take.
fn is_announced(file: &[u8]) -> bool {
    let mut is_announced = false;
    let walked = jpeg::walk_parts(file, 0, |part| {
        let content = part.content(file);
        is_announced |= match part.marker {
            APP1 => {
                content.starts_with(XMP) && memchr::memmem::find(content, b"hdr-gain-map").is_some()
            }
            APP2 => content.starts_with(b"MPF\0") || content.starts_with(iso::NAME),
            _ => false,
        };
    });
    walked.is_ok() && is_announced
}

/// Where a picture tells that it is a gain map.
#[derive(Default)]
struct Told {
    xmp: Option<Range<usize>>,
    iso: Option<Range<usize>>,
}

impl Told {
    fn hear(&mut self, marker: u8, body: Range<usize>, picture: &[u8]) {
        let content = picture.get(body.clone()).unwrap_or_default();
        if marker == APP1 && content.starts_with(XMP) && self.xmp.is_none() {
            self.xmp = Some(body.start + XMP.len()..body.end);
        }
        if marker == APP2 && content.starts_with(iso::NAME) && self.iso.is_none() {
            self.iso = Some(body.start + iso::NAME.len()..body.end);
        }
    }

    fn meaning(&self, picture: &[u8], exif: Option<&[u8]>) -> Option<(Meaning, Option<[u8; 256]>)> {
        let piece = |place: &Option<Range<usize>>| picture.get(place.clone()?);
        let packet = piece(&self.xmp);
        let told = piece(&self.iso).and_then(iso::read);
        if let Some(meaning) = told.or_else(|| xmp::read(packet?)) {
            return Some((meaning, None));
        }
        let packet = packet.filter(|p| memchr::memmem::find(p, apple::NAME).is_some())?;
        of_apple(packet, exif)
    }
}

fn of_apple(packet: &[u8], exif: Option<&[u8]>) -> Option<(Meaning, Option<[u8; 256]>)> {
    let headroom = apple::headroom(packet, exif)?;
    Some((apple::meaning(headroom)?, Some(apple::scale(headroom))))
}

fn in_heif(file: &[u8], limits: &Limits) -> Option<GainMap> {
    // Its lightness alone is decoded.
    let read = |said: &[u8]| iso::read(said).filter(|meaning| !meaning.is_coloured());
    if let Ok(Some(found)) = heif::decode_tone_map(file, LONG_EDGE, limits, read) {
        let (meaning, (decoded, size)) = found;
        return Some(of(decoded, size, meaning, None));
    }
    let attached = heif::attached(file).ok()?;
    let mut packets = attached.xmp.iter().map(|packet| -> &[u8] { packet });
    let has_headroom = |packet: &[u8]| memchr::memmem::find(packet, b"HDRGainMap").is_some();
    let packet = packets.find(|packet| has_headroom(packet));
    let (meaning, scale) = of_apple(packet.unwrap_or_default(), attached.exif.as_deref())?;
    let (decoded, size) = heif::decode_auxiliary(file, apple::NAME, LONG_EDGE, limits).ok()??;
    Some(of(decoded, size, meaning, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        assert!(is_alike((4032, 3024), (1008, 756)));
        assert!(is_alike((4000, 3000), (501, 375)));
        assert!(!is_alike((4032, 3024), (756, 1008)));
        assert!(!is_alike((4000, 3000), (1000, 720)));
    }
}
