//! Cleaned originals of files made here: what stays, what goes, and what is refused.

use moxcms::ColorProfile;
use png::{BitDepth, ColorType};
use safelight_imaging::{ImagingError, Limits};
use safelight_imaging::{Orientation, Segment, clean, encode_webp, header, read_metadata};
use safelight_model::codes::Code;

use crate::clip_writer::*;
use crate::fixtures::*;
use crate::heif_coded::*;
use crate::heif_writer::*;
use crate::memory;

/// Stands in everything that has to go.
const SECRET: &[u8] = b"secret";
/// What no media hold.
const HIDDEN: &[u8] = b"hidden";

/// The cleaned original, which says nothing more when it is cleaned again.
fn cleaned(input: &[u8]) -> Vec<u8> {
    let list = clean(input).unwrap();
    let mut out = Vec::new();
    list.write_to(input, &mut out).unwrap();
    assert_eq!(out.len() as u64, list.len_bytes());
    assert!(
        list.segments()
            .iter()
            .all(|segment| !matches!(segment, Segment::Input(range) if range.is_empty()))
    );
    let again = clean(&out).unwrap();
    let mut twice = Vec::new();
    again.write_to(&out, &mut twice).unwrap();
    assert_eq!(twice, out, "cleaning changes nothing any more");
    out
}

fn code(input: &[u8]) -> Code {
    clean(input)
        .map(|_| ())
        .map_err(|e: ImagingError| e.code())
        .expect_err("a file that is refused")
}

pub fn has(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// Cleans, and checks that the secret was there and is not any more, and that the picture looks the
/// same: size, orientation, colours and every pixel.
fn checked(input: &[u8]) -> Vec<u8> {
    assert!(has(input, SECRET));
    let out = cleaned(input);
    assert!(!has(&out, SECRET));
    same_picture(input, &out);
    out
}

fn same_picture(before: &[u8], after: &[u8]) {
    let limits = Limits::default();
    assert_eq!(
        header(before, &limits).unwrap(),
        header(after, &limits).unwrap()
    );
    let presets = [WHOLE_WEBP, WHOLE_JPEG];
    let (before, after) = (rendered(before, &presets), rendered(after, &presets));
    for (before, after) in before.renditions.iter().zip(&after.renditions) {
        assert!(before.bytes == after.bytes);
    }
}

/// A TIFF structure with an orientation and more.
fn private_tiff(orientation: u16) -> Vec<u8> {
    [exif_tiff(orientation).as_slice(), SECRET].concat()
}

/// A JPEG with all that cameras and editors put around a picture.
fn private_jpeg(orientation: u16) -> Vec<u8> {
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let mut jpeg = with_icc(&scene_jpeg(80, 48), &p3);
    let secret = |prefix: &[u8]| [prefix, SECRET].concat();
    for (marker, body) in [
        (0xe0, secret(b"JFXX\0\x10")),
        (0xe1, secret(b"http://ns.adobe.com/xap/1.0/\0")),
        (0xe2, secret(b"MPF\0")),
        (0xed, secret(b"Photoshop 3.0\0")),
        (0xef, SECRET.to_vec()),
        (0xfe, secret(b"comment, ")),
        (
            0xe1,
            [b"Exif\0\0", private_tiff(orientation).as_slice()].concat(),
        ),
    ] {
        jpeg = with_segment(&jpeg, marker, &body);
    }
    // A gain map, and a motion photo.
    jpeg.extend_from_slice(&scene_jpeg(40, 24));
    jpeg.extend_from_slice(b"\0\0\0\x18ftypmp42secret");
    jpeg
}

#[test]
fn jpeg_segments() {
    for orientation in 1..=8 {
        let out = checked(&private_jpeg(orientation));
        assert!(has(&out, b"ICC_PROFILE"));
        let exif = out.windows(6).filter(|w| w == b"Exif\0\0").count();
        assert_eq!(exif, usize::from(orientation != 1));
        for word in [&b"http"[..], b"MPF\0", b"JFXX", b"Photoshop", b"ftyp"] {
            assert!(!has(&out, word));
        }
        assert_eq!(out[out.len() - 2..], [0xff, 0xd9]);
    }
}

#[test]
fn jpeg_segments_with_more_than_they_need() {
    let jpeg = scene_jpeg(40, 24);
    // JFIF with a thumbnail of two pixels, and Adobe's marker with something behind it.
    let jfif = [b"JFIF\0\x01\x02\0\0\x48\0\x48\x02\x01", SECRET].concat();
    let adobe = [b"Adobe\0\x64\0\0\0\0\x01", SECRET].concat();
    let adobe = with_segment(&jpeg, 0xee, &adobe);
    let bare = [&jpeg[..2], &jpeg[20..]].concat();
    let out = checked(&with_segment(&bare, 0xe0, &jfif));
    assert!(has(&out, b"JFIF\0\x01\x02\0\0\x48\0\x48\0\0"));
    let out = checked(&adobe);
    assert!(has(&out, b"Adobe\0\x64\0\0\0\0\x01"));
    // Between segments, behind a restart that belongs to nothing.
    let stray = [&jpeg[..20], b"\xff\xd0", SECRET, &jpeg[20..]].concat();
    assert!(!has(&cleaned(&stray), SECRET));
    // An end that a camera forgot.
    let open = &jpeg[..jpeg.len() - 2];
    assert_eq!(cleaned(open), cleaned(&jpeg));
    assert_eq!(code(&jpeg[..60]), Code::MediaCorrupt);
}

#[test]
fn very_many_segments_take_little_memory() {
    const COUNT: usize = 500_000;
    let jpeg = scene_jpeg(40, 24);
    let with = |segments: &[u8]| [&jpeg[..20], &segments.repeat(COUNT), &jpeg[20..]].concat();
    // Tables without content, one behind another: they stay, and are one piece.
    let stay = with(b"\xff\xc4\0\x02");
    let (list, peak_bytes) = memory::peak_bytes(|| clean(&stay).unwrap());
    assert!(list.segments().len() < 10);
    assert!(peak_bytes < 100_000, "{peak_bytes}");
    // Each beside one that goes: no camera writes that.
    let mixed = with(b"\xff\xc4\0\x02\xff\xfe\0\x02");
    let (refused, peak_bytes) = memory::peak_bytes(|| clean(&mixed).map_err(|e| e.code()));
    assert_eq!(refused, Err(Code::MediaCorrupt));
    assert!(peak_bytes < 1_000_000, "{peak_bytes}");
    // As many as anybody may want.
    let few = [
        &jpeg[..20],
        &b"\xff\xc4\0\x02\xff\xfe\0\x02".repeat(1000),
        &jpeg[20..],
    ]
    .concat();
    assert!(clean(&few).is_ok());
}

#[test]
fn png_chunks() {
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let size = (40, 24);
    let rgb = scene(40, 24);
    let mut png = png(size, ColorType::Rgb, BitDepth::Eight, &rgb, |info| {
        info.icc_profile = Some(p3.into());
    });
    for kind in [b"tEXt", b"iTXt", b"zTXt", b"tIME", b"caBX", b"prVt"] {
        png = with_chunk(&png, kind, SECRET);
    }
    png.extend_from_slice(SECRET);
    let upright = checked(&png);
    assert!(has(&upright, b"iCCP"));
    let out = checked(&with_chunk(&png, b"eXIf", &private_tiff(6)));
    assert_eq!(out.len(), upright.len() + 12 + 26);
    assert_eq!(
        code(&with_chunk(&png, b"NEED", b"")),
        Code::UnsupportedMediaType
    );
    assert_eq!(code(&png[..png.len() - 10]), Code::MediaCorrupt);
}

#[test]
fn webp_frames() {
    let image = encode_webp(40, 24, &scene(40, 24), false, 80).unwrap();
    let image = webp_payload(&image);
    let inner = |kind: &[u8; 4], body: &[u8]| {
        let mut chunk = kind.to_vec();
        chunk.extend_from_slice(&(body.len() as u32).to_le_bytes());
        chunk.extend_from_slice(body);
        chunk.resize(chunk.len().next_multiple_of(2), 0);
        chunk
    };
    // Where it is, how large, for how long, and how it is laid over others.
    let head = [&[0; 6][..], &[39, 0, 0, 23, 0, 0], &[100, 0, 0], &[2]].concat();
    let file = |more: &[&[u8]]| {
        let frame = [head.as_slice(), &more.concat()].concat();
        let frames = [
            (b"ANIM", vec![0; 6]),
            (b"ANMF", frame.clone()),
            (b"ANMF", frame),
        ];
        extended_webp((40, 24), 0x02, &frames)
    };
    let picture = inner(b"VP8 ", &image);
    let plain = file(&[&picture]);
    assert_eq!(cleaned(&plain), plain);
    for private in [
        file(&[&inner(b"ABCD", SECRET), &picture]),
        file(&[&picture, &inner(b"EXIF", SECRET)]),
        file(&[&picture, &inner(b"VP8 ", SECRET)]),
    ] {
        assert!(has(&private, SECRET));
        let out = cleaned(&private);
        assert!(!has(&out, SECRET));
        assert_eq!(out, plain);
    }
    assert_eq!(code(&file(&[&inner(b"ABCD", SECRET)])), Code::MediaCorrupt);
    let cut = [picture.as_slice(), b"ABCD\xff\0\0\0"].concat();
    assert_eq!(cleaned(&file(&[&cut])), plain);
    let cut = [&b"ABCD\xff\0\0\0"[..], &picture].concat();
    assert_eq!(code(&file(&[&cut])), Code::MediaCorrupt);
}

#[test]
fn webp_chunks() {
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let image = encode_webp(40, 24, &scene(40, 24), false, 80).unwrap();
    let image = webp_payload(&image);
    let file = |orientation| {
        let mut file = extended_webp(
            (40, 24),
            0x2c,
            &[
                (b"ICCP", p3.clone()),
                (b"VP8 ", image.clone()),
                (b"EXIF", private_tiff(orientation)),
                (b"XMP ", SECRET.to_vec()),
                (b"ABCD", SECRET.to_vec()),
            ],
        );
        file.extend_from_slice(b"behind the end: secret");
        file
    };
    let out = checked(&file(1));
    assert_eq!(out[20], 0x20, "neither EXIF nor XMP is there");
    assert!(!has(&out, b"EXIF") && !has(&out, b"XMP "));
    let out = checked(&file(6));
    assert_eq!(out[20], 0x28);
    let length = u32::from_le_bytes(out[4..8].try_into().unwrap());
    assert_eq!(length as usize + 8, out.len());
    let simple = encode_webp(40, 24, &scene(40, 24), false, 80).unwrap();
    assert_eq!(cleaned(&simple), simple);
    assert_eq!(code(&simple[..simple.len() - 9]), Code::MediaCorrupt);
}

/// A picture with tiles and alpha, and all else that cameras put beside it.
fn private_heif(brand: &[u8; 4], coded: Coded, alpha: Coded) -> Vec<u8> {
    const ALPHA: &str = "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha";
    const GAIN: &str = "urn:com:apple:photo:2020:aux:hdrgainmap";
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let of_secret = |kind: &[u8; 4], refers: &[u8; 4]| {
        Item::new(kind, b"of the secret kind").refers(refers, &[1])
    };
    let picture = coded.item().turned(1).profiled(&p3);
    let items = [
        picture.with(b"udes", b"a secret description"),
        alpha.item().auxiliary(1, ALPHA),
        of_secret(b"Exif", b"cdsc"),
        of_secret(b"mime", b"cdsc"),
        of_secret(b"hvc1", b"thmb"),
        coded.item().auxiliary(1, GAIN),
        coded.item(),
    ];
    let mut file = heif(brand, &items);
    file.extend_from_slice(&boxed(b"mpvd", &[b"a motion photo, secret"]));
    file.extend_from_slice(&boxed(b"uuid", &[b"secret"]));
    file.extend_from_slice(b"trailer, secret");
    file
}

#[test]
fn heif_keeps_every_byte_of_the_picture_in_place() {
    for (brand, coded, alpha) in [
        (b"heic", HEVC_SCENE, HEVC_ALPHA),
        (b"avif", AV1_SCENE, AV1_ALPHA),
    ] {
        let input = private_heif(brand, coded, alpha);
        let out = checked(&input);
        // The clip behind it is noticed, and is gone.
        let has_clip = |file: &[u8]| read_metadata(file).unwrap().is_motion_photo;
        assert_eq!((has_clip(&input), has_clip(&out)), (true, false));
        assert_eq!(out.len(), input.len() - b"trailer, secret".len());
        for word in [
            &b"Exif"[..],
            b"mime",
            b"thmb",
            b"cdsc",
            b"udes",
            b"mpvd",
            b"uuid",
        ] {
            assert!(has(&input, word) && !has(&out, word));
        }
        // The picture's own bytes stand once more in the file, as the gain map and a second one.
        let picture = coded.item().payload;
        let count = |file: &[u8]| {
            file.windows(picture.len())
                .filter(|w| *w == picture)
                .count()
        };
        assert_eq!((count(&input), count(&out)), (3, 1));
        let changed = input.iter().zip(&out).filter(|(a, b)| a != b).count();
        assert!(changed > picture.len(), "{changed}");
        // Bytes that are cut off are missing, wherever they lie.
        assert_eq!(code(&input[..input.len() * 2 / 3]), Code::MediaCorrupt);
    }
}

#[test]
fn heif_grids() {
    for (brand, coded) in [(b"heic", HEVC_RED), (b"avif", AV1_SCENE)] {
        let (width, height) = coded.size;
        let size = (width as u16 * 2 - 5, height as u16 * 2 - 3);
        let mut items = vec![grid(2, 2, size, &[2, 3, 4, 5])];
        items.extend((0..4).map(|_| coded.item()));
        items.push(Item::new(b"Exif", b"a secret").refers(b"cdsc", &[1]));
        checked(&heif(brand, &items));
    }
}

#[test]
fn heif_items_that_go_on_to_the_end() {
    for (brand, coded) in [(b"heic", HEVC_SCENE), (b"avif", AV1_SCENE)] {
        // Written with an end, then without: the length 0.
        let open = |items: &[Item]| {
            let mut file = heif(brand, items);
            let payload = items[0].payload.len();
            let start = file
                .windows(payload)
                .position(|w| w == items[0].payload)
                .unwrap();
            let place = [start as u32, payload as u32]
                .map(u32::to_be_bytes)
                .concat();
            let at = file.windows(8).position(|w| w == place).unwrap();
            file[at + 4..at + 8].copy_from_slice(&[0; 4]);
            file
        };
        let alone = open(&[coded.item()]);
        let out = cleaned(&alone);
        same_picture(&alone, &out);
        assert_eq!(out.len(), alone.len());
        // Whatever follows would be kept as a part of the picture.
        let exif = || Item::new(b"Exif", b"a secret").refers(b"cdsc", &[1]);
        for refused in [
            open(&[coded.item(), exif()]),
            [alone.clone(), boxed(b"mpvd", &[SECRET])].concat(),
            [alone.as_slice(), SECRET].concat(),
        ] {
            assert_eq!(code(&refused), Code::UnsupportedMediaType);
        }
    }
}

/// A clip with all that phones and action cameras put beside pictures and sound.
fn private_clip(brand: &[u8; 4]) -> Vec<u8> {
    let place = boxed(b"\xa9xyz", &[b"\0\x12\x15\xc7+27.2939+112.6931/ secret"]);
    let user = boxed(b"udta", &[&place]);
    let keys = boxed(b"meta", &[b"secret"]);
    let text = boxed(b"tref", &[&boxed(b"tmcd", &[&[0, 0, 0, 3]])]);
    let tracks = [
        Track::new(b"vide", &[b"picture one", b"picture two", b"picture three"])
            .with(&text)
            .with(&user),
        Track::new(b"soun", &[b"sound", b"more of it"]),
        Track::new(b"meta", &[b"here secret", b"there secret"]),
        Track::new(b"tmcd", &[b"noon secret"]),
        Track::new(b"text", &[b"home secret"]),
        Track::new(b"vide", &[b"preview secret"]).disabled(),
    ];
    let mut file = clip(
        brand,
        &tracks,
        &[user.clone(), keys.clone(), vec![0; 4]].concat(),
    );
    file.extend_from_slice(&keys);
    file.extend_from_slice(&boxed(b"uuid", &[b"XMP secret"]));
    file.extend_from_slice(&boxed(b"free", &[b"secret"]));
    file.extend_from_slice(b"not a box: secret");
    file
}

#[test]
fn clips() {
    for brand in [b"isom", b"qt  ", b"3gp5"] {
        let input = private_clip(brand);
        assert!(has(&input, SECRET) && has(&input, &CREATED.to_be_bytes()));
        let out = cleaned(&input);
        assert_eq!(out.len(), input.len() - b"not a box: secret".len());
        if let Some(at) = out.windows(6).position(|w| w == SECRET) {
            panic!(
                "at {at}: {}",
                String::from_utf8_lossy(&out[at - 20..at + 20])
            );
        }
        for word in [
            &CREATED.to_be_bytes()[..],
            b"camera",
            b"Camera",
            b"VEND",
            b"appl",
            b"udta",
            b"xyz",
            b"tmcd",
            b"uuid",
        ] {
            assert!(has(&input, word), "{word:?}");
            assert!(!has(&out, word), "{word:?}");
        }
        for sample in [
            &b"picture one"[..],
            b"picture two",
            b"picture three",
            b"sound",
            b"more of it",
            b"config",
        ] {
            let at = input.windows(sample.len()).position(|w| w == sample);
            let at = at.unwrap();
            assert_eq!(out[at..at + sample.len()], input[at..at + sample.len()]);
        }
    }
}

#[test]
fn clips_whose_tracks_say_nothing_of_being_played() {
    let track = || Track::new(b"vide", &[b"picture"]).disabled();
    let out = cleaned(&clip(b"isom", &[track(), track()], &[]));
    assert_eq!(out.windows(7).filter(|w| w == b"picture").count(), 2);
}

/// A clip without what says where the samples of its last track lie: they are nobody's.
fn with_nobodys_samples(tracks: &[Track]) -> Vec<u8> {
    let mut input = clip(b"qt  ", tracks, &[]);
    let last = input.windows(4).rposition(|w| w == b"trak").unwrap();
    input[last..last + 4].copy_from_slice(b"free");
    input
}

/// Has the track whose lengths are these say that all are `one_bytes` long.
fn say_one_length(input: &mut [u8], lengths: [u32; 2], one_bytes: u32) {
    let said = [0, 2, lengths[0], lengths[1]]
        .map(u32::to_be_bytes)
        .concat();
    let at = input.windows(16).position(|w| w == said).unwrap();
    input[at..at + 4].copy_from_slice(&one_bytes.to_be_bytes());
}

/// Has the description of the first track of sound be one of QuickTime's of this kind.
fn describe_sound(input: &mut [u8], kind: &[u8; 4], channels: u16, bits: u16) {
    // Samples say so too.
    let handler = input.windows(4).rposition(|w| w == b"soun").unwrap();
    let at = handler
        + input[handler..]
            .windows(4)
            .position(|w| w == b"avc1")
            .unwrap();
    input[at..at + 4].copy_from_slice(kind);
    input[at + 20..at + 22].copy_from_slice(&channels.to_be_bytes());
    input[at + 22..at + 24].copy_from_slice(&bits.to_be_bytes());
}

#[test]
fn samples_of_one_length_end_where_they_end() {
    let tracks = || {
        [
            Track::new(b"vide", &[b"picture one", b"picture two"]),
            Track::new(b"soun", &[b"sound", b"waves"]),
            Track::new(b"meta", &[b"here secret", b"there secret"]),
        ]
    };
    // What lies behind a chunk of one length belongs to nobody.
    let mut input = with_nobodys_samples(&[
        Track::new(b"vide", &[b"picture one", b"picture two"]),
        Track::new(b"meta", &[b"here secret", b"there secret"]),
    ]);
    say_one_length(&mut input, [11, 11], 11);
    let out = cleaned(&input);
    assert!(has(&out, b"picture one") && has(&out, b"picture two"));
    assert!(has(&input, SECRET) && !has(&out, SECRET));
    // Nor does what lies behind sound, however long its samples are: as the table says, or as the description does.
    for (kind, channels, bits, one_bytes) in [
        (b"mp4a", 1, 16, 5),
        (b"sowt", 5, 8, 1),
        (b"twos", 1, 40, 1),
        (b"ulaw", 5, 16, 1),
    ] {
        let mut input = with_nobodys_samples(&tracks());
        say_one_length(&mut input, [5, 5], one_bytes);
        describe_sound(&mut input, kind, channels, bits);
        let out = cleaned(&input);
        assert!(has(&out, b"sound") && has(&out, b"waves"), "{kind:?}");
        assert!(has(&input, SECRET) && !has(&out, SECRET), "{kind:?}");
    }
    // Where nothing says how long they are, nobody knows what is sound.
    let mut input = with_nobodys_samples(&tracks());
    say_one_length(&mut input, [5, 5], 1);
    describe_sound(&mut input, b"QDM2", 1, 16);
    assert_eq!(code(&input), Code::UnsupportedMediaType);
}

#[test]
fn descriptions_and_extensions_hold_nothing_else() {
    let pictures = Track::new(b"vide", &[b"picture"]);
    let extension = [
        boxed(b"mehd", &[&[0; 8]]),
        boxed(b"trex", &[&[0; 24]]),
        boxed(b"trep", &[SECRET]),
        boxed(b"priv", &[SECRET]),
    ];
    let movie = boxed(b"mvex", &[&extension.concat(), b"secret"]);
    let mut input = clip(b"isom", &[pictures], &movie);
    // What stands in the description, of a kind that nobody knows; and a box that is not whole.
    let place = input.windows(4).position(|w| w == b"uuid").unwrap();
    for kind in [b"priv", b"stsl"] {
        input[place..place + 4].copy_from_slice(kind);
        let out = cleaned(&input);
        assert!(has(&input, SECRET) && !has(&out, SECRET));
        for word in [&b"config"[..], b"mehd", b"trex", b"picture"] {
            assert!(has(&out, word), "{word:?}");
        }
    }
    input[place - 4..place].copy_from_slice(&15_u32.to_be_bytes());
    assert!(!has(&cleaned(&input), SECRET));
}

#[test]
fn clips_that_are_refused() {
    let pictures = || Track::new(b"vide", &[b"picture"]);
    let whole = clip(b"isom", &[pictures()], &[]);
    // Cut off within `moov`; only the media is left.
    assert_eq!(code(&whole[..whole.len() - 1]), Code::MediaCorrupt);
    // Samples that are not there: `moov` comes first, `mdat` is cut.
    let media = whole.windows(4).position(|w| w == b"mdat").unwrap() - 4;
    let cut = [&whole[..media], &whole[media + 8 + SLACK.len() + 7..]].concat();
    assert_eq!(
        clean(&cut).err().map(|e| e.code()),
        Some(Code::MediaCorrupt)
    );
    let compressed = clip(b"qt  ", &[pictures()], &boxed(b"cmov", &[b""]));
    assert_eq!(code(&compressed), Code::UnsupportedMediaType);
    // Fragments: whole where all of them stay, refused where some would have to go. Which bytes of `mdat` are whose is
    // not known there, so the slack of the first one stays.
    let fragment = boxed(
        b"moof",
        &[&boxed(b"mfhd", &[&[0; 8]]), &boxed(b"uuid", &[HIDDEN])],
    );
    let fragments = [fragment, boxed(b"mdat", &[b"more"])].concat();
    let out = cleaned(&[whole.clone(), fragments.clone()].concat());
    assert!(has(&out, b"more") && !has(&out, HIDDEN));
    let around = [boxed(b"uuid", &[HIDDEN]), boxed(b"free", &[HIDDEN])].concat();
    let out = cleaned(&[whole.clone(), around, fragments.clone()].concat());
    assert!(has(&out, b"more") && !has(&out, HIDDEN));
    let timed = [pictures(), Track::new(b"meta", &[b"here"])];
    let timed = [clip(b"isom", &timed, &[]), fragments].concat();
    assert_eq!(code(&timed), Code::UnsupportedMediaType);
}

#[test]
fn sound_whose_samples_are_longer_than_is_said() {
    // QuickTime's sound without compression: one length of 1 stands for a frame of several bytes.
    let pictures = Track::new(b"vide", &[b"picture one", b"picture two"]);
    let sound = Track::new(b"soun", &[b"waves of sound", b"more waves"]);
    let timed = Track::new(b"meta", &[b"here secret"]);
    let mut input = clip(b"qt  ", &[pictures, sound, timed], &[]);
    let said = [0, 2, 14, 10].map(u32::to_be_bytes).concat();
    let at = input.windows(16).position(|w| w == said).unwrap();
    input[at..at + 4].copy_from_slice(&1_u32.to_be_bytes());
    describe_sound(&mut input, b"sowt", 7, 16);
    let out = cleaned(&input);
    assert!(has(&out, b"waves of sound") && has(&out, b"more waves"));
    assert!(!has(&out, SECRET) && !has(&out, b"slack"));
}

#[test]
fn kinds_that_cannot_be_cleaned() {
    for bytes in [
        &b"GIF89a.."[..],
        b"II*\0\x08\0\0\0\0\0",
        b"<svg>",
        b"",
        b"text",
    ] {
        assert_eq!(code(bytes), Code::UnsupportedMediaType);
    }
    assert_eq!(Orientation::from_exif(7).exif_value(), 7);
}
