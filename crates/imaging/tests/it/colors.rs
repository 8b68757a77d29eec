//! Embedded profiles and ink come out as sRGB.

use moxcms::ColorProfile;
use png::{BitDepth, ColorType};
use safelight_imaging::{encode_jpeg, encode_webp};

use crate::fixtures::*;

fn flat(rgb: [u8; 3]) -> Vec<u8> {
    rgb.repeat(32 * 32)
}

/// The colour in the middle of a rendition.
fn middle(bytes: &[u8]) -> [u8; 4] {
    let out = rendered(bytes, &[WHOLE_WEBP, WHOLE_JPEG]);
    let [webp, jpeg] = [seen(&out.renditions[0]), seen(&out.renditions[1])];
    let colour = webp.at(16, 16);
    assert!(
        near(colour, jpeg.at(16, 16), 6),
        "{colour:?} {:?}",
        jpeg.at(16, 16)
    );
    colour
}

#[test]
fn display_p3_and_adobe_rgb() {
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let adobe = ColorProfile::new_adobe_rgb().encode().unwrap();
    let srgb = ColorProfile::new_srgb().encode().unwrap();
    // Values by the published matrices and curves, clipped.
    for (profile, from, to) in [
        (&p3, [200, 100, 50], [216, 95, 28]),
        (&p3, [128, 128, 128], [128, 128, 128]),
        (&adobe, [120, 160, 80], [96, 161, 73]),
        (&srgb, [200, 100, 50], [200, 100, 50]),
    ] {
        let [r, g, b] = to;
        let jpeg = with_icc(&encode_jpeg(32, 32, &flat(from), 100).unwrap(), profile);
        let got = middle(&jpeg);
        assert!(
            near(got, [r, g, b, 255], 5),
            "jpeg {from:?}: {got:?}, not {to:?}"
        );
        let png = png(
            (32, 32),
            ColorType::Rgb,
            BitDepth::Eight,
            &flat(from),
            |info| {
                info.icc_profile = Some(profile.clone().into());
            },
        );
        let got = middle(&png);
        assert!(
            near(got, [r, g, b, 255], 5),
            "png {from:?}: {got:?}, not {to:?}"
        );
        let webp = encode_webp(32, 32, &flat(from), false, 100).unwrap();
        let chunks = [(b"ICCP", profile.clone()), (b"VP8 ", webp_payload(&webp))];
        let got = middle(&extended_webp((32, 32), 0x20, &chunks));
        assert!(
            near(got, [r, g, b, 255], 6),
            "webp {from:?}: {got:?}, not {to:?}"
        );
    }
}

#[test]
fn broken_or_foreign_profiles_are_ignored() {
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let gray = ColorProfile::new_gray_with_gamma(2.2).encode().unwrap();
    let mut wrong = p3.clone();
    wrong.truncate(200);
    let jpeg = encode_jpeg(32, 32, &flat([200, 100, 50]), 100).unwrap();
    for profile in [
        &wrong,
        &gray,
        &b"no profile at all, but long enough to try".to_vec(),
    ] {
        let got = middle(&with_icc(&jpeg, profile));
        assert!(near(got, [200, 100, 50, 255], 5), "{got:?}");
    }
}

#[test]
fn gray_with_and_without_profile() {
    let samples = [100; 32 * 32];
    let plain = png(
        (32, 32),
        ColorType::Grayscale,
        BitDepth::Eight,
        &samples,
        |_| (),
    );
    assert!(near(middle(&plain), [100, 100, 100, 255], 3));
    let linear = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    let bright = png(
        (32, 32),
        ColorType::Grayscale,
        BitDepth::Eight,
        &samples,
        |info| {
            info.icc_profile = Some(linear.into());
        },
    );
    // 100 / 255 of light is 168 in sRGB.
    let got = middle(&bright);
    assert!(near(got, [168, 168, 168, 255], 4), "{got:?}");
}

/// A YCCK JPEG as Photoshop writes it: ink inverted, Adobe's marker.
#[test]
fn ink_without_profile() {
    // Stored inverted: cyan 255 - 230, magenta 255 - 55, …
    let inverted = [230_u8, 55, 200, 240].repeat(32 * 32);
    let image = turbojpeg::Image {
        pixels: inverted.as_slice(),
        width: 32,
        pitch: 128,
        height: 32,
        format: turbojpeg::PixelFormat::CMYK,
    };
    let jpeg = turbojpeg::compress(image, 100, turbojpeg::Subsamp::None).unwrap();
    let expected = [230_u32, 55, 200].map(|v| (v * 240 / 255) as u8);
    let got = middle(&jpeg);
    let [r, g, b] = expected;
    assert!(near(got, [r, g, b, 255], 5), "{got:?}, not {expected:?}");
}
