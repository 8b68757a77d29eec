//! Which square of a picture keeps what matters, by what draws the eye: of pictures in which no face is found ([`crate::faces`]).
//!
//! Each pixel of a small copy counts by three measures, as in smartcrop.js (J. Wagner, MIT licence), which libvips and sharp follow too:
//! detail (the Laplacian of lightness), the colour of skin, and strong colours. The square is as high or as wide as the picture, so
//! there is one thing to choose: where along the longer side it lies. What counts is added up across, and the square goes where most
//! of it is inside, what is in its middle before what is near its edges (by a parabola, as M. Epanechnikov's kernel): so a face is in the middle of
//! it, not cut. In a high picture skin counts more the higher it is: who stands or sits has the face above arms and legs. Where nothing
//! stands out, it is the middle of the picture.

use crate::pixels::{Kind, Pixels};

/// The longer edge of what is looked at, in pixels.
pub(crate) const SALIENCY_EDGE: u32 = 100;

/// Skin by its direction in linear space of red, green and blue; as in smartcrop.js, as are the bounds below.
const SKIN: [f64; 3] = [0.78, 0.57, 0.44];
/// From this likeness on it is skin, of 1.
const SKIN_FROM: f64 = 0.8;
/// Neither black nor burnt out.
const SKIN_LUMA: std::ops::RangeInclusive<f64> = 0.2..=0.95;
/// From here on a colour is strong.
const COLOUR_FROM: f64 = 0.4;
const COLOUR_LUMA: std::ops::RangeInclusive<f64> = 0.05..=0.9;
/// How much skin counts besides at the upper and the lower edge of a high picture.
const SKIN_ABOVE: f64 = 1.75;
const SKIN_BELOW: f64 = 0.25;
/// How much each measure counts, and how much skin and colours do where there is no detail.
const DETAIL_WEIGHT: f64 = 0.2;
const SKIN_WEIGHT: f64 = 1.8;
const SKIN_ALONE: f64 = 0.01;
const COLOUR_WEIGHT: f64 = 0.1;
const COLOUR_ALONE: f64 = 0.2;

/// Where along the longer side of `small`, an upright picture in sRGB, the square begins that keeps what matters: of how far it could be
/// moved, from 0 to 1.
pub(crate) fn place(small: &Pixels) -> f64 {
    let (width, height) = (small.width as usize, small.height as usize);
    let (long, short) = (width.max(height), width.min(height));
    let room = long - short;
    if room == 0 {
        return 0.0;
    }
    let along = along(small, width, height);
    let mut best = (f64::NEG_INFINITY, 0);
    // From the middle outwards, so that what is equally good is nearer to it.
    let mut starts: Vec<usize> = (0..=room).collect();
    starts.sort_by_key(|start| (2 * start).abs_diff(room));
    for start in starts {
        let half = short as f64 / 2.0;
        let inside = along.iter().skip(start).take(short).enumerate();
        let sum: f64 = inside
            .map(|(at, counts)| {
                let off = (at as f64 + 0.5 - half) / half;
                counts * (1.0 - off * off)
            })
            .sum();
        // What differs by rounding only is equal.
        if sum > best.0 * (1.0 + 1e-9) + 1e-9 || best.0 == f64::NEG_INFINITY {
            best = (sum, start);
        }
    }
    best.1 as f64 / room as f64
}

/// What counts, added up across the picture, for each place along its longer side.
fn along(small: &Pixels, width: usize, height: usize) -> Vec<f64> {
    let colours = colours(small);
    let luma: Vec<f64> = colours.iter().map(luma).collect();
    let mut along = vec![0.0; width.max(height)];
    let pixels = colours.iter().zip(&luma).enumerate();
    for (n, (colour, &light)) in pixels {
        let (x, y) = (n % width, n / width);
        let at = |x: usize, y: usize| luma.get(y * width + x).copied().unwrap_or(light);
        // Beyond an edge nothing changes.
        let detail = 4.0 * light
            - at(x.saturating_sub(1), y)
            - at((x + 1).min(width - 1), y)
            - at(x, y.saturating_sub(1))
            - at(x, (y + 1).min(height - 1));
        let detail = detail.abs().min(1.0);
        let likely = match height > width {
            true => SKIN_ABOVE + (SKIN_BELOW - SKIN_ABOVE) * (y as f64 + 0.5) / height as f64,
            false => 1.0,
        };
        let counts = detail * DETAIL_WEIGHT
            + skin(*colour, light) * (detail + SKIN_ALONE) * SKIN_WEIGHT * likely
            + strong(*colour, light) * (detail + COLOUR_ALONE) * COLOUR_WEIGHT;
        if let Some(sum) = along.get_mut(if width >= height { x } else { y }) {
            *sum += counts;
        }
    }
    along
}

/// Red, green and blue from 0 to 1; what is clear is white.
fn colours(pixels: &Pixels) -> Vec<[f64; 3]> {
    let unit = |v: u8| f64::from(v) / 255.0;
    match pixels.kind {
        Kind::Gray => pixels.bytes.iter().map(|g| [unit(*g); 3]).collect(),
        Kind::Rgb => {
            let (rgb, _) = pixels.bytes.as_chunks::<3>();
            rgb.iter().map(|colour| colour.map(unit)).collect()
        }
        // Ink is converted to sRGB before it comes here.
        Kind::Rgba | Kind::Cmyk => {
            let (rgba, _) = pixels.bytes.as_chunks::<4>();
            let over =
                |[r, g, b, a]: &[u8; 4]| [*r, *g, *b].map(|v| 1.0 - unit(*a) * (1.0 - unit(v)));
            rgba.iter().map(over).collect()
        }
    }
}

fn luma([r, g, b]: &[f64; 3]) -> f64 {
    0.299 * r + 0.587 * g + 0.114 * b
}

/// How like skin a colour is, from 0 to 1.
fn skin(colour: [f64; 3], light: f64) -> f64 {
    let length = colour.iter().map(|v| v * v).sum::<f64>().sqrt();
    if length == 0.0 || !SKIN_LUMA.contains(&light) {
        return 0.0;
    }
    let apart = colour
        .iter()
        .zip(SKIN)
        .map(|(v, skin)| (v / length - skin).powi(2))
        .sum::<f64>()
        .sqrt();
    ((1.0 - apart - SKIN_FROM) / (1.0 - SKIN_FROM)).max(0.0)
}

/// How strong a colour is, from 0 to 1.
fn strong([r, g, b]: [f64; 3], light: f64) -> f64 {
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    if most == least || !COLOUR_LUMA.contains(&light) {
        return 0.0;
    }
    let lightness = f64::midpoint(most, least);
    let saturation = if lightness > 0.5 {
        (most - least) / (2.0 - most - least)
    } else {
        (most - least) / (most + least)
    };
    ((saturation - COLOUR_FROM) / (1.0 - COLOUR_FROM)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, colour: impl Fn(u32, u32) -> [u8; 3]) -> Pixels {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Pixels {
            width,
            height,
            kind: Kind::Rgb,
            bytes: places.flat_map(|(x, y)| colour(x, y)).collect(),
        }
    }

    /// Where the square of a wide picture begins and ends, in columns, of 100.
    fn columns(height: u32, colour: impl Fn(u32, u32) -> [u8; 3]) -> (f64, f64) {
        let start = place(&picture(100, height, colour)) * f64::from(100 - height);
        (start, start + f64::from(height))
    }

    #[test]
    fn where_nothing_stands_out_it_is_the_middle() {
        for plain in [[0, 0, 0], [90, 120, 200], [255, 255, 255]] {
            assert_eq!(columns(60, |_, _| plain), (20.0, 80.0));
            let high = picture(50, 100, |_, _| plain);
            assert!((place(&high) - 0.5).abs() < 1e-9);
        }
        assert!(place(&picture(40, 40, |x, _| [x as u8; 3])).abs() < 1e-9);
        assert!(place(&picture(1, 1, |_, _| [9; 3])).abs() < 1e-9);
    }

    /// Something of ten columns: skin, a strong colour, or fine detail, on a dull ground that has some texture.
    #[test]
    fn what_stands_out_is_inside_wherever_it_is() {
        let ground = |x: u32, y: u32| [110 + (x * 7 + y * 13) as u8 % 9; 3];
        for (what, subject) in [
            ("skin", [224, 172, 138]),
            ("dark skin", [141, 94, 70]),
            ("a strong colour", [200, 20, 30]),
        ] {
            for left in [0, 5, 30, 60, 90] {
                let inside =
                    |x: u32, y: u32| (left..left + 10).contains(&x) && (20..35).contains(&y);
                let (start, end) =
                    columns(56, |x, y| if inside(x, y) { subject } else { ground(x, y) });
                let (from, to) = (f64::from(left), f64::from(left + 10));
                assert!(
                    start <= from && to <= end,
                    "{what} at {left}: {start} to {end}"
                );
            }
        }
        for left in [0_u32, 5, 30, 60, 90] {
            let inside = |x: u32| (left..left + 10).contains(&x);
            let (start, end) = columns(56, |x, y| match inside(x) && (x + y) % 2 == 0 {
                true => [230; 3],
                false => ground(x, y),
            });
            assert!(
                start <= f64::from(left) && f64::from(left + 10) <= end,
                "{left}"
            );
        }
    }

    /// Who sits before the camera has a face above bare arms, which show as much skin; who lies in the grass has it below.
    #[test]
    fn a_face_is_inside_and_what_is_below_need_not_be() {
        let start = |skin: &dyn Fn(u32) -> bool| {
            let seen = picture(75, 100, |x, y| match skin(y) && (20..50).contains(&x) {
                true if (x + y) % 3 == 0 => [150, 105, 85],
                true => [214, 165, 135],
                false => [110 + (x * 7 + y * 13) as u8 % 9; 3],
            });
            place(&seen) * 25.0
        };
        assert!(start(&|y| (9..40).contains(&y) || (65..95).contains(&y)) < 9.0);
        assert!(start(&|y| (70..100).contains(&y)) > 20.0);
    }

    /// A face before a busy ground of leaves.
    #[test]
    fn skin_counts_more_than_leaves() {
        let leaves = |x: u32, y: u32| {
            let light = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) >> 7;
            [40 + (light % 30) as u8, 70 + (light % 50) as u8, 30]
        };
        for centre in [14_i32, 50, 86] {
            let (start, end) = columns(56, |x, y| {
                let (dx, dy) = (x.cast_signed() - centre, y.cast_signed() - 24);
                match dx * dx + dy * dy {
                    // Eyes and mouth are darker.
                    far if far > 100 => leaves(x, y),
                    _ if (dx.abs() == 4 && dy == -2) || (dx.abs() < 4 && dy == 5) => [90, 50, 45],
                    _ => [214, 165, 135],
                }
            });
            let (from, to) = (f64::from(centre - 10), f64::from(centre + 10));
            assert!(start <= from && to <= end, "{centre}: {start} to {end}");
        }
    }
}
