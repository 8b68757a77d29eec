//! What is read of files made here. Real ones are compared with exiftool.

use safelight_imaging::{Orientation, read_metadata};
use safelight_model::codes::Code;

use crate::clip_writer::{Track, clip};
use crate::fixtures::*;
use crate::heif_writer::boxed;

/// Seconds since 1970 at which fixtures of clips say they were made.
const CREATED_S: i64 = crate::clip_writer::CREATED as i64 - 2_082_844_800;

#[test]
fn orientation_of_pictures() {
    for value in 1..=8_u8 {
        let jpeg = with_orientation(&scene_jpeg(20, 10), value.into());
        let found = read_metadata(&jpeg).unwrap();
        assert_eq!(found.orientation.exif_value(), value);
        assert!(found.captured.is_none() && found.place.is_none() && !found.is_motion_photo);
    }
}

#[test]
fn motion_and_burst_of_google_and_samsung() {
    let jpeg = scene_jpeg(20, 10);
    let xmp = b"http://ns.adobe.com/xap/1.0/\0<a GCamera:MotionPhoto=\"1\" GCamera:BurstID=\"b\"/>";
    let found = read_metadata(&with_segment(&jpeg, 0xe1, xmp)).unwrap();
    assert!(found.is_motion_photo);
    assert_eq!(found.burst_id.as_deref(), Some("b"));
    let samsung = [jpeg.as_slice(), b"MotionPhoto_Data....SEFT"].concat();
    assert!(read_metadata(&samsung).unwrap().is_motion_photo);
}

#[test]
fn clips() {
    let track = || Track::new(b"vide", &[b"picture"]);
    let found = read_metadata(&clip(b"isom", &[track()], &[])).unwrap();
    let captured = found.captured.unwrap();
    assert_eq!(captured.at.unwrap().unix_seconds(), CREATED_S);
    assert_eq!((captured.local, captured.offset_minutes()), (None, None));
    assert_eq!(found.duration_ms, Some(1500));
    assert_eq!(found.orientation, Orientation::Rotate90);

    let text = [&[0, 18, 0x15, 0xc7], &b"+27.2939+112.6931/"[..]].concat();
    let user = boxed(b"udta", &[&boxed(b"\xa9xyz", &[&text])]);
    let place = read_metadata(&clip(b"isom", &[track()], &user))
        .unwrap()
        .place;
    let place = place.unwrap();
    assert_eq!(
        (place.latitude_deg, place.longitude_deg),
        (27.2939, 112.6931)
    );
}

#[test]
fn kinds_that_are_not_read() {
    for bytes in [&b"GIF89a.."[..], b"<svg>", b"", b"text"] {
        let result = read_metadata(bytes).map_err(|e| e.code());
        assert_eq!(result, Err(Code::UnsupportedMediaType));
    }
    let cut = read_metadata(b"\0\0\0\x14ftypisom\0\0\0\0mp41").map_err(|e| e.code());
    assert_eq!(cut, Err(Code::MediaCorrupt));
}
