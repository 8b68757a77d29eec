//! What is blurred is less sharp, what is dark is darker, and neither is taken for the other.

use safelight_imaging::{Limits, Wants, encode_jpeg, encode_webp, render};
use safelight_model::best_frame::FrameScores;
use safelight_model::preset::{DISPLAY, LARGE, Preset};

use crate::fixtures::*;

fn scores(file: &[u8], presets: &[Preset]) -> FrameScores {
    let want = Wants {
        scores: true,
        ..Wants::default()
    };
    let made = render(file, presets, &Limits::default(), want).unwrap();
    assert_eq!(made.renditions.len(), presets.len());
    made.scores.unwrap()
}

/// Lines, edges and gradients of 12 by 9 units of a hundred pixels.
fn lightness(x: u32, y: u32) -> f64 {
    let (fx, fy) = (f64::from(x) / 100.0, f64::from(y) / 100.0);
    let square = f64::from((x / 60 + y / 75) % 2) * 70.0;
    let waves = 30.0 * (fx * 9.0).sin() * (fy * 7.0).cos();
    let lines = if (x + y) % 23 < 2 { 40.0 } else { 0.0 };
    60.0 + square + waves + lines
}

/// The scene, blurred by a box of so many pixels each way, its light times a factor.
fn frame(blur: u32, light: f64) -> Vec<u8> {
    let (width, height) = (1200_u32, 900_u32);
    let mut rows: Vec<Vec<f64>> = (0..height)
        .map(|y| (0..width).map(|x| lightness(x, y)).collect())
        .collect();
    for _ in 0..2 {
        rows = rows
            .iter()
            .map(|row| box_blurred(row, blur as usize))
            .collect();
        rows = (0..rows[0].len())
            .map(|x| rows.iter().map(|row| row[x]).collect())
            .collect();
    }
    let gray = |v: f64| [(v * light).clamp(0.0, 255.0) as u8; 3];
    let rgb: Vec<u8> = rows.iter().flatten().flat_map(|v| gray(*v)).collect();
    encode_jpeg(width, height, &rgb, 92).unwrap()
}

fn box_blurred(row: &[f64], radius: usize) -> Vec<f64> {
    (0..row.len())
        .map(|at| {
            let part = &row[at.saturating_sub(radius)..row.len().min(at + radius + 1)];
            part.iter().sum::<f64>() / part.len() as f64
        })
        .collect()
}

#[test]
fn blur_shows_and_light_does_not() {
    let sharp = scores(&frame(0, 1.0), &[]).sharpness;
    let mut last = sharp;
    for blur in [1, 2, 4, 8] {
        let blurred = scores(&frame(blur, 1.0), &[]).sharpness;
        assert!(blurred * 4 < last * 3, "{blur}: {blurred}, {last} before");
        last = blurred;
    }
    for light in [0.5, 0.75, 1.25] {
        let lit = scores(&frame(0, light), &[]).sharpness;
        assert!(lit.abs_diff(sharp) * 4 < sharp, "{light}: {lit}, {sharp}");
    }
}

#[test]
fn exposure_shows() {
    let flat = |value: u8| {
        scores(
            &encode_webp(64, 48, &[value; 64 * 48 * 3], false, 100).unwrap(),
            &[],
        )
    };
    let (black, gray, white) = (flat(0), flat(128), flat(255));
    assert_eq!((black.dark_permille, black.bright_permille), (1000, 0));
    assert_eq!((gray.dark_permille, gray.bright_permille), (0, 0));
    assert_eq!((white.dark_permille, white.bright_permille), (0, 1000));
    assert_eq!(black.mean_luma, 0);
    assert!(gray.mean_luma.abs_diff(128) <= 1 && white.mean_luma >= 254);
    let (dark, light) = (scores(&frame(0, 0.3), &[]), scores(&frame(0, 2.5), &[]));
    assert!(
        dark.mean_luma < 40 && light.mean_luma > 190,
        "{dark:?} {light:?}"
    );
    assert!(light.bright_permille > 400, "{light:?}");
}

/// Measured on the way to renditions or by itself, turned or not, stored in planes or in red, green and blue.
#[test]
fn the_way_does_not_count() {
    let jpeg = frame(0, 1.0);
    let alone = scores(&jpeg, &[]);
    let near = |a: FrameScores, b: FrameScores| {
        a.sharpness.abs_diff(b.sharpness) * 20 <= a.sharpness
            && a.mean_luma.abs_diff(b.mean_luma) <= 1
            && a.dark_permille.abs_diff(b.dark_permille) <= 5
    };
    assert_eq!(scores(&jpeg, &[LARGE, DISPLAY]), alone);
    for orientation in 1..=8 {
        let turned = scores(&with_orientation(&jpeg, orientation), &[DISPLAY]);
        assert_eq!(turned, alone, "{orientation}");
    }
    let seen = seen(&rendered(&jpeg, &[WHOLE_WEBP]).renditions[0]);
    let rgb: Vec<u8> = (0..seen.height)
        .flat_map(|y| (0..seen.width).map(move |x| (x, y)))
        .flat_map(|(x, y)| seen.at(x, y)[..3].to_vec())
        .collect();
    let colours = png::ColorType::Rgb;
    let depth = png::BitDepth::Eight;
    let packed = scores(
        &png((seen.width, seen.height), colours, depth, &rgb, |_| ()),
        &[],
    );
    assert!(near(alone, packed), "{alone:?} {packed:?}");
}

#[test]
fn of_the_smallest_pictures_too() {
    for (width, height) in [(1, 1), (2, 9), (3, 3), (9, 1)] {
        assert!(scores(&scene_jpeg(width, height), &[DISPLAY]).is_possible());
    }
}
