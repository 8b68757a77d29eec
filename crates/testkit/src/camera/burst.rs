//! A burst: many frames of one scene, written as files named like a phone names them.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, ensure};

use super::noise::Stream;
use super::{Scene, develop, exif, sensor};

/// What burst to take.
#[derive(Clone, Debug)]
pub struct Burst {
    /// The place and the burst's id follow from it.
    pub seed: u64,
    /// Frames.
    pub count: u32,
    /// Millions of pixels in each, stored 4 wide to 3 high.
    pub megapixels: f64,
}

impl Burst {
    /// The frame that stands for the burst.
    fn cover(&self) -> u32 {
        self.count / 3
    }

    fn scene(&self, frame: u32) -> Scene {
        let mut stream = Stream::of(self.seed, 6);
        let (a, b) = (stream.next(), stream.next());
        // 12 megapixels are 4032 by 3024; sides are multiples of the 16 pixels of a JPEG block.
        let unit = (self.megapixels / 12.0).sqrt();
        let side = |full: f64| ((full * unit / 16.0).round() as u32).max(1) * 16;
        Scene {
            seed: self.seed,
            frame,
            width: side(4032.0),
            height: side(3024.0),
            // Held upright mostly; some frames say that the phone was turned over.
            orientation: if frame % 5 == 3 { 8 } else { 6 },
            quality: 91,
            ms_of_day: self.start_ms() + frame * 100,
            burst_id: Some(format!(
                "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
                a >> 32,
                a >> 16 & 0xffff,
                a & 0xfff,
                b >> 52,
                b & 0xffff_ffff_ffff
            )),
            burst_primary: frame == self.cover(),
        }
    }

    /// Each seed has a second of its own in the hour after eight.
    fn start_ms(&self) -> u32 {
        8 * 3_600_000 + (self.seed % 3600) as u32 * 1000
    }

    /// `00003IMG_00003_BURST20261123080000000.jpg`; the cover's ends in `_COVER.jpg`.
    fn file_name(&self, frame: u32) -> String {
        let (time, ms) = exif::clock(self.start_ms());
        let moment = format!("{}{time}{ms:03}", exif::DAY).replace(':', "");
        let cover = if frame == self.cover() { "_COVER" } else { "" };
        format!("{frame:05}IMG_{frame:05}_BURST{moment}{cover}.jpg")
    }
}

/// Takes the burst and writes its files into `dir`, which is made if it is not there.
/// Returns the paths in the order in which the frames were taken.
///
/// # Errors
/// A burst without frames or of an absurd size, a file that cannot be written.
pub fn shoot(burst: &Burst, dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    ensure!(
        (1..=100).contains(&burst.count),
        "a burst has 1 to 100 frames"
    );
    ensure!(
        (0.01..=200.0).contains(&burst.megapixels),
        "a frame has 0.01 to 200 megapixels"
    );
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let still = sensor::still(&burst.scene(0));
    let next = AtomicU32::new(0);
    let failure = Mutex::new(None);
    let path = |frame| dir.join(burst.file_name(frame));
    std::thread::scope(|scope| {
        for _ in 0..sensor::threads().min(burst.count as usize) {
            scope.spawn(|| {
                loop {
                    let frame = next.fetch_add(1, Ordering::Relaxed);
                    if frame >= burst.count {
                        return;
                    }
                    let written = develop(&still, &burst.scene(frame))
                        .map_err(anyhow::Error::from)
                        .and_then(|jpeg| {
                            std::fs::write(path(frame), jpeg)
                                .with_context(|| format!("cannot write {}", path(frame).display()))
                        });
                    if let (Err(e), Ok(mut slot)) = (written, failure.lock()) {
                        *slot = Some(e);
                    }
                }
            });
        }
    });
    match failure.into_inner() {
        Ok(None) => Ok((0..burst.count).map(path).collect()),
        Ok(Some(e)) => Err(e),
        Err(_) => anyhow::bail!("a thread of the camera died"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_has_one_cover_and_no_two_equal_files() {
        let dir = tempfile::tempdir().unwrap();
        let burst = Burst {
            seed: 0,
            count: 6,
            megapixels: 0.05,
        };
        let paths = shoot(&burst, dir.path()).unwrap();
        let names: Vec<_> = paths
            .iter()
            .map(|p| p.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names[0], "00000IMG_00000_BURST20261123080000000.jpg");
        assert_eq!(names[2], "00002IMG_00002_BURST20261123080000000_COVER.jpg");
        assert_eq!(names.iter().filter(|n| n.contains("_COVER")).count(), 1);
        let mut bytes: Vec<_> = paths.iter().map(|p| std::fs::read(p).unwrap()).collect();
        bytes.sort();
        bytes.dedup();
        assert_eq!(bytes.len(), 6);
    }

    #[test]
    fn an_empty_burst_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let burst = Burst {
            seed: 0,
            count: 0,
            megapixels: 1.0,
        };
        assert!(shoot(&burst, dir.path()).is_err());
    }
}
