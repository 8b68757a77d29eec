//! The EXIF block (TIFF, little-endian) and the XMP packet that a phone writes.

use super::Scene;
use super::noise::Stream;

/// The day on which every fake picture is taken.
pub(super) const DAY: &str = "2026:11:23";

struct Entry {
    tag: u16,
    kind: u16,
    count: u32,
    bytes: Vec<u8>,
}

fn ascii(tag: u16, text: &str) -> Entry {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    Entry {
        tag,
        kind: 2,
        count: bytes.len() as u32,
        bytes,
    }
}

fn short(tag: u16, value: u16) -> Entry {
    Entry {
        tag,
        kind: 3,
        count: 1,
        bytes: value.to_le_bytes().to_vec(),
    }
}

fn long(tag: u16, value: u32) -> Entry {
    Entry {
        tag,
        kind: 4,
        count: 1,
        bytes: value.to_le_bytes().to_vec(),
    }
}

fn rationals(tag: u16, values: &[(u32, u32)]) -> Entry {
    let bytes = values
        .iter()
        .flat_map(|(n, d)| [n.to_le_bytes(), d.to_le_bytes()].concat())
        .collect();
    Entry {
        tag,
        kind: 5,
        count: values.len() as u32,
        bytes,
    }
}

fn bytes(tag: u16, kind: u16, value: &[u8]) -> Entry {
    Entry {
        tag,
        kind,
        count: value.len() as u32,
        bytes: value.to_vec(),
    }
}

/// Bytes of a directory with its values, when it starts at an even offset.
fn length(entries: &[Entry]) -> u32 {
    let values: usize = entries
        .iter()
        .filter(|e| e.bytes.len() > 4)
        .map(|e| e.bytes.len().next_multiple_of(2))
        .sum();
    (2 + 12 * entries.len() + 4 + values) as u32
}

fn write(out: &mut Vec<u8>, entries: &[Entry], next: u32) {
    let start = out.len() as u32;
    let mut values = Vec::new();
    let values_at = start + 2 + 12 * entries.len() as u32 + 4;
    out.extend((entries.len() as u16).to_le_bytes());
    for entry in entries {
        out.extend(entry.tag.to_le_bytes());
        out.extend(entry.kind.to_le_bytes());
        out.extend(entry.count.to_le_bytes());
        if entry.bytes.len() > 4 {
            out.extend((values_at + values.len() as u32).to_le_bytes());
            values.extend(&entry.bytes);
            if values.len() % 2 == 1 {
                values.push(0);
            }
        } else {
            let mut inline = entry.bytes.clone();
            inline.resize(4, 0);
            out.extend(inline);
        }
    }
    out.extend(next.to_le_bytes());
    out.extend(values);
}

/// Degrees as the three rationals of EXIF.
fn degrees(value: f64) -> [(u32, u32); 3] {
    let minutes = value.fract() * 60.0;
    [
        (value as u32, 1),
        (minutes as u32, 1),
        ((minutes.fract() * 6_000_000.0) as u32, 100_000),
    ]
}

/// `HH:MM:SS` and the milliseconds of a time of day.
pub(super) fn clock(ms_of_day: u32) -> (String, u32) {
    let s = ms_of_day / 1000;
    let time = format!("{:02}:{:02}:{:02}", s / 3600 % 24, s / 60 % 60, s % 60);
    (time, ms_of_day % 1000)
}

/// The TIFF block with main directory, EXIF, GPS and the embedded thumbnail.
pub(super) fn tiff(scene: &Scene, thumbnail: &[u8]) -> Vec<u8> {
    let (time, ms) = clock(scene.ms_of_day);
    let moment = format!("{DAY} {time}");
    let mut place = Stream::of(scene.seed, 3);
    let latitude = 46.0 + f64::from(place.unit());
    let longitude = 7.0 + f64::from(place.unit());
    let mut serial = Stream::of(scene.seed, 4);
    let mut unique = Stream::of(scene.seed, 1000 + u64::from(scene.frame));

    let exif = [
        rationals(0x829a, &[(1, 240)]),
        rationals(0x829d, &[(18, 10)]),
        short(0x8827, 64),
        bytes(0x9000, 7, b"0232"),
        ascii(0x9003, &moment),
        ascii(0x9004, &moment),
        ascii(0x9010, "+01:00"),
        ascii(0x9011, "+01:00"),
        bytes(0x9101, 7, &[1, 2, 3, 0]),
        rationals(0x920a, &[(568, 100)]),
        ascii(0x9291, &format!("{ms:03}")),
        bytes(0xa000, 7, b"0100"),
        short(0xa001, 1),
        long(0xa002, scene.width),
        long(0xa003, scene.height),
        ascii(
            0xa420,
            &format!("{:016x}{:016x}", unique.next(), unique.next()),
        ),
        ascii(0xa431, &format!("SLFC1{:08}", serial.next() % 100_000_000)),
        ascii(0xa434, "Fake Camera 1 back camera 5.68mm f/1.8"),
    ];
    let gps = [
        bytes(0, 1, &[2, 3, 0, 0]),
        ascii(1, "N"),
        rationals(2, &degrees(latitude)),
        ascii(3, "E"),
        rationals(4, &degrees(longitude)),
        bytes(5, 1, &[0]),
        rationals(6, &[(1_234_500, 1000)]),
        ascii(0x1d, DAY),
    ];
    let main = |exif_at, gps_at| {
        [
            ascii(0x010f, super::MAKE),
            ascii(0x0110, super::MODEL),
            short(0x0112, scene.orientation),
            rationals(0x011a, &[(72, 1)]),
            rationals(0x011b, &[(72, 1)]),
            short(0x0128, 2),
            ascii(0x0131, "fake-camera"),
            ascii(0x0132, &moment),
            short(0x0213, 1),
            long(0x8769, exif_at),
            long(0x8825, gps_at),
        ]
    };
    let preview = |at| {
        [
            short(0x0103, 6),
            rationals(0x011a, &[(72, 1)]),
            rationals(0x011b, &[(72, 1)]),
            short(0x0128, 2),
            long(0x0201, at),
            long(0x0202, thumbnail.len() as u32),
        ]
    };
    let exif_at = 8 + length(&main(0, 0));
    let gps_at = exif_at + length(&exif);
    let preview_at = gps_at + length(&gps);
    let thumbnail_at = preview_at + length(&preview(0));

    let mut out = b"II\x2a\0\x08\0\0\0".to_vec();
    write(&mut out, &main(exif_at, gps_at), preview_at);
    write(&mut out, &exif, 0);
    write(&mut out, &gps, 0);
    write(&mut out, &preview(thumbnail_at), 0);
    out.extend(thumbnail);
    out
}

/// The XMP packet that ties the frames of a burst together.
pub(super) fn xmp(burst_id: &str, primary: bool) -> String {
    format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\
         <x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF \
         xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\"><rdf:Description rdf:about=\"\" \
         xmlns:GCamera=\"http://ns.google.com/photos/1.0/camera/\" \
         GCamera:BurstID=\"{burst_id}\" GCamera:BurstPrimary=\"{}\"/></rdf:RDF></x:xmpmeta>\
         <?xpacket end=\"r\"?>",
        u8::from(primary)
    )
}
