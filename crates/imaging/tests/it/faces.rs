//! The square of a picture in which a face is found has that, whatever else draws the eye.

use proptest::prelude::*;
use safelight_imaging::{Limits, Wants, encode_jpeg, render};
use safelight_model::preset::{COVER, SQUARE};

use crate::fixtures::*;
use crate::real_files::media;

const FACE: &[u8] = include_bytes!("../fixtures/face-160x190.gray");
const FACE_WIDTH: u32 = 160;
const FACE_HEIGHT: u32 = 190;
const WIDTH: u32 = 900;
const HEIGHT: u32 = 400;

fn wants(faces: bool) -> Wants {
    Wants {
        faces,
        ..Wants::default()
    }
}

fn square(file: &[u8], faces: bool) -> Seen {
    let made = render(file, &[SQUARE], &Limits::default(), wants(faces)).unwrap();
    seen(&made.renditions[0])
}

/// Someone in grey on a ground without much in it, left of `x`'s next 160 columns a red ball; along the bottom edge the column's number in blue.
fn someone(x: u32) -> Vec<u8> {
    let ball = if x > WIDTH / 2 { 150 } else { WIDTH - 150 };
    let mut rgb = Vec::new();
    for row in 0..HEIGHT {
        for column in 0..WIDTH {
            let (dx, dy) = (column.abs_diff(ball), row.abs_diff(200));
            let in_face =
                (x..x + FACE_WIDTH).contains(&column) && (40..40 + FACE_HEIGHT).contains(&row);
            rgb.extend(if row >= HEIGHT - 24 {
                [90, 90, (column * 255 / WIDTH) as u8]
            } else if in_face {
                [FACE[((row - 40) * FACE_WIDTH + column - x) as usize]; 3]
            } else if dx * dx + dy * dy < 90 * 90 {
                match (column / 20 + row / 20) % 2 {
                    0 => [150, 105, 85],
                    _ => [224, 172, 138],
                }
            } else {
                [120 + ((column * 7 + row * 13) % 9) as u8; 3]
            });
        }
    }
    rgb
}

/// As a camera stores it that was held so.
fn stored(rgb: &[u8], orientation: u16) -> Vec<u8> {
    let (width, height) = match orientation {
        6 => (HEIGHT, WIDTH),
        _ => (WIDTH, HEIGHT),
    };
    let mut turned = Vec::with_capacity(rgb.len());
    for y in 0..height {
        for x in 0..width {
            let (x, y) = match orientation {
                2 => (WIDTH - 1 - x, y),
                3 => (WIDTH - 1 - x, HEIGHT - 1 - y),
                6 => (WIDTH - 1 - y, x),
                _ => (x, y),
            };
            let at = ((y * WIDTH + x) * 3) as usize;
            turned.extend(&rgb[at..at + 3]);
        }
    }
    let jpeg = encode_jpeg(width, height, &turned, 95).unwrap();
    with_orientation(&jpeg, orientation)
}

/// The first and the last column of a square, by its bottom edge.
fn columns(seen: &Seen) -> (u32, u32) {
    let column = |x: u32| {
        let [_, _, blue, _] = seen.at(x, seen.height - 4);
        u32::from(blue) * WIDTH / 255
    };
    (column(1), column(seen.width - 2))
}

#[test]
fn a_face_counts_before_what_draws_the_eye() {
    for x in [10, 300, 600, 735] {
        let rgb = someone(x);
        for orientation in [1, 2, 3, 6] {
            let file = stored(&rgb, orientation);
            let (from, to) = columns(&square(&file, true));
            // What is seen of the head is 160 columns, and a blue is four columns.
            assert!(
                from <= x + 8 && to + 8 >= x + 160,
                "face at {x}, orientation {orientation}: {from} to {to}"
            );
            let (from, to) = columns(&square(&file, false));
            assert!(
                from > x + 20 || to < x + 140,
                "without, {x}, {orientation}: {from} to {to}"
            );
        }
    }
}

#[test]
fn where_none_is_found_what_draws_the_eye_decides() {
    for (width, height) in [(640, 400), (400, 900), (90, 40), (41, 40), (300, 300)] {
        let file = scene_jpeg(width, height);
        let both = [true, false].map(|faces| {
            let made = render(&file, &[COVER, SQUARE], &Limits::default(), wants(faces));
            made.unwrap().renditions
        });
        assert_eq!(both[0], both[1], "{width} by {height}");
    }
}

#[test]
fn faces_are_counted_where_somebody_looks_out_of_the_picture() {
    let counted = |file: &[u8]| {
        let want = Wants {
            scores: true,
            count_faces: true,
            ..Wants::default()
        };
        let made = render(file, &[], &Limits::default(), want).unwrap();
        made.scores.unwrap().faces
    };
    let rgb = someone(300);
    for orientation in [1, 2, 3, 6] {
        assert_eq!(counted(&stored(&rgb, orientation)), Some(1));
    }
    // On his head he is not found: the camera was not held so.
    let upside_down = encode_jpeg(WIDTH, HEIGHT, &rgb, 95).unwrap();
    assert_eq!(counted(&with_orientation(&upside_down, 3)), Some(0));
    assert_eq!(counted(&scene_jpeg(640, 400)), Some(0));
    let made = render(&upside_down, &[], &Limits::default(), Wants::default());
    assert_eq!(made.unwrap().scores, None);
    let Some(media) = media() else { return };
    let file = std::fs::read(media.join("orientation/portrait_6.jpg")).unwrap();
    assert_eq!(counted(&file), Some(1));
    let file = std::fs::read(media.join("photos/samsung_s9plus_12mp.jpg")).unwrap();
    assert_eq!(counted(&file), Some(0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn nothing_that_it_looks_at_stops_it(width in 1..420_u32, height in 1..420_u32, seed in any::<u32>()) {
        let mut state = seed | 1;
        let noise = (0..width * height * 3).map(|n| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            // Blocks, so that there are edges of many sizes.
            (state >> 8) as u8 & if n % 7 < 3 { 255 } else { 31 }
        });
        let noise: Vec<u8> = noise.collect();
        let file = encode_jpeg(width, height, &noise, 90).unwrap();
        let made = render(&file, &[SQUARE], &Limits::default(), wants(true)).unwrap();
        let side = width.min(height).min(256);
        prop_assert_eq!((made.renditions[0].width, made.renditions[0].height), (side, side));
    }
}
