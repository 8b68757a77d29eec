//! Files of real phones, and hostile ones, from the folder that `SAFELIGHT_MEDIA` names.

use std::path::{Path, PathBuf};

use image_hasher::ImageHash;
use safelight_imaging::{Limits, Rendered, read_metadata, render};
use safelight_model::codes::Code;
use safelight_model::preset::{COVER, LARGE, OF_EVERY_PICTURE};

use crate::fixtures::*;
use crate::vips::{hash, reference, similarity};

/// Of 256 bits: what two decoders and a resize may differ by in the same picture. The same picture
/// turned or mirrored is 60 and more away.
const SAME_PICTURE_BITS: u32 = 26;
/// Structural similarity that is left of two decoders of the same picture after one of them was
/// encoded lossily.
const SAME_PICTURE_SIMILARITY: f64 = 0.89;
/// Of 255: how far the means of a channel may be apart.
const SAME_COLOR: f64 = 2.0;
/// The same of ink, where two engines weigh what no screen shows differently.
const SAME_INK: f64 = 5.0;

/// The folder of real files, if it is named.
pub(crate) fn media() -> Option<PathBuf> {
    let folder = std::env::var_os("SAFELIGHT_MEDIA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: SAFELIGHT_MEDIA not set");
    }
    folder
}

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
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
    let rendered = render(&bytes, &OF_EVERY_PICTURE, &Limits::default(), true);
    rendered.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All of HEIC, and all of AVIF.
fn heif_files(media: &Path) -> Vec<PathBuf> {
    let avif = files(&media.join("formats")).into_iter();
    let avif = avif.filter(|path| path.extension().is_some_and(|e| e == "avif"));
    let paths: Vec<PathBuf> = files(&media.join("heic")).into_iter().chain(avif).collect();
    assert!(paths.len() >= 6, "{paths:?}");
    paths
}

/// Pixel by pixel, in the structure of each block, and in every rendition's own size.
fn check_likeness(path: &Path, most_apart: f64) {
    for rendition in render_file(path).renditions {
        let (name, preset) = (path.display(), rendition.preset.name);
        let long = rendition.width.max(rendition.height);
        let (got, expected) = (seen(&rendition), reference(path, long));
        let alike = similarity(&got, &expected);
        let mean = |seen: &Seen, channel: usize| {
            let values = seen.rgba.iter().skip(channel).step_by(4);
            values.map(|v| f64::from(*v)).sum::<f64>() / f64::from(seen.width * seen.height)
        };
        let apart = (0..3).map(|channel| mean(&got, channel) - mean(&expected, channel));
        let apart = apart.map(f64::abs).fold(0.0, f64::max);
        println!("{name} {preset}: similarity {alike:.4}, mean colour {apart:.2} apart");
        assert!(alike >= SAME_PICTURE_SIMILARITY, "{name} {preset}: {alike}");
        assert!(apart <= most_apart, "{name} {preset}: {apart}");
    }
}

#[test]
fn heic_and_avif_are_decoded_like_the_reference() {
    let Some(media) = media() else { return };
    for path in heif_files(&media) {
        check_likeness(&path, SAME_COLOR);
    }
}

/// Every way that colours take from a JPEG: as they are with chroma halved, half halved and whole, turned, by a profile that
/// is sRGB's, from Display P3, from ink.
#[test]
fn jpegs_are_decoded_like_the_reference() {
    let Some(media) = media() else { return };
    for (name, most_apart) in [
        ("photos/iphone6_hdr_off.jpg", SAME_COLOR),
        ("photos/samsung_galaxy_s7edge_12mp_gps.jpg", SAME_COLOR),
        ("photos/samsung_s9plus_12mp.jpg", SAME_COLOR),
        ("photos/xiaomi_mi9t_12mp_orient6.jpg", SAME_COLOR),
        ("motion/pixel3axl_12mp.MP.jpg", SAME_COLOR),
        ("hdr/iphone13mini_gainmap_apple.jpg", SAME_COLOR),
        ("formats/cmyk.jpg", SAME_INK),
    ] {
        check_likeness(&media.join(name), most_apart);
    }
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
    paths.extend(heif_files(&media));
    assert!(paths.len() > 30, "{paths:?}");
    for path in paths {
        let rendered = render_file(&path);
        let name = path.display();
        for rendition in &rendered.renditions {
            let long = rendition.width.max(rendition.height);
            let original = rendered.width.max(rendered.height);
            let most = rendition.preset.long_edge.min(original);
            let least = rendition.preset.least_long_edge().min(original);
            assert!((least..=most).contains(&long), "{name}: {long}");
            let has = |word: &[u8]| rendition.bytes.windows(word.len()).any(|w| w == word);
            // What belongs to a gain map is all of XMP that there may be.
            let is_hdr = rendition.preset.keeps_gain_map() && has(b"hdrgm:GainMapMax");
            assert!(is_hdr || !has(b"http://ns.adobe.com"), "{name}");
            for word in [&b"Exif\0\0"[..], b"GPS", b"ICC_PROFILE"] {
                assert!(!has(word), "{name}");
            }
        }
        if rendered.width < 16 {
            continue;
        }
        let expected = hash(&reference(&path, 320));
        for rendition in &rendered.renditions {
            let distance = hash(&seen(rendition)).dist(&expected);
            assert!(
                distance <= SAME_PICTURE_BITS,
                "{name}: {} is {distance} bits from the reference",
                rendition.preset.name
            );
        }
    }
}

#[test]
fn gain_maps_of_phones_go_with_large() {
    let Some(media) = media() else { return };
    for (name, has_map) in [
        ("hdr/ultrahdr_4k_hdrgm.jpg", true),
        ("hdr/ultrahdr_small.jpg", true),
        ("hdr/iphone13mini_gainmap_apple.jpg", true),
        ("hdr/iphone13mini_gainmap_iso.jpg", true),
        ("motion/pixel3axl_12mp.MP.jpg", false),
        ("photos/samsung_s9plus_12mp.jpg", false),
    ] {
        let large = render_file(&media.join(name)).renditions.pop().unwrap();
        assert_eq!(large.preset, LARGE);
        let said = b"hdrgm:GainMapMax";
        let found = large.bytes.windows(said.len()).any(|w| w == said);
        assert_eq!(found, has_map, "{name}");
    }
}

#[test]
fn the_clip_of_a_motion_photo_is_found() {
    let Some(media) = media() else { return };
    let file = std::fs::read(media.join("motion/pixel3axl_12mp.MP.jpg")).unwrap();
    let found = read_metadata(&file).unwrap();
    // As its XMP says.
    assert_eq!(found.motion, Some(2_728_123..file.len() as u64));
}

#[test]
fn a_raw_photo_is_shown_like_the_reference() {
    let Some(media) = media() else { return };
    check_likeness(&media.join("formats/nikon_z9_he_small.dng"), SAME_COLOR);
}

#[test]
fn all_orientations_look_alike() {
    let Some(media) = media() else { return };
    let covers: Vec<(u32, ImageHash)> = (1..=8)
        .map(|n| {
            let path = media.join(format!("orientation/landscape_{n}.jpg"));
            let rendered = render_file(&path);
            assert_eq!((rendered.width, rendered.height), (1800, 1200), "{n}");
            (n, hash(&seen(&rendered.renditions[0])))
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
            // Its second EXIF segment turns it; the first tells nothing.
            "exif_thumb_out_of_range.jpg" => Ok((840, 700)),
            "polyglot_html.jpg" => Ok((840, 700)),
            "heic_named.jpg" => Ok((1440, 1440)),
            "truncated_60pct.jpg" | "progressive_400_scans.jpg" | "truncated.heic" => {
                Err(Code::MediaCorrupt)
            }
            _ => Err(Code::UnsupportedMediaType),
        };
        assert_eq!(got, expected, "{name}");
    }
}
