//! Where faces are that look at the camera. It says where, never whose.
//!
//! Of a picture of 341 by 256 pixels it takes some 20 ms of a processor. What is found in 42 photos of places and things scores 4.0 at most; a
//! group of twenty 22 to 14 each, with heads of a fourteenth of the picture, and two portraits 65 and 134: [`LEAST_SCORE`] is between these.
//! The evaluation is ours, since the libraries there are write beyond their buffers when a face is at an edge, or bring a tree of others.

mod cascade;
mod span;

use std::sync::OnceLock;

use safelight_model::best_frame::MAX_FACES;

use crate::luma::luma;
use crate::pixels::Pixels;
use cascade::{Cascade, Grey, Window, gather};

/// The shorter edge of what is looked at, in pixels, which is that of a square; and the longer one at most.
const EDGES: (u32, u32) = (256, 640);
/// The least size of a face, in pixels.
const LEAST_SIZE: i32 = 24;
/// Findings below are left out.
const LEAST_SCORE: f32 = 10.0;

static TRAINED: &[u8] = include_bytes!("facefinder.bin");
static CASCADE: OnceLock<Option<Cascade>> = OnceLock::new();

/// The longer edge at which a picture of this size is looked at.
pub(crate) fn long_edge(width: u32, height: u32) -> u32 {
    let (long, short) = (width.max(height), width.min(height).max(1));
    let edge = u64::from(EDGES.0) * u64::from(long) / u64::from(short);
    u32::try_from(edge).unwrap_or(u32::MAX).min(EDGES.1)
}

/// The faces in an upright picture that is as long as [`long_edge`] says.
fn faces(upright: &Pixels) -> Vec<Window> {
    let sides = (i32::try_from(upright.width), i32::try_from(upright.height));
    let (Ok(width), Ok(height)) = sides else {
        return Vec::new();
    };
    let Some(cascade) = CASCADE.get_or_init(|| Cascade::read(TRAINED)) else {
        return Vec::new();
    };
    let grey = Grey {
        width,
        height,
        pixels: &luma(upright),
    };
    let mut found = gather(cascade.windows(&grey, LEAST_SIZE));
    found.retain(|face| face.score >= LEAST_SCORE);
    found
}

/// How many faces are in an upright picture.
pub(crate) fn count(upright: &Pixels) -> u8 {
    let found = faces(upright).len();
    u8::try_from(found).unwrap_or(MAX_FACES).min(MAX_FACES)
}

/// Where along the longer side of `upright` the square begins that keeps its faces: of how far it could be moved, from 0 to 1. Nothing where
/// there are none.
pub(crate) fn place(upright: &Pixels) -> Option<f64> {
    let is_wide = upright.width >= upright.height;
    let (long, short) = match is_wide {
        true => (upright.width, upright.height),
        false => (upright.height, upright.width),
    };
    let spans: Vec<span::Span> = faces(upright)
        .iter()
        .map(|face| {
            let middle = if is_wide { face.column } else { face.row };
            span::Span::of(middle - face.size / 2, face.size.unsigned_abs())
        })
        .collect();
    span::start(&spans, long, short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_trained_can_be_read_and_nothing_that_is_cut() {
        assert!(Cascade::read(TRAINED).is_some());
        for length in [0, 7, 8, 12, 16, 300, TRAINED.len() - 1] {
            assert!(Cascade::read(&TRAINED[..length]).is_none(), "{length}");
        }
        let mut huge = TRAINED[..16].to_vec();
        huge[8..12].copy_from_slice(&i32::MAX.to_le_bytes());
        assert!(Cascade::read(&huge).is_none());
    }

    #[test]
    fn it_is_looked_at_as_a_square_is_made() {
        assert_eq!(long_edge(4000, 3000), 341);
        assert_eq!(long_edge(300, 300), 256);
        assert_eq!(long_edge(30_000, 3), 640);
        assert_eq!(long_edge(0, 0), 0);
    }
}
