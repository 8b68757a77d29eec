//! GIF: the first frame, and nothing of the others.

use safelight_imaging::{Limits, header, render};
use safelight_model::codes::Code;
use safelight_model::preset::{ALL, COVER};

use crate::fixtures::*;
use crate::gif_writer::{Frame, gif, gif_seed};

#[test]
fn the_first_frame_is_shown() {
    let bytes = gif(
        (40, 24),
        &[
            Frame::quarters(40, 24),
            Frame::quarters(8, 8),
            Frame::quarters(40, 1),
        ],
    );
    let out = rendered(&bytes, &[WHOLE_WEBP, WHOLE_JPEG]);
    assert_eq!((out.width, out.height), (40, 24));
    for rendition in &out.renditions {
        let shown = seen(rendition);
        for (x, y, colour) in [
            (8, 6, [220, 40, 30, 255]),
            (32, 6, [30, 190, 60, 255]),
            (8, 18, [40, 60, 210, 255]),
            (32, 18, [230, 220, 50, 255]),
        ] {
            assert!(near(shown.at(x, y), colour, 14), "{:?}", shown.at(x, y));
        }
    }
}

#[test]
fn what_is_around_the_first_frame_and_its_clear_colour_are_clear() {
    let shown = rendered(&gif_seed(), &[WHOLE_WEBP]);
    assert_eq!((shown.width, shown.height), (24, 20));
    let shown = seen(&shown.renditions[0]);
    assert_eq!(shown.at(1, 1)[3], 0);
    assert!(
        near(shown.at(8, 8), [220, 40, 30, 255], 20),
        "{:?}",
        shown.at(8, 8)
    );
    assert!(
        near(shown.at(20, 14), [230, 220, 50, 255], 20),
        "{:?}",
        shown.at(20, 14)
    );
    assert_eq!(shown.at(8, 14)[3], 0);
}

#[test]
fn a_frame_beyond_its_screen_makes_it_larger() {
    let mut bytes = gif((40, 24), &[Frame::quarters(40, 24)]);
    bytes[6..10].copy_from_slice(&[0, 0, 0, 0]);
    let out = rendered(&bytes, &[WHOLE_WEBP]);
    assert_eq!((out.width, out.height), (40, 24));
}

#[test]
fn what_is_damaged_behind_the_first_frame_does_not_matter() {
    let whole = gif(
        (40, 24),
        &[Frame::quarters(40, 24), Frame::quarters(40, 24)],
    );
    let one = gif((40, 24), &[Frame::quarters(40, 24)]);
    let limits = Limits::default();
    let expected = render(&one, &ALL, &limits, true).unwrap();
    let cut = &whole[..one.len() + 3];
    assert_eq!(render(cut, &ALL, &limits, true).unwrap(), expected);
    let error = render(&one[..one.len() - 12], &ALL, &limits, true).unwrap_err();
    assert_eq!(error.code(), Code::MediaCorrupt);
}

#[test]
fn bombs_end_before_memory_is_taken() {
    let limits = Limits::default();
    let mut bomb = gif((40, 24), &[Frame::quarters(40, 24)]);
    // Behind the head with its palette, eight bytes of control, and the place of the frame.
    let frame = 13 + 12 + 8 + 5..13 + 12 + 8 + 9;
    bomb[frame.clone()].copy_from_slice(&[0xff; 4]);
    let error = render(&bomb, &[COVER], &limits, true).unwrap_err();
    assert_eq!(error.code(), Code::PixelLimitExceeded);
    // Within the limit, but there is nothing to fill it.
    bomb[frame].copy_from_slice(&[0x10, 0x27, 0x10, 0x27]);
    assert_eq!(header(&bomb, &limits).unwrap().width, 10_000);
    let error = render(&bomb, &[COVER], &limits, true).unwrap_err();
    assert_eq!(error.code(), Code::MediaCorrupt);
    let little = Limits {
        max_decode_bytes: 1 << 20,
        ..limits
    };
    let error = render(&bomb, &[COVER], &little, true).unwrap_err();
    assert_eq!(error.code(), Code::DecodeMemory);
}
