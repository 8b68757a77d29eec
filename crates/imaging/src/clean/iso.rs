//! What stays of HEIF, MP4, QuickTime and 3GP when they are cleaned: their boxes, with every byte
//! where it was, since items and samples are found by where they lie in the file.

use std::ops::Range;

use super::cleaned::outside;
use super::{Cleaned, Edits, Kept};
use crate::boxes::{Boxes, Placed};
use crate::{ImagingError, clip, heif};

/// Most boxes of which each may cost memory. A clip of an hour in fragments of a second has 25,000.
const MAX_BOXES: usize = 200_000;
/// What is read over: nobody's, whatever is in it.
const EMPTY: [&[u8; 4]; 3] = [b"free", b"skip", b"wide"];
/// Kinds at the top of a clip that are needed to play it. `moof`, `mfra` and `sidx` are those of
/// fragments.
const CLIP: [&[u8; 4]; 8] = [
    b"ftyp", b"styp", b"pdin", b"moov", b"mdat", b"moof", b"mfra", b"sidx",
];
/// The same, of a picture: `moov` is an image sequence.
const PICTURE: [&[u8; 4]; 4] = [b"ftyp", b"meta", b"mdat", b"moov"];

/// What is overwritten, and what must not be.
#[derive(Default)]
pub(crate) struct Blanker {
    pub edits: Edits,
    /// Bytes of pictures and sound.
    pub kept: Kept,
    /// Whether there are tracks whose samples go.
    pub removed_tracks: bool,
    boxes: usize,
}

impl Blanker {
    /// Makes a box one that is read over, and overwrites its body.
    pub(crate) fn free(&mut self, found: &Placed) {
        self.edits.write(found.kind_place(), *b"free");
        self.edits.zero(found.body.clone());
    }

    /// The boxes in `part`. What follows the last whole one is overwritten.
    ///
    /// # Errors
    /// [`ImagingError::Corrupt`] when there are too many in all.
    pub(crate) fn boxes(
        &mut self,
        file: &[u8],
        part: Range<usize>,
    ) -> Result<Vec<Placed>, ImagingError> {
        let (found, rest) = self.split(file, part)?;
        self.edits.zero(rest);
        Ok(found)
    }

    /// The boxes in `part`, and what follows the last whole one.
    fn split(
        &mut self,
        file: &[u8],
        part: Range<usize>,
    ) -> Result<(Vec<Placed>, Range<usize>), ImagingError> {
        let mut boxes = Boxes::new(file, part);
        let found: Vec<Placed> = boxes.by_ref().take(MAX_BOXES + 1 - self.boxes).collect();
        self.boxes += found.len();
        if self.boxes > MAX_BOXES {
            return Err(ImagingError::corrupt("too many boxes"));
        }
        Ok((found, boxes.rest()))
    }

    /// Goes through the boxes in `part`, keeps those of `kinds` and overwrites the others. Answers
    /// those that were kept. What follows the last whole one becomes a box that is read over, if it is long enough for one.
    ///
    /// # Errors
    /// See [`Self::boxes`].
    pub(crate) fn only(
        &mut self,
        file: &[u8],
        part: Range<usize>,
        kinds: &[&[u8; 4]],
    ) -> Result<Vec<Placed>, ImagingError> {
        let (mut found, rest) = self.split(file, part)?;
        let (length, kind) = (rest.start + 4, rest.start + 8);
        match u32::try_from(rest.len()) {
            Ok(bytes @ 8..) => {
                self.edits.write(rest.start..length, bytes.to_be_bytes());
                self.edits.write(length..kind, *b"free");
                self.edits.zero(kind..rest.end);
            }
            _ => self.edits.zero(rest),
        }
        found.retain(|found| {
            let stays = kinds.contains(&&found.kind);
            if !stays {
                self.free(found);
            }
            stays
        });
        Ok(found)
    }
}

/// Keeps what the primary picture, or the tracks, are made of.
///
/// # Errors
/// See [`super::clean`].
pub(super) fn clean(file: &[u8], is_picture: bool) -> Result<Cleaned, ImagingError> {
    let kinds = if is_picture { &PICTURE[..] } else { &CLIP };
    let mut boxes = Boxes::new(file, 0..file.len());
    let top: Vec<Placed> = boxes.by_ref().take(MAX_BOXES + 1).collect();
    let rest = boxes.rest();
    if top.len() > MAX_BOXES {
        return Err(ImagingError::corrupt("too many boxes"));
    }
    let mut blanker = Blanker {
        boxes: top.len(),
        ..Blanker::default()
    };
    let bodies = top.iter().filter(|found| &found.kind == b"mdat");
    let media: Vec<Range<usize>> = bodies.map(|found| found.body.clone()).collect();
    let (mut around, mut emptied) = (Vec::new(), Vec::new());
    let mut has_items = false;
    let (mut has_tracks, mut has_fragments) = (false, false);
    for found in &top {
        match &found.kind {
            b"meta" if is_picture && !has_items => {
                has_items = true;
                let inner = heif::clean_items(file, found, &mut blanker)?;
                around.extend(inner);
            }
            b"moov" => {
                has_tracks = true;
                clip::clean_movie(file, found, &media, &mut blanker)?;
            }
            b"moof" if !is_picture => {
                has_fragments = true;
                clip::clean_fragment(file, found, &mut blanker)?;
            }
            b"mdat" => around.push(found.body.clone()),
            kind if EMPTY.contains(&kind) => emptied.push(found.body.clone()),
            kind if kinds.contains(&kind) && kind != b"meta" => {}
            _ => {
                blanker.edits.write(found.kind_place(), *b"free");
                emptied.push(found.body.clone());
            }
        }
    }
    if is_picture && !has_items {
        return Err(ImagingError::corrupt("no whole `meta` box"));
    }
    if !is_picture && !has_tracks {
        return Err(ImagingError::corrupt("cut off: no whole `moov` box"));
    }
    let Blanker {
        mut edits,
        kept,
        removed_tracks,
        ..
    } = blanker;
    let kept = kept.merged();
    // What is behind the last whole box is no part of the format: makers' trailers, if the samples
    // are all there without it.
    let end = kept
        .last()
        .map_or(rest.start, |last| last.end.max(rest.start));
    if end > file.len() || (has_fragments && !rest.is_empty()) {
        return Err(ImagingError::corrupt("cut off: samples are missing"));
    }
    if has_fragments {
        // Which bytes are whose is told by each fragment in its own way.
        if removed_tracks {
            return Err(ImagingError::unsupported(
                "a clip in fragments with more in it than pictures and sound",
            ));
        }
        for part in emptied {
            edits.zero(part);
        }
        return Ok(edits.finish(end));
    }
    around.append(&mut emptied);
    around.push(rest.start..end);
    for part in around {
        for gap in outside(&part, &kept) {
            edits.zero(gap);
        }
    }
    Ok(edits.finish(end))
}
