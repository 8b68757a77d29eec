//! Photos with a gain map, made in code.

use crate::fixtures::*;

/// What a gain map says of its values.
#[derive(Default)]
pub struct Told {
    pub xmp: String,
    pub iso: Vec<u8>,
}

/// As Adobe has it: up to so many stops.
pub fn adobe(stops: f64) -> Told {
    let xmp = format!(
        "<a xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/' secret='yes' hdrgm:Version='1.0' \
         hdrgm:GainMapMax='{stops}' hdrgm:HDRCapacityMax='{stops}'/>"
    );
    Told {
        xmp,
        ..Told::default()
    }
}

/// As ISO 21496-1 has it: up to one and a half stops.
pub fn iso_meaning() -> Vec<u8> {
    let mut out = vec![0, 0, 0, 0, 0x40];
    for (numerator, denominator) in [(0, 1), (3, 2), (0, 1), (3, 2), (1, 1), (1, 64), (1, 64)] {
        for word in [numerator, denominator] {
            out.extend(u32::to_be_bytes(word));
        }
    }
    out
}

/// A gain map whose right half is bright.
pub fn map_jpeg(width: usize, height: usize, told: &Told) -> Vec<u8> {
    let row = (0..width).map(|x| if x * 2 < width { 64 } else { 220 });
    let pixels: Vec<u8> = row.collect::<Vec<u8>>().repeat(height);
    let mut compressor = turbojpeg::Compressor::new().unwrap();
    compressor.set_subsamp(turbojpeg::Subsamp::Gray).unwrap();
    let image = turbojpeg::Image {
        pixels: pixels.as_slice(),
        width,
        pitch: width,
        height,
        format: turbojpeg::PixelFormat::GRAY,
    };
    let mut jpeg = compressor.compress_to_vec(image).unwrap();
    if !told.iso.is_empty() {
        let body = [b"urn:iso:std:iso:ts:21496:-1\0", told.iso.as_slice()].concat();
        jpeg = with_segment(&jpeg, 0xe2, &body);
    }
    if !told.xmp.is_empty() {
        let body = [b"http://ns.adobe.com/xap/1.0/\0", told.xmp.as_bytes()].concat();
        jpeg = with_segment(&jpeg, 0xe1, &body);
    }
    jpeg
}

/// A photo that announces more pictures, and one behind it.
pub fn joined(photo: &[u8], map: &[u8]) -> Vec<u8> {
    [&with_segment(photo, 0xe2, b"MPF\0MM\0*"), map].concat()
}

/// A photo of the scene with a gain map, held like this.
pub fn ultra_hdr(orientation: u16, told: &Told) -> Vec<u8> {
    let photo = scene_jpeg(120, 60);
    let photo = match orientation {
        1 => photo,
        _ => with_orientation(&photo, orientation),
    };
    joined(&photo, &map_jpeg(60, 30, told))
}
