//! Every kind of pixel that PNG and WebP know.

use png::{BitDepth, ColorType};
use safelight_imaging::{Limits, Wants, encode_webp, header, render};
use safelight_model::codes::Code;
use safelight_model::preset::{DISPLAY, LARGE, Preset};

use crate::fixtures::*;
use crate::gif_writer::{Frame, gif};

const SIZE: (u32, u32) = (8, 8);

fn colours(bytes: &[u8]) -> ([u8; 4], [u8; 4], [u8; 4]) {
    let out = rendered(bytes, &[WHOLE_WEBP, WHOLE_JPEG]);
    assert_eq!((out.width, out.height), SIZE);
    let webp = seen(&out.renditions[0]);
    let jpeg = seen(&out.renditions[1]);
    (webp.at(1, 4), webp.at(6, 4), jpeg.at(6, 4))
}

/// Rows of eight pixels, left half `left`, right half `right`, of whole bytes.
fn halves(left: &[u8], right: &[u8]) -> Vec<u8> {
    [left.repeat(4), right.repeat(4)].concat().repeat(8)
}

#[test]
fn png_kinds() {
    let palette = |info: &mut png::Info<'_>| {
        info.palette = Some(vec![200, 30, 40, 20, 60, 220].into());
    };
    let clear = |info: &mut png::Info<'_>| {
        info.palette = Some(vec![200, 30, 40, 20, 60, 220].into());
        info.trns = Some(vec![255, 0].into());
    };
    let red = [200, 30, 40, 255];
    let blue = [20, 60, 220, 255];
    let (black, white) = ([0, 0, 0, 255], [255, 255, 255, 255]);
    type Case<'a> = (&'a str, Vec<u8>, [u8; 4], [u8; 4]);
    let plain = |_: &mut png::Info<'_>| ();
    let cases: Vec<Case<'_>> = vec![
        (
            "one bit",
            png(SIZE, ColorType::Grayscale, BitDepth::One, &[0x0f; 8], plain),
            black,
            white,
        ),
        (
            "two bits",
            png(
                SIZE,
                ColorType::Grayscale,
                BitDepth::Two,
                &[0x00, 0xff].repeat(8),
                plain,
            ),
            black,
            white,
        ),
        (
            "gray",
            png(
                SIZE,
                ColorType::Grayscale,
                BitDepth::Eight,
                &halves(&[60], &[200]),
                plain,
            ),
            [60, 60, 60, 255],
            [200, 200, 200, 255],
        ),
        (
            "gray 16",
            png(
                SIZE,
                ColorType::Grayscale,
                BitDepth::Sixteen,
                &halves(&[60, 9], &[200, 9]),
                plain,
            ),
            [60, 60, 60, 255],
            [200, 200, 200, 255],
        ),
        (
            "rgb 16",
            png(
                SIZE,
                ColorType::Rgb,
                BitDepth::Sixteen,
                &halves(&[200, 0, 30, 0, 40, 0], &[20, 0, 60, 0, 220, 0]),
                plain,
            ),
            red,
            blue,
        ),
        (
            "palette",
            png(
                SIZE,
                ColorType::Indexed,
                BitDepth::Eight,
                &halves(&[0], &[1]),
                palette,
            ),
            red,
            blue,
        ),
        (
            "palette of one bit",
            png(SIZE, ColorType::Indexed, BitDepth::One, &[0x0f; 8], palette),
            red,
            blue,
        ),
    ];
    for (name, bytes, left, right) in cases {
        let (got_left, got_right, flat) = colours(&bytes);
        assert!(near(got_left, left, 14), "{name}: {got_left:?}");
        assert!(near(got_right, right, 14), "{name}: {got_right:?}");
        assert!(near(flat, right, 20), "{name}: {flat:?}");
    }
    let with_alpha: Vec<Case<'_>> = vec![
        (
            "gray alpha",
            png(
                SIZE,
                ColorType::GrayscaleAlpha,
                BitDepth::Eight,
                &halves(&[60, 255], &[0, 0]),
                plain,
            ),
            [60, 60, 60, 255],
            [0; 4],
        ),
        (
            "rgba",
            png(
                SIZE,
                ColorType::Rgba,
                BitDepth::Eight,
                &halves(&red, &[0, 0, 0, 0]),
                plain,
            ),
            red,
            [0; 4],
        ),
        (
            "rgba 16",
            png(
                SIZE,
                ColorType::Rgba,
                BitDepth::Sixteen,
                &halves(&[200, 0, 30, 0, 40, 0, 255, 255], &[0; 8]),
                plain,
            ),
            red,
            [0; 4],
        ),
        (
            "clear palette",
            png(
                SIZE,
                ColorType::Indexed,
                BitDepth::Eight,
                &halves(&[0], &[1]),
                clear,
            ),
            red,
            [0; 4],
        ),
    ];
    for (name, bytes, left, right) in with_alpha {
        let (got_left, got_right, flat) = colours(&bytes);
        assert!(near(got_left, left, 14), "{name}: {got_left:?}");
        assert_eq!(got_right[3], right[3], "{name}: {got_right:?}");
        assert!(
            near(flat, white, 20),
            "{name}, flattened on white: {flat:?}"
        );
    }
}

/// The `png` crate does not write interlaced files, so this one is put together by hand: 8x8,
/// gray, stored blocks.
#[test]
fn interlaced_png() {
    let value = |x: usize, _y: usize| if x < 4 { 60 } else { 200 };
    let mut raw = Vec::new();
    for (x0, y0, dx, dy) in [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ] {
        for y in (y0..8).step_by(dy) {
            raw.push(0);
            raw.extend((x0..8).step_by(dx).map(|x: usize| value(x, y)));
        }
    }
    let mut adler = (1_u32, 0_u32);
    for byte in &raw {
        adler.0 = (adler.0 + u32::from(*byte)) % 65521;
        adler.1 = (adler.1 + adler.0) % 65521;
    }
    let mut zlib = vec![0x78, 0x01, 0x01];
    zlib.extend_from_slice(&(raw.len() as u16).to_le_bytes());
    zlib.extend_from_slice(&(!(raw.len() as u16)).to_le_bytes());
    zlib.extend_from_slice(&raw);
    zlib.extend_from_slice(&(adler.1 << 16 | adler.0).to_be_bytes());
    let plain = png(
        SIZE,
        ColorType::Grayscale,
        BitDepth::Eight,
        &[0; 64],
        |_| (),
    );
    let without_header = with_chunk(&plain, b"IDAT", &zlib);
    let tail = without_header
        .windows(4)
        .position(|w| w == b"IDAT")
        .unwrap()
        - 4;
    let mut header = plain[16..29].to_vec();
    header[12] = 1;
    // `with_chunk` computes the checksum; the signature and this header replace the old ones.
    let fresh = with_chunk(b"\x89PNG\r\n\x1a\n....IDAT", b"IHDR", &header);
    let mut bytes = fresh[..8 + 25].to_vec();
    bytes.extend_from_slice(&without_header[tail..tail + 12 + zlib.len()]);
    bytes.extend_from_slice(b"\0\0\0\0IEND\xae\x42\x60\x82");
    let (left, right, _) = colours(&bytes);
    assert!(near(left, [60, 60, 60, 255], 10), "{left:?}");
    assert!(near(right, [200, 200, 200, 255], 10), "{right:?}");
}

#[test]
fn webp_with_alpha_keeps_it() {
    let pixels = halves(&[200, 30, 40, 255], &[20, 60, 220, 0]);
    let webp = encode_webp(8, 8, &pixels, true, 95).unwrap();
    let (left, right, flat) = colours(&webp);
    assert!(near(left, [200, 30, 40, 255], 20), "{left:?}");
    assert_eq!(right[3], 0);
    assert!(near(flat, [255; 4], 20), "{flat:?}");
    let small = Preset {
        long_edge: 4,
        ..WHOLE_WEBP
    };
    let shrunk = seen(&rendered(&webp, &[small]).renditions[0]);
    assert!(
        near(shrunk.at(0, 1), [200, 30, 40, 255], 24),
        "{:?}",
        shrunk.at(0, 1)
    );
}

/// Two frames, the first of which is half the canvas; the second would cover all of it.
#[test]
fn animated_webp_shows_its_first_frame() {
    let frame = |x: u32, size: (u32, u32), colour: [u8; 3]| {
        let pixels = colour.repeat((size.0 * size.1) as usize);
        let webp = encode_webp(size.0, size.1, &pixels, false, 100).unwrap();
        let payload = webp_payload(&webp);
        let mut body = (x / 2).to_le_bytes()[..3].to_vec();
        body.extend_from_slice(&[0; 3]);
        body.extend_from_slice(&(size.0 - 1).to_le_bytes()[..3]);
        body.extend_from_slice(&(size.1 - 1).to_le_bytes()[..3]);
        body.extend_from_slice(&[100, 0, 0, 0]);
        body.extend_from_slice(b"VP8 ");
        body.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        body.extend_from_slice(&payload);
        if payload.len() % 2 == 1 {
            body.push(0);
        }
        body
    };
    let chunks = [
        (b"ANIM", vec![0; 6]),
        (b"ANMF", frame(4, (4, 8), [200, 30, 40])),
        (b"ANMF", frame(0, (8, 8), [20, 60, 220])),
    ];
    let animation = extended_webp(SIZE, 0x12, &chunks);
    let (left, right, _) = colours(&animation);
    assert_eq!(left[3], 0, "{left:?}");
    assert!(near(right, [200, 30, 40, 255], 20), "{right:?}");
    // Its pictures are counted all the same, before any is decoded.
    has_two_frames(&animation);
}

/// An animation of two pictures.
fn has_two_frames(animation: &[u8]) {
    for (max_frames, is_taken) in [(1, false), (2, true)] {
        let limits = Limits {
            max_frames,
            ..Limits::default()
        };
        let found = header(animation, &limits).map_err(|e| e.code());
        assert_eq!(found.is_ok(), is_taken);
        assert!(is_taken || found == Err(Code::FrameLimitExceeded));
    }
}

#[test]
fn pictures_are_counted_in_every_kind_of_animation() {
    let frames = [Frame::quarters(8, 8), Frame::quarters(4, 8)];
    let animation = gif((8, 8), &frames);
    has_two_frames(&animation);
    let one = gif((8, 8), &frames[..1]);
    // One that is cut off in the midst of its second has what was there before.
    let cut = &animation[..one.len() + 5];
    for whole in [&one[..], cut] {
        let limits = Limits {
            max_frames: if whole == cut { 2 } else { 1 },
            ..Limits::default()
        };
        assert!(header(whole, &limits).is_ok());
    }
    let plain = png((8, 8), ColorType::Rgb, BitDepth::Eight, &[90; 192], |_| ());
    let control = [2_u32, 0].map(u32::to_be_bytes).concat();
    has_two_frames(&with_chunk(&plain, b"acTL", &control));
    let limits = Limits {
        max_frames: 1,
        ..Limits::default()
    };
    assert!(header(&plain, &limits).is_ok());
}

#[test]
fn who_asks_for_it_has_every_size_exactly() {
    // A quarter of it is within a twentieth of `display`.
    let jpeg = scene_jpeg(4160, 3120);
    let size = |of: &safelight_imaging::Rendition| (of.width, of.height);
    let both = rendered(&jpeg, &[LARGE, DISPLAY]);
    let alone = rendered(&jpeg, &[DISPLAY]);
    assert_eq!(size(&both.renditions[1]), (1080, 810));
    assert_eq!(size(&alone.renditions[0]), (1040, 780));
    let want = Wants {
        exact: true,
        ..Wants::default()
    };
    let exact = render(&jpeg, &[DISPLAY], &Limits::default(), want).unwrap();
    assert_eq!(size(&exact.renditions[0]), (1080, 810));
}

#[test]
fn outputs_carry_no_metadata() {
    let mut body = b"Exif\0\0".to_vec();
    body.extend_from_slice(&exif_tiff(6));
    let jpeg = with_segment(&scene_jpeg(400, 300), 0xe1, &body);
    let jpeg = with_segment(&jpeg, 0xfe, b"a comment with a SECRET");
    let out = rendered(&jpeg, &[WHOLE_WEBP, WHOLE_JPEG]);
    assert_eq!(&out.renditions[0].bytes[12..16], b"VP8 ");
    for rendition in &out.renditions {
        for word in [&b"Exif"[..], b"SECRET", b"ICC_PROFILE", b"EXIF", b"XMP"] {
            assert!(!rendition.bytes.windows(word.len()).any(|w| w == word));
        }
    }
}
