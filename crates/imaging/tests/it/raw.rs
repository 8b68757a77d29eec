//! Raw photos are shown by the largest JPEG that their camera put into them, and other TIFFs by nothing.

use safelight_imaging::{Limits, MediaType, header, read_metadata, render};
use safelight_model::codes::Code;
use safelight_model::preset::{ALL, COVER};

use crate::fixtures::*;
use crate::raw_writer::{Raw, directory, gray, long, raw, raw_seed, short};

const SENSOR: u32 = 32803;
const YCBCR: u32 = 6;

#[test]
fn a_raw_photo_is_shown_by_its_largest_jpeg_as_the_camera_was_held() {
    // The JPEG's own orientation is not asked.
    let large = with_orientation(&scene_jpeg(64, 48), 3);
    let small = gray(16, 8);
    for (is_dng, photometric, media) in [
        (true, SENSOR, MediaType::Dng),
        (true, 34892, MediaType::Dng),
        (false, SENSOR, MediaType::Tiff),
    ] {
        let parts = Raw {
            small: &small,
            large: &large,
            orientation: 6,
            is_dng,
            photometric,
        };
        let out = rendered(&raw(&parts), &[WHOLE_WEBP, COVER]);
        assert_eq!((out.media, out.width, out.height), (media, 48, 64));
        let shown = seen(&out.renditions[0]);
        // A quarter clockwise: what was left below is left above.
        for (x, y, colour) in [
            (12, 16, [35, 60, 215, 255]),
            (36, 16, [215, 40, 35, 255]),
            (12, 48, [215, 220, 65, 255]),
            (36, 48, [15, 190, 75, 255]),
        ] {
            assert!(near(shown.at(x, y), colour, 24), "{:?}", shown.at(x, y));
        }
    }
}

#[test]
fn a_tiff_that_is_no_raw_photo_is_not_shown_by_what_is_embedded() {
    let (small, large) = (gray(16, 8), gray(64, 48));
    let plain = raw(&Raw {
        small: &small,
        large: &large,
        orientation: 1,
        is_dng: false,
        photometric: YCBCR,
    });
    let error = render(&plain, &ALL, &Limits::default(), true).unwrap_err();
    assert_eq!(error.code(), Code::UnsupportedMediaType);
    assert_eq!(error.to_string(), "cannot decode image/tiff");
}

#[test]
fn without_a_jpeg_that_is_a_picture_there_is_a_reason() {
    let none = raw(&Raw {
        small: b"samples",
        large: b"more samples",
        orientation: 1,
        is_dng: true,
        photometric: SENSOR,
    });
    let error = render(&none, &ALL, &Limits::default(), true).unwrap_err();
    assert_eq!(error.code(), Code::UnsupportedMediaType);
    assert!(error.to_string().contains("without a JPEG"), "{error}");
}

#[test]
fn what_is_cut_off_is_not_shown_by_something_smaller() {
    let whole = raw_seed();
    for cut in [whole.len() - 1, 420, 350, 150, 20, 8] {
        let error = header(&whole[..cut], &Limits::default()).unwrap_err();
        assert_eq!(error.code(), Code::MediaCorrupt, "{cut}");
    }
}

#[test]
fn directories_in_a_circle_end() {
    let mut circle = b"II*\0\x08\0\0\0".to_vec();
    circle.extend(directory(
        8,
        &[short(0x106, SENSOR), long(0x14a, &[8, 8, 8, 8])],
        8,
    ));
    let error = header(&circle, &Limits::default()).unwrap_err();
    assert_eq!(error.code(), Code::MediaCorrupt);
}

#[test]
fn a_raw_photo_tells_how_it_was_held() {
    let said = read_metadata(&raw_seed()).unwrap();
    assert_eq!(said.orientation.exif_value(), 6);
}
