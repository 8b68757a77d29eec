//! Walks the blocks of a GIF up to its first frame.

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
    first_frame(bytes).ok_or_else(|| ImagingError::corrupt("a GIF without a frame"))
}

fn first_frame(bytes: &[u8]) -> Option<Screen> {
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
    loop {
        match *bytes.get(at)? {
            EXTENSION => {
                // Its kind, and blocks that tell their length, until one of nothing.
                at = at.checked_add(2)?;
                loop {
                    let length = usize::from(*bytes.get(at)?);
                    at = at.checked_add(length + 1)?;
                    if length == 0 {
                        break;
                    }
                }
            }
            FRAME => break,
            _ => return None,
        }
    }
    let (left, top) = (side(at + 1)?, side(at + 3)?);
    let frame = (side(at + 5)?, side(at + 7)?);
    if frame.0 == 0 || frame.1 == 0 {
        return None;
    }
    Some(Screen {
        width: screen.0.max(left + frame.0),
        height: screen.1.max(top + frame.1),
        left,
        top,
        frame,
    })
}
