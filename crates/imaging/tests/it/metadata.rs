//! What is read of files made here. Real ones are compared with exiftool.

use safelight_imaging::{Orientation, read_metadata};
use safelight_model::codes::Code;

use crate::clip_writer::{Track, clip};
use crate::fixtures::*;
use crate::heif_coded::HEVC_SCENE;
use crate::heif_writer::{boxed, heif};
use crate::seeds::{clip_seed, motion_seeds};

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
    for (seed, burst_id) in motion_seeds().iter().zip([Some("b"), None, None]) {
        let found = read_metadata(seed).unwrap();
        assert!(found.is_motion_photo);
        assert_eq!(found.burst_id.as_deref(), burst_id);
        let place = found.motion.unwrap();
        let clip = &seed[place.start as usize..place.end as usize];
        assert!(clip == clip_seed(), "{} of {}", clip.len(), seed.len());
    }
    // Said, and not there.
    let jpeg = scene_jpeg(20, 10);
    let xmp = b"http://ns.adobe.com/xap/1.0/\0<G:MicroVideo>1</G:MicroVideo>";
    let said = with_segment(&jpeg, 0xe1, xmp);
    let samsung = [jpeg.as_slice(), b"MotionPhoto_Data....SEFT"].concat();
    let heif = heif(b"heic", &[HEVC_SCENE.item()]);
    let heif = [heif, boxed(b"mpvd", &[b"no clip"])].concat();
    for file in [said, samsung, heif] {
        let found = read_metadata(&file).unwrap();
        assert!(found.is_motion_photo && found.motion.is_none());
    }
    // There, and not said: what is no motion photo has nothing that moves, whatever lies behind it.
    let found = read_metadata(&[jpeg, clip_seed()].concat()).unwrap();
    assert!(!found.is_motion_photo && found.motion.is_none());
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

/// EXIF with Apple's maker note, in which these texts stand under these tags.
fn apple_exif(texts: &[(u16, &str)]) -> Vec<u8> {
    let entry = |tag: u16, kind: u16, count: usize, value: usize| {
        let (count, value) = (count as u32, value as u32);
        let head = [tag.to_be_bytes(), kind.to_be_bytes()].concat();
        [
            head,
            count.to_be_bytes().to_vec(),
            value.to_be_bytes().to_vec(),
        ]
        .concat()
    };
    let directory = |entries: &[Vec<u8>]| {
        let count = (entries.len() as u16).to_be_bytes().to_vec();
        [count, entries.concat(), vec![0; 4]].concat()
    };
    const NAME: &[u8] = b"Apple iOS\0\0\x01MM";
    let mut at = NAME.len() + 2 + 12 * texts.len() + 4;
    let (mut entries, mut behind) = (Vec::new(), Vec::new());
    for (tag, text) in texts {
        entries.push(entry(*tag, 2, text.len() + 1, at));
        behind.extend([text.as_bytes(), &[0]].concat());
        at += text.len() + 1;
    }
    let note = [NAME, &directory(&entries), &behind].concat();
    let outer = directory(&[entry(0x8769, 4, 1, 26)]);
    let inner = directory(&[entry(0x927c, 7, note.len(), 44)]);
    [b"MM\0*\0\0\0\x08".to_vec(), outer, inner, note].concat()
}

#[test]
fn what_apple_calls_pictures_of_a_burst_and_halves_of_a_live_photo() {
    const BURST: &str = "3D1F8B0C-0A2B-4B63-9C1E-5E2D0F6A7B8C";
    const LIVE: &str = "1745E022-9712-43C7-B024-F308EC6413CB";
    let exif = |texts: &[(u16, &str)]| {
        let body = [b"Exif\0\0".as_slice(), &apple_exif(texts)].concat();
        read_metadata(&with_segment(&scene_jpeg(20, 10), 0xe1, &body)).unwrap()
    };
    let found = exif(&[(0x000b, BURST), (0x0011, LIVE)]);
    assert_eq!(found.burst_id.as_deref(), Some(BURST));
    assert_eq!(found.live_id.as_deref(), Some(LIVE));
    let found = exif(&[(0x000b, BURST)]);
    assert_eq!(found.burst_id.as_deref(), Some(BURST));
    assert_eq!(found.live_id, None);
    assert_eq!(exif(&[(0x0001, "15")]).burst_id, None);
}
