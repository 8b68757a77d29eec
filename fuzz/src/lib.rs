//! What the targets share: files to begin with, made by the code that makes the tests' own.

#[path = "../../crates/imaging/tests/it/clip_writer.rs"]
#[allow(dead_code)]
mod clip_writer;
#[path = "../../crates/imaging/tests/it/fixtures.rs"]
#[allow(dead_code)]
mod fixtures;
#[path = "../../crates/imaging/tests/it/gain_map_writer.rs"]
#[allow(dead_code)]
mod gain_map_writer;
#[path = "../../crates/imaging/tests/it/gif_writer.rs"]
#[allow(dead_code)]
mod gif_writer;
#[path = "../../crates/imaging/tests/it/heif_coded.rs"]
#[allow(dead_code)]
mod heif_coded;
#[path = "../../crates/imaging/tests/it/heif_writer.rs"]
#[allow(dead_code)]
mod heif_writer;
#[path = "../../crates/imaging/tests/it/raw_writer.rs"]
#[allow(dead_code)]
mod raw_writer;
#[path = "../../crates/imaging/tests/it/seeds.rs"]
mod seeds;

use safelight_imaging::{Limits, MediaType, Wants, sniff};
use safelight_model::preset::ALL;

/// Names the folder that a target puts its first files into, before it reads it.
const SEEDS: &str = "SAFELIGHT_SEEDS";

/// Bounds under which an input takes little time and memory: what is looked for is no size.
pub const LIMITS: Limits = Limits {
    max_pixels: 1_000_000,
    max_frames: 1000,
    max_scans: 20,
    max_decode_bytes: 64 * 1024 * 1024,
};

/// Puts the files of those kinds into the folder of seeds; all kinds if none is named.
pub fn plant_media(kinds: &[MediaType]) {
    let all = seeds::seeds().into_iter().chain(seeds::heif_seeds());
    let all = all.chain(seeds::plain_seeds()).chain([seeds::clip_seed()]);
    plant(all.filter(|bytes| {
        kinds.is_empty() || sniff(bytes).is_some_and(|kind| kinds.contains(&kind))
    }));
}

/// Puts these into the folder of seeds.
///
/// # Panics
/// If they cannot be written, or there are none.
pub fn plant(all: impl IntoIterator<Item = Vec<u8>>) {
    let Ok(folder) = std::env::var(SEEDS) else {
        return;
    };
    let mut count = 0;
    for (number, bytes) in all.into_iter().enumerate() {
        let path = std::path::Path::new(&folder).join(format!("seed-{number:03}"));
        std::fs::write(path, bytes).expect("writing a seed");
        count += 1;
    }
    assert!(count > 0, "no seeds of this kind");
}

/// Makes every rendition of a picture of one of those kinds, and checks what comes out.
///
/// # Panics
/// If it is not what was asked for.
pub fn render(bytes: &[u8], kinds: &[MediaType]) {
    if !sniff(bytes).is_some_and(|kind| kinds.contains(&kind)) {
        return;
    }
    let want = Wants {
        hashes: true,
        scores: true,
        exact: false,
        credit: true,
        faces: true,
        count_faces: true,
    };
    let Ok(out) = safelight_imaging::render(bytes, &ALL, &LIMITS, want) else {
        return;
    };
    assert!(out.scores.is_some_and(|scores| scores.is_possible()));
    assert_eq!(out.renditions.len(), ALL.len());
    for (made, preset) in out.renditions.iter().zip(&ALL) {
        assert!(made.width.max(made.height) <= preset.long_edge);
        let head = safelight_imaging::header(&made.bytes, &Limits::default()).expect("a picture");
        assert_eq!((head.width, head.height), (made.width, made.height));
    }
}
