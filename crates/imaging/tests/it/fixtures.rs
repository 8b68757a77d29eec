//! Pictures made in code, and readers of what came out.

use safelight_imaging::{Limits, Rendered, Rendition, encode_jpeg, render};
use safelight_model::preset::{Format, Preset, Shape};

/// Large enough that nothing made here is resized.
pub const WHOLE_WEBP: Preset = Preset {
    name: "whole_webp",
    version: 1,
    long_edge: 4096,
    format: Format::Webp,
    quality: 100,
    shape: Shape::Whole,
};
/// The same as JPEG.
pub const WHOLE_JPEG: Preset = Preset {
    format: Format::Jpeg,
    ..WHOLE_WEBP
};

/// Renders with default limits and the thumbhash.
pub fn rendered(bytes: &[u8], presets: &[Preset]) -> Rendered {
    render(bytes, presets, &Limits::default(), true).unwrap()
}

/// An asymmetric scene: every quarter and every edge differs from its mirror images.
pub fn scene(width: u32, height: u32) -> Vec<u8> {
    let mut rgb = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let right = x * 2 >= width;
            let low = y * 2 >= height;
            let (r, g, b) = match (right, low) {
                (false, false) => (220, 40, 30),
                (true, false) => (30, 190, 60),
                (false, true) => (40, 60, 210),
                (true, true) => (230, 220, 50),
            };
            let shade = x * 20 / width;
            rgb.extend_from_slice(&[r - shade as u8, g, b + shade as u8]);
        }
    }
    rgb
}

/// The scene as a JPEG.
pub fn scene_jpeg(width: u32, height: u32) -> Vec<u8> {
    encode_jpeg(width, height, &scene(width, height), 95).unwrap()
}

/// A minimal TIFF structure with one orientation.
pub fn exif_tiff(orientation: u16) -> Vec<u8> {
    let mut tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
    tiff.extend_from_slice(&orientation.to_be_bytes());
    tiff.extend_from_slice(&[0; 6]);
    tiff
}

/// Puts a segment behind the start marker.
pub fn with_segment(jpeg: &[u8], marker: u8, body: &[u8]) -> Vec<u8> {
    let mut out = jpeg[..2].to_vec();
    out.extend_from_slice(&[0xff, marker]);
    out.extend_from_slice(&(body.len() as u16 + 2).to_be_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(&jpeg[2..]);
    out
}

/// Puts an EXIF orientation into a JPEG.
pub fn with_orientation(jpeg: &[u8], orientation: u16) -> Vec<u8> {
    let mut body = b"Exif\0\0".to_vec();
    body.extend_from_slice(&exif_tiff(orientation));
    with_segment(jpeg, 0xe1, &body)
}

/// Puts a colour profile into a JPEG, in chunks of at most 60,000 bytes, last one first.
pub fn with_icc(jpeg: &[u8], profile: &[u8]) -> Vec<u8> {
    let chunks: Vec<&[u8]> = profile.chunks(60_000).collect();
    let mut out = jpeg.to_vec();
    for (i, chunk) in chunks.iter().enumerate() {
        let mut body = b"ICC_PROFILE\0".to_vec();
        body.extend_from_slice(&[i as u8 + 1, chunks.len() as u8]);
        body.extend_from_slice(chunk);
        out = with_segment(&out, 0xe2, &body);
    }
    out
}

/// A PNG, from samples as PNG packs them.
pub fn png(
    size: (u32, u32),
    color: png::ColorType,
    depth: png::BitDepth,
    samples: &[u8],
    more: impl FnOnce(&mut png::Info<'_>),
) -> Vec<u8> {
    let mut info = png::Info::with_size(size.0, size.1);
    info.color_type = color;
    info.bit_depth = depth;
    more(&mut info);
    let mut out = Vec::new();
    let mut writer = png::Encoder::with_info(&mut out, info)
        .unwrap()
        .write_header()
        .unwrap();
    writer.write_image_data(samples).unwrap();
    writer.finish().unwrap();
    out
}

/// Puts a chunk before the first IDAT of a PNG.
pub fn with_chunk(png: &[u8], kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let at = png.windows(4).position(|w| w == b"IDAT").unwrap() - 4;
    let mut crc_input = kind.to_vec();
    crc_input.extend_from_slice(body);
    let mut out = png[..at].to_vec();
    out.extend_from_slice(&(body.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc_input);
    out.extend_from_slice(&crc32(&crc_input).to_be_bytes());
    out.extend_from_slice(&png[at..]);
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
        crc
    })
}

/// Wraps image chunks in an extended WebP with more chunks.
pub fn extended_webp(size: (u32, u32), flags: u8, chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut head = vec![flags, 0, 0, 0];
    head.extend_from_slice(&(size.0 - 1).to_le_bytes()[..3]);
    head.extend_from_slice(&(size.1 - 1).to_le_bytes()[..3]);
    let mut body = b"WEBP".to_vec();
    for (kind, content) in
        std::iter::once((b"VP8X", &head)).chain(chunks.iter().map(|c| (c.0, &c.1)))
    {
        body.extend_from_slice(kind);
        body.extend_from_slice(&(content.len() as u32).to_le_bytes());
        body.extend_from_slice(content);
        if content.len() % 2 == 1 {
            body.push(0);
        }
    }
    let mut out = b"RIFF".to_vec();
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(&body);
    out
}

/// The content of the first chunk of a simple WebP.
pub fn webp_payload(webp: &[u8]) -> Vec<u8> {
    let length = u32::from_le_bytes(webp[16..20].try_into().unwrap()) as usize;
    webp[20..20 + length].to_vec()
}

/// Decoded pixels, RGBA.
pub struct Seen {
    pub width: u32,
    pub height: u32,
    pub rgba: Vec<u8>,
}

impl Seen {
    pub fn at(&self, x: u32, y: u32) -> [u8; 4] {
        let at = (y * self.width + x) as usize * 4;
        self.rgba[at..at + 4].try_into().unwrap()
    }
}

/// Decodes a rendition with decoders that the renderer does not go through.
pub fn seen(rendition: &Rendition) -> Seen {
    match rendition.preset.format {
        Format::Webp => {
            let (mut width, mut height) = (0, 0);
            let bytes = &rendition.bytes;
            // SAFETY: a live slice, valid out pointers; the pixels are copied and freed once.
            let rgba = unsafe {
                let start = libwebp_sys::WebPDecodeRGBA(
                    bytes.as_ptr(),
                    bytes.len(),
                    &mut width,
                    &mut height,
                );
                assert!(!start.is_null());
                let pixels =
                    std::slice::from_raw_parts(start, width as usize * height as usize * 4)
                        .to_vec();
                libwebp_sys::WebPFree(start.cast());
                pixels
            };
            Seen {
                width: width as u32,
                height: height as u32,
                rgba,
            }
        }
        Format::Avif | Format::Mp4 | Format::M3u8 => panic!("nothing here decodes it"),
        Format::Jpeg => {
            let image =
                turbojpeg::decompress(&rendition.bytes, turbojpeg::PixelFormat::RGBA).unwrap();
            Seen {
                width: image.width as u32,
                height: image.height as u32,
                rgba: image.pixels,
            }
        }
    }
}

/// Whether two colours differ by at most `tolerance` in every channel.
pub fn near(a: [u8; 4], b: [u8; 4], tolerance: u8) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= tolerance)
}
