//! From the landscape to the sensor's pixels: rendering once, then one noisy, shifted
//! frame after another.

use std::num::NonZeroUsize;
use std::thread;

use super::Scene;
use super::landscape::{Landscape, balloon};
use super::noise::Stream;

/// The landscape rendered in the layout of the sensor, with a margin that frames move in.
pub(super) struct Still {
    width: usize,
    margin: usize,
    /// Whether rows of the sensor are columns of the upright picture.
    transposed: bool,
    rgb: Vec<u8>,
}

/// How the sensor's picture becomes upright: (transposed, mirrored in x, mirrored in y).
fn layout(orientation: u16) -> (bool, bool, bool) {
    match orientation {
        2 => (false, true, false),
        3 => (false, true, true),
        4 => (false, false, true),
        5 => (true, false, false),
        6 => (true, false, true),
        7 => (true, true, true),
        8 => (true, true, false),
        _ => (false, false, false),
    }
}

pub(super) fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Renders the place that all frames of the scene share.
pub(super) fn still(scene: &Scene) -> Still {
    let (transposed, _, _) = layout(scene.orientation);
    let margin = (scene.width.max(scene.height) / 100) as usize;
    let width = scene.width as usize + 2 * margin;
    let height = scene.height as usize + 2 * margin;
    let (upright_width, upright_height) = if transposed {
        (scene.height, scene.width)
    } else {
        (scene.width, scene.height)
    };
    let place = Landscape::of(scene.seed, upright_width, upright_height);
    let unit = 1.0 / scene.width.max(scene.height) as f32;
    let mut rgb = vec![0; width * height * 3];
    let rows_each = height.div_ceil(threads() * 4);
    let next = std::sync::Mutex::new(rgb.chunks_mut(rows_each * width * 3).enumerate());
    thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                loop {
                    let chunk = match next.lock() {
                        Ok(mut chunks) => chunks.next(),
                        Err(_) => None,
                    };
                    let Some((index, chunk)) = chunk else { return };
                    for (row, line) in chunk.chunks_mut(width * 3).enumerate() {
                        let b = ((index * rows_each + row) as f32 - margin as f32) * unit;
                        for (column, pixel) in line.chunks_exact_mut(3).enumerate() {
                            let a = (column as f32 - margin as f32) * unit;
                            let (x, y) = if transposed { (b, a) } else { (a, b) };
                            for (byte, value) in pixel.iter_mut().zip(place.colour(x, y)) {
                                *byte = value.clamp(0.0, 255.0) as u8;
                            }
                        }
                    }
                }
            });
        }
    });
    Still {
        width,
        margin,
        transposed,
        rgb,
    }
}

/// Exposes one frame: a little aside, the balloon further on, noise of its own.
pub(super) fn expose(still: &Still, scene: &Scene) -> Vec<u8> {
    let (width, height) = (scene.width as usize, scene.height as usize);
    let mut stream = Stream::of(scene.seed, 100 + u64::from(scene.frame));
    let shift = 2 * still.margin as u64 + 1;
    let left = (stream.next() % shift) as usize;
    let top = (stream.next() % shift) as usize;
    let mut rgb = Vec::with_capacity(width * height * 3);
    for row in top..top + height {
        let start = (row * still.width + left) * 3;
        rgb.extend_from_slice(&still.rgb[start..start + width * 3]);
    }
    draw_balloon(&mut rgb, still, scene);
    let (_, mirror_x, mirror_y) = layout(scene.orientation);
    if mirror_y {
        let (upper, lower) = rgb.split_at_mut(height / 2 * width * 3);
        let rows = upper.chunks_exact_mut(width * 3);
        for (a, b) in rows.zip(lower.chunks_exact_mut(width * 3).rev()) {
            a.swap_with_slice(b);
        }
    }
    if mirror_x {
        for row in rgb.chunks_exact_mut(width * 3) {
            for column in 0..width / 2 {
                for channel in 0..3 {
                    row.swap(column * 3 + channel, (width - 1 - column) * 3 + channel);
                }
            }
        }
    }
    add_noise(&mut rgb, width, &mut stream);
    rgb
}

fn draw_balloon(rgb: &mut [u8], still: &Still, scene: &Scene) {
    let (width, height) = (scene.width as usize, scene.height as usize);
    let unit = width.max(height) as f32;
    let mut stream = Stream::of(scene.seed, 5);
    let (upright_width, upright_height) = if still.transposed {
        (height as f32, width as f32)
    } else {
        (width as f32, height as f32)
    };
    let radius = unit * stream.between(0.04, 0.07);
    let drift = scene.frame as f32 * unit * 0.008;
    let x = upright_width * stream.between(0.15, 0.75) + drift;
    let y = upright_height * stream.between(0.12, 0.25) - drift * 0.3;
    let (a, b) = if still.transposed { (y, x) } else { (x, y) };
    let range = |middle: f32, end: usize| {
        let low = (middle - radius * 1.7).max(0.0) as usize;
        low.min(end)..((middle + radius * 1.7).max(0.0) as usize).min(end)
    };
    for row in range(b, height) {
        for column in range(a, width) {
            let (da, db) = ((column as f32 - a) / radius, (row as f32 - b) / radius);
            let (dx, dy) = if still.transposed { (db, da) } else { (da, db) };
            if let Some(colour) = balloon(dx, dy) {
                let at = (row * width + column) * 3;
                rgb[at..at + 3].copy_from_slice(&colour.map(|c| c.clamp(0.0, 255.0) as u8));
            }
        }
    }
}

/// Shot and read noise: most of it in brightness, a little in colour, more in bright places.
fn add_noise(rgb: &mut [u8], width: usize, stream: &mut Stream) {
    const TABLE: usize = 1 << 16;
    // Sums of four uniform bytes: near enough to a bell, about ±128 with a deviation of 37.
    let table: Vec<i32> = (0..TABLE)
        .map(|_| {
            let sum: i32 = stream.next().to_le_bytes()[..4]
                .iter()
                .map(|b| i32::from(*b))
                .sum();
            (sum - 510) / 4
        })
        .collect();
    // In units of 1/64 of a table step.
    let strength: [i32; 256] =
        std::array::from_fn(|value| 4 + ((value as f32).sqrt() * 0.36) as i32);
    for row in rgb.chunks_exact_mut(width * 3) {
        let mut at = stream.next() as usize % TABLE;
        let step = (stream.next() as usize % 1024) * 2 + 1;
        for pixel in row.chunks_exact_mut(3) {
            at = (at + step) % TABLE;
            let bright = table[at] * strength[pixel[1] as usize];
            for (channel, byte) in pixel.iter_mut().enumerate() {
                let colour = table[(at ^ (0x2a5 << (channel * 2))) % TABLE] * 2;
                *byte = (i32::from(*byte) + ((bright + colour + 32) >> 6)).clamp(0, 255) as u8;
            }
        }
    }
}

/// A small copy for the EXIF block, at most 160 by 160: (width, height, pixels).
pub(super) fn thumbnail(rgb: &[u8], width: u32, height: u32) -> (u32, u32, Vec<u8>) {
    let scale = f64::from(width.max(height)) / 160.0;
    let (w, h) = (
        ((f64::from(width) / scale).round() as u32).max(1),
        ((f64::from(height) / scale).round() as u32).max(1),
    );
    let mut small = Vec::with_capacity((w * h * 3) as usize);
    for y in 0..h {
        for x in 0..w {
            // The mean of a 4 by 4 grid within the box is plenty at this size.
            let mut sum = [0_u32; 3];
            for sub in 0..16_u64 {
                let px = (u64::from(x) * 4 + sub % 4) * u64::from(width) / (u64::from(w) * 4);
                let py = (u64::from(y) * 4 + sub / 4) * u64::from(height) / (u64::from(h) * 4);
                let at = ((py * u64::from(width) + px) * 3) as usize;
                for (channel, total) in sum.iter_mut().enumerate() {
                    *total += u32::from(rgb[at + channel]);
                }
            }
            small.extend(sum.map(|s| (s / 16) as u8));
        }
    }
    (w, h, small)
}
