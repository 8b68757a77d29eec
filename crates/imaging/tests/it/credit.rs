//! Whose a picture is, in what is made of it.

use png::{BitDepth, ColorType};
use safelight_imaging::{Limits, MediaType, Rendition, Wants, read_metadata, render, sniff};
use safelight_model::preset::{ALL, Format, LARGE, Preset};
use safelight_model::variant::OF_PICTURES;

use crate::fixtures::*;
use crate::gain_map_writer::{adobe, ultra_hdr};

const WHOSE: &str = "(c) Ann 2026, alle Rechte";

fn exif() -> Vec<u8> {
    exif_of(format!("{WHOSE}\0").as_bytes())
}

/// EXIF with a camera and a copyright, as a TIFF structure.
fn exif_of(whose: &[u8]) -> Vec<u8> {
    let maker = b"SECRET maker\0";
    let mut tiff = b"MM\0*\0\0\0\x08\0\x02".to_vec();
    let behind = 8 + 2 + 2 * 12 + 4;
    let field = |tag: u16, length: usize, at: usize| {
        let mut field = tag.to_be_bytes().to_vec();
        field.extend([0, 2]);
        field.extend((length as u32).to_be_bytes());
        field.extend((at as u32).to_be_bytes());
        field
    };
    tiff.extend(field(0x010f, maker.len(), behind));
    tiff.extend(field(0x8298, whose.len(), behind + maker.len()));
    tiff.extend([0; 4]);
    tiff.extend(maker);
    tiff.extend(whose);
    tiff
}

fn with_exif(jpeg: &[u8]) -> Vec<u8> {
    with_tiff(jpeg, &exif())
}

fn with_tiff(jpeg: &[u8], tiff: &[u8]) -> Vec<u8> {
    with_segment(jpeg, 0xe1, &[&b"Exif\0\0"[..], tiff].concat())
}

fn made(file: &[u8], presets: &[Preset], credit: bool) -> Vec<Rendition> {
    let want = Wants {
        credit,
        ..Wants::default()
    };
    render(file, presets, &Limits::default(), want)
        .unwrap()
        .renditions
}

/// A picture that is in part transparent.
fn see_through() -> Vec<u8> {
    let samples = [[200, 30, 40, 255].repeat(32), [20, 60, 220, 90].repeat(32)].concat();
    let plain = png((8, 8), ColorType::Rgba, BitDepth::Eight, &samples, |_| ());
    with_chunk(&plain, b"eXIf", &exif())
}

#[test]
fn renditions_say_it_where_that_is_wanted() {
    let presets: Vec<Preset> = ALL.into_iter().chain(OF_PICTURES).collect();
    for file in [with_exif(&scene_jpeg(401, 300)), see_through()] {
        let (with, without) = (made(&file, &presets, true), made(&file, &presets, false));
        for (with, without) in with.iter().zip(&without) {
            let name = (with.preset.name, with.preset.format);
            let said = read_metadata(&with.bytes).unwrap();
            assert_eq!(said.copyright.as_deref(), Some(WHOSE), "{name:?}");
            assert_eq!((said.make, said.place), (None, None), "{name:?}");
            let silent = read_metadata(&without.bytes).unwrap();
            assert_eq!(silent.copyright, None, "{name:?}");
            for bytes in [&with.bytes, &without.bytes] {
                let secret = bytes.windows(6).any(|w| w == b"SECRET");
                assert!(!secret, "{name:?}");
            }
            // It is the same picture.
            let again = |of: &Rendition| {
                let shown = made(&of.bytes, &[WHOLE_JPEG], false).remove(0);
                seen(&shown).rgba
            };
            assert_eq!(again(with), again(without), "{name:?}");
            let expected = match with.preset.format {
                Format::Jpeg => MediaType::Jpeg,
                Format::Webp => MediaType::Webp,
                _ => MediaType::Avif,
            };
            assert_eq!(sniff(&with.bytes), Some(expected));
        }
    }
}

#[test]
fn what_says_nothing_comes_out_as_ever() {
    let presets: Vec<Preset> = ALL.into_iter().chain(OF_PICTURES).collect();
    let file = with_orientation(&scene_jpeg(400, 300), 6);
    assert_eq!(made(&file, &presets, true), made(&file, &presets, false));
}

#[test]
fn a_gain_map_goes_with_it() {
    let file = with_exif(&ultra_hdr(1, &adobe(2.0)));
    let large = made(&file, &[LARGE], true).remove(0).bytes;
    let said = read_metadata(&large).unwrap();
    assert_eq!(said.copyright.as_deref(), Some(WHOSE));
    // It is found where it is said to be.
    let again = made(&large, &[LARGE], false).remove(0).bytes;
    let has = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|w| w == text);
    assert!(has(&large, b"hdrgm:GainMapMax") && has(&again, b"hdrgm:GainMapMax"));
}

#[test]
fn it_is_read_as_it_is_written() {
    let long = "x".repeat(3000);
    for (written, read) in [
        (&b"\xa9 Ann\0"[..], Some("\u{a9} Ann")),
        ("\u{a9} Änn\0".as_bytes(), Some("\u{a9} Änn")),
        (b" \0The editor\0", Some("The editor")),
        (b"Ann\0The editor\0", Some("Ann")),
        (b"\x1b[31mAnn\0", Some("[31mAnn")),
        (b"    \0", None),
        (long.as_bytes(), Some(&long[..200])),
    ] {
        let file = with_tiff(&scene_jpeg(64, 48), &exif_of(written));
        for of in made(&file, &[WHOLE_WEBP, WHOLE_JPEG], true) {
            let said = read_metadata(&of.bytes).unwrap();
            assert_eq!(said.copyright.as_deref(), read);
        }
    }
}
