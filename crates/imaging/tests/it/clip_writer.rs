//! Writes clips as phones lay them out: media first, then what says where it is.

use crate::heif_writer::boxed;

/// A track whose samples lie in one chunk each.
pub struct Track {
    pub handler: [u8; 4],
    pub enabled: bool,
    pub samples: Vec<Vec<u8>>,
    /// More boxes in the track.
    pub more: Vec<u8>,
}

impl Track {
    pub fn new(handler: &[u8; 4], samples: &[&[u8]]) -> Self {
        Self {
            handler: *handler,
            enabled: true,
            samples: samples.iter().map(|sample| sample.to_vec()).collect(),
            more: Vec::new(),
        }
    }

    pub fn with(mut self, more: &[u8]) -> Self {
        self.more.extend_from_slice(more);
        self
    }

    pub fn disabled(mut self) -> Self {
        self.enabled = false;
        self
    }
}

/// Seconds since 1904, of 2024-02-03T07:05:38Z.
pub const CREATED: u32 = 3_789_788_738;
/// Behind the header of `mdat`, at the beginning; belongs to no track.
pub const SLACK: &[u8] = b"slack, and a secret";

/// The whole file. Chunks of the tracks lie in turn.
pub fn clip(brand: &[u8; 4], tracks: &[Track], in_movie: &[u8]) -> Vec<u8> {
    let ftyp = boxed(b"ftyp", &[brand, &[0; 4], brand]);
    let mut media = SLACK.to_vec();
    let mut offsets = vec![Vec::new(); tracks.len()];
    let most = tracks.iter().map(|track| track.samples.len()).max();
    for n in 0..most.unwrap_or(0) {
        for (track, offsets) in tracks.iter().zip(&mut offsets) {
            if let Some(sample) = track.samples.get(n) {
                offsets.push((ftyp.len() + 8 + media.len()) as u32);
                media.extend_from_slice(sample);
            }
        }
    }
    let mut movie = boxed(b"mvhd", &[&header(1000, 1500), &[0; 80]]);
    for ((track, offsets), number) in tracks.iter().zip(&offsets).zip(1..) {
        movie.extend_from_slice(&write_track(track, offsets, number));
    }
    movie.extend_from_slice(in_movie);
    [ftyp, boxed(b"mdat", &[&media]), boxed(b"moov", &[&movie])].concat()
}

/// Version and flags, two times, a scale and a duration.
fn header(scale: u32, duration: u32) -> Vec<u8> {
    [0, CREATED, CREATED, scale, duration]
        .map(u32::to_be_bytes)
        .concat()
}

fn write_track(track: &Track, offsets: &[u32], number: u32) -> Vec<u8> {
    let count = track.samples.len() as u32;
    let mut head = vec![0, 0, 0, u8::from(track.enabled)];
    for n in [CREATED, CREATED, number, 0, 1500] {
        head.extend_from_slice(&n.to_be_bytes());
    }
    head.extend_from_slice(&[0; 16]);
    // Turned clockwise by a quarter.
    for n in [0, 0x1_0000, 0, 0xffff_0000, 0, 0, 0, 0, 0x4000_0000_u32] {
        head.extend_from_slice(&n.to_be_bytes());
    }
    head.extend_from_slice(&[0; 8]);
    let table = |body: &[u8]| [&[0; 4][..], body].concat();
    let numbers = |numbers: &[u32]| {
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
        table(&bytes)
    };
    let lengths: Vec<u32> = track.samples.iter().map(|s| s.len() as u32).collect();
    let is_sound = &track.handler == b"soun";
    let mut description = vec![0; if is_sound { 28 } else { 78 }];
    description[12..16].copy_from_slice(b"VEND");
    if !is_sound {
        description[42..55].copy_from_slice(b"\x0cCamera codec");
    }
    let inner = [boxed(b"avcC", &[b"config"]), boxed(b"uuid", &[b"secret"])];
    let description = boxed(b"avc1", &[&description, &inner.concat()]);
    let tables = [
        boxed(b"stsd", &[&numbers(&[1]), &description]),
        boxed(b"stts", &[&numbers(&[1, count, 100])]),
        boxed(b"stsc", &[&numbers(&[1, 1, 1, 1])]),
        boxed(
            b"stsz",
            &[&numbers(&[&[0, count], lengths.as_slice()].concat())],
        ),
        boxed(b"stco", &[&numbers(&[&[count], offsets].concat())]),
    ];
    let place = boxed(b"url ", &[&[0, 0, 0, 1]]);
    let kind = [
        boxed(b"vmhd", &[&[0; 12]]),
        boxed(b"dinf", &[&boxed(b"dref", &[&numbers(&[1]), &place])]),
        boxed(b"stbl", &[&tables.concat()]),
    ];
    let handler = [
        &[0; 8][..],
        &track.handler,
        b"appl",
        &[0; 8],
        b"Name of a camera\0",
    ];
    let media = [
        boxed(b"mdhd", &[&header(1000, 1500), &[0; 4]]),
        boxed(b"hdlr", &handler),
        boxed(b"minf", &[&kind.concat()]),
    ];
    let parts = [boxed(b"tkhd", &[&head]), boxed(b"mdia", &[&media.concat()])];
    boxed(b"trak", &[&parts.concat(), &track.more])
}
