//! Bombs and lies end with the right code before memory is taken.

use png::{BitDepth, ColorType};
use safelight_imaging::{ImagingError, Limits, header, render};
use safelight_model::codes::Code;
use safelight_model::preset::{ALL, COVER, DISPLAY, LARGE, Preset};

use crate::fixtures::*;

fn code(bytes: &[u8], presets: &[Preset], limits: &Limits) -> Code {
    render(bytes, presets, limits, true).unwrap_err().code()
}

/// Overwrites the size in a JPEG's frame header.
fn lying(jpeg: &[u8], width: u16, height: u16) -> Vec<u8> {
    let at = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    let mut out = jpeg.to_vec();
    out[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
    out[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
    out
}

#[test]
fn pixels_claimed() {
    let jpeg = scene_jpeg(64, 64);
    let limits = Limits::default();
    assert_eq!(
        code(&lying(&jpeg, 65535, 65535), &ALL, &limits),
        Code::PixelLimitExceeded
    );
    assert_eq!(
        code(&lying(&jpeg, 0, 64), &ALL, &limits),
        Code::MediaCorrupt
    );
    // Within the limit, but there is nothing to fill it.
    assert_eq!(
        code(&lying(&jpeg, 9000, 9000), &[COVER], &limits),
        Code::MediaCorrupt
    );
    let exact = Limits {
        max_pixels: 64 * 64,
        ..limits
    };
    assert!(render(&jpeg, &ALL, &exact, true).is_ok());
    let less = Limits {
        max_pixels: 64 * 64 - 1,
        ..limits
    };
    assert!(matches!(
        header(&jpeg, &less),
        Err(ImagingError::PixelLimit { .. })
    ));
    let mut png = png((1, 1), ColorType::Grayscale, BitDepth::Eight, &[0], |_| ());
    png[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    assert_eq!(code(&png, &ALL, &limits), Code::PixelLimitExceeded);
}

/// A gray JPEG of one lightness, each block of which takes two bits: as large a picture as one likes.
fn flat_jpeg(width: u16, height: u16) -> Vec<u8> {
    let blocks = usize::from(width).div_ceil(8) * usize::from(height).div_ceil(8);
    let segment = |marker: u8, body: &[u8]| {
        let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
        [&[0xff, marker][..], &length, body].concat()
    };
    let [high, low] = height.to_be_bytes();
    let [wide, narrow] = width.to_be_bytes();
    // One code of one bit: no difference to the block before, and nothing else in this one.
    let mut codes = [0; 17];
    codes[1] = 1;
    let table = |class: u8| [&[class << 4][..], &codes[1..], &[0]].concat();
    [
        vec![0xff, 0xd8],
        segment(0xdb, &[&[0][..], &[8; 64]].concat()),
        segment(0xc0, &[8, high, low, wide, narrow, 1, 1, 0x11, 0]),
        segment(0xc4, &table(0)),
        segment(0xc4, &table(1)),
        segment(0xda, &[1, 1, 0, 0, 63, 0]),
        vec![0; (blocks * 2).div_ceil(8)],
        vec![0xff, 0xd9],
    ]
    .concat()
}

#[test]
fn two_hundred_megapixels_are_a_photo() {
    let jpeg = flat_jpeg(16_000, 12_500);
    let made = render(&jpeg, &[COVER, DISPLAY, LARGE], &Limits::default(), true).unwrap();
    assert_eq!((made.width, made.height), (16_000, 12_500));
    for rendition in &made.renditions {
        let seen = seen(rendition);
        let gray = [128, 128, 128, 255];
        assert!(near(seen.at(seen.width / 2, seen.height / 2), gray, 2));
    }
    let beyond = flat_jpeg(16_000, 12_501);
    assert_eq!(
        code(&beyond, &ALL, &Limits::default()),
        Code::PixelLimitExceeded
    );
}

#[test]
fn memory_asked_for() {
    let limits = Limits {
        max_decode_bytes: 3 * 1024 * 1024,
        ..Limits::default()
    };
    let large = scene_jpeg(2000, 2000);
    assert_eq!(code(&large, &ALL, &limits), Code::DecodeMemory);
    // For the cover alone it is shrunk while decoding.
    assert!(render(&large, &[COVER], &limits, true).is_ok());
    let png = png(
        (2000, 2000),
        ColorType::Rgb,
        BitDepth::Eight,
        &scene(2000, 2000),
        |_| (),
    );
    assert_eq!(code(&png, &ALL, &limits), Code::DecodeMemory);
    let out = render(&png, &[COVER], &limits, true).unwrap();
    let shown = seen(&out.renditions[0]);
    assert!(
        near(shown.at(20, 20), [220, 40, 30, 255], 12),
        "{:?}",
        shown.at(20, 20)
    );
    assert!(
        near(shown.at(300, 300), [212, 220, 68, 255], 14),
        "{:?}",
        shown.at(300, 300)
    );
}

#[test]
fn scans() {
    let image = turbojpeg::Image {
        pixels: scene(64, 64),
        width: 64,
        pitch: 192,
        height: 64,
        format: turbojpeg::PixelFormat::RGB,
    };
    let mut compressor = turbojpeg::Compressor::new().unwrap();
    compressor.set_progressive(true).unwrap();
    let jpeg = compressor.compress_to_vec(image.as_deref()).unwrap();
    assert!(render(&jpeg, &ALL, &Limits::default(), true).is_ok());
    let few = Limits {
        max_scans: 5,
        ..Limits::default()
    };
    let error = render(&jpeg, &ALL, &few, true).unwrap_err();
    assert_eq!(error.code(), Code::MediaCorrupt);
    assert!(error.to_string().contains("more than 5 scans"), "{error}");
    // The same scan a thousand times.
    let last = jpeg.windows(2).rposition(|w| w == [0xff, 0xda]).unwrap();
    let mut bomb = jpeg[..last].to_vec();
    for _ in 0..1000 {
        bomb.extend_from_slice(&jpeg[last..jpeg.len() - 2]);
    }
    bomb.extend_from_slice(&[0xff, 0xd9]);
    assert_eq!(code(&bomb, &ALL, &Limits::default()), Code::MediaCorrupt);
}

#[test]
fn other_kinds_are_named() {
    let limits = Limits::default();
    for (bytes, name) in [
        (
            &b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"[..],
            "image/svg+xml",
        ),
        (b"\0\0\0\x14ftypisom\0\0\0\0mp41", "video/mp4"),
        (b"%PDF-1.7", "unknown type"),
        (b"", "unknown type"),
    ] {
        let error = render(bytes, &ALL, &limits, true).unwrap_err();
        assert_eq!(error.code(), Code::UnsupportedMediaType);
        assert!(error.to_string().contains(name), "{error}");
    }
}
