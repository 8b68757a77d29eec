//! A fake camera: JPEGs as a phone writes them, the same for the same seed.

mod burst;
mod exif;
mod landscape;
mod noise;
mod sensor;

pub use burst::{Burst, shoot};

use safelight_imaging::{ImagingError, encode_jpeg};

/// EXIF `Make` of every picture.
pub const MAKE: &str = "Safelight";
/// EXIF `Model` of every picture.
pub const MODEL: &str = "Fake Camera 1";

/// What to take, and how.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The place. The same seed gives the same bytes.
    pub seed: u64,
    /// Which exposure of the place: each has its own noise, shift, and id in EXIF.
    pub frame: u32,
    /// Pixels across as stored, before the orientation is applied.
    pub width: u32,
    /// Pixels down as stored.
    pub height: u32,
    /// EXIF orientation, 1 to 8. Pixels are stored so that applying it makes the scene upright.
    pub orientation: u16,
    /// JPEG quality, 1 to 100.
    pub quality: u8,
    /// Milliseconds since midnight, local time of the camera.
    pub ms_of_day: u32,
    /// The burst that the picture is a frame of, written as XMP.
    pub burst_id: Option<String>,
    /// Whether it is the frame that stands for the burst.
    pub burst_primary: bool,
}

impl Default for Scene {
    /// A small single picture, quick to make.
    fn default() -> Self {
        Self {
            seed: 1,
            frame: 0,
            width: 640,
            height: 480,
            orientation: 6,
            quality: 91,
            ms_of_day: 8 * 3_600_000,
            burst_id: None,
            burst_primary: false,
        }
    }
}

/// Takes one picture of a scene: a JPEG with EXIF (orientation, position, serial number,
/// embedded thumbnail), as a phone writes it.
///
/// # Panics
/// When the scene's size or quality is not one that a JPEG can have.
#[allow(
    clippy::expect_used,
    reason = "a scene that cannot be encoded must fail the test"
)]
#[must_use]
pub fn photo(scene: &Scene) -> Vec<u8> {
    develop(&sensor::still(scene), scene).expect("a scene that JPEG can hold")
}

/// A picture of one colour without any metadata.
///
/// # Panics
/// When the size is not one that a JPEG can have.
#[allow(
    clippy::expect_used,
    reason = "a size that cannot be encoded must fail the test"
)]
#[must_use]
pub fn flat(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
    let rgb = colour.repeat(width as usize * height as usize);
    encode_jpeg(width, height, &rgb, 90).expect("a size that JPEG can hold")
}

/// Exposes, compresses and wraps one frame.
fn develop(still: &sensor::Still, scene: &Scene) -> Result<Vec<u8>, ImagingError> {
    let rgb = sensor::expose(still, scene);
    let (width, height, small) = sensor::thumbnail(&rgb, scene.width, scene.height);
    let thumbnail = encode_jpeg(width, height, &small, 75)?;
    let jpeg = encode_jpeg(scene.width, scene.height, &rgb, scene.quality)?;
    Ok(wrap(scene, &jpeg, &thumbnail))
}

/// Puts EXIF and XMP before the picture's own segments, and drops the JFIF header,
/// which phones do not write.
fn wrap(scene: &Scene, jpeg: &[u8], thumbnail: &[u8]) -> Vec<u8> {
    let mut out = jpeg[..2].to_vec();
    let tiff = exif::tiff(scene, thumbnail);
    segment(&mut out, &[b"Exif\0\0", tiff.as_slice()].concat());
    if let Some(id) = &scene.burst_id {
        let packet = exif::xmp(id, scene.burst_primary);
        segment(
            &mut out,
            &[b"http://ns.adobe.com/xap/1.0/\0", packet.as_bytes()].concat(),
        );
    }
    let mut rest = &jpeg[2..];
    if rest.starts_with(&[0xff, 0xe0]) {
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        rest = &rest[2 + length..];
    }
    out.extend(rest);
    out
}

/// An APP1 segment. It holds 64 KiB, and a thumbnail of 160 by 160 stays well below.
fn segment(out: &mut Vec<u8>, payload: &[u8]) {
    out.extend([0xff, 0xe1]);
    out.extend((payload.len() as u16 + 2).to_be_bytes());
    out.extend(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_each_frame_others() {
        let scene = Scene::default();
        assert_eq!(photo(&scene), photo(&scene));
        let next = Scene {
            frame: 1,
            ..scene.clone()
        };
        assert_ne!(photo(&scene), photo(&next));
        let elsewhere = Scene {
            seed: 2,
            ..scene.clone()
        };
        assert_ne!(photo(&scene), photo(&elsewhere));
    }

    #[test]
    fn every_orientation_and_odd_sizes_can_be_taken() {
        for orientation in 1..=8 {
            let scene = Scene {
                width: 41,
                height: 23,
                orientation,
                ..Scene::default()
            };
            let jpeg = photo(&scene);
            assert!(jpeg.starts_with(&[0xff, 0xd8, 0xff, 0xe1]));
            assert!(jpeg.ends_with(&[0xff, 0xd9]));
        }
        assert!(flat(16, 16, [200, 30, 30]).starts_with(&[0xff, 0xd8]));
    }
}
