//! One clip through the sandbox: its pictures, and what is played of it.

use std::fs::File;
use std::io::{Seek as _, copy};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use safelight_imaging::Limits;
use safelight_model::preset::{OF_CLIP, PREVIEW_CLIP, Preset, STREAM};
use safelight_service::processing::sandbox::{
    ClipFacts, ClipSettings, RenderTask, Sandbox, SandboxError,
};

use super::one::{Outcome, Picture, shown};
use crate::groups::imaging::likeness::text;

/// As a server has it by default, with Debian's ffmpeg.
pub fn settings() -> ClipSettings {
    ClipSettings {
        ffmpeg: PathBuf::from("/usr/bin/ffmpeg"),
        ffprobe: PathBuf::from("/usr/bin/ffprobe"),
        memory_bytes: 2 << 30,
        transcode: Duration::from_secs(3600),
        stream_bytes: 4 << 30,
        scratch_dir: std::env::temp_dir(),
    }
}

/// Makes all that is made of a clip, in files of its presets' names.
pub async fn make(
    sandbox: &Sandbox,
    clip: File,
    folder: &Path,
) -> anyhow::Result<Result<Outcome, SandboxError>> {
    let limits = Limits::default();
    let max_pixels = limits.max_pixels;
    let task = RenderTask {
        presets: OF_CLIP.to_vec(),
        limits,
        want_hashes: true,
        want_scores: false,
        want_faces: false,
        exact: false,
        credit: false,
    };
    let clip: OwnedFd = clip.into();
    let made = async {
        let facts = sandbox.probe_clip(&clip, max_pixels).await?;
        let frame = sandbox.clip_frame(&clip, &facts).await?;
        let reply = sandbox.render(frame, task).await?;
        let preview = sandbox.preview_clip(&clip, &facts).await?;
        let stream = sandbox.transcode_clip(&clip, &facts).await?;
        Ok((facts, reply, preview, stream))
    };
    let (facts, reply, preview, stream) = match made.await {
        Ok(made) => made,
        Err(error) => return Ok(Err(error)),
    };
    let mut outcome = shown(&reply, folder)?;
    for (preset, made) in [(PREVIEW_CLIP, preview), (STREAM, stream)] {
        outcome.pictures.push(keep(preset, made, folder)?);
    }
    outcome.size = Some((facts.width, facts.height));
    outcome.duration_s = Some(facts.duration_s);
    Ok(Ok(outcome))
}

fn keep(
    preset: Preset,
    (mut made, facts): (File, ClipFacts),
    folder: &Path,
) -> anyhow::Result<Picture> {
    made.rewind()?;
    let bytes = copy(&mut made, &mut File::create(folder.join(preset.name))?)?;
    Ok(Picture {
        preset: preset.name.to_owned(),
        size: (facts.width, facts.height),
        size_bytes: usize::try_from(bytes)?,
    })
}

/// How alike what was made of a clip is to it, by ffmpeg's SSIM of the luma: a still to that of the clip's pictures that it is most like,
/// a stream to the clip, picture by picture, on average. A preview begins somewhere in the clip, and is compared with nothing.
pub fn likenesses(clip: &Path, outcome: &Outcome, folder: &Path) -> Vec<Option<f64>> {
    let of = |picture: &Picture| {
        if picture.preset == PREVIEW_CLIP.name {
            return None;
        }
        let made = folder.join(&picture.preset);
        let found = compare(clip, &made, picture.size, picture.preset != STREAM.name);
        if let Err(error) = &found {
            println!("media: no likeness of {}: {error:#}", clip.display());
        }
        found.ok()
    };
    outcome.pictures.iter().map(of).collect()
}

fn compare(
    clip: &Path,
    made: &Path,
    (width, height): (u32, u32),
    is_still: bool,
) -> anyhow::Result<f64> {
    // The first one says which moments are compared: all of the clip's with the still, and those of the stream.
    let (first, second) = match is_still {
        true => ("clip", "made"),
        false => ("made", "clip"),
    };
    let graph = format!(
        "[0:v]scale={width}:{height}:flags=lanczos,format=yuv420p[clip];[1:v]format=yuv420p[made];\
         [{first}][{second}]ssim=stats_file=-:shortest=1"
    );
    let mut run = Command::new("ffmpeg");
    run.args(["-v", "error", "-i", text(clip)?]);
    if is_still {
        run.args(["-f", "webp_pipe", "-loop", "1"]);
    }
    run.args(["-i", text(made)?, "-lavfi", &graph, "-f", "null", "-"]);
    let output = run.output().context("ffmpeg")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    let told = String::from_utf8_lossy(&output.stdout);
    let of_line = |line: &str| {
        let luma = line.split(' ').find_map(|word| word.strip_prefix("Y:"))?;
        luma.parse::<f64>().ok()
    };
    let all: Vec<f64> = told.lines().filter_map(of_line).collect();
    ensure!(!all.is_empty(), "ffmpeg compared no pictures");
    Ok(match is_still {
        true => all.iter().copied().fold(0.0, f64::max),
        false => all.iter().sum::<f64>() / all.len() as f64,
    })
}
