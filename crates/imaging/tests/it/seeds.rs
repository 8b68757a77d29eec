//! Small files of every kind that is parsed, to be damaged: by tests here, and by fuzzing.

use moxcms::ColorProfile;
use png::{BitDepth, ColorType};
use safelight_imaging::encode_webp;

use crate::clip_writer::{Track, clip};
use crate::fixtures::*;
use crate::gain_map_writer::{adobe, iso_meaning, ultra_hdr};
use crate::gif_writer::gif_seed;
use crate::heif_coded::*;
use crate::heif_writer::{Item, boxed, grid, heif};
use crate::raw_writer::raw_seed;

/// Valid files of every kind, small, with metadata and profiles.
pub fn seeds() -> Vec<Vec<u8>> {
    let rgb = scene(40, 24);
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let jpeg = with_orientation(&with_icc(&scene_jpeg(40, 24), &p3), 6);
    let mut compressor = turbojpeg::Compressor::new().unwrap();
    compressor.set_progressive(true).unwrap();
    let progressive = compressor
        .compress_to_vec(turbojpeg::Image {
            pixels: rgb.as_slice(),
            width: 40,
            pitch: 120,
            height: 24,
            format: turbojpeg::PixelFormat::RGB,
        })
        .unwrap();
    let plain = png((40, 24), ColorType::Rgb, BitDepth::Eight, &rgb, |info| {
        info.icc_profile = Some(p3.clone().into());
    });
    let turned = with_chunk(&plain, b"eXIf", &exif_tiff(8));
    let webp = encode_webp(40, 24, &rgb, false, 80).unwrap();
    let extended = extended_webp(
        (40, 24),
        0x28,
        &[
            (b"ICCP", p3),
            (b"VP8 ", webp_payload(&webp)),
            (b"EXIF", exif_tiff(5)),
        ],
    );
    vec![jpeg, progressive, turned, webp, extended]
}

/// The same for HEIF: a picture with all that can belong to it, and a grid, in both codings.
pub fn heif_seeds() -> Vec<Vec<u8>> {
    const URN: &str = "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha";
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let full = |brand, coded: Coded, alpha: Coded| {
        let picture = coded.item().cropped((90, 60), (1, -1)).turned(1);
        let picture = picture.mirrored(1).profiled(&p3).colored(12, 13, 6, true);
        heif(brand, &[picture, alpha.item().auxiliary(1, URN)])
    };
    let gridded = |brand, coded: Coded| {
        let (width, height) = coded.size;
        let size = (width as u16 * 2 - 5, height as u16 * 2 - 3);
        let tiles = (0..4).map(|_| coded.item());
        let items = std::iter::once(grid(2, 2, size, &[2, 3, 4, 5])).chain(tiles);
        heif(brand, &items.collect::<Vec<_>>())
    };
    let brighter = |brand, coded: Coded, map: Coded| {
        let told = [&[0], iso_meaning().as_slice()].concat();
        let told = Item::new(b"tmap", &told).refers(b"dimg", &[1, 2]);
        heif(brand, &[coded.item(), map.item(), told])
    };
    vec![
        brighter(b"heic", HEVC_SCENE, HEVC_ALPHA),
        brighter(b"avif", AV1_SCENE, AV1_ALPHA),
        full(b"heic", HEVC_SCENE, HEVC_ALPHA),
        full(b"avif", AV1_SCENE, AV1_ALPHA),
        gridded(b"heic", HEVC_RED),
        gridded(b"avif", AV1_SCENE),
        heif(b"heic", &[HEVC_10_BIT.item()]),
        heif(b"avif", &[AV1_10_BIT_444.item()]),
    ]
}

/// A GIF, a raw photo, one with a gain map, and motion photos.
pub fn plain_seeds() -> Vec<Vec<u8>> {
    let [google, samsung, heif] = motion_seeds();
    let hdr = ultra_hdr(6, &adobe(2.0));
    vec![gif_seed(), raw_seed(), hdr, google, samsung, heif]
}

/// Motion photos with [`clip_seed`] in them: behind a gain map, before Samsung's trailer, and in a box of HEIC.
pub fn motion_seeds() -> [Vec<u8>; 3] {
    let xmp = b"http://ns.adobe.com/xap/1.0/\0<a GCamera:MotionPhoto=\"1\" GCamera:BurstID=\"b\"/>";
    let google = with_segment(&ultra_hdr(6, &adobe(2.0)), 0xe1, xmp);
    let google = [google, clip_seed()].concat();
    let jpeg = with_orientation(&scene_jpeg(40, 24), 6);
    let before = b"\0\0\x30\x0a\x10\0\0\0MotionPhoto_Data";
    let behind = b"SEFH\x6a\0\0\0\x01\0\0\0\0\0\x30\x0a\x18\0\0\0SEFT";
    let samsung = [jpeg, before.to_vec(), clip_seed(), behind.to_vec()].concat();
    let picture = heif(b"heic", &[HEVC_SCENE.item()]);
    let heif = [picture, boxed(b"mpvd", &[&clip_seed()])].concat();
    [google, samsung, heif]
}

/// A clip with metadata of every kind that is read or removed.
pub fn clip_seed() -> Vec<u8> {
    let text = [&[0, 18, 0x15, 0xc7], &b"+27.2939+112.6931/"[..]].concat();
    let user = boxed(b"udta", &[&boxed(b"\xa9xyz", &[&text])]);
    let name = boxed(b"mdta", &[b"com.apple.quicktime.creationdate"]);
    let value = boxed(
        b"data",
        &[&[0, 0, 0, 1, 0, 0, 0, 0], b"2019-02-12T15:27:12+0800"],
    );
    let values = boxed(b"ilst", &[&boxed(&[0, 0, 0, 1], &[&value])]);
    let keys = boxed(b"keys", &[&[0, 0, 0, 0, 0, 0, 0, 1], &name]);
    let handler = boxed(b"hdlr", &[&[0; 8], b"mdta", &[0; 13]]);
    let meta = boxed(b"meta", &[&handler, &keys, &values]);
    let tracks = [
        Track::new(b"vide", &[b"one", b"two"]).with(&user),
        Track::new(b"soun", &[b"sound"]),
        Track::new(b"meta", &[b"here"]),
    ];
    clip(b"qt  ", &tracks, &[user, meta].concat())
}
