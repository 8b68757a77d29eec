//! Whatever the bytes, there is an answer.

use moxcms::ColorProfile;
use png::{BitDepth, ColorType};
use proptest::prelude::*;
use safelight_imaging::{Limits, clean, encode_webp, header, read_metadata, render, sniff};
use safelight_model::preset::ALL;

use crate::clip_writer::{Track, clip};
use crate::fixtures::*;
use crate::heif_coded::*;
use crate::heif_writer::{boxed, grid, heif};

/// Valid files of every kind, small, with metadata and profiles.
fn seeds() -> Vec<Vec<u8>> {
    let rgb = scene(40, 24);
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let jpeg = with_orientation(&with_icc(&scene_jpeg(40, 24), &p3), 6);
    let mut compressor = turbojpeg::Compressor::new().unwrap();
    compressor.set_progressive(true).unwrap();
    let progressive = compressor
        .compress_to_vec(turbojpeg::Image {
            pixels: rgb.as_slice(),
            width: 40,
            pitch: 120,
            height: 24,
            format: turbojpeg::PixelFormat::RGB,
        })
        .unwrap();
    let plain = png((40, 24), ColorType::Rgb, BitDepth::Eight, &rgb, |info| {
        info.icc_profile = Some(p3.clone().into());
    });
    let turned = with_chunk(&plain, b"eXIf", &exif_tiff(8));
    let webp = encode_webp(40, 24, &rgb, false, 80).unwrap();
    let extended = extended_webp(
        (40, 24),
        0x28,
        &[
            (b"ICCP", p3),
            (b"VP8 ", webp_payload(&webp)),
            (b"EXIF", exif_tiff(5)),
        ],
    );
    vec![jpeg, progressive, turned, webp, extended]
}

/// The same for HEIF: a picture with all that can belong to it, and a grid, in both codings.
fn heif_seeds() -> Vec<Vec<u8>> {
    const URN: &str = "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha";
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let full = |brand, coded: Coded, alpha: Coded| {
        let picture = coded.item().cropped((90, 60), (1, -1)).turned(1);
        let picture = picture.mirrored(1).profiled(&p3).colored(12, 13, 6, true);
        heif(brand, &[picture, alpha.item().auxiliary(1, URN)])
    };
    let gridded = |brand, coded: Coded| {
        let (width, height) = coded.size;
        let size = (width as u16 * 2 - 5, height as u16 * 2 - 3);
        let tiles = (0..4).map(|_| coded.item());
        let items = std::iter::once(grid(2, 2, size, &[2, 3, 4, 5])).chain(tiles);
        heif(brand, &items.collect::<Vec<_>>())
    };
    vec![
        full(b"heic", HEVC_SCENE, HEVC_ALPHA),
        full(b"avif", AV1_SCENE, AV1_ALPHA),
        gridded(b"heic", HEVC_RED),
        gridded(b"avif", AV1_SCENE),
        heif(b"heic", &[HEVC_10_BIT.item()]),
        heif(b"avif", &[AV1_10_BIT_444.item()]),
    ]
}

fn try_all(bytes: &[u8]) {
    let limits = Limits {
        max_pixels: 1_000_000,
        max_scans: 20,
        max_decode_bytes: 32 * 1024 * 1024,
    };
    let _ = sniff(bytes);
    let _ = header(bytes, &limits);
    try_plain(bytes);
    if let Ok(out) = render(bytes, &ALL, &limits, true) {
        assert_eq!(out.renditions.len(), ALL.len());
    }
}

/// What no native code takes part in.
fn try_plain(bytes: &[u8]) {
    let _ = read_metadata(bytes);
    if let Ok(cleaned) = clean(bytes) {
        let mut out = Vec::new();
        cleaned.write_to(bytes, &mut out).unwrap();
        assert_eq!(out.len() as u64, cleaned.len_bytes());
        // The orientation is the only thing that is ever added, and an end that is missing.
        assert!(out.len() <= bytes.len() + 64);
    }
}

/// A clip with metadata of every kind that is read or removed.
fn clip_seed() -> Vec<u8> {
    let text = [&[0, 18, 0x15, 0xc7], &b"+27.2939+112.6931/"[..]].concat();
    let user = boxed(b"udta", &[&boxed(b"\xa9xyz", &[&text])]);
    let name = boxed(b"mdta", &[b"com.apple.quicktime.creationdate"]);
    let value = boxed(
        b"data",
        &[&[0, 0, 0, 1, 0, 0, 0, 0], b"2019-02-12T15:27:12+0800"],
    );
    let values = boxed(b"ilst", &[&boxed(&[0, 0, 0, 1], &[&value])]);
    let keys = boxed(b"keys", &[&[0, 0, 0, 0, 0, 0, 0, 1], &name]);
    let handler = boxed(b"hdlr", &[&[0; 8], b"mdta", &[0; 13]]);
    let meta = boxed(b"meta", &[&handler, &keys, &values]);
    let tracks = [
        Track::new(b"vide", &[b"one", b"two"]).with(&user),
        Track::new(b"soun", &[b"sound"]),
        Track::new(b"meta", &[b"here"]),
    ];
    clip(b"qt  ", &tracks, &[user, meta].concat())
}

#[test]
fn a_clip_cut_off_anywhere_and_with_any_byte_changed() {
    let seed = clip_seed();
    assert!(clean(&seed).is_ok() && read_metadata(&seed).is_ok());
    for at in 0..seed.len() {
        try_plain(&seed[..at]);
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = seed.clone();
            bytes[at] = value;
            try_plain(&bytes);
        }
    }
}

#[test]
fn pictures_cut_off_anywhere() {
    for seed in seeds().into_iter().chain(heif_seeds()) {
        for at in 0..seed.len() {
            try_plain(&seed[..at]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000), kind in 0..6_usize) {
        let magic: [&[u8]; 6] = [
            b"",
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
            b"RIFF\0\0\0\0WEBPVP8X",
            b"\0\0\0\x20ftyp",
            b"<?xml",
        ];
        try_all(&[magic[kind], &bytes].concat());
    }

    #[test]
    fn mutated_files(
        seed in 0..5_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
        early in any::<bool>(),
    ) {
        mutate(seeds()[seed].clone(), &changes, cut, early);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2048,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn mutated_heif_files(
        seed in 0..6_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        early in any::<bool>(),
    ) {
        mutate(heif_seeds()[seed].clone(), &changes, cut, early);
    }
}

type Changes = [(prop::sample::Index, u8)];

/// Changes some bytes, perhaps cuts the rest off, and tries the file.
fn mutate(mut bytes: Vec<u8>, changes: &Changes, cut: Option<prop::sample::Index>, early: bool) {
    // Headers and profiles matter more than pixels.
    let range = if early {
        bytes.len().min(700)
    } else {
        bytes.len()
    };
    for (at, value) in changes {
        bytes[at.index(range)] = *value;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
    try_all(&bytes);
}

#[test]
fn a_bit_of_any_byte_of_a_heif_file_flipped() {
    for seed in heif_seeds() {
        for at in 0..seed.len() {
            let mut bytes = seed.clone();
            bytes[at] ^= 1 << (at * 5 % 8);
            try_all(&bytes);
        }
    }
}
