//! Walks the blocks of a GIF, inflating none.

use crate::ImagingError;

/// Introduces an extension, a frame, and the end.
const EXTENSION: u8 = 0x21;
const FRAME: u8 = 0x2c;

/// Where pictures are drawn, and the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    /// Columns of all: the logical screen, and the first frame where that reaches beyond it, as browsers show it.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Where the first frame begins.
    pub left: u32,
    pub top: u32,
    /// Its columns and rows.
    pub frame: (u32, u32),
}

/// Reads the size, and the place of the first frame. What follows is not looked at, however many frames there are.
///
/// # Errors
/// [`ImagingError::Corrupt`] when no frame begins.
pub(crate) fn read(bytes: &[u8]) -> Result<Screen, ImagingError> {
    let found = first_frame(bytes).ok_or_else(|| ImagingError::corrupt("a GIF without a frame"))?;
    Ok(found.0)
}

/// How many frames there are, as far as the file goes, and at most `most` of them and one more.
pub(crate) fn frames(bytes: &[u8], most: u32) -> u32 {
    let Some((_, mut at)) = first_frame(bytes) else {
        return 0;
    };
    let mut frames = 1;
    while frames <= most {
        let next = behind_frame(bytes, at).and_then(|at| next_frame(bytes, at));
        match next {
            Some(next) => (at, frames) = (next, frames + 1),
            None => break,
        }
    }
    frames
}

/// The size, and where the first frame's descriptor begins.
fn first_frame(bytes: &[u8]) -> Option<(Screen, usize)> {
    let side = |at: usize| {
        let bytes = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(u32::from(u16::from_le_bytes(bytes)))
    };
    let screen = (side(6)?, side(8)?);
    let flags = *bytes.get(10)?;
    let mut at = 13;
    if flags & 0x80 != 0 {
        // A palette of 2 to 256 colours.
        at += 3 << ((flags & 7) + 1);
    }
    at = next_frame(bytes, at)?;
    let (left, top) = (side(at + 1)?, side(at + 3)?);
    let frame = (side(at + 5)?, side(at + 7)?);
    if frame.0 == 0 || frame.1 == 0 {
        return None;
    }
    let screen = Screen {
        width: screen.0.max(left + frame.0),
        height: screen.1.max(top + frame.1),
        left,
        top,
        frame,
    };
    Some((screen, at))
}

/// Where the next frame's descriptor begins, at `at` or behind the extensions there; nothing at the end.
fn next_frame(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            // Its kind comes before its blocks.
            EXTENSION => at = behind_blocks(bytes, at.checked_add(2)?)?,
            FRAME => return Some(at),
            _ => return None,
        }
    }
}

/// Where the frame whose descriptor begins at `at` ends.
fn behind_frame(bytes: &[u8], at: usize) -> Option<usize> {
    let flags = *bytes.get(at.checked_add(9)?)?;
    let mut at = at + 10;
    if flags & 0x80 != 0 {
        at += 3 << ((flags & 7) + 1);
    }
    // Behind the size of its codes.
    behind_blocks(bytes, at.checked_add(1)?)
}

/// Behind blocks that tell their length, the last of which is one of nothing.
fn behind_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        at = at.checked_add(length + 1)?;
        if length == 0 {
            return Some(at);
        }
    }
}
