//! `media`: what becomes of every file of a folder of outside media, through the sandbox: the pictures made of it and what is played of a
//! clip, how alike they are to what libvips or ffmpeg makes, what it took, or the code and the reason why there are none.
//!
//! The table is in `media.md` below the results' folder, and `media.png` there has all covers in its order.

mod clip;
mod one;
mod sheet;
mod table;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use safelight_model::preset::{ALL, Format, Preset, Shape};

pub use one::{ONE, make_and_say};

use super::imaging::likeness::Original;
use super::imaging::used::{Cost, run as run_apart};
use crate::Bench;
use crate::row::Row;
use one::Outcome;

/// What a child may have resident at the most: its address space is bounded by a gibibyte.
const GOAL_PEAK_MB: f64 = 1024.0;
/// What the pictures of a photo keep of it at the least, whatever it shows.
const GOAL_SSIM: f64 = 0.9;

/// The folder of files that are not what they say: what libvips makes of them is no measure.
const HOSTILE: &str = "hostile/";
/// What is put behind what is clear.
const BLACK: &str = "0";
const WHITE: &str = "255";

/// What became of one file.
pub struct Entry {
    /// Below the folder.
    pub name: String,
    /// What the sandbox answered.
    pub outcome: Outcome,
    /// What it took, the child's start included in memory, not in time.
    pub cost: Cost,
    /// Likeness of each picture, in order; nothing where libvips cannot read the file, or it is too small.
    pub likenesses: Vec<Option<f64>>,
    /// Where the pictures are.
    pub folder: PathBuf,
}

/// Runs the group.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let Some(media) = std::env::var_os("SAFELIGHT_MEDIA").map(PathBuf::from) else {
        println!("media: left out: SAFELIGHT_MEDIA not set");
        return Ok(Vec::new());
    };
    let mut entries = Vec::new();
    for (number, file) in files(&media)?.into_iter().enumerate() {
        let name = file.strip_prefix(&media)?.display().to_string();
        println!("media: {name}");
        let folder = bench.scratch.join(format!("media-{number}"));
        entries.push(look(&file, name, folder)?);
    }
    ensure!(!entries.is_empty(), "no files in {}", media.display());
    std::fs::write(bench.results.join("media.md"), table::markdown(&entries))?;
    let to = bench.results.join("media.png");
    if let Err(error) = sheet::draw(&entries, &bench.scratch, &to) {
        println!("media: no sheet of covers: {error:#}");
    }
    println!("media: {}", bench.results.join("media.md").display());
    Ok(rows(&entries))
}

/// Every file of the folder's folders, by name.
fn files(media: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(media).with_context(|| media.display().to_string())? {
        let folder = entry?.path();
        if !folder.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&folder)? {
            found.push(entry?.path());
        }
    }
    found.retain(|path| path.is_file());
    found.sort();
    Ok(found)
}

/// Has a process of its own make the pictures, so that the peak of its child is known whatever comes of it.
fn look(file: &Path, name: String, folder: PathBuf) -> anyhow::Result<Entry> {
    std::fs::create_dir_all(&folder)?;
    let arguments = [OsString::from(ONE), file.into(), folder.clone().into()];
    let program = std::env::current_exe()?;
    let program = program.to_str().context("a path that is no text")?;
    let mut cost = run_apart(program, &arguments)?;
    let outcome = one::read(&folder)?;
    cost.cpu_ms = outcome.cpu_ms;
    let likenesses = match outcome.pictures.is_empty() {
        true => Vec::new(),
        false if outcome.duration_s.is_some() => clip::likenesses(file, &outcome, &folder),
        false => likenesses(file, &outcome, &folder),
    };
    Ok(Entry {
        name,
        outcome,
        cost,
        likenesses,
        folder,
    })
}

/// How alike the pictures of a file are to it. What is clear is so in a WebP, and white in a JPEG; a square is of a part, and compared with
/// nothing.
fn likenesses(file: &Path, outcome: &Outcome, folder: &Path) -> Vec<Option<f64>> {
    let mut found = vec![None; outcome.pictures.len()];
    for (format, background) in [(Format::Webp, BLACK), (Format::Jpeg, WHITE)] {
        let original = match Original::decode(file, folder, background) {
            Ok(original) => original,
            Err(error) => {
                println!("media: no likeness of {}: {error:#}", file.display());
                return found;
            }
        };
        for (likeness, picture) in found.iter_mut().zip(&outcome.pictures) {
            let preset = ALL.iter().find(|p| p.name == picture.preset);
            let is_meant = |p: &&Preset| p.format == format && p.shape == Shape::Whole;
            if preset.filter(is_meant).is_none() {
                continue;
            }
            match original.compare(&folder.join(&picture.preset)) {
                Ok((ssim, _)) => *likeness = Some(ssim),
                Err(error) => println!("media: no likeness of {}: {error:#}", file.display()),
            }
        }
        original.remove();
    }
    found
}

fn rows(entries: &[Entry]) -> Vec<Row> {
    let count = |wanted: fn(&Entry) -> bool| entries.iter().filter(|e| wanted(e)).count() as f64;
    let most = |of: fn(&Entry) -> f64| entries.iter().map(of).fold(0.0, f64::max);
    let honest = entries.iter().filter(|e| !e.name.starts_with(HOSTILE));
    let least = honest.flat_map(|e| e.likenesses.iter().flatten());
    let least = least.copied().fold(1.0, f64::min);
    vec![
        Row::plain("media.files", entries.len() as f64, "files"),
        Row::plain("media.shown", count(|e| e.outcome.code.is_none()), "files"),
        Row::plain("media.refused", count(Entry::is_refused), "files"),
        Row::plain("media.died", count(Entry::died), "files").at_most(0.0),
        Row::plain("media.ssim_least", least, "of 1").at_least(GOAL_SSIM),
        Row::plain(
            "media.clips_shown",
            count(|e| e.is_clip() && e.outcome.code.is_none()),
            "files",
        ),
        Row::plain("media.cpu_most", most(|e| e.cost.cpu_ms), "ms"),
        Row::plain("media.memory_most", most(|e| e.cost.peak_mb), "MB").at_most(GOAL_PEAK_MB),
    ]
}

impl Entry {
    fn is_clip(&self) -> bool {
        let kind = self.outcome.kind.as_deref();
        kind.is_some_and(|kind| kind.starts_with("video/"))
    }

    fn is_refused(&self) -> bool {
        self.outcome.code.is_some() && !self.outcome.died
    }

    fn died(&self) -> bool {
        self.outcome.died
    }
}
