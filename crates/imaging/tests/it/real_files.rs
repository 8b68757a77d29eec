//! Files of real phones, and hostile ones, from the folder that `SAFELIGHT_MEDIA` names.

use std::path::{Path, PathBuf};
use std::process::Command;

use image_hasher::{HashAlg, HasherConfig, ImageHash};
use safelight_imaging::{Limits, Rendered, Rendition, render};
use safelight_model::codes::Code;
use safelight_model::preset::{ALL, COVER};

use crate::fixtures::*;

/// Of 256 bits: what two decoders and a resize may differ by in the same picture. The same picture
/// turned or mirrored is 60 and more away.
const SAME_PICTURE_BITS: u32 = 26;

fn media() -> Option<PathBuf> {
    let folder = std::env::var_os("SAFELIGHT_MEDIA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: SAFELIGHT_MEDIA not set");
    }
    folder
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

fn render_file(path: &Path) -> Rendered {
    let bytes = std::fs::read(path).unwrap();
    let rendered = render(&bytes, &ALL, &Limits::default(), true);
    rendered.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn hash(width: u32, height: u32, rgba: Vec<u8>) -> ImageHash {
    let image = image::RgbaImage::from_raw(width, height, rgba).unwrap();
    HasherConfig::new()
        .hash_alg(HashAlg::Gradient)
        .hash_size(16, 16)
        .to_hasher()
        .hash_image(&image)
}

fn hash_of(rendition: &Rendition) -> ImageHash {
    let shown = seen(rendition);
    hash(shown.width, shown.height, shown.rgba)
}

/// The same file as libvips shows it: upright, sRGB, the cover's size.
fn reference(path: &Path) -> ImageHash {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("reference.png");
    let status = Command::new("vips")
        .arg("thumbnail")
        .args([path, out.as_path()])
        .args([
            "320",
            "--height",
            "320",
            "--size",
            "down",
            "--export-profile",
            "srgb",
        ])
        .status()
        .unwrap_or_else(|e| panic!("vips (Debian package libvips-tools): {e}"));
    assert!(status.success(), "vips on {}", path.display());
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
    hash(frame.width, frame.height, rgba)
}

#[test]
fn photos_render_like_the_reference() {
    let Some(media) = media() else { return };
    let mut paths: Vec<PathBuf> = ["photos", "orientation", "burst", "pano", "hdr", "motion"]
        .iter()
        .flat_map(|folder| files(&media.join(folder)))
        .filter(|path| path.extension().is_some_and(|e| e == "jpg"))
        .collect();
    for name in ["screenshot_1170x2532.png", "denali.webp", "cmyk.jpg"] {
        paths.push(media.join("formats").join(name));
    }
    assert!(paths.len() > 25, "{paths:?}");
    for path in paths {
        let rendered = render_file(&path);
        let name = path.display();
        for rendition in &rendered.renditions {
            let long = rendition.width.max(rendition.height);
            assert_eq!(
                long,
                rendition
                    .preset
                    .long_edge
                    .min(rendered.width.max(rendered.height)),
                "{name}"
            );
            for word in [
                &b"Exif\0\0"[..],
                b"GPS",
                b"http://ns.adobe.com",
                b"ICC_PROFILE",
            ] {
                assert!(
                    !rendition.bytes.windows(word.len()).any(|w| w == word),
                    "{name}"
                );
            }
        }
        if rendered.width < 16 {
            continue;
        }
        let expected = reference(&path);
        for rendition in &rendered.renditions {
            let distance = hash_of(rendition).dist(&expected);
            assert!(
                distance <= SAME_PICTURE_BITS,
                "{name}: {} is {distance} bits from the reference",
                rendition.preset.name
            );
        }
    }
}

#[test]
fn all_orientations_look_alike() {
    let Some(media) = media() else { return };
    let covers: Vec<(u32, ImageHash)> = (1..=8)
        .map(|n| {
            let path = media.join(format!("orientation/landscape_{n}.jpg"));
            let rendered = render_file(&path);
            assert_eq!((rendered.width, rendered.height), (1800, 1200), "{n}");
            (n, hash_of(&rendered.renditions[0]))
        })
        .collect();
    for (n, a) in &covers {
        for (m, b) in &covers {
            assert!(a.dist(b) <= SAME_PICTURE_BITS, "{n} and {m}: {}", a.dist(b));
        }
    }
}

#[test]
fn hostile_files_fail_with_their_code_or_show_their_picture() {
    let Some(media) = media() else { return };
    for path in files(&media.join("hostile")) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        let got = render(&bytes, &[COVER], &Limits::default(), true)
            .map(|r| (r.width, r.height))
            .map_err(|e| e.code());
        let expected = match name.as_str() {
            "bomb_40000x40000_1bit.png" | "bomb_65536x65536.png" | "lying_header_65535.jpg" => {
                Err(Code::PixelLimitExceeded)
            }
            "bomb_ztxt_256MB.png" => Ok((8, 8)),
            "png_named.jpg" => Ok((64, 64)),
            "exif_thumb_out_of_range.jpg" => Ok((700, 840)),
            "polyglot_html.jpg" => Ok((840, 700)),
            "truncated_60pct.jpg" | "progressive_400_scans.jpg" => Err(Code::MediaCorrupt),
            _ => Err(Code::UnsupportedMediaType),
        };
        assert_eq!(got, expected, "{name}");
    }
}
