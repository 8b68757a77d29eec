//! Gain maps: `large` keeps them as Ultra HDR, and shows the same without.

use safelight_imaging::{Limits, render};
use safelight_model::preset::{ALL, COVER, DISPLAY, LARGE};

use crate::fixtures::*;
use crate::gain_map_writer::*;
use crate::heif_coded::*;
use crate::heif_writer::{Item, heif};
use crate::real_files::media;

/// The SDR picture of `large`, and its gain map if it has one.
fn pictures(file: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    let large = rendered(file, &[LARGE]).renditions.remove(0).bytes;
    let end = end_of_first(&large);
    let (base, behind) = large.split_at(end);
    (base.to_vec(), (!behind.is_empty()).then(|| behind.to_vec()))
}

/// Behind the first picture: the last end marker before another start.
fn end_of_first(jpeg: &[u8]) -> usize {
    let starts = jpeg
        .windows(3)
        .skip(1)
        .position(|w| w == [0xff, 0xd8, 0xff]);
    starts.map_or(jpeg.len(), |at| at + 1)
}

fn gray_at(jpeg: &[u8], x: usize, y: usize) -> (u8, (usize, usize)) {
    let image = turbojpeg::decompress(jpeg, turbojpeg::PixelFormat::GRAY).unwrap();
    (
        image.pixels[y * image.pitch + x],
        (image.width, image.height),
    )
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|w| w == text.as_bytes())
}

#[test]
fn large_keeps_it_as_the_picture_is_turned_and_others_do_not() {
    for (orientation, at) in [(1, (40, 20)), (3, (20, 10)), (6, (20, 40)), (8, (10, 20))] {
        let file = ultra_hdr(orientation, &adobe(2.0));
        let (base, map) = pictures(&file);
        let map = map.unwrap();
        // The map's right half is bright.
        let (bright, size) = gray_at(&map, at.0, at.1);
        let upright = if orientation > 4 { (30, 60) } else { (60, 30) };
        assert_eq!(size, upright, "{orientation}");
        assert!(bright > 190, "{orientation}: {bright}");
        assert!(has(&base, "Item:Semantic=\"GainMap\"") && has(&base, "MPF\0"));
        assert!(has(&map, "hdrgm:GainMapMax=\"2.000000\"") && has(&map, "21496"));
        // Nothing else goes with them.
        assert!(!has(&base, "Exif") && !has(&map, "Exif") && !has(&map, "secret"));
        let others = rendered(&file, &[COVER, DISPLAY]);
        assert!(others.renditions.iter().all(|r| !has(&r.bytes, "hdrgm")));
    }
}

#[test]
fn what_is_shown_is_the_same_as_without() {
    let file = ultra_hdr(6, &adobe(2.0));
    let plain = with_orientation(&scene_jpeg(120, 60), 6);
    let (with, without) = (rendered(&file, &ALL), rendered(&plain, &ALL));
    for (with, without) in with.renditions.iter().zip(&without.renditions) {
        let (a, b) = (seen(with), seen(without));
        assert_eq!((a.width, a.height), (b.width, b.height));
        assert_eq!(a.rgba, b.rgba, "{}", with.preset.name);
        if with.preset != LARGE {
            assert_eq!(with.bytes, without.bytes);
        }
    }
}

#[test]
fn of_iso_alone() {
    let (_, map) = pictures(&ultra_hdr(
        1,
        &Told {
            iso: iso_meaning(),
            ..Told::default()
        },
    ));
    assert!(has(&map.unwrap(), "hdrgm:GainMapMax=\"1.500000\""));
}

#[test]
fn of_apple_becomes_stops() {
    let told = Told {
        xmp: "<a xmlns:H='http://ns.apple.com/HDRGainMap/1.0/'>urn:com:apple:photo:2020:aux:hdrgainmap\
              <H:HDRGainMapHeadroom>4.0</H:HDRGainMapHeadroom></a>"
            .to_owned(),
        ..Told::default()
    };
    let (_, map) = pictures(&ultra_hdr(1, &told));
    let map = map.unwrap();
    assert!(has(&map, "hdrgm:HDRCapacityMax=\"2.000000\""));
    // 64 of 255 is a twentieth of the light: 1.15 times as bright, which is a tenth of two stops.
    let (dark, _) = gray_at(&map, 10, 15);
    assert!((22..=30).contains(&dark), "{dark}");
}

#[test]
fn of_heic_goes_with_large_too() {
    const URN: &str = "urn:com:apple:photo:2020:aux:hdrgainmap";
    let told = Item::new(
        b"mime",
        b"<a><H:HDRGainMapHeadroom>4.0</H:HDRGainMapHeadroom></a>",
    );
    let scene = || HEVC_SCENE.item().turned(1);
    let map = || HEVC_ALPHA.item().auxiliary(1, URN);
    let file = heif(b"heic", &[scene(), map().turned(1), told]);
    let (base, map_jpeg) = pictures(&file);
    let map_jpeg = map_jpeg.unwrap();
    // A quarter anticlockwise: what was on the right is above.
    let (bright, size) = gray_at(&map_jpeg, 32, 10);
    assert_eq!(size, (64, 96));
    assert!(bright > 240 && gray_at(&map_jpeg, 32, 90).0 < 15);
    let plain = pictures(&heif(b"heic", &[scene()])).0;
    let shown = |jpeg: &[u8]| turbojpeg::decompress(jpeg, turbojpeg::PixelFormat::RGB).unwrap();
    assert_eq!(shown(&base).pixels, shown(&plain).pixels);
    // Turned otherwise than the picture, or without a headroom, it is none that is known.
    let told = || {
        Item::new(
            b"mime",
            b"<a><H:HDRGainMapHeadroom>4.0</H:HDRGainMapHeadroom></a>",
        )
    };
    for items in [[scene(), map(), told()], [scene(), map().turned(3), told()]] {
        assert_eq!(pictures(&heif(b"heic", &items)).1, None);
    }
    assert_eq!(
        pictures(&heif(b"heic", &[scene(), map().turned(1)])).1,
        None
    );
}

#[test]
fn of_iso_in_heif_goes_with_large() {
    let told = |version: u8, meaning: &[u8]| Item::new(b"tmap", &[&[version], meaning].concat());
    for (brand, scene, map) in [
        (b"heic", HEVC_SCENE, HEVC_ALPHA),
        (b"avif", AV1_SCENE, AV1_ALPHA),
    ] {
        let files = |told: Item| heif(brand, &[scene.item(), map.item(), told]);
        let file = files(told(0, &iso_meaning()).refers(b"dimg", &[1, 2]));
        let (base, map_jpeg) = pictures(&file);
        let map_jpeg = map_jpeg.unwrap();
        assert!(has(&map_jpeg, "hdrgm:GainMapMax=\"1.500000\""));
        assert_eq!(gray_at(&map_jpeg, 0, 0).1, (96, 64));
        let plain = pictures(&heif(brand, &[scene.item()])).0;
        let shown = |jpeg: &[u8]| turbojpeg::decompress(jpeg, turbojpeg::PixelFormat::RGB).unwrap();
        assert_eq!(shown(&base).pixels, shown(&plain).pixels);
        // Of another picture, of itself, of a later version, of nothing, coloured, or cut off.
        let mut coloured = iso_meaning();
        coloured[4] |= 0x80;
        for told in [
            told(0, &iso_meaning()).refers(b"dimg", &[2, 1]),
            told(0, &iso_meaning()).refers(b"dimg", &[1, 1]),
            told(0, &iso_meaning()).refers(b"dimg", &[1, 3]),
            told(0, &iso_meaning()).refers(b"dimg", &[1, 9]),
            told(1, &iso_meaning()).refers(b"dimg", &[1, 2]),
            told(0, &coloured).refers(b"dimg", &[1, 2]),
            told(0, &iso_meaning()[..20]).refers(b"dimg", &[1, 2]),
            told(0, &[iso_meaning(), vec![0; 2000]].concat()).refers(b"dimg", &[1, 2]),
            told(0, &iso_meaning()),
            Item::new(b"tmap", b"").refers(b"dimg", &[1, 2]),
        ] {
            assert_eq!(pictures(&files(told)).1, None);
        }
        // What is not understood hides neither another that is, nor Apple's.
        let items = [
            scene.item(),
            map.item(),
            told(0, &coloured).refers(b"dimg", &[1, 2]),
            told(0, &iso_meaning()).refers(b"dimg", &[1, 2]),
        ];
        assert!(pictures(&heif(brand, &items)).1.is_some());
        const URN: &str = "urn:com:apple:photo:2020:aux:hdrgainmap";
        let items = [
            scene.item(),
            map.item().auxiliary(1, URN),
            told(0, &coloured).refers(b"dimg", &[1, 2]),
            Item::new(
                b"mime",
                b"<a><H:HDRGainMapHeadroom>4.0</H:HDRGainMapHeadroom></a>",
            ),
        ];
        let (_, apples) = pictures(&heif(brand, &items));
        assert!(has(&apples.unwrap(), "hdrgm:GainMapMax=\"2.000000\""));
    }
}

#[test]
fn of_a_real_heic_goes_with_large() {
    let Some(media) = media() else { return };
    let file = std::fs::read(media.join("heic/iphone13promax_12mp_orient6.heic")).unwrap();
    let (base, map) = pictures(&file);
    let map = map.unwrap();
    let size = |jpeg: &[u8]| {
        turbojpeg::read_header(jpeg)
            .map(|h| (h.width, h.height))
            .unwrap()
    };
    // Upright, as the photo is.
    assert_eq!(size(&base), (1512, 2016));
    let (width, height) = size(&map);
    assert!(width * 4 == height * 3 && height >= 500, "{width} {height}");
    assert!(has(&map, "hdrgm:GainMapMax") && !has(&map, "Exif"));
}

#[test]
fn what_makes_no_sense_or_does_not_fit_is_left_out() {
    let limits = Limits::default();
    let whole = ultra_hdr(1, &adobe(2.0));
    let plain = scene_jpeg(120, 60);
    let expected = render(&plain, &ALL, &limits, true).unwrap();
    let map = map_jpeg(60, 30, &adobe(2.0));
    let mut odd = vec![
        ultra_hdr(1, &adobe(f64::NAN)),
        ultra_hdr(1, &adobe(1e9)),
        ultra_hdr(1, &adobe(-1.0)),
        ultra_hdr(1, &Told::default()),
        // Of another shape, and larger than the picture.
        joined(&plain, &map_jpeg(30, 30, &adobe(2.0))),
        joined(&plain, &map_jpeg(240, 120, &adobe(2.0))),
        // Not announced.
        [plain.clone(), map.clone()].concat(),
    ];
    odd.push(whole[..whole.len() - map.len()].to_vec());
    odd.push(whole[..whole.len() - map.len() / 2].to_vec());
    for (n, file) in odd.iter().enumerate() {
        let out = render(file, &ALL, &limits, true).unwrap();
        assert_eq!(out.renditions, expected.renditions, "{n}");
    }
    assert_ne!(
        render(&whole, &ALL, &limits, true).unwrap().renditions,
        expected.renditions
    );
}

#[test]
fn any_byte_changed_leaves_the_picture() {
    let whole = ultra_hdr(1, &adobe(2.0));
    let map = end_of_first(&whole);
    let expected = seen(&rendered(&whole, &[LARGE]).renditions[0]).rgba;
    for at in map..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        let out = rendered(&bytes, &[LARGE]);
        assert_eq!(seen(&out.renditions[0]).rgba, expected, "{at}");
    }
}
