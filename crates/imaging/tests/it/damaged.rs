//! Files that are cut off are refused; files that only look odd are not.

use png::{BitDepth, ColorType};
use safelight_imaging::{Limits, encode_webp, render};
use safelight_model::codes::Code;
use safelight_model::preset::COVER;

use crate::fixtures::*;

fn result(bytes: &[u8]) -> Result<(), Code> {
    render(bytes, &[COVER], &Limits::default(), true)
        .map(|_| ())
        .map_err(|e| e.code())
}

fn progressive() -> Vec<u8> {
    let mut compressor = turbojpeg::Compressor::new().unwrap();
    compressor.set_progressive(true).unwrap();
    let pixels = scene(400, 300);
    compressor
        .compress_to_vec(turbojpeg::Image {
            pixels: pixels.as_slice(),
            width: 400,
            pitch: 1200,
            height: 300,
            format: turbojpeg::PixelFormat::RGB,
        })
        .unwrap()
}

#[test]
fn cut_off_jpegs() {
    for jpeg in [scene_jpeg(400, 300), progressive()] {
        assert_eq!(result(&jpeg), Ok(()));
        for percent in [3, 20, 40, 60, 80, 95, 98] {
            let cut = &jpeg[..jpeg.len() * percent / 100];
            assert_eq!(result(cut), Err(Code::MediaCorrupt), "{percent} %");
        }
        // A hole in the middle, as of a lost part.
        let mut hole = jpeg.clone();
        hole.drain(jpeg.len() / 2..jpeg.len() * 3 / 4);
        assert_eq!(result(&hole), Err(Code::MediaCorrupt));
    }
}

#[test]
fn jpegs_that_only_look_odd() {
    let jpeg = scene_jpeg(400, 300);
    let end = jpeg.len();
    // All pixels, but no end marker.
    assert_eq!(result(&jpeg[..end - 2]), Ok(()));
    // A trailer that is a JPEG itself, as with gain maps and motion photos.
    assert_eq!(result(&[jpeg.clone(), scene_jpeg(40, 30)].concat()), Ok(()));
    // Padding before the end marker.
    assert_eq!(
        result(&[&jpeg[..end - 2], &[0; 37], &jpeg[end - 2..]].concat()),
        Ok(())
    );
    // Rubbish between segments: behind the JFIF header, which is 18 bytes long.
    let dirty = [&jpeg[..20], b"rubbish", &jpeg[20..]].concat();
    assert_eq!(result(&dirty), Ok(()));
    // Rubbish does not hide that the rest is missing.
    assert_eq!(result(&dirty[..end * 6 / 10]), Err(Code::MediaCorrupt));
    // An embedded thumbnail is not the picture.
    let thumbnail = scene_jpeg(40, 30);
    let out = rendered(&with_segment(&jpeg, 0xe1, &thumbnail), &[COVER]);
    assert_eq!((out.width, out.height), (400, 300));
}

#[test]
fn cut_off_png_and_webp() {
    let rgb = scene(400, 300);
    let png = png((400, 300), ColorType::Rgb, BitDepth::Eight, &rgb, |_| ());
    let webp = encode_webp(400, 300, &rgb, false, 90).unwrap();
    for whole in [png, webp] {
        assert_eq!(result(&whole), Ok(()));
        for percent in [5, 30, 60, 90] {
            let cut = &whole[..whole.len() * percent / 100];
            assert_eq!(result(cut), Err(Code::MediaCorrupt), "{percent} %");
        }
    }
}

#[test]
fn png_text_and_profile_bombs_do_not_matter() {
    let plain = png((8, 8), ColorType::Rgb, BitDepth::Eight, &[90; 192], |_| ());
    // 64 MiB of zeros, and a profile that cannot be inflated.
    let broken = with_chunk(&plain, b"iCCP", b"name\0\0not zlib at all");
    assert_eq!(result(&broken), Ok(()));
    let text = with_chunk(&plain, b"zTXt", b"name\0\0not zlib at all");
    assert_eq!(result(&text), Ok(()));
}
