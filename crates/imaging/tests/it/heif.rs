//! HEIC and AVIF: what of the container decides how a picture comes out.

use moxcms::ColorProfile;
use safelight_imaging::{Limits, MediaType, Wants, header, render};
use safelight_model::codes::Code;
use safelight_model::preset::{ALL, COVER, LARGE, Preset};

use crate::fixtures::*;
use crate::heif_coded::*;
use crate::heif_writer::*;
use crate::vips::reference;

const RED: [u8; 4] = [220, 40, 30, 255];
const GREEN: [u8; 4] = [25, 190, 65, 255];
const BLUE: [u8; 4] = [40, 60, 210, 255];
const YELLOW: [u8; 4] = [225, 220, 55, 255];

/// The scene in both codings, with the brand of its files.
fn scenes() -> [(&'static [u8; 4], Coded); 2] {
    [(b"heic", HEVC_SCENE), (b"avif", AV1_SCENE)]
}

/// Renders a file whole, as WebP, and gives what is seen.
fn shown(file: &[u8]) -> Seen {
    let out = rendered(file, &[WHOLE_WEBP]);
    let seen = seen(&out.renditions[0]);
    assert_eq!((out.width, out.height), (seen.width, seen.height));
    seen
}

fn code(file: &[u8]) -> Code {
    let result = render(file, &ALL, &Limits::default(), true);
    result.expect_err("a file that is refused").code()
}

/// Checks the colours of the four quarters: above from the left, then below.
fn quarters(seen: &Seen, expected: [[u8; 4]; 4]) {
    let (x, y) = (seen.width / 4, seen.height / 4);
    let places = [(x, y), (3 * x, y), (x, 3 * y), (3 * x, 3 * y)];
    for ((x, y), expected) in places.into_iter().zip(expected) {
        let got = seen.at(x, y);
        assert!(
            near(got, expected, 26),
            "{x}, {y}: {got:?}, not {expected:?}"
        );
    }
}

#[test]
fn both_codings() {
    for (brand, coded) in scenes() {
        let file = heif(brand, &[coded.item()]);
        let out = rendered(&file, &[WHOLE_WEBP, WHOLE_JPEG]);
        let media = if brand == b"heic" {
            MediaType::Heic
        } else {
            MediaType::Avif
        };
        assert_eq!(out.media, media);
        assert_eq!((out.width, out.height), (96, 64));
        for rendition in &out.renditions {
            quarters(&seen(rendition), [RED, GREEN, BLUE, YELLOW]);
        }
        // Near the edge between two quarters, where chroma is spread.
        let whole = seen(&out.renditions[0]);
        assert!(near(whole.at(44, 10), [210, 40, 40, 255], 30));
        assert!(out.thumbhash.is_some_and(|hash| !hash.is_empty()));
    }
}

#[test]
fn shrunk_while_decoding() {
    for (brand, coded) in scenes() {
        for long_edge in [48, 24, 12] {
            let preset = Preset {
                long_edge,
                ..WHOLE_WEBP
            };
            let out = rendered(&heif(brand, &[coded.item()]), &[preset]);
            let small = seen(&out.renditions[0]);
            assert_eq!((small.width, small.height), (long_edge, long_edge * 2 / 3));
            quarters(&small, [RED, GREEN, BLUE, YELLOW]);
        }
    }
}

#[test]
fn more_bits_and_full_colour() {
    for (brand, coded) in [
        (b"heic", HEVC_422),
        (b"heic", HEVC_444),
        (b"heic", HEVC_10_BIT),
        (b"avif", AV1_444),
        (b"avif", AV1_10_BIT_444),
    ] {
        let seen = shown(&heif(brand, &[coded.item()]));
        quarters(&seen, [RED, GREEN, BLUE, YELLOW]);
    }
}

/// `irot` and `imir`, in both orders, against turning the scene by hand.
#[test]
fn turned_and_mirrored() {
    let scene = [RED, GREEN, BLUE, YELLOW];
    // Which quarter is seen where.
    let turn = |[a, b, c, d]: [[u8; 4]; 4]| [b, d, a, c];
    let mirror = |axis: u8, [a, b, c, d]: [[u8; 4]; 4]| {
        if axis == 0 {
            [c, d, a, b]
        } else {
            [b, a, d, c]
        }
    };
    for (brand, coded) in scenes() {
        for quarters_left in 0..4 {
            let item = || coded.item().turned(quarters_left);
            let turned = (0..quarters_left).fold(scene, |seen, _| turn(seen));
            let size = if quarters_left % 2 == 1 {
                (64, 96)
            } else {
                (96, 64)
            };
            let check = |item: Item, expected| {
                let seen = shown(&heif(brand, &[item]));
                assert_eq!((seen.width, seen.height), size);
                quarters(&seen, expected);
            };
            check(item(), turned);
            for axis in [0, 1] {
                check(item().mirrored(axis), mirror(axis, turned));
                let first = (0..quarters_left).fold(mirror(axis, scene), |seen, _| turn(seen));
                check(coded.item().mirrored(axis).turned(quarters_left), first);
            }
        }
    }
}

/// Not only as it is understood here. By the mean difference of samples, since structure is mostly
/// how chroma is spread at the edges, in a picture this small; another way up is 60 and more away.
#[test]
fn turned_and_mirrored_like_the_reference() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("turned");
    for (brand, coded) in scenes() {
        for (quarters, axis) in [0, 1, 2, 3].into_iter().flat_map(|q| [(q, 0), (q, 1)]) {
            let file = heif(brand, &[coded.item().turned(quarters).mirrored(axis)]);
            std::fs::write(&path, &file).unwrap();
            let (seen, expected) = (shown(&file), reference(&path, 4096));
            let differences = seen.rgba.iter().zip(&expected.rgba);
            let sum: u32 = differences.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
            let mean = f64::from(sum) / f64::from(seen.width * seen.height * 3);
            assert_eq!((seen.width, seen.height), (expected.width, expected.height));
            let kind = String::from_utf8_lossy(brand);
            assert!(mean < 10.0, "{kind} {quarters} {axis}: {mean} apart");
        }
    }
}

/// EXIF says what `irot` says already; thumbnails and gain maps are not the picture.
#[test]
fn only_the_primary_item_is_shown() {
    for (brand, coded) in scenes() {
        let exif = [&[0; 4], exif_tiff(6).as_slice()].concat();
        let items = [
            coded.item().turned(3),
            Item::new(b"Exif", &exif).refers(b"cdsc", &[1]),
            HEVC_RED.item().refers(b"thmb", &[1]),
            HEVC_RED
                .item()
                .auxiliary(1, "urn:com:apple:photo:2020:aux:hdrgainmap"),
            // Depth and a matte of who is in it, as portraits have them; and other pictures of a burst.
            HEVC_RED.item().auxiliary(1, "urn:mpeg:hevc:2015:auxid:2"),
            HEVC_RED
                .item()
                .auxiliary(1, "urn:com:apple:photo:2018:aux:portraiteffectsmatte"),
            HEVC_RED.item(),
            HEVC_RED.item(),
        ];
        let file = heif(brand, &items);
        // A sequence stands beside the items, and a motion photo's clip behind them.
        let track = boxed(b"moov", &[&boxed(b"mvhd", &[&[0; 100]])]);
        for behind in [Vec::new(), track, boxed(b"mpvd", &[b"a clip"])] {
            let seen = shown(&[file.as_slice(), &behind].concat());
            assert_eq!((seen.width, seen.height), (64, 96));
            quarters(&seen, [BLUE, RED, YELLOW, GREEN]);
        }
    }
}

/// Tiles of 64 by 64, red, green, blue and yellow.
fn tiles() -> [Item; 4] {
    [HEVC_RED, HEVC_GREEN, HEVC_BLUE, HEVC_YELLOW].map(|coded| coded.item())
}

fn gridded(size: (u16, u16)) -> Vec<u8> {
    let [a, b, c, d] = tiles();
    heif(b"heic", &[grid(2, 2, size, &[2, 3, 4, 5]), a, b, c, d])
}

#[test]
fn grids() {
    for size in [(128, 128), (100, 90), (81, 84)] {
        let seen = shown(&gridded(size));
        assert_eq!((seen.width, seen.height), (size.0.into(), size.1.into()));
        let last = (seen.width - 6, seen.height - 6);
        for ((x, y), expected) in [
            ((10, 10), RED),
            ((last.0, 10), GREEN),
            ((10, last.1), BLUE),
            (last, YELLOW),
        ] {
            let got = seen.at(x, y);
            assert!(near(got, expected, 40), "{size:?} {x} {y}: {got:?}");
        }
    }
    // Shrunk, the tiles still meet where they should.
    let cover = Preset {
        long_edge: 16,
        ..WHOLE_WEBP
    };
    let out = rendered(&gridded((128, 128)), &[cover]);
    quarters(&seen(&out.renditions[0]), [RED, GREEN, BLUE, YELLOW]);
}

#[test]
fn grids_that_do_not_fit() {
    let refused = |first: Item, rest: Vec<Item>| {
        let items: Vec<Item> = std::iter::once(first).chain(rest).collect();
        assert_eq!(code(&heif(b"heic", &items)), Code::MediaCorrupt);
    };
    let four = || Vec::from(tiles());
    // Larger than its tiles; tiles outside; too few and too many tiles; tiles that are not there.
    refused(grid(2, 2, (129, 128), &[2, 3, 4, 5]), four());
    refused(grid(2, 2, (64, 128), &[2, 3, 4, 5]), four());
    refused(grid(2, 2, (128, 128), &[2, 3, 4]), four());
    refused(grid(2, 2, (128, 128), &[2, 3, 4, 5, 5]), four());
    refused(grid(2, 2, (128, 128), &[2, 3, 4, 9]), four());
    // A tile of another size, a tile that is turned, a grid of itself.
    let mut odd = four();
    odd[1] = HEVC_SCENE.item();
    refused(grid(2, 2, (128, 128), &[2, 3, 4, 5]), odd);
    let mut turned = four();
    turned[1] = HEVC_GREEN.item().turned(1);
    refused(grid(2, 2, (128, 128), &[2, 3, 4, 5]), turned);
    let itself = grid(1, 1, (64, 64), &[1]);
    assert_eq!(code(&heif(b"heic", &[itself])), Code::UnsupportedMediaType);
}

#[test]
fn clean_aperture() {
    for (brand, coded) in scenes() {
        // The right half: its centre is a quarter of the width off.
        let item = coded.item().cropped((48, 64), (24, 0));
        let seen_half = shown(&heif(brand, &[item]));
        assert_eq!((seen_half.width, seen_half.height), (48, 64));
        quarters(&seen_half, [GREEN, GREEN, YELLOW, YELLOW]);
        // Cropped, then turned clockwise.
        let item = coded.item().cropped((48, 64), (24, 0)).turned(3);
        let turned = shown(&heif(brand, &[item]));
        assert_eq!((turned.width, turned.height), (64, 48));
        quarters(&turned, [YELLOW, GREEN, YELLOW, GREEN]);
        // Shrunk, to the size that the whole shrunk picture has.
        let small = Preset {
            long_edge: 24,
            ..WHOLE_WEBP
        };
        let item = coded.item().cropped((48, 32), (-24, 16));
        let out = rendered(&heif(brand, &[item]), &[small]);
        assert_eq!((out.width, out.height), (48, 32));
        quarters(&seen(&out.renditions[0]), [BLUE; 4]);
        // Nothing left.
        let item = coded.item().cropped((48, 32), (900, 0));
        assert_eq!(code(&heif(brand, &[item])), Code::MediaCorrupt);
    }
}

#[test]
fn alpha() {
    const URN: &str = "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha";
    for (brand, coded, plane) in [
        (b"heic", HEVC_SCENE, HEVC_ALPHA),
        (b"avif", AV1_SCENE, AV1_ALPHA),
    ] {
        // Clear on the left, opaque on the right.
        let file = heif(brand, &[coded.item(), plane.item().auxiliary(1, URN)]);
        let has_alpha_plane = |file: &[u8]| {
            let found = header(file, &Limits::default()).unwrap();
            found.has_alpha_plane
        };
        assert!(has_alpha_plane(&file) && !has_alpha_plane(&heif(brand, &[coded.item()])));
        let out = rendered(&file, &[WHOLE_WEBP, WHOLE_JPEG]);
        let webp = seen(&out.renditions[0]);
        assert!(webp.at(10, 10)[3] < 10 && webp.at(86, 10)[3] > 245);
        assert!(near(webp.at(86, 10), GREEN, 26));
        let jpeg = seen(&out.renditions[1]);
        assert!(near(jpeg.at(10, 10), [255; 4], 10));
        assert!(near(jpeg.at(86, 54), YELLOW, 26));
        // Shrunk as well.
        let small = Preset {
            long_edge: 24,
            ..WHOLE_WEBP
        };
        let out = rendered(&file, &[small]);
        let small = seen(&out.renditions[0]);
        assert!(small.at(2, 2)[3] < 10 && near(small.at(21, 2), GREEN, 26));
        // Of another size it is no alpha.
        let red = HEVC_RED.item().auxiliary(1, URN);
        assert_eq!(code(&heif(brand, &[coded.item(), red])), Code::MediaCorrupt);
    }
}

#[test]
fn profiles_and_code_points() {
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    for (brand, coded) in scenes() {
        let plain = shown(&heif(brand, &[coded.item()])).at(24, 16);
        let by_profile = shown(&heif(brand, &[coded.item().profiled(&p3)])).at(24, 16);
        // Display P3 by its code points, with the matrix and range that were coded.
        let by_points = coded.item().colored(12, 13, 6, true);
        let by_points = shown(&heif(brand, &[by_points])).at(24, 16);
        assert!(
            near(by_profile, by_points, 3),
            "{by_profile:?} {by_points:?}"
        );
        // 220, 40, 30 in Display P3 is redder than sRGB can show.
        assert!(near(by_profile, [241, 0, 0, 255], 16), "{by_profile:?}");
        assert!(!near(by_profile, plain, 10));
        // The profile comes first, wherever it stands.
        let both = coded.item().colored(1, 13, 6, true).profiled(&p3);
        assert!(near(shown(&heif(brand, &[both])).at(24, 16), by_profile, 1));
        // The range that the container names comes before the coded one.
        let other_range = coded.item().colored(1, 13, 6, false);
        let seen = shown(&heif(brand, &[other_range])).at(24, 16);
        assert!(!near(seen, plain, 4), "{seen:?} {plain:?}");
    }
}

#[test]
fn what_a_picture_depends_on_has_to_be_known() {
    let property = |essential| {
        let mut item = HEVC_SCENE.item();
        item.properties.push(Property {
            kind: *b"zzzz",
            body: vec![1, 2, 3],
            essential,
        });
        heif(b"heic", &[item])
    };
    quarters(&shown(&property(false)), [RED, GREEN, BLUE, YELLOW]);
    let limits = Limits::default();
    let error = render(&property(true), &[COVER], &limits, false).unwrap_err();
    assert_eq!(error.code(), Code::UnsupportedMediaType);
    assert!(error.to_string().contains("zzzz"), "{error}");
    for kind in [b"jpeg", b"iovl", b"j2k1", b"hvc2"] {
        let mut item = HEVC_SCENE.item();
        item.kind = *kind;
        assert_eq!(code(&heif(b"mif1", &[item])), Code::UnsupportedMediaType);
    }
}

/// Sizes that the container claims and the coded picture does not have.
#[test]
fn lies_about_size() {
    let claimed = |width: u32, height: u32, coded: &Coded| {
        let mut item = coded.item();
        item.properties.retain(|property| &property.kind != b"ispe");
        item.sized(width, height)
    };
    for (brand, coded) in scenes() {
        for (size, expected) in [
            ((40_000, 40_000), Code::PixelLimitExceeded),
            ((u32::MAX, u32::MAX), Code::PixelLimitExceeded),
            ((0, 64), Code::MediaCorrupt),
            ((12_000, 12_000), Code::DecodeMemory),
            ((98, 64), Code::MediaCorrupt),
            ((94, 62), Code::MediaCorrupt),
            ((2000, 2000), Code::MediaCorrupt),
        ] {
            let file = heif(brand, &[claimed(size.0, size.1, &coded)]);
            assert_eq!(code(&file), expected, "{size:?}");
        }
        // Also where next to nothing of it is shown.
        let cropped = claimed(40_000, 40_000, &coded).cropped((64, 64), (0, 0));
        assert_eq!(code(&heif(brand, &[cropped])), Code::PixelLimitExceeded);
    }
    let limits = Limits {
        max_pixels: 96 * 64 - 1,
        ..Limits::default()
    };
    let file = heif(b"heic", &[HEVC_SCENE.item()]);
    assert_eq!(
        header(&file, &limits).unwrap_err().code(),
        Code::PixelLimitExceeded
    );
    // A grid within the limit, of a tile that is not.
    let tile = claimed(60_000, 60_000, &HEVC_RED);
    let file = heif(b"heic", &[grid(1, 1, (100, 100), &[2]), tile]);
    assert_eq!(code(&file), Code::DecodeMemory);
    // A strip of a grid, of tiles that reach far beyond it.
    let tile = claimed(256, 65_535, &HEVC_RED);
    let ids = [2; 255];
    let file = heif(b"heic", &[grid(255, 1, (65_280, 1), &ids), tile]);
    assert_eq!(code(&file), Code::DecodeMemory);
    // Tiles that have 2^64 pixels and more together.
    for (side, count) in [(u32::MAX, 1), (u32::MAX, 2), (1 << 31, 4)] {
        let (tile, ids) = (claimed(side, side, &HEVC_RED), vec![2; usize::from(count)]);
        let file = heif(b"heic", &[grid(count, 1, (100, 100), &ids), tile]);
        assert_eq!(code(&file), Code::DecodeMemory, "{side}, {count}");
    }
}

/// Units that a picture has no use for, or more of them than any picture has.
#[test]
fn units_that_cost_more_than_they_show() {
    let repeated = |unit: &[u8], count: usize| {
        let mut item = HEVC_SCENE.item();
        let mut payload = Vec::new();
        for _ in 0..count {
            payload.extend_from_slice(&u32::try_from(unit.len()).unwrap().to_be_bytes());
            payload.extend_from_slice(unit);
        }
        payload.extend_from_slice(&HEVC_SCENE.payload());
        item.payload = payload;
        code(&heif(b"heic", &[item]))
    };
    // A picture parameter set, a hundred times.
    assert_eq!(repeated(&[34 << 1, 1, 0xc0], 100), Code::MediaCorrupt);
    // Slices that begin no picture.
    assert_eq!(repeated(&[19 << 1, 1, 0], 1000), Code::MediaCorrupt);
    // Of a kind that may name other pictures.
    assert_eq!(repeated(&[21 << 1, 1, 0x80], 1), Code::UnsupportedMediaType);
    // Nothing but escapes.
    let escapes = [&[32 << 1, 1][..], &[0, 0, 3].repeat(100_000)].concat();
    assert_eq!(repeated(&escapes, 1), Code::MediaCorrupt);
    // No unit at all.
    assert_eq!(repeated(&[], 1), Code::MediaCorrupt);
}

/// Many pictures in the bytes of one: only the first is decoded, or none.
#[test]
fn pictures_behind_the_first() {
    for (brand, coded) in scenes() {
        let mut item = coded.item();
        item.payload = coded.payload().repeat(500);
        let result = render(&heif(brand, &[item]), &[COVER], &Limits::default(), false);
        match result {
            Ok(out) => assert_eq!((out.width, out.height), (96, 64)),
            Err(error) => assert_eq!(error.code(), Code::MediaCorrupt, "{error}"),
        }
    }
}

#[test]
fn cut_off_at_every_length() {
    for (brand, coded) in scenes() {
        let whole = heif(brand, &[coded.item()]);
        for length in 0..whole.len() {
            let result = render(&whole[..length], &[COVER], &Limits::default(), true);
            let code = result.expect_err("a picture that is not whole").code();
            // Without its brands it is no HEIF.
            let expected = if length < 12 {
                Code::UnsupportedMediaType
            } else {
                Code::MediaCorrupt
            };
            assert_eq!(code, expected, "{length} of {}", whole.len());
        }
    }
    let whole = gridded((128, 128));
    for length in 12..whole.len() {
        assert_eq!(code(&whole[..length]), Code::MediaCorrupt, "{length}");
    }
}

/// As decoders of JPEG do: a phone's 12 megapixels are given out at half their size, which is within what a preset leaves open.
#[test]
fn halves_and_fourths_that_serve_are_not_resized() {
    for (columns, exact, long_edge) in [
        (50, false, 2048),
        (63, false, 2016),
        (63, true, 2048),
        (64, true, 2048),
        (72, false, 2048),
        (126, false, 2016),
    ] {
        let file = red_tiles(columns, 1);
        let want = Wants {
            exact,
            ..Wants::default()
        };
        let out = render(&file, &[LARGE], &Limits::default(), want).unwrap();
        let seen = seen(&out.renditions[0]);
        assert_eq!(seen.width, long_edge, "{columns} {exact}");
        for x in [0, seen.width / 2, seen.width - 1] {
            let got = seen.at(x, seen.height / 2);
            assert!(got[0] > 150 && got[1] < 80 && got[2] < 80, "{x}: {got:?}");
        }
    }
}
