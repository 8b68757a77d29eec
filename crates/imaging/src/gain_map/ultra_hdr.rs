//! Puts a gain map behind a JPEG: Adobe's and Google's XMP, ISO 21496-1, and a list of both pictures (CIPA DC-007, MPF).

use super::meaning::Meaning;
use super::{iso, xmp};

const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// The picture that others belong to, as JPEG; and one of which nothing is said.
const PRIMARY: u32 = 0x0003_0000;
const OTHER: u32 = 0;
/// Of the list's segment: its name, a head of TIFF, three entries, the end of the directory and two pictures.
const LIST_BYTES: usize = 4 + 4 + 8 + 2 + 3 * 12 + 4 + 2 * 16;

/// Both in one file, which shows `base` to whoever does not know gain maps. Nothing if one is no JPEG, or too long.
pub(super) fn join(base: &[u8], gain_map: &[u8], meaning: &Meaning) -> Option<Vec<u8>> {
    let own = [
        segment(APP1, &[XMP, xmp::write(meaning).as_bytes()])?,
        segment(APP2, &[iso::NAME, &iso::write(meaning)])?,
    ]
    .concat();
    let at = behind_jfif(gain_map)?;
    let gain_map = [&gain_map[..at], &own, &gain_map[at..]].concat();

    let at = behind_jfif(base)?;
    let announced = [
        segment(APP1, &[XMP, xmp::announcement(gain_map.len()).as_bytes()])?,
        segment(APP2, &[iso::NAME, &iso::VERSIONS])?,
    ]
    .concat();
    let list_at = at + announced.len();
    let base_bytes = base.len() + announced.len() + LIST_BYTES;
    // Offsets count from the head of TIFF, behind marker, length and name.
    let list = list(base_bytes, gain_map.len(), base_bytes - (list_at + 8))?;
    Some([&base[..at], &announced, &list, &base[at..], &gain_map].concat())
}

/// Where other segments may stand: behind JFIF's, if it is there.
fn behind_jfif(jpeg: &[u8]) -> Option<usize> {
    jpeg.starts_with(&[0xff, 0xd8]).then_some(())?;
    match jpeg.get(2..6)? {
        [0xff, 0xe0, high, low] => {
            let at = 4 + usize::from(u16::from_be_bytes([*high, *low]));
            (at <= jpeg.len()).then_some(at)
        }
        _ => Some(2),
    }
}

fn segment(marker: u8, parts: &[&[u8]]) -> Option<Vec<u8>> {
    let body = parts.concat();
    let length = u16::try_from(body.len() + 2).ok()?;
    Some([&[0xff, marker], &length.to_be_bytes()[..], &body].concat())
}

fn list(base_bytes: usize, gain_map_bytes: usize, gain_map_at: usize) -> Option<Vec<u8>> {
    let word = |value: usize| u32::try_from(value).ok();
    let mut body = b"MPF\0MM\0*\0\0\0\x08\0\x03".to_vec();
    // Version, number of pictures, and where they are told of: behind the directory.
    let pictures_at = 8 + 2 + 3 * 12 + 4;
    for (tag, kind, count, value) in [
        (0xb000_u16, 7_u16, 4_u32, u32::from_be_bytes(*b"0100")),
        (0xb001, 4, 1, 2),
        (0xb002, 7, 32, pictures_at),
    ] {
        body.extend(tag.to_be_bytes());
        body.extend(kind.to_be_bytes());
        body.extend(count.to_be_bytes());
        body.extend(value.to_be_bytes());
    }
    body.extend([0; 4]);
    for (kind, bytes, at) in [
        (PRIMARY, word(base_bytes)?, 0),
        (OTHER, word(gain_map_bytes)?, word(gain_map_at)?),
    ] {
        for value in [kind, bytes, at, 0] {
            body.extend(value.to_be_bytes());
        }
    }
    segment(APP2, &[&body])
}

#[cfg(test)]
mod tests {
    use super::super::meaning::plain;
    use super::*;
    use crate::encode_jpeg;
    use crate::jpeg::walk;

    #[test]
    fn both_pictures_are_where_the_list_says() {
        let base = encode_jpeg(32, 16, &[90; 32 * 16 * 3], 80).unwrap();
        let map = encode_jpeg(16, 8, &[200; 16 * 8 * 3], 80).unwrap();
        let joined = join(&base, &map, &plain(2.0)).unwrap();
        let end = walk(&joined, 10).unwrap().end.unwrap();
        let at = memchr::memmem::find(&joined, b"MPF\0").unwrap() + 4;
        let word = |from: usize| {
            let bytes: [u8; 4] = joined[at + from..at + from + 4].try_into().unwrap();
            u32::from_be_bytes(bytes) as usize
        };
        assert_eq!(word(50 + 4), end);
        assert_eq!(at + word(50 + 16 + 8), end);
        assert_eq!(word(50 + 16 + 4), joined.len() - end);
        let behind = walk(&joined[end..], 10).unwrap();
        assert_eq!(behind.frame.map(|f| (f.width, f.height)), Some((16, 8)));
        let length = format!("Item:Length=\"{}\"", joined.len() - end);
        assert!(memchr::memmem::find(&joined[..end], length.as_bytes()).is_some());
        assert_eq!(join(b"no", &map, &plain(2.0)), None);
    }
}
