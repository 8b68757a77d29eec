//! The product's own way: file in, pictures out, through the sandbox.
//!
//! This program is the child as well, so that the group needs no server. All that a photo costs is
//! counted: the children from their start to their end, and what this process does for them.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

use anyhow::bail;
use safelight_imaging::Limits;
use safelight_model::preset::Preset;
use safelight_service::processing::sandbox::{RenderReply, RenderTask, Sandbox, SandboxSettings};
use tokio::time::Instant;

use super::used::{Cost, own_and_ended_ms};

/// How this program is told to be a sandbox's child.
pub const CHILD: &str = "sandbox";
/// Photos at a time, and children.
pub const IN_FLIGHT: usize = 2;

/// How pictures are made of a photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// All in one visit.
    AtOnce,
    /// The first of them, then the others of the same decoded picture: as a worker goes on where nobody waits.
    InTwo,
    /// The first of them, then the others, decoded anew: as workers do while others wait.
    Twice,
}

/// Makes `presets` of a file, `rounds` times. Answers the cost of one time, and the last pictures.
pub async fn measure(
    file: &Path,
    presets: &[Preset],
    way: Way,
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
            let reply = make(&sandbox, file, presets, way).await?;
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

fn task(presets: &[Preset]) -> RenderTask {
    RenderTask {
        presets: presets.to_vec(),
        limits: Limits::default(),
        want_hashes: false,
        want_scores: false,
        want_faces: false,
        exact: false,
        credit: false,
    }
}

async fn make(
    sandbox: &Sandbox,
    file: &Path,
    presets: &[Preset],
    way: Way,
) -> anyhow::Result<RenderReply> {
    let open = || std::io::Result::Ok(File::open(file)?.into());
    let (first, later) = presets.split_at(presets.len().min(1));
    let first = match way {
        Way::AtOnce => return Ok(sandbox.render(open()?, task(presets)).await?),
        Way::Twice => sandbox.render_first(open()?, task(first), &[]),
        Way::InTwo => sandbox.render_first(open()?, task(first), later),
    };
    let (mut first, kept) = first.await?;
    let second = match (kept, way) {
        (Some(kept), _) => sandbox.render_more(kept, open()?, task(later)).await?,
        (None, Way::InTwo) => bail!("{}: its picture was not kept", file.display()),
        (None, _) => sandbox.render(open()?, task(later)).await?,
    };
    first.renditions.extend(second.renditions);
    first.max_rss_bytes = first.max_rss_bytes.max(second.max_rss_bytes);
    Ok(first)
}
