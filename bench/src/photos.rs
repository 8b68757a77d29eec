//! Photos that no other is equal to, without taking each.

use std::path::Path;

use safelight_testkit::camera::{Burst, shoot};
use sha2::{Digest as _, Sha256};

/// Frames that are really taken.
const FRAMES: u32 = 6;

/// 12 megapixel photos from the fake camera.
pub struct Photos {
    frames: Vec<(Vec<u8>, Sha256)>,
}

/// One photo: a frame, and bytes after the end of its picture that no other has, as phones put there
/// what belongs to a picture.
pub struct Photo<'a> {
    /// The frame.
    pub frame: &'a [u8],
    /// What follows.
    pub tail: [u8; 8],
    /// Lower-case hexadecimal, of both.
    pub sha256: String,
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
