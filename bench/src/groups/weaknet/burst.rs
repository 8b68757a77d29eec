//! The burst that is sent.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use safelight_testkit::camera::{Burst, shoot};
use sha2::{Digest as _, Sha256};

use crate::photos::Photo;

/// Photos of one size, as files of one burst.
pub struct Photos {
    dir: PathBuf,
    /// In the order in which they were taken.
    pub paths: Vec<PathBuf>,
    size_bytes: usize,
}

impl Photos {
    /// Takes them. What is missing of the size follows the end of each picture, and does not compress.
    pub fn take(dir: &Path, count: u32, size_bytes: usize) -> anyhow::Result<Self> {
        let mut megapixels = (size_bytes as f64 / 250_000.0).min(12.0);
        loop {
            let burst = Burst {
                seed: 3,
                count,
                megapixels,
            };
            let paths = shoot(&burst, dir)?;
            let mut largest = 0;
            for path in &paths {
                largest = largest.max(std::fs::metadata(path)?.len());
            }
            if largest <= size_bytes as u64 {
                for (number, path) in paths.iter().enumerate() {
                    pad(path, size_bytes, number as u64 + 1)?;
                }
                return Ok(Self {
                    dir: dir.to_owned(),
                    paths,
                    size_bytes,
                });
            }
            std::fs::remove_dir_all(dir)?;
            megapixels *= 0.8 * size_bytes as f64 / largest as f64;
            ensure!(
                megapixels >= 0.01,
                "a photo has more than {size_bytes} bytes"
            );
        }
    }

    /// Of all photos.
    pub fn bytes(&self) -> u64 {
        (self.size_bytes * self.paths.len()) as u64
    }

    /// Of each.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes as u64
    }

    /// The frame that stands for the burst.
    pub fn key(&self) -> anyhow::Result<&Path> {
        let is_key = |p: &&PathBuf| p.to_string_lossy().contains("_COVER");
        let key = self.paths.iter().find(is_key).context("no key frame")?;
        Ok(key)
    }

    /// Calls `each` with every photo.
    pub async fn each(
        &self,
        mut each: impl AsyncFnMut(&Photo<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for path in &self.paths {
            let bytes = std::fs::read(path)?;
            let (frame, tail) = bytes.split_last_chunk().context("a photo")?;
            each(&Photo {
                frame,
                tail: *tail,
                sha256: hex::encode(Sha256::digest(&bytes)),
                mime: "image/jpeg",
            })
            .await?;
        }
        Ok(())
    }

    /// Removes the files.
    pub fn remove(self) -> anyhow::Result<()> {
        Ok(std::fs::remove_dir_all(self.dir)?)
    }
}

fn pad(path: &Path, size_bytes: usize, seed: u64) -> anyhow::Result<()> {
    let mut file = OpenOptions::new().append(true).open(path)?;
    let missing = size_bytes - usize::try_from(file.metadata()?.len())?;
    let mut bytes = Vec::with_capacity(missing + 8);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    while bytes.len() < missing {
        // xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(missing);
    Ok(file.write_all(&bytes)?)
}
