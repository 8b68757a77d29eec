//! Perceptual hashes: what leaves a picture what it is leaves its hash nearly so, and other pictures have others.

use std::path::{Path, PathBuf};

use safelight_imaging::{encode_jpeg, encode_webp};
use safelight_model::near::{COPY_DISTANCE, PictureHash, RETAKE_DISTANCE};
use safelight_model::preset::{COVER, Format, Preset, Shape};

use crate::fixtures::*;

/// Large enough to cut something off, as a JPEG of good quality.
const WORKING: Preset = Preset {
    name: "working",
    version: 1,
    long_edge: 640,
    format: Format::Jpeg,
    quality: 95,
    shape: Shape::Whole,
};

/// The hash that goes with a cover, and the one that goes with a larger rendition.
fn hash(file: &[u8]) -> Option<PictureHash> {
    let hash = rendered(file, &[COVER]).picture_hash;
    let larger = rendered(file, &[WORKING]).picture_hash;
    match (hash, larger) {
        (Some(one), Some(other)) => assert!(one.distance(other) <= 2, "{one:?} {other:?}"),
        (one, other) => assert_eq!(one, other),
    }
    hash
}

/// Soft blotches of light and dark at every scale, another for each seed.
fn scene_of(seed: u64, width: u32, height: u32) -> Seen {
    let value = |level: u64, x: u64, y: u64| {
        let mut state = seed ^ (level << 40) ^ (x << 20) ^ y;
        for _ in 0..3 {
            // SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            state ^= state >> 31;
        }
        (state >> 40) as f64 / f64::from(1 << 24)
    };
    let at = |x: f64, y: f64| {
        (0..5).fold(20.0, |sum, level| {
            let (x, y) = (x * f64::from(2 << level), y * f64::from(2 << level));
            let ease = |t: f64| t * t * (3.0 - 2.0 * t);
            let (right, down) = (ease(x.fract()), ease(y.fract()));
            let corner = |dx: u64, dy: u64| value(level as u64, x as u64 + dx, y as u64 + dy);
            let above = corner(0, 0) * (1.0 - right) + corner(1, 0) * right;
            let below = corner(0, 1) * (1.0 - right) + corner(1, 1) * right;
            sum + (above * (1.0 - down) + below * down) * 110.0 / f64::from(1 << level)
        })
    };
    let mut rgba = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let light = at(
                f64::from(x) / f64::from(width),
                f64::from(y) / f64::from(height),
            );
            rgba.extend([light as u8, (light * 0.9) as u8, (light * 0.7) as u8, 255]);
        }
    }
    Seen {
        width,
        height,
        rgba,
    }
}

/// A part of a picture, with each colour changed, as a JPEG.
fn jpeg(seen: &Seen, cut: [u32; 4], quality: u8, colour: impl Fn(u8) -> u8) -> Vec<u8> {
    let [left, top, right, bottom] = cut;
    let (width, height) = (seen.width - left - right, seen.height - top - bottom);
    let mut rgb = Vec::new();
    for y in top..top + height {
        for x in left..left + width {
            rgb.extend(seen.at(x, y)[..3].iter().map(|c| colour(*c)));
        }
    }
    encode_jpeg(width, height, &rgb, quality).unwrap()
}

/// Every second pixel of every second row.
fn halved(seen: &Seen) -> Seen {
    let (width, height) = (seen.width / 2, seen.height / 2);
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (2 * x, 2 * y)));
    let rgba = pixels.flat_map(|(x, y)| seen.at(x, y)).collect();
    Seen {
        width,
        height,
        rgba,
    }
}

/// What somebody makes of a picture; what an app makes of it; and what he sees who takes it again.
fn copies(seen: &Seen) -> Vec<(&'static str, Vec<u8>)> {
    let whole = [0; 4];
    let same = |c: u8| c;
    let (width, height, rgba) = (seen.width, seen.height, &seen.rgba);
    let percent = |part: u32| [width * part / 100, height * part / 100];
    let [x, y] = percent(1);
    vec![
        ("quality 30", jpeg(seen, whole, 30, same)),
        ("half", jpeg(&halved(seen), whole, 85, same)),
        ("webp", encode_webp(width, height, rgba, true, 60).unwrap()),
        (
            "darker",
            jpeg(seen, whole, 85, |c| (u32::from(c) * 7 / 10) as u8),
        ),
        (
            "brighter",
            jpeg(seen, whole, 85, |c| (u32::from(c) * 23 / 20).min(255) as u8),
        ),
        ("cut", jpeg(seen, [x, y, x, y], 85, same)),
    ]
}

fn retakes(seen: &Seen) -> Vec<(&'static str, Vec<u8>)> {
    let (x, y) = (seen.width / 50, seen.height / 50);
    vec![
        ("right", jpeg(seen, [x, y, 0, 0], 85, |c| c)),
        ("left", jpeg(seen, [0, y, x, 0], 85, |c| c)),
    ]
}

/// How many of what was made of pictures are within a distance of them.
#[derive(Default)]
struct Tally {
    within: usize,
    of: usize,
    farthest: u32,
}

impl Tally {
    fn count(&mut self, distance: u32, most: u32) {
        self.of += 1;
        self.within += usize::from(distance <= most);
        self.farthest = self.farthest.max(distance);
    }
}

/// Checks what is made of these pictures, all of different scenes, and that none is near another.
fn check(pictures: &[(String, Seen)]) {
    let (mut copied, mut retaken) = (Tally::default(), Tally::default());
    let mut hashes = Vec::new();
    for (name, seen) in pictures {
        let own = hash(&jpeg(seen, [0; 4], 95, |c| c)).unwrap_or_else(|| panic!("{name}"));
        for (made, file) in copies(seen) {
            let distance = own.distance(hash(&file).unwrap_or_else(|| panic!("{name}, {made}")));
            copied.count(distance, COPY_DISTANCE);
            println!("{name}, {made}: {distance}");
        }
        for (made, file) in retakes(seen) {
            let distance = own.distance(hash(&file).unwrap_or_else(|| panic!("{name}, {made}")));
            retaken.count(distance, RETAKE_DISTANCE);
            println!("{name}, {made}: {distance}");
        }
        for (other, others) in &hashes {
            let distance = own.distance(*others);
            assert!(distance > RETAKE_DISTANCE, "{name} and {other}: {distance}");
        }
        hashes.push((name, own));
    }
    for (tally, farthest) in [
        (copied, RETAKE_DISTANCE + 2),
        (retaken, RETAKE_DISTANCE + 2),
    ] {
        let Tally { within, of, .. } = tally;
        assert!(within * 100 >= of * 95, "{within} of {of}");
        assert!(tally.farthest <= farthest, "{}", tally.farthest);
    }
}

#[test]
fn copies_and_retakes_are_near_and_other_scenes_are_not() {
    let pictures: Vec<(String, Seen)> = (0..8)
        .map(|seed| (format!("scene {seed}"), scene_of(seed, 480, 360)))
        .collect();
    check(&pictures);
}

#[test]
fn it_is_hashed_as_it_is_seen() {
    let upright = scene_of(1, 320, 240);
    let plain = jpeg(&upright, [0; 4], 95, |c| c);
    let own = hash(&plain).unwrap();
    for orientation in 2..=8 {
        let turned = hash(&with_orientation(&plain, orientation)).unwrap();
        assert!(own.distance(turned) > RETAKE_DISTANCE, "{orientation}");
        // The same by pixels that lie otherwise, made upright by the orientation.
        let stored = stored_for(&upright, orientation);
        let file = jpeg(&stored, [0; 4], 95, |c| c);
        let same = hash(&with_orientation(&file, orientation)).unwrap();
        assert!(own.distance(same) <= 2, "{orientation}");
    }
}

/// The pixels that an orientation makes this picture of.
fn stored_for(upright: &Seen, orientation: u16) -> Seen {
    let (w, h) = (upright.width, upright.height);
    let (width, height) = if orientation >= 5 { (h, w) } else { (w, h) };
    let mut rgba = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (x, y) = match orientation {
                2 => (w - 1 - x, y),
                3 => (w - 1 - x, h - 1 - y),
                4 => (x, h - 1 - y),
                5 => (y, x),
                6 => (w - 1 - y, x),
                7 => (w - 1 - y, h - 1 - x),
                8 => (y, h - 1 - x),
                _ => (x, y),
            };
            rgba.extend(upright.at(x, y));
        }
    }
    Seen {
        width,
        height,
        rgba,
    }
}

#[test]
fn what_is_plain_has_none() {
    for level in [0, 9, 128, 255] {
        // What a sensor makes of it: noise of a few steps.
        let mut state = 1_u32;
        let rgb: Vec<u8> = (0..320 * 240 * 3)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                u8::try_from((level + (state >> 24) % 9).saturating_sub(4).min(255)).unwrap()
            })
            .collect();
        for quality in [60, 95] {
            assert_eq!(hash(&encode_jpeg(320, 240, &rgb, quality).unwrap()), None);
        }
    }
    let dusk: Vec<u8> = (0..240_u32)
        .flat_map(|y| [(60 + y / 2) as u8; 320 * 3])
        .collect();
    assert_eq!(hash(&encode_jpeg(320, 240, &dusk, 90).unwrap()), None);
}

fn media() -> Option<PathBuf> {
    let folder = std::env::var_os("SAFELIGHT_MEDIA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: SAFELIGHT_MEDIA not set");
    }
    folder
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// One of each scene that the folder has.
#[test]
fn photos_of_phones() {
    let Some(media) = media() else { return };
    let names = [
        "photos/iphone6_hdr_off.jpg",
        "photos/motog9plus_empty_gps.jpg",
        "photos/oppo_r7plus_13mp_gps.jpg",
        "photos/samsung_galaxy_s7edge_12mp_gps.jpg",
        "photos/samsung_galaxy_s_zero_gps.jpg",
        "photos/samsung_s9plus_12mp.jpg",
        "photos/xiaomi_mi9t_12mp_orient6.jpg",
        "heic/iphone11pro_live_still_gps.heic",
        "heic/iphone13promax_12mp_orient6.heic",
        "heic/nokia83_16mp_hdr.heif",
        "hdr/iphone13mini_gainmap_iso.jpg",
        "hdr/ultrahdr_4k_hdrgm.jpg",
        "hdr/ultrahdr_small.jpg",
        "formats/denali.webp",
        "formats/mountains_exif.avif",
        "formats/iphone_exif_small.avif",
        "formats/cmyk.jpg",
        "motion/pixel3axl_12mp.MP.jpg",
        "orientation/landscape_1.jpg",
        "orientation/portrait_6.jpg",
    ];
    let pictures: Vec<(String, Seen)> = names
        .iter()
        .map(|name| {
            let file = read(&media.join(name));
            let rendition = rendered(&file, &[WORKING]).renditions.remove(0);
            (name.to_string(), seen(&rendition))
        })
        .collect();
    check(&pictures);
}

#[test]
fn scenes_that_phones_took_twice() {
    let Some(media) = media() else { return };
    let of = |names: &[String]| -> Vec<PictureHash> {
        let files = names.iter().map(|name| read(&media.join(name)));
        files.map(|file| hash(&file).unwrap()).collect()
    };
    let burst = (0..5).map(|n| {
        let cover = if n == 2 { "_COVER" } else { "" };
        format!("burst/0000{n}IMG_0000{n}_BURST20200710061629144{cover}.jpg")
    });
    let landscape = (1..=8).map(|n| format!("orientation/landscape_{n}.jpg"));
    let pair = ["off", "on"].map(|hdr| format!("photos/iphone6_hdr_{hdr}.jpg"));
    for (names, most) in [
        (burst.collect::<Vec<_>>(), COPY_DISTANCE),
        (landscape.collect(), COPY_DISTANCE),
        (pair.to_vec(), COPY_DISTANCE),
    ] {
        let hashes = of(&names);
        for (one, name) in hashes.iter().zip(&names) {
            for other in &hashes {
                let distance = one.distance(*other);
                assert!(distance <= most, "{name}: {distance}");
            }
        }
    }
    // A still beside frames of its clip, which are cut otherwise.
    let mut all = vec!["motion/pixel3axl_12mp.MP.jpg".to_owned()];
    all.push("burst/00000IMG_00000_BURST20200710061629144.jpg".to_owned());
    let hashes = of(&all);
    let distance = hashes[0].distance(hashes[1]);
    assert!(distance <= RETAKE_DISTANCE, "{distance}");
}
