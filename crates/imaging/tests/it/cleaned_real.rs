//! Cleaned originals of real files, and their metadata, held against exiftool.

use std::path::{Path, PathBuf};
use std::process::Command;

use safelight_imaging::{Limits, MediaType, Metadata, clean, header, read_metadata, render, sniff};
use safelight_model::codes::Code;
use serde_json::Value;

use crate::fixtures::*;

/// Kinds that are cleaned.
const KINDS: [&str; 10] = [
    "jpg", "png", "webp", "heic", "heif", "avif", "mp4", "mov", "3gp", "m4v",
];
/// Folders without hostile files.
const FOLDERS: [&str; 10] = [
    "burst",
    "formats",
    "hdr",
    "heic",
    "live",
    "motion",
    "orientation",
    "pano",
    "photos",
    "video",
];
/// Groups of tags that say how to decode, and those that exiftool adds by itself.
const PLAIN_GROUPS: [&str; 9] = [
    "ExifTool",
    "System",
    "File",
    "RIFF",
    "JFIF",
    "PNG",
    "Adobe",
    "APP14",
    "Composite",
];

fn media() -> Option<PathBuf> {
    let folder = std::env::var_os("SAFELIGHT_MEDIA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: SAFELIGHT_MEDIA not set");
    }
    folder
}

fn files(media: &Path, folders: &[&str]) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(media.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let extension = path.extension().and_then(|e| e.to_str());
            extension.is_some_and(|extension| KINDS.contains(&extension))
        })
        .collect();
    paths.sort();
    paths
}

/// What exiftool says of files, in their order.
fn exiftool(options: &[&str], paths: &[PathBuf]) -> Vec<Value> {
    let mut command = Command::new("exiftool");
    let output = command.args(options).arg("-json").args(paths).output();
    let output = output.expect("exiftool runs");
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    let seen = seen.as_array().unwrap().clone();
    assert_eq!(seen.len(), paths.len(), "exiftool looked at every file");
    seen
}

fn is_time(name: &str) -> bool {
    name.ends_with("Date") && !name.starts_with("Profile")
}

/// Whether a tag may be left, with the value that it has.
fn is_plain(group: &str, name: &str, value: &Value) -> bool {
    if [
        "GPS",
        "Thumbnail",
        "Preview",
        "Comment",
        "Serial",
        "Software",
    ]
    .iter()
    .any(|word| name.contains(word))
    {
        // QuickTime's header has the time and length of a preview, in the movie itself.
        return ["PreviewTime", "PreviewDuration"].contains(&name) && group == "QuickTime";
    }
    if group.starts_with("Track") || group == "QuickTime" {
        let absent = [
            "HandlerDescription",
            "HandlerVendorID",
            "VendorID",
            "CompressorName",
        ];
        let is_zero = value.as_str() == Some("0000:00:00 00:00:00");
        return !absent.contains(&name) && (!is_time(name) || is_zero);
    }
    PLAIN_GROUPS.contains(&group)
        || group.starts_with("ICC")
        || group == "Meta"
        || (group == "IFD0" && name == "Orientation")
}

#[test]
fn real_files_lose_what_is_private_and_keep_every_pixel() {
    let Some(media) = media() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let paths = files(&media, &FOLDERS);
    assert!(paths.len() >= 40, "{paths:?}");
    let mut outs = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        let name = path.display();
        let input = std::fs::read(path).unwrap();
        let cleaned = clean(&input).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut out = Vec::new();
        cleaned.write_to(&input, &mut out).unwrap();
        println!(
            "{name}: {} bytes, {} cleaned, {} segments",
            input.len(),
            out.len(),
            cleaned.segments().len()
        );
        let media = sniff(&input).unwrap();
        if media.is_decodable() {
            let limits = Limits::default();
            assert_eq!(
                header(&input, &limits).unwrap(),
                header(&out, &limits).unwrap(),
                "{name}"
            );
            let shown = |bytes: &[u8]| render(bytes, &[WHOLE_JPEG], &limits, false).unwrap();
            let (before, after) = (shown(&input), shown(&out));
            assert!(
                before.renditions[0].bytes == after.renditions[0].bytes,
                "{name}"
            );
        }
        if media == MediaType::Jpeg && !name.to_string().ends_with("cmyk.jpg") {
            let pixels = |bytes: &[u8]| {
                let image = turbojpeg::decompress(bytes, turbojpeg::PixelFormat::RGB);
                image.unwrap().pixels
            };
            assert!(pixels(&input) == pixels(&out), "{name}");
        }
        let found = read_metadata(&out).unwrap();
        let orientation = found.orientation;
        let rest = Metadata {
            orientation,
            duration_ms: found.duration_ms,
            ..Metadata::default()
        };
        assert_eq!(found, rest, "{name}");
        let extension = path.extension().unwrap().to_str().unwrap();
        let to = scratch.path().join(format!("{number:03}.{extension}"));
        std::fs::write(&to, &out).unwrap();
        outs.push(to);
    }
    let seen = exiftool(&["-G1", "-a", "-u", "-ee"], &outs);
    let mut left = Vec::new();
    for (seen, path) in seen.iter().zip(&paths) {
        for (tag, value) in seen.as_object().unwrap() {
            let Some((group, name)) = tag.split_once(':') else {
                continue;
            };
            if !is_plain(group, name, value) {
                left.push(format!("{}: {tag} {value}", path.display()));
            }
        }
    }
    assert!(left.is_empty(), "{}", left.join("\n"));
}

/// Whether a number that exiftool tells is the one that was read. It rounds to ten digits.
fn same(expected: &Value, got: Option<f64>) -> bool {
    match (expected.as_f64(), got) {
        (Some(expected), Some(got)) => (expected - got).abs() <= expected.abs() * 1e-6 + 1e-9,
        (None, None) => true,
        // No value at all, in EXIF: 0, or a fraction over 0.
        (Some(expected), None) => expected == 0.0,
        (None, Some(_)) => false,
    }
}

#[test]
fn metadata_of_real_files_is_what_exiftool_reads() {
    let Some(media) = media() else { return };
    let paths = files(&media, &FOLDERS);
    let seen = exiftool(&["-n"], &paths);
    let mut wrong = Vec::new();
    let mut counts = [0_usize; 6];
    for (seen, path) in seen.iter().zip(&paths) {
        let got = read_metadata(&std::fs::read(path).unwrap()).unwrap();
        let is_clip = got.duration_ms.is_some();
        let mut check = |what: &str, is_same: bool| {
            if !is_same {
                wrong.push(format!("{} {what}: {seen} {got:?}", path.display()));
            }
        };
        let text = |name: &str| match &seen[name] {
            Value::String(text) => Some(text.trim().to_owned()).filter(|t| !t.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        check(
            "make",
            text("Make").or_else(|| text("AndroidManufacturer")) == got.make,
        );
        check(
            "model",
            text("Model").or_else(|| text("AndroidModel")) == got.model,
        );
        if !is_clip {
            check("lens", text("LensModel") == got.lens);
            check("exposure", same(&seen["ExposureTime"], got.exposure_s));
            check("aperture", same(&seen["FNumber"], got.f_number));
            check(
                "focal length",
                same(&seen["FocalLength"], got.focal_length_mm),
            );
            check("iso", same(&seen["ISO"], got.iso.map(f64::from)));
            let time = text("DateTimeOriginal").or_else(|| text("CreateDate"));
            let local = got.captured.and_then(|captured| captured.local);
            let shown = local.map(|local| local.rfc3339().replace('T', " ").replace('-', ":"));
            let is_same = match (&time, &shown) {
                (Some(time), Some(shown)) => shown.starts_with(time.get(..19).unwrap_or(time)),
                (time, shown) => time.is_none() == shown.is_none(),
            };
            check("time", is_same);
        }
        let (latitude, longitude) = (&seen["GPSLatitude"], &seen["GPSLongitude"]);
        let place = got.place;
        check("latitude", same(latitude, place.map(|p| p.latitude_deg)));
        check("longitude", same(longitude, place.map(|p| p.longitude_deg)));
        let live = text("MediaGroupUUID").or_else(|| text("ContentIdentifier"));
        check("live id", live == got.live_id);
        if is_clip {
            let ms = got.duration_ms.map(|ms| ms as f64 / 1000.0);
            let apart = seen["Duration"]
                .as_f64()
                .zip(ms)
                .map(|(a, b)| (a - b).abs());
            check("duration", apart.is_some_and(|apart| apart < 0.002));
        }
        for (count, is_there) in counts.iter_mut().zip([
            got.captured.is_some(),
            got.captured.is_some_and(|c| c.offset_minutes().is_some()),
            got.place.is_some(),
            got.live_id.is_some(),
            got.is_motion_photo,
            got.burst_id.is_some(),
        ]) {
            *count += usize::from(is_there);
        }
    }
    println!("times, zones, places, live ids, motion photos, burst ids: {counts:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

#[test]
fn hostile_files_are_cleaned_or_refused_with_a_code() {
    let Some(media) = media() else { return };
    for path in std::fs::read_dir(media.join("hostile")).unwrap() {
        let path = path.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        let code = clean(&input).map(|_| ()).map_err(|e| e.code());
        println!("{}: {code:?}", path.display());
        let name = path.file_name().unwrap().to_str().unwrap();
        match name {
            "truncated.heic" | "mp4_no_moov.mp4" => assert_eq!(code, Err(Code::MediaCorrupt)),
            "eicar.jpg" | "empty.jpg" | "script.svg" | "svg_named.jpg" => {
                assert_eq!(code, Err(Code::UnsupportedMediaType));
            }
            "polyglot_html.jpg" => {
                let mut out = Vec::new();
                clean(&input).unwrap().write_to(&input, &mut out).unwrap();
                assert!(!crate::cleaned::has(&out, b"<script"));
            }
            _ => {}
        }
        let _ = read_metadata(&input);
    }
}
