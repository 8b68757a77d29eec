//! The clip in a motion photo: where it lies in the picture's file.
//!
//! Google's and Samsung's cameras put an MP4 behind the JPEG, behind a gain map or before a trailer of theirs. What XMP says of its length
//! goes wrong where an editor took away or added something, so the clip is looked for by what it begins with, and ends with its last box.

use std::ops::Range;

use crate::boxes::Boxes;
use crate::sniff::{MediaType, sniff};

/// Most places that are looked at: what is not a clip may hold the letters of one by chance, or by malice.
const MAX_LOOKED_AT: usize = 8;
/// Most boxes of a clip. Those of a few seconds have three to six, or two for each fragment.
const MAX_BOXES: usize = 500;
/// What clips are made of, at the top.
const KINDS: [&[u8; 4]; 14] = [
    b"ftyp", b"free", b"skip", b"wide", b"mdat", b"moov", b"meta", b"uuid", b"udta", b"styp",
    b"sidx", b"moof", b"mfra", b"emsg",
];

/// The first clip in a part of a file that can be played, if there is one.
pub(crate) fn find(file: &[u8], part: Range<usize>) -> Option<Range<usize>> {
    let bytes = file.get(part.clone())?;
    memchr::memmem::find_iter(bytes, b"ftyp")
        .take(MAX_LOOKED_AT)
        .filter_map(|at| {
            (part.start + at)
                .checked_sub(4)
                .filter(|start| *start >= part.start)
        })
        .find_map(|start| clip_at(file, start..part.end))
}

/// The clip that a part of a file begins with.
fn clip_at(file: &[u8], part: Range<usize>) -> Option<Range<usize>> {
    let head = file.get(part.clone())?;
    if !sniff(head).is_some_and(MediaType::is_clip) {
        return None;
    }
    let boxes = Boxes::new(file, part.clone()).take(MAX_BOXES);
    let (mut end, mut is_told) = (part.start, false);
    for found in boxes.take_while(|found| KINDS.contains(&&found.kind)) {
        // Another one begins.
        if found.kind == *b"ftyp" && found.start > part.start {
            break;
        }
        end = found.body.end;
        is_told |= found.kind == *b"moov";
    }
    is_told.then_some(part.start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        [&size.to_be_bytes(), kind.as_slice(), body].concat()
    }

    fn clip() -> Vec<u8> {
        [
            boxed(b"ftyp", b"isom\0\0\0\0isom"),
            boxed(b"mdat", b"pictures"),
            boxed(b"moov", b"where"),
        ]
        .concat()
    }

    #[test]
    fn a_clip_is_found_between_other_things() {
        let clip = clip();
        // The end of a JPEG; a trailer whose first letters are no box.
        for (before, behind) in [
            (&b""[..], &b""[..]),
            (b"\xff\xd8gain map\xff\xd9", b"SEFH\x6a\0\0\0\x02\0\0\0SEFT"),
            (
                b"MotionPhoto_Data",
                b"\0\0\x30\x0a\x10\0\0\0MotionPhoto_AutoPlay",
            ),
            (b"ftyp", b"ftypftyp"),
        ] {
            let file = [before, clip.as_slice(), behind].concat();
            let place = before.len()..before.len() + clip.len();
            assert_eq!(find(&file, 0..file.len()), Some(place.clone()));
            // Only in the part that was named.
            assert_eq!(find(&file, place.start + 1..file.len()), None);
            assert_eq!(find(&file, 0..place.end - 1), None);
        }
        let fragment = [boxed(b"moof", b"where"), boxed(b"mdat", b"pictures")].concat();
        let long = [clip.as_slice(), &fragment, &fragment].concat();
        let file = [long.as_slice(), b"SEFT"].concat();
        assert_eq!(find(&file, 0..file.len()), Some(0..long.len()));
        let two = [clip.as_slice(), &clip].concat();
        assert_eq!(find(&two, 0..two.len()), Some(0..clip.len()));
    }

    #[test]
    fn what_cannot_be_played_is_none() {
        let head = boxed(b"ftyp", b"isom\0\0\0\0isom");
        let other = [boxed(b"ftyp", b"heic\0\0\0\0mif1heic"), boxed(b"moov", b"")].concat();
        let far = [head.as_slice(), &boxed(b"abcd", b""), &boxed(b"moov", b"")].concat();
        let cut = [head.as_slice(), b"\0\0\0\x20moov"].concat();
        for file in [&head, &other, &far, &cut, &b"ftyp".to_vec(), &Vec::new()] {
            assert_eq!(find(file, 0..file.len()), None, "{file:?}");
        }
        // Letters alone end the search.
        let letters = b"\0\0\0\x14ftypisom\0\0\0\0".repeat(MAX_LOOKED_AT);
        let file = [letters, clip()].concat();
        assert_eq!(find(&file, 0..file.len()), None);
    }
}
