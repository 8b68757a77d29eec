//! What boxes say about a track (ISO/IEC 14496-12, 8.3 and 8.4).

use crate::boxes::{Boxes, FourCc, Placed, Reader};

/// The first box of a kind in the body of another one.
pub(super) fn child(file: &[u8], parent: &Placed, kind: &FourCc) -> Option<Placed> {
    Boxes::new(file, parent.body.clone()).find(|found| &found.kind == kind)
}

/// The box that a path of kinds leads to.
pub(super) fn descendant(file: &[u8], parent: &Placed, path: &[&FourCc]) -> Option<Placed> {
    let (first, rest) = path.split_first()?;
    let found = child(file, parent, first)?;
    if rest.is_empty() {
        Some(found)
    } else {
        descendant(file, &found, rest)
    }
}

/// What the track is: `vide`, `soun`, `meta`, …
pub(super) fn handler(file: &[u8], track: &Placed) -> Option<FourCc> {
    let found = descendant(file, track, &[b"mdia", b"hdlr"])?;
    let mut reader = Reader::new(file.get(found.body)?);
    reader.take(8)?;
    reader.four_cc()
}

/// Whether players play the track.
pub(super) fn is_enabled(file: &[u8], track: &Placed) -> Option<bool> {
    let found = child(file, track, b"tkhd")?;
    let (_, flags) = Reader::new(file.get(found.body)?).version_and_flags()?;
    Some(flags & 1 == 1)
}
