//! sharp, called as people call it and cascaded by hand, and libvips' command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use tokio::time::Instant;

use super::ours::IN_FLIGHT;
use super::used::{Cost, run};

/// Where `scripts/peers.sh` has put sharp.
const SHARP_FOLDER: &str = "SAFELIGHT_PEERS";

/// A picture to be made: of the size that ours came out in, so that nobody makes more pixels.
#[derive(Clone, Debug, Serialize)]
pub struct Wanted {
    /// Of the file.
    pub name: String,
    /// Columns, upright.
    pub width: u32,
    /// Rows, upright.
    pub height: u32,
    /// `webp` or `jpeg`.
    pub format: &'static str,
    /// The encoder's quality.
    pub quality: u8,
}

/// Who else makes pictures here.
pub struct Peers {
    sharp: Option<OsString>,
    vips: bool,
}

impl Peers {
    /// Looks for them, and says which are left out.
    pub fn find() -> Self {
        let sharp = std::env::var_os(SHARP_FOLDER).filter(|folder| !folder.is_empty());
        if sharp.is_none() {
            println!("imaging: sharp is left out: {SHARP_FOLDER} does not say where it is");
        }
        let vips = Command::new("vipsthumbnail").arg("--version").output();
        if let Err(error) = &vips {
            println!("imaging: libvips is left out: vipsthumbnail: {error}");
        }
        let vips = vips.is_ok();
        Self { sharp, vips }
    }

    /// sharp, `way` `calls` or `cascade`; the pictures are in `folder` afterwards.
    pub fn sharp(
        &self,
        file: &Path,
        way: &str,
        wanted: &[Wanted],
        rounds: u32,
        folder: &Path,
    ) -> anyhow::Result<Option<Cost>> {
        let Some(sharp) = &self.sharp else {
            return Ok(None);
        };
        let script = folder.join("sharp.cjs");
        std::fs::write(&script, include_str!("sharp.cjs"))?;
        let task = serde_json::json!({
            "file": file, "way": way, "wanted": wanted, "rounds": rounds, "folder": folder,
        });
        let mut command = Command::new("node");
        let command = command.arg(script).arg(task.to_string());
        let output = command.env(SHARP_FOLDER, sharp).output().context("node")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "sharp: {said}");
        Ok(Some(serde_json::from_slice(&output.stdout)?))
    }

    /// libvips: one process for each picture, their start counted as well.
    pub fn vips(
        &self,
        file: &Path,
        wanted: &[Wanted],
        rounds: u32,
        folder: &Path,
    ) -> anyhow::Result<Option<Cost>> {
        if !self.vips {
            return Ok(None);
        }
        let (left, sum) = (AtomicU32::new(rounds), Mutex::new(Cost::default()));
        let began = Instant::now();
        let lane = |lane: usize| -> anyhow::Result<()> {
            let folder: PathBuf = folder.join(format!("vips{lane}"));
            std::fs::create_dir_all(&folder)?;
            while take_one(&left) {
                for one in wanted {
                    let mut out = folder.join(&one.name).into_os_string();
                    out.push(format!("[Q={},strip]", one.quality));
                    let size = format!("{}x{}>", one.width, one.height);
                    let size = [file.into(), "--size".into(), size.into(), "-o".into(), out];
                    let cost = run("vipsthumbnail", &size)?;
                    let mut sum = sum.lock().map_err(|_| anyhow::anyhow!("a lane broke"))?;
                    sum.cpu_ms += cost.cpu_ms;
                    sum.peak_mb = sum.peak_mb.max(cost.peak_mb);
                }
            }
            Ok(())
        };
        let lanes = std::thread::scope(|scope| {
            let lane = &lane;
            let lanes: Vec<_> = (0..IN_FLIGHT)
                .map(|n| scope.spawn(move || lane(n)))
                .collect();
            lanes
                .into_iter()
                .map(std::thread::ScopedJoinHandle::join)
                .collect::<Vec<_>>()
        });
        for done in lanes {
            done.map_err(|_| anyhow::anyhow!("a lane broke"))??;
        }
        let elapsed: Duration = began.elapsed();
        let sum = sum
            .into_inner()
            .map_err(|_| anyhow::anyhow!("a lane broke"))?;
        Ok(Some(Cost {
            cpu_ms: sum.cpu_ms / f64::from(rounds),
            wall_ms: elapsed.as_secs_f64() * 1e3 / f64::from(rounds),
            peak_mb: sum.peak_mb,
        }))
    }
}

/// Takes one of what is left, if anything is.
fn take_one(left: &AtomicU32) -> bool {
    let less = |n: u32| n.checked_sub(1);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .is_ok()
}
