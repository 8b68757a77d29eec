//! Photos that no other is equal to, without taking each.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
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

/// Of so many clips one is of 4K.
const CLIPS_PER_4K: u64 = 5;
/// Size, length in seconds and bit rate of clips, as phones take them: of 4K, and others.
const CLIPS: [(&str, &str, &str); 2] = [("3840x2160", "3", "50M"), ("1920x1080", "6", "17M")];
/// The beginning of a box that says nothing, of so many bytes with its tail.
const FREE_BOX: &[u8; 8] = b"\0\0\0\x10free";

/// Clips of H.264 and AAC with the index at the end, of which no two are equal.
pub struct Clips {
    kinds: Vec<(Vec<u8>, Sha256)>,
}

impl Clips {
    /// Makes one of each kind with ffmpeg; `dir` holds it for a moment.
    pub fn make(dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut kinds = Vec::new();
        for (size, seconds, rate) in CLIPS {
            let path = dir.join(size).with_extension("mp4");
            let picture = format!("testsrc2=size={size}:rate=30,noise=alls=20:allf=t");
            let made = Command::new("ffmpeg")
                .args(["-v", "error", "-y", "-f", "lavfi", "-i", &picture])
                .args(["-f", "lavfi", "-i", "sine=frequency=440"])
                .args(["-t", seconds, "-c:v", "libx264", "-preset", "ultrafast"])
                .args(["-pix_fmt", "yuv420p", "-b:v", rate, "-maxrate", rate])
                .args(["-bufsize", rate, "-c:a", "aac"])
                .arg(&path)
                .status()
                .context("ffmpeg (Debian package of the same name)")?;
            ensure!(made.success(), "ffmpeg could make no clip of {size}");
            let mut bytes = std::fs::read(&path)?;
            bytes.extend_from_slice(FREE_BOX);
            let hash = Sha256::new().chain_update(&bytes);
            kinds.push((bytes, hash));
        }
        std::fs::remove_dir_all(dir)?;
        Ok(Self { kinds })
    }

    /// The clip with this number.
    pub fn clip(&self, number: u64) -> Photo<'_> {
        let kind = usize::from(!number.is_multiple_of(CLIPS_PER_4K));
        let (frame, hash) = &self.kinds[kind];
        let tail = number.to_be_bytes();
        Photo {
            frame,
            tail,
            sha256: hex::encode(hash.clone().chain_update(tail).finalize()),
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
