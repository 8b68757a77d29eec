//! Whatever the bytes, there is an answer.

use proptest::prelude::*;
use safelight_imaging::{Limits, clean, header, read_metadata, render, sniff};
use safelight_model::preset::ALL;

use crate::seeds::{clip_seed, heif_seeds, plain_seeds, seeds};

fn try_all(bytes: &[u8]) {
    let limits = Limits {
        max_pixels: 1_000_000,
        max_frames: 1000,
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
    let all = seeds().into_iter().chain(heif_seeds());
    for seed in all.chain(plain_seeds()) {
        for at in 0..seed.len() {
            try_plain(&seed[..at]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000), kind in 0..8_usize) {
        let magic: [&[u8]; 8] = [
            b"",
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
            b"RIFF\0\0\0\0WEBPVP8X",
            b"\0\0\0\x20ftyp",
            b"<?xml",
            b"GIF89a",
            b"II*\0\x08\0\0\0",
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
fn a_bit_of_any_byte_of_a_gif_a_raw_photo_or_a_gain_map_flipped() {
    for seed in plain_seeds() {
        for at in 0..seed.len() {
            for bit in [0, 3, 7] {
                let mut bytes = seed.clone();
                bytes[at] ^= 1 << bit;
                try_all(&bytes);
            }
        }
    }
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
