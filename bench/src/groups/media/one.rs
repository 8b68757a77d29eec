//! One file through a sandbox of its own, in a process of its own.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use safelight_imaging::{Limits, MediaType, SNIFF_BYTES, sniff};
use safelight_model::preset::ALL;
use safelight_service::processing::sandbox::{
    Pace, RenderReply, RenderTask, Sandbox, SandboxError, SandboxSettings,
};
use serde::{Deserialize, Serialize};

use super::super::imaging::ours::CHILD;
use super::clip;

/// How this program is told to make the pictures of one file.
pub const ONE: &str = "media-one";
const OUTCOME: &str = "outcome.json";

/// What became of a file.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Outcome {
    /// Its media type, by content.
    pub kind: Option<String>,
    /// Columns and rows, upright.
    pub size: Option<(u32, u32)>,
    /// How long it runs, if it is a clip.
    pub duration_s: Option<f64>,
    /// What was made of it.
    pub pictures: Vec<Picture>,
    /// Why there are none.
    pub code: Option<String>,
    /// The same, for people.
    pub reason: String,
    /// Whether the child died of it, or had to be killed.
    pub died: bool,
    /// What it tells of itself, beside a place and times.
    pub notes: Vec<String>,
    /// Processor time of the task.
    pub cpu_ms: f64,
}

/// A picture, or what is played of a clip, in a file of its preset's name.
#[derive(Debug, Deserialize, Serialize)]
pub struct Picture {
    /// Its preset.
    pub preset: String,
    /// Columns and rows.
    pub size: (u32, u32),
    /// Of the file.
    pub size_bytes: usize,
}

/// Makes the pictures of the first argument in the folder that is the second, and writes down what came of it.
pub fn make_and_say(arguments: &[String]) -> anyhow::Result<()> {
    let [file, folder] = arguments else {
        bail!("{ONE} wants a file and a folder");
    };
    let (file, folder) = (Path::new(file), Path::new(folder));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(make(file, folder))?;
    std::fs::write(folder.join(OUTCOME), serde_json::to_vec(&outcome)?)?;
    Ok(())
}

/// What was written down.
pub fn read(folder: &Path) -> anyhow::Result<Outcome> {
    let written = std::fs::read(folder.join(OUTCOME)).context("no outcome")?;
    Ok(serde_json::from_slice(&written)?)
}

async fn make(file: &Path, folder: &Path) -> anyhow::Result<Outcome> {
    let sandbox = Sandbox::start(SandboxSettings {
        args: vec![OsString::from(CHILD)],
        processes: 1,
        clips: Some(clip::settings()),
        ..SandboxSettings::own_program()
    })?;
    let cpu_us = Arc::new(AtomicU64::new(0));
    let task = RenderTask {
        presets: ALL.to_vec(),
        limits: Limits::default(),
        want_hashes: true,
        want_scores: true,
        want_faces: false,
        exact: false,
        credit: false,
    };
    let bytes = std::fs::read(file)?;
    let kind = sniff(bytes.get(..SNIFF_BYTES).unwrap_or(&bytes));
    let metered = sandbox.serving("media", Pace::Brisk, cpu_us.clone());
    let made = if kind.is_some_and(MediaType::is_clip) {
        clip::make(&metered, File::open(file)?, folder).await?
    } else {
        let answer = metered.render_first(File::open(file)?.into(), task, &[]);
        match answer.await {
            Ok((reply, _)) => Ok(shown(&reply, folder)?),
            Err(error) => Err(error),
        }
    };
    let mut outcome = match made {
        Ok(outcome) => outcome,
        Err(error) if error.retryable() => return Err(error.into()),
        Err(error) => Outcome {
            code: Some(error.code().as_str().to_owned()),
            reason: error.to_string(),
            died: !matches!(error, SandboxError::Refused { .. }),
            ..Outcome::default()
        },
    };
    sandbox.shutdown().await;
    outcome.kind = kind.map(|kind| kind.mime().to_owned());
    outcome.cpu_ms = cpu_us.load(Ordering::SeqCst) as f64 / 1e3;
    Ok(outcome)
}

pub(super) fn shown(reply: &RenderReply, folder: &Path) -> anyhow::Result<Outcome> {
    let mut pictures = Vec::new();
    for made in &reply.renditions {
        std::fs::write(folder.join(made.preset.name), &made.bytes)?;
        pictures.push(Picture {
            preset: made.preset.name.to_owned(),
            size: (made.width, made.height),
            size_bytes: made.bytes.len(),
        });
    }
    let mut notes = Vec::new();
    if let Some(said) = &reply.metadata {
        let all = [
            (said.is_motion_photo, "motion"),
            (said.live_id.is_some(), "live"),
            (said.burst_id.is_some(), "burst"),
        ];
        let told = all.iter().filter(|(is_told, _)| *is_told);
        notes.extend(told.map(|(_, note)| (*note).to_owned()));
    }
    Ok(Outcome {
        size: Some((reply.width, reply.height)),
        pictures,
        notes,
        ..Outcome::default()
    })
}
