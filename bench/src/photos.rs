//! Photos that no other is equal to, without taking each.

use std::path::Path;

use safelight_testkit::camera::{Burst, shoot};
use sha2::{Digest as _, Sha256};

/// Frames that are really taken.
const FRAMES: u32 = 6;
/// Bytes behind a frame.
const TAIL_BYTES: usize = 8;

/// 12 megapixel photos from the fake camera.
pub struct Photos {
    frames: Vec<(Vec<u8>, Sha256)>,
}

/// Of a clip: what a phone takes in six seconds of 4K.
const CLIP_BYTES: usize = 48 << 20;

/// Files of a clip's size and kind, of which no two are equal. Nothing can be decoded of them.
pub struct Clips {
    bytes: Vec<u8>,
    hash: Sha256,
}

impl Clips {
    /// Makes what all have in common.
    pub fn make() -> Self {
        let mut bytes = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".to_vec();
        let mdat = u32::try_from(CLIP_BYTES - bytes.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&mdat.to_be_bytes());
        bytes.extend_from_slice(b"mdat");
        bytes.resize(CLIP_BYTES - TAIL_BYTES, 0x5a);
        let hash = Sha256::new().chain_update(&bytes);
        Self { bytes, hash }
    }

    /// The clip with this number.
    pub fn clip(&self, number: u64) -> Photo<'_> {
        let tail = number.to_be_bytes();
        Photo {
            frame: &self.bytes,
            tail,
            sha256: hex::encode(self.hash.clone().chain_update(tail).finalize()),
            mime: "video/mp4",
        }
    }
}

/// One photo: a frame, and bytes after the end of its picture that no other has, as phones put there
/// what belongs to a picture.
pub struct Photo<'a> {
    /// The frame.
    pub frame: &'a [u8],
    /// What follows.
    pub tail: [u8; TAIL_BYTES],
    /// Lower-case hexadecimal, of both.
    pub sha256: String,
    /// What it says it is.
    pub mime: &'static str,
}

impl Photo<'_> {
    /// Size of the whole.
    pub fn size_bytes(&self) -> usize {
        self.frame.len() + self.tail.len()
    }
}

impl Photos {
    /// Takes the frames; `dir` holds them for a moment.
    pub fn take(dir: &Path) -> anyhow::Result<Self> {
        let burst = Burst {
            seed: 2,
            count: FRAMES,
            megapixels: 12.0,
        };
        let mut frames = Vec::new();
        for path in shoot(&burst, dir)? {
            let bytes = std::fs::read(path)?;
            let hash = Sha256::new().chain_update(&bytes);
            frames.push((bytes, hash));
        }
        std::fs::remove_dir_all(dir)?;
        Ok(Self { frames })
    }

    /// The photo with this number.
    pub fn photo(&self, number: u64) -> Photo<'_> {
        let turn = usize::try_from(number).unwrap_or(0) % self.frames.len();
        let (frame, hash) = &self.frames[turn];
        let tail = number.to_be_bytes();
        Photo {
            frame,
            tail,
            sha256: hex::encode(hash.clone().chain_update(tail).finalize()),
            mime: "image/jpeg",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photos_of_one_frame_differ_and_have_their_hash() {
        let bytes = b"a frame".to_vec();
        let hash = Sha256::new().chain_update(&bytes);
        let photos = Photos {
            frames: vec![(bytes, hash)],
        };
        let (a, b) = (photos.photo(1), photos.photo(2));
        assert_ne!(a.sha256, b.sha256);
        let whole = [a.frame, &a.tail].concat();
        assert_eq!(a.sha256, hex::encode(Sha256::digest(&whole)));
        assert_eq!(a.size_bytes(), whole.len());
    }
}
