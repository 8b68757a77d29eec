//! The same file as libvips shows it, and how alike two pictures are.

use std::path::Path;
use std::process::Command;

use image_hasher::{HashAlg, HasherConfig, ImageHash};

use crate::fixtures::Seen;

/// What libvips makes of a file: upright, sRGB, with a longer edge of at most `long_edge`.
pub fn reference(path: &Path, long_edge: u32) -> Seen {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("reference.png");
    let edge = long_edge.to_string();
    let run = |command: &mut Command| {
        let output = command.output();
        output.unwrap_or_else(|e| panic!("vips (Debian package libvips-tools): {e}"))
    };
    let header = run(Command::new("vipsheader").arg("-a").arg(path));
    let mut command = Command::new("vips");
    command
        .arg("thumbnail")
        .args([path, out.as_path()])
        .args([&edge, "--height", &edge, "--size", "down"]);
    // Without a profile in the file, asking for one darkens shadows: libvips then takes another
    // curve for what comes in than for what goes out.
    if String::from_utf8_lossy(&header.stdout).contains("icc-profile-data") {
        command.args(["--export-profile", "srgb"]);
    }
    let output = run(&mut command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "vips on {}: {said}",
        path.display()
    );
    let bytes = std::fs::read(out).unwrap();
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(
        png::Transformations::EXPAND | png::Transformations::STRIP_16 | png::Transformations::ALPHA,
    );
    let mut reader = decoder.read_info().unwrap();
    let mut samples = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut samples).unwrap();
    let rgba = match frame.color_type {
        png::ColorType::GrayscaleAlpha => samples
            .chunks_exact(2)
            .flat_map(|p| [p[0], p[0], p[0], p[1]])
            .collect(),
        _ => samples,
    };
    Seen {
        width: frame.width,
        height: frame.height,
        rgba,
    }
}

/// A perceptual hash of 256 bits.
pub fn hash(seen: &Seen) -> ImageHash {
    let image = image::RgbaImage::from_raw(seen.width, seen.height, seen.rgba.clone()).unwrap();
    HasherConfig::new()
        .hash_alg(HashAlg::Gradient)
        .hash_size(16, 16)
        .to_hasher()
        .hash_image(&image)
}

/// The structural similarity of two pictures of one size, 1 for the same: the mean over blocks of
/// 8 by 8 pixels of each of red, green and blue (Wang et al., 2004, without the Gaussian window).
pub fn similarity(a: &Seen, b: &Seen) -> f64 {
    const EDGE: u32 = 8;
    const C1: f64 = 6.5025;
    const C2: f64 = 58.5225;
    assert_eq!((a.width, a.height), (b.width, b.height));
    let (mut sum, mut blocks) = (0.0, 0.0);
    for top in (0..a.height / EDGE).map(|n| n * EDGE) {
        for left in (0..a.width / EDGE).map(|n| n * EDGE) {
            for channel in 0..3 {
                let block = |seen: &Seen| -> Vec<f64> {
                    (0..EDGE * EDGE)
                        .map(|n| seen.at(left + n % EDGE, top + n / EDGE)[channel].into())
                        .collect()
                };
                let (a, b) = (block(a), block(b));
                let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
                let (mean_a, mean_b) = (mean(&a), mean(&b));
                let covariance = |a: &[f64], mean_a: f64, b: &[f64], mean_b: f64| {
                    let products = a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b));
                    products.sum::<f64>() / (a.len() - 1) as f64
                };
                let both = covariance(&a, mean_a, &b, mean_b);
                let own = covariance(&a, mean_a, &a, mean_a) + covariance(&b, mean_b, &b, mean_b);
                sum += (2.0 * mean_a * mean_b + C1) * (2.0 * both + C2)
                    / ((mean_a.powi(2) + mean_b.powi(2) + C1) * (own + C2));
                blocks += 1.0;
            }
        }
    }
    sum / blocks
}
