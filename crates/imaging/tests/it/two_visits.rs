//! What is made of a picture that is still decoded is what would be made of its file.

use moxcms::ColorProfile;
use safelight_imaging::{Limits, Wants, header, render, render_first};
use safelight_model::codes::Code;
use safelight_model::preset::{COVER, DISPLAY, LARGE, Preset, SQUARE};

use crate::fixtures::*;
use crate::gain_map_writer::{adobe, ultra_hdr};
use crate::heif_coded::red_tiles;
use crate::real_files::{files, media};
use crate::seeds::{heif_seeds, plain_seeds, seeds};
use crate::vips::similarity;

const LATER: [Preset; 2] = [DISPLAY, LARGE];
const LATER_WANTS: Wants = Wants {
    hashes: false,
    scores: true,
    exact: false,
    credit: false,
    faces: true,
    count_faces: true,
};

/// Makes the cover, then the rest, and compares both with what is made of the file by itself. `false`: it cannot be shown.
fn check(name: &str, file: &[u8], later: &[Preset]) -> bool {
    let limits = Limits::default();
    let Ok(alone) = render(file, later, &limits, LATER_WANTS) else {
        return false;
    };
    let first = [COVER, SQUARE];
    let (made, kept) = render_first(file, &first, later, &limits, true).unwrap();
    // Nothing is kept of what would have to be decoded otherwise.
    let size = header(file, &limits).unwrap();
    let (long, short) = (size.width.max(size.height), size.width.min(size.height));
    let square = u64::from(SQUARE.long_edge) * u64::from(long) / u64::from(short);
    let longest = later.iter().map(Preset::least_long_edge).max().unwrap();
    let is_kept = square.min(long.into()) <= longest.into();
    assert_eq!(kept.is_some(), is_kept, "{name}");
    if let Some(kept) = kept {
        let more = kept.make(file, later, &limits, LATER_WANTS).unwrap();
        assert_eq!(more, alone, "{name}");
    }

    let expected = rendered(file, &first);
    assert_eq!((made.width, made.height), (expected.width, expected.height));
    assert_eq!(made.media, expected.media);
    let (hash, its) = (made.picture_hash, expected.picture_hash);
    match (hash, its) {
        (Some(one), Some(other)) => assert!(one.distance(other) <= 4, "{name}: {one:?} {other:?}"),
        (one, other) => assert_eq!(one, other, "{name}"),
    }
    for (made, expected) in made.renditions.iter().zip(&expected.renditions) {
        let (one, other) = (seen(made), seen(expected));
        if (one.width, one.height) != (other.width, other.height) {
            // The decoder may have made one that is somewhat smaller as it is.
            let long = |seen: &Seen| seen.width.max(seen.height);
            assert!(
                long(&one).abs_diff(long(&other)) * 20 <= long(&one),
                "{name}"
            );
            continue;
        }
        if one.width.min(one.height) < 8 {
            continue;
        }
        let alike = similarity(&one, &other);
        println!("{name} {}: {alike:.4}", made.preset.name);
        assert!(alike > 0.9, "{name} {}: {alike}", made.preset.name);
    }
    true
}

#[test]
fn made_pictures() {
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let plain = scene_jpeg(4032, 3024);
    let files = [
        // The decoder makes what serves by itself; nothing that serves; no more than there is.
        plain.clone(),
        scene_jpeg(3200, 2400),
        scene_jpeg(1201, 900),
        scene_jpeg(7, 5),
        with_orientation(&plain, 6),
        with_orientation(&scene_jpeg(3201, 2399), 3),
        with_icc(&plain, &p3),
        ultra_hdr(6, &adobe(2.0)),
        // Of these a square is cut out of more than anything later takes.
        scene_jpeg(9000, 1000),
        scene_jpeg(900, 8000),
        red_tiles(63, 9),
        red_tiles(126, 18),
    ];
    let seeds = [seeds(), heif_seeds(), plain_seeds()].concat();
    for (number, file) in files.into_iter().chain(seeds).enumerate() {
        assert!(check(&number.to_string(), &file, &LATER), "{number}");
        // As an operator may have them.
        for edges in [(480, 1280), (1600, 4096)] {
            let (mut display, mut large) = (DISPLAY, LARGE);
            (display.long_edge, large.long_edge) = edges;
            let name = format!("{number} {edges:?}");
            assert!(check(&name, &file, &[display, large]), "{name}");
        }
    }
}

#[test]
fn where_memory_reaches_for_the_first_alone() {
    // Decoded for the cover it takes little, for more than that 12 million pixels.
    let file = scene_jpeg(4000, 3000);
    let tight = Limits {
        max_decode_bytes: 4_000_000,
        ..Limits::default()
    };
    assert!(render(&file, &[LARGE], &tight, false).is_err());
    let (made, kept) = render_first(&file, &[COVER], &[LARGE], &tight, true).unwrap();
    assert_eq!(made, render(&file, &[COVER], &tight, true).unwrap());
    assert!(kept.is_none());
    // What is damaged is so for both.
    let cut = &file[..file.len() / 2];
    let damaged = render_first(cut, &[COVER], &[LARGE], &Limits::default(), true);
    assert_eq!(damaged.unwrap_err().code(), Code::MediaCorrupt);
}

#[test]
fn real_pictures() {
    let Some(media) = media() else { return };
    let mut shown = 0;
    for folder in ["photos", "hdr", "motion", "heic", "formats", "orientation"] {
        for path in files(&media.join(folder)) {
            let file = std::fs::read(&path).unwrap();
            shown += u32::from(check(&path.display().to_string(), &file, &LATER));
        }
    }
    assert!(shown >= 30, "{shown}");
}
