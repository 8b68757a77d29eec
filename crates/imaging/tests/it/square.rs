//! The square of a profile picture keeps what matters, wherever it is and however the picture is stored.

use png::{BitDepth, ColorType};
use safelight_imaging::{Limits, encode_jpeg, encode_webp, render};
use safelight_model::preset::{COVER, DISPLAY, LARGE, Preset, SQUARE};

use crate::fixtures::*;
use crate::real_files::media;

const SKIN: [u8; 3] = [216, 166, 136];

/// A face before leaves and sky: its middle, in thousandths of the longer side.
fn portrait(width: u32, height: u32, middle: u32) -> Vec<u8> {
    let (long, short) = (width.max(height), width.min(height));
    let (radius, across) = (short / 6, short / 2);
    let middle = long * middle / 1000;
    let mut rgb = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (along, off) = if width >= height { (x, y) } else { (y, x) };
            let (dx, dy) = (along.abs_diff(middle), off.abs_diff(across));
            let leaf = (x / 3).wrapping_mul(2_654_435_761) ^ (y / 3).wrapping_mul(40_503);
            let colour = if dx * dx + dy * dy <= radius * radius {
                // Two eyes, whichever way it lies.
                match dx / (radius / 6).max(1) == 2 && dy / (radius / 6).max(1) == 2 {
                    true => [70, 45, 40],
                    false => SKIN,
                }
            } else if off < short / 3 {
                [150, 185, 225]
            } else {
                [
                    50 + (leaf >> 9 & 31) as u8,
                    80 + (leaf >> 14 & 31) as u8,
                    40,
                ]
            };
            rgb.extend(colour);
        }
    }
    rgb
}

/// The share of a picture that has the colour of skin, in thousandths, and whether any of it touches its edge.
fn skin(seen: &Seen) -> (u32, bool) {
    let (mut count, mut touches) = (0, false);
    for y in 0..seen.height {
        for x in 0..seen.width {
            let [r, g, b, _] = seen.at(x, y);
            if near([r, g, b, 255], [SKIN[0], SKIN[1], SKIN[2], 255], 24) {
                count += 1;
                touches |= x == 0 || y == 0 || x + 1 == seen.width || y + 1 == seen.height;
            }
        }
    }
    (count * 1000 / (seen.width * seen.height), touches)
}

fn check(file: &[u8], what: &str, side: u32) {
    let made = rendered(file, &[SQUARE]).renditions.remove(0);
    assert_eq!((made.width, made.height), (side, side), "{what}");
    let seen = seen(&made);
    assert_eq!((seen.width, seen.height), (side, side), "{what}");
    let (share, touches) = skin(&seen);
    // A disc of a third of the side has 87 thousandths of it, less its eyes.
    assert!(
        (70..95).contains(&share) && !touches,
        "{what}: {share}, {touches}"
    );
}

#[test]
fn the_face_is_whole_in_every_orientation() {
    for (width, height) in [(640, 400), (400, 640), (1280, 300), (301, 533)] {
        for middle in [150, 350, 650, 850] {
            let jpeg = encode_jpeg(width, height, &portrait(width, height, middle), 92).unwrap();
            for orientation in 1..=8 {
                let what = format!("{width} by {height}, {middle}, orientation {orientation}");
                check(&with_orientation(&jpeg, orientation), &what, 256);
            }
        }
    }
}

#[test]
fn other_kinds_of_files_are_cropped_alike() {
    for middle in [150, 850] {
        let rgb = portrait(640, 400, middle);
        let png = crate::fixtures::png((640, 400), ColorType::Rgb, BitDepth::Eight, &rgb, |_| ());
        check(&png, "PNG", 256);
        check(
            &encode_webp(640, 400, &rgb, false, 95).unwrap(),
            "WebP",
            256,
        );
    }
}

#[test]
fn never_enlarged() {
    for (width, height, side) in [
        (640, 400, 256),
        (300, 200, 200),
        (75, 200, 75),
        (256, 257, 256),
        (1, 1, 1),
        (1, 900, 1),
        (4000, 9, 9),
        (33, 33, 33),
    ] {
        for orientation in [1, 3, 6, 7] {
            let jpeg = with_orientation(&scene_jpeg(width, height), orientation);
            let made = rendered(&jpeg, &[SQUARE]).renditions.remove(0);
            let size = (made.width, made.height);
            assert_eq!(size, (side, side), "{width} by {height}, {orientation}");
        }
    }
}

/// What is made beside a square is what would be made without it, where the decoder yields enough for both at the same scale.
#[test]
fn others_are_as_without_it() {
    let jpeg = encode_jpeg(1600, 1200, &portrait(1600, 1200, 700), 90).unwrap();
    let all = |presets: &[Preset]| {
        let made = render(&jpeg, presets, &Limits::default(), true).unwrap();
        (made.renditions, made.thumbhash, made.picture_hash)
    };
    let without = all(&[COVER]);
    let with = all(&[COVER, SQUARE]);
    assert_eq!(with.0[0], without.0[0]);
    assert_eq!((with.1, with.2), (without.1, without.2));
    let (derived, ..) = all(&[DISPLAY, LARGE]);
    let (with, ..) = all(&[SQUARE, DISPLAY, LARGE]);
    assert_eq!(with[1..], derived[..]);
    assert_eq!((with[0].width, with[0].height), (256, 256));
}

/// A photo in black and white that is stored lying, of two people: the square was looked at, and has both their faces.
#[test]
fn a_real_portrait_is_cropped_too() {
    let Some(media) = media() else { return };
    let file = std::fs::read(media.join("orientation/portrait_6.jpg")).unwrap();
    let made = rendered(&file, &[SQUARE]).renditions.remove(0);
    assert_eq!((made.width, made.height), (256, 256));
}
