//! A JPEG whose colours stay apart on the way looks as the same pixels do that came as a PNG.

use png::{BitDepth, ColorType};
use safelight_imaging::{Limits, Rendered, render};
use safelight_model::preset::{COVER, Preset};
use turbojpeg::{Colorspace, Compressor, Image, PixelFormat, Subsamp};

use crate::fixtures::*;

/// Rendered from planes and from red, green and blue: this far apart in the mean of all channels at most, of 255. A
/// rendition is encoded lossily, and its chroma halved, both times.
const SAME_PICTURE: f64 = 1.8;

/// The same where one of them was shrunk by the inverse DCT, which is another filter than Lanczos'.
const SAME_SHRUNK: f64 = 2.0;

const SMALL: Preset = Preset {
    long_edge: 60,
    ..WHOLE_WEBP
};
const SMALL_JPEG: Preset = Preset {
    long_edge: 61,
    ..WHOLE_JPEG
};

/// Colours that change softly, another in each corner, under a fine pattern of light and dark.
fn soft(width: u32, height: u32) -> Vec<u8> {
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let part = |at: u32, of: u32| (at * 200 / of.max(1)) as u8;
    let colour = |(x, y): (u32, u32)| {
        let ripple = if (x / 4 + y / 4) % 2 == 0 { 0 } else { 12 };
        let (across, down) = (part(x, width), part(y, height));
        let blue = 218 - across / 2 - down / 2;
        [30 + across, 20 + down, blue].map(|c| c + ripple)
    };
    places.flat_map(colour).collect()
}

fn coded(size: (u32, u32), change: impl FnOnce(&mut Compressor)) -> Vec<u8> {
    let (width, height) = (size.0 as usize, size.1 as usize);
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(97).unwrap();
    change(&mut compressor);
    let image = Image {
        pixels: soft(size.0, size.1),
        width,
        pitch: width * 3,
        height,
        format: PixelFormat::RGB,
    };
    compressor.compress_to_vec(image.as_deref()).unwrap()
}

fn sampled(size: (u32, u32), sampling: Subsamp) -> Vec<u8> {
    coded(size, |c| c.set_subsamp(sampling).unwrap())
}

/// The pixels of a JPEG as a PNG, with the same orientation.
fn as_png(jpeg: &[u8], orientation: u16) -> Vec<u8> {
    let image = turbojpeg::decompress(jpeg, PixelFormat::RGB).unwrap();
    let size = (image.width as u32, image.height as u32);
    let plain = png(size, ColorType::Rgb, BitDepth::Eight, &image.pixels, |_| ());
    with_chunk(&plain, b"eXIf", &exif_tiff(orientation))
}

fn mean_difference(a: &Seen, b: &Seen) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let apart = a.rgba.iter().zip(&b.rgba).map(|(a, b)| a.abs_diff(*b));
    apart.map(f64::from).sum::<f64>() / f64::from(a.width * a.height * 3)
}

fn compare(name: &str, jpeg: &[u8], orientation: u16) {
    let presets = [WHOLE_WEBP, WHOLE_JPEG, SMALL, SMALL_JPEG];
    let ours = rendered(&with_orientation(jpeg, orientation), &presets);
    let expected = rendered(&as_png(jpeg, orientation), &presets);
    assert_eq!((ours.width, ours.height), (expected.width, expected.height));
    for (got, expected) in ours.renditions.iter().zip(&expected.renditions) {
        let apart = mean_difference(&seen(got), &seen(expected));
        let edge = got.preset.long_edge;
        assert!(
            apart <= SAME_PICTURE,
            "{name}, orientation {orientation}, {edge}: {apart}"
        );
    }
    let hash = |rendered: &Rendered| rendered.thumbhash.clone().unwrap();
    let (got, expected) = (hash(&ours), hash(&expected));
    let shown = |hash: &[u8]| fast_thumbhash::thumb_hash_to_rgba(hash).unwrap();
    let ((w, h, got), (expected_w, expected_h, expected)) = (shown(&got), shown(&expected));
    assert_eq!((w, h), (expected_w, expected_h), "{name}");
    // Its means have 64 steps, of four levels each: where one falls on the other side, all pixels differ by that.
    let apart = got.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b));
    let apart = apart.map(f64::from).sum::<f64>() / got.len() as f64;
    assert!(apart <= 8.0, "{name}, orientation {orientation}: {apart}");
}

#[test]
fn every_sampling_and_orientation() {
    for sampling in [Subsamp::None, Subsamp::Sub2x1, Subsamp::Sub2x2] {
        // Even, odd across, odd down, both.
        for size in [(96, 64), (97, 64), (96, 65), (97, 65)] {
            let jpeg = sampled(size, sampling);
            for orientation in 1..=8 {
                compare(&format!("{sampling:?} {size:?}"), &jpeg, orientation);
            }
        }
    }
}

/// Samplings that cameras do not write go by red, green and blue.
#[test]
fn other_samplings_and_tiny_pictures() {
    for sampling in [Subsamp::Sub1x2, Subsamp::Sub4x1, Subsamp::Gray] {
        compare(&format!("{sampling:?}"), &sampled((96, 64), sampling), 6);
    }
    for size in [(1, 1), (2, 1), (1, 3), (9, 1), (3, 17)] {
        for orientation in [1, 3, 6] {
            let jpeg = with_orientation(&sampled(size, Subsamp::Sub2x2), orientation);
            let out = rendered(&jpeg, &[COVER, WHOLE_JPEG]);
            for rendition in &out.renditions {
                let shown = seen(rendition);
                assert_eq!((shown.width, shown.height), (out.width, out.height));
            }
        }
    }
}

/// Shrunk by the decoder, to a half as it is, and to less with a resize behind it.
#[test]
fn shrunk_while_decoding() {
    for sampling in [Subsamp::None, Subsamp::Sub2x1, Subsamp::Sub2x2] {
        for (size, edges) in [((1600, 1202), [800, 330]), ((1603, 1201), [801, 100])] {
            let jpeg = sampled(size, sampling);
            for edge in edges {
                let presets = [Preset {
                    long_edge: edge,
                    ..WHOLE_WEBP
                }];
                let got = rendered(&with_orientation(&jpeg, 8), &presets);
                let expected = rendered(&as_png(&jpeg, 8), &presets);
                let got = seen(&got.renditions[0]);
                let expected = seen(&expected.renditions[0]);
                let apart = mean_difference(&got, &expected);
                assert!(
                    apart <= SAME_SHRUNK,
                    "{sampling:?} {size:?} {edge}: {apart}"
                );
            }
        }
    }
}

/// Red, green and blue as they are, without a change of colours: Adobe's marker says so.
#[test]
fn a_jpeg_of_red_green_and_blue() {
    let jpeg = coded((96, 64), |c| {
        c.set_colorspace(Colorspace::RGB).unwrap();
        c.set_subsamp(Subsamp::None).unwrap();
    });
    for orientation in [1, 7] {
        compare("RGB", &jpeg, orientation);
    }
}

#[test]
fn progressive_is_the_same_picture() {
    let make = |progressive: bool, arithmetic: bool| {
        coded((321, 200), |c| {
            c.set_subsamp(Subsamp::Sub2x2).unwrap();
            c.set_progressive(progressive).unwrap();
            c.set_arithmetic(arithmetic).unwrap();
        })
    };
    let presets = [COVER, WHOLE_JPEG];
    let baseline = rendered(&make(false, false), &presets);
    for (progressive, arithmetic) in [(true, false), (false, true), (true, true)] {
        let other = rendered(&make(progressive, arithmetic), &presets);
        assert_eq!(other, baseline, "{progressive} {arithmetic}");
    }
}

/// A profile that is sRGB's changes nothing, and costs nothing but a look at it.
#[test]
fn srgb_by_profile_is_srgb() {
    let jpeg = sampled((320, 240), Subsamp::Sub2x2);
    let profile = moxcms::ColorProfile::new_srgb().encode().unwrap();
    let presets = [COVER, WHOLE_JPEG];
    let plain = rendered(&jpeg, &presets);
    assert_eq!(rendered(&with_icc(&jpeg, &profile), &presets), plain);
    let other = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    assert_ne!(rendered(&with_icc(&jpeg, &other), &presets), plain);
}

/// What is cut off is an error as before, at every scale.
#[test]
fn cut_off() {
    let jpeg = sampled((800, 600), Subsamp::Sub2x2);
    for preset in [COVER, WHOLE_JPEG, SMALL] {
        let cut = &jpeg[..jpeg.len() * 2 / 3];
        let error = render(cut, &[preset], &Limits::default(), true).unwrap_err();
        assert_eq!(error.code(), safelight_model::codes::Code::MediaCorrupt);
    }
}
