//! Every orientation, in every container, comes out upright.

use png::{BitDepth, ColorType};
use safelight_imaging::{Limits, encode_webp, render};
use safelight_model::preset::{COVER, Preset};

use crate::fixtures::*;

/// Where the stored top left corner of a picture lies when it is shown upright, and where its top
/// right corner does: what each orientation means.
const CORNERS: [(u16, [bool; 2], [bool; 2]); 8] = [
    // (orientation, stored top left is [right, low], stored top right is [right, low])
    (1, [false, false], [true, false]),
    (2, [true, false], [false, false]),
    (3, [true, true], [false, true]),
    (4, [false, true], [true, true]),
    (5, [false, false], [false, true]),
    (6, [true, false], [true, true]),
    (7, [true, true], [true, false]),
    (8, [false, true], [false, false]),
];

fn check(bytes: &[u8], orientation: u16, stored: (u32, u32), preset: Preset) {
    let (_, left, right) = CORNERS[usize::from(orientation) - 1];
    let out = rendered(bytes, &[preset]);
    let swapped = orientation >= 5;
    let size = if swapped {
        (stored.1, stored.0)
    } else {
        stored
    };
    assert_eq!((out.width, out.height), size, "orientation {orientation}");
    let picture = &out.renditions[0];
    let shown = seen(picture);
    assert_eq!((shown.width, shown.height), (picture.width, picture.height));
    assert_eq!(shown.width > shown.height, size.0 > size.1);
    let corner = |[low_right, low]: [bool; 2]| {
        let x = if low_right { shown.width - 4 } else { 3 };
        let y = if low { shown.height - 4 } else { 3 };
        shown.at(x, y)
    };
    let (red, green) = ([220, 40, 30, 255], [215, 200, 60, 255]);
    let got = corner(left);
    assert!(near(got, red, 25), "orientation {orientation}: {got:?}");
    let got = corner(right);
    assert!(
        got[1] > 150 && got[0] < 100,
        "orientation {orientation}: {got:?} {green:?}"
    );
    assert!(out.thumbhash.is_some_and(|h| !h.is_empty()));
}

#[test]
fn jpeg() {
    let jpeg = scene_jpeg(96, 64);
    for (orientation, ..) in CORNERS {
        let turned = with_orientation(&jpeg, orientation);
        for preset in [
            WHOLE_WEBP,
            WHOLE_JPEG,
            Preset {
                long_edge: 40,
                ..WHOLE_WEBP
            },
        ] {
            check(&turned, orientation, (96, 64), preset);
        }
    }
}

#[test]
fn png() {
    let plain = crate::fixtures::png(
        (96, 64),
        ColorType::Rgb,
        BitDepth::Eight,
        &scene(96, 64),
        |_| (),
    );
    for (orientation, ..) in CORNERS {
        let turned = with_chunk(&plain, b"eXIf", &exif_tiff(orientation));
        check(&turned, orientation, (96, 64), WHOLE_WEBP);
    }
}

#[test]
fn webp() {
    let plain = encode_webp(96, 64, &scene(96, 64), false, 95).unwrap();
    for (orientation, ..) in CORNERS {
        for prefix in [&b""[..], b"Exif\0\0"] {
            let mut exif = prefix.to_vec();
            exif.extend_from_slice(&exif_tiff(orientation));
            let chunks = [(b"VP8 ", webp_payload(&plain)), (b"EXIF", exif)];
            let turned = extended_webp((96, 64), 8, &chunks);
            check(&turned, orientation, (96, 64), WHOLE_WEBP);
        }
    }
}

#[test]
fn broken_exif_is_no_reason_to_fail() {
    let jpeg = scene_jpeg(96, 64);
    let whole = exif_tiff(6);
    for length in 0..whole.len() {
        let mut body = b"Exif\0\0".to_vec();
        body.extend_from_slice(&whole[..length]);
        let out = render(
            &with_segment(&jpeg, 0xe1, &body),
            &[COVER],
            &Limits::default(),
            true,
        );
        assert!(out.is_ok(), "{length}");
    }
    for value in [0, 9, 65535] {
        let out = rendered(&with_orientation(&jpeg, value), &[COVER]);
        assert_eq!((out.width, out.height), (96, 64));
    }
}

#[test]
fn never_enlarged_and_in_the_order_asked() {
    let large = Preset {
        long_edge: 64,
        ..WHOLE_JPEG
    };
    let small = Preset {
        long_edge: 16,
        ..WHOLE_WEBP
    };
    let out = rendered(&scene_jpeg(90, 30), &[small, WHOLE_WEBP, large]);
    let sizes: Vec<_> = out.renditions.iter().map(|r| (r.width, r.height)).collect();
    assert_eq!(sizes, [(16, 5), (90, 30), (64, 21)]);
    assert_eq!(out.renditions[0].preset, small);
}

#[test]
fn an_exif_segment_that_tells_nothing_hides_no_other() {
    let jpeg = with_orientation(&scene_jpeg(96, 64), 6);
    let empty = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\0\0\0\0\0";
    // It stands first.
    check(&with_segment(&jpeg, 0xe1, empty), 6, (96, 64), COVER);
}
