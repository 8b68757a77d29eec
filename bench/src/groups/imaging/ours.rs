//! The product's own way: file in, pictures out, through the sandbox.
//!
//! This program is the child as well, so that the group needs no server. All that a photo costs is
//! counted: the children from their start to their end, and what this process does for them.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

use safelight_imaging::Limits;
use safelight_model::preset::Preset;
use safelight_service::processing::sandbox::{RenderReply, RenderTask, Sandbox, SandboxSettings};
use tokio::time::Instant;

use super::used::{Cost, own_and_ended_ms};

/// How this program is told to be a sandbox's child.
pub const CHILD: &str = "sandbox";
/// Photos at a time, and children.
pub const IN_FLIGHT: usize = 2;

/// Makes `presets` of a file, `rounds` times. Answers the cost of one time, and the last pictures.
pub async fn measure(
    file: &Path,
    presets: &[Preset],
    rounds: u32,
) -> anyhow::Result<(Cost, RenderReply)> {
    let (began, before) = (Instant::now(), own_and_ended_ms());
    let sandbox = Sandbox::start(SandboxSettings {
        args: vec![OsString::from(CHILD)],
        processes: IN_FLIGHT,
        ..SandboxSettings::own_program()
    })?;
    let lane = async |rounds: u32| -> anyhow::Result<Option<RenderReply>> {
        let mut last: Option<RenderReply> = None;
        for _ in 0..rounds {
            let task = RenderTask {
                presets: presets.to_vec(),
                limits: Limits::default(),
                want_hashes: false,
                want_scores: false,
                exact: false,
                credit: false,
            };
            let reply = sandbox.render(File::open(file)?.into(), task).await?;
            let peak = last.map_or(0, |l| l.max_rss_bytes);
            last = Some(RenderReply {
                max_rss_bytes: reply.max_rss_bytes.max(peak),
                ..reply
            });
        }
        Ok(last)
    };
    let (a, b) = futures::future::try_join(lane(rounds.div_ceil(2)), lane(rounds / 2)).await?;
    sandbox.shutdown().await;
    let per_round = |sum: f64| sum / f64::from(rounds);
    let peak = [&a, &b].into_iter().flatten().map(|r| r.max_rss_bytes);
    let cost = Cost {
        cpu_ms: per_round(own_and_ended_ms() - before),
        wall_ms: per_round(began.elapsed().as_secs_f64() * 1e3),
        peak_mb: peak.max().unwrap_or(0) as f64 / f64::from(1 << 20),
    };
    let reply = a.or(b).ok_or_else(|| anyhow::anyhow!("no rounds"))?;
    Ok((cost, reply))
}
