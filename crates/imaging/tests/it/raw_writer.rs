//! Raw photos made in code: directories of TIFF, and JPEGs that they tell of.

use crate::fixtures::scene_jpeg;

/// One entry of a directory.
pub struct Entry {
    tag: u16,
    kind: u16,
    values: Vec<u32>,
}

/// Values of 16 bits.
pub fn short(tag: u16, value: u32) -> Entry {
    Entry {
        tag,
        kind: 3,
        values: vec![value],
    }
}

/// Values of 32 bits.
pub fn long(tag: u16, values: &[u32]) -> Entry {
    Entry {
        tag,
        kind: 4,
        values: values.to_vec(),
    }
}

/// A directory that stands at `at`, little-endian; what does not fit into its entries follows it.
pub fn directory(at: u32, entries: &[Entry], next: u32) -> Vec<u8> {
    let mut out = (entries.len() as u16).to_le_bytes().to_vec();
    let mut behind = Vec::new();
    let start = at + 2 + entries.len() as u32 * 12 + 4;
    for entry in entries {
        out.extend(entry.tag.to_le_bytes());
        out.extend(entry.kind.to_le_bytes());
        out.extend((entry.values.len() as u32).to_le_bytes());
        match entry.values[..] {
            [value] => out.extend(value.to_le_bytes()),
            _ => {
                out.extend((start + behind.len() as u32).to_le_bytes());
                behind.extend(entry.values.iter().flat_map(|value| value.to_le_bytes()));
            }
        }
    }
    out.extend(next.to_le_bytes());
    out.extend(behind);
    out
}

/// What stands in a raw photo.
pub struct Raw<'a> {
    /// Shown by the first directory.
    pub small: &'a [u8],
    /// Shown by the second one below it.
    pub large: &'a [u8],
    pub orientation: u32,
    /// Whether it says that it is a DNG.
    pub is_dng: bool,
    /// PhotometricInterpretation of what stands for the sensor.
    pub photometric: u32,
}

/// A raw photo: a first directory with the small JPEG, below it one of the sensor's samples and one with the large JPEG.
pub fn raw(parts: &Raw<'_>) -> Vec<u8> {
    const FIRST: u32 = 8;
    const SENSOR: u32 = 200;
    const LARGE: u32 = 300;
    const SMALL_JPEG: u32 = 400;
    let large_jpeg = SMALL_JPEG + parts.small.len() as u32;
    let strip = |offset: u32, jpeg: &[u8]| {
        [
            short(0x103, 7),
            short(0x106, 6),
            long(0x111, &[offset]),
            long(0x117, &[jpeg.len() as u32]),
        ]
    };
    let mut first = Vec::from(strip(SMALL_JPEG, parts.small));
    first.push(short(0x112, parts.orientation));
    first.push(long(0x14a, &[SENSOR, LARGE]));
    if parts.is_dng {
        first.push(long(0xc612, &[0x0000_0401]));
    }
    // Lossless JPEG, or what takes its place here.
    let mut sensor = Vec::from(strip(large_jpeg, parts.large));
    sensor[1] = short(0x106, parts.photometric);
    let mut out = b"II*\0\x08\0\0\0".to_vec();
    for (at, part) in [
        (FIRST, directory(FIRST, &first, 0)),
        (SENSOR, directory(SENSOR, &sensor, 0)),
        (LARGE, directory(LARGE, &strip(large_jpeg, parts.large), 0)),
        (SMALL_JPEG, parts.small.to_vec()),
        (large_jpeg, parts.large.to_vec()),
    ] {
        assert!(out.len() <= at as usize);
        out.resize(at as usize, 0);
        out.extend(part);
    }
    out
}

/// A JPEG of nothing.
pub fn gray(width: u32, height: u32) -> Vec<u8> {
    let pixels = vec![128; (width * height * 3) as usize];
    safelight_imaging::encode_jpeg(width, height, &pixels, 80).unwrap()
}

/// A DNG with two previews, turned.
pub fn raw_seed() -> Vec<u8> {
    raw(&Raw {
        small: &gray(16, 8),
        large: &scene_jpeg(64, 48),
        orientation: 6,
        is_dng: true,
        photometric: 32803,
    })
}
