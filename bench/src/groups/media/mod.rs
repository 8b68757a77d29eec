//! `media`: what becomes of every file of a folder of outside media, through the sandbox: the pictures made of it, how alike they
//! are to what libvips makes, what it took, or the code and the reason why there are none.
//!
//! The table is in `media.md` below the results' folder, and `media.png` there has all covers in its order.

mod one;
mod sheet;
mod table;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

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

fn likenesses(file: &Path, outcome: &Outcome, folder: &Path) -> Vec<Option<f64>> {
    let pictures = outcome.pictures.iter();
    let original = match Original::decode(file, folder) {
        Ok(original) => original,
        Err(error) => {
            println!("media: no likeness of {}: {error:#}", file.display());
            return pictures.map(|_| None).collect();
        }
    };
    let found = pictures
        .map(|picture| original.compare(&folder.join(&picture.preset)))
        .map(|compared| match compared {
            Ok((ssim, _)) => Some(ssim),
            Err(error) => {
                println!("media: no likeness of {}: {error:#}", file.display());
                None
            }
        })
        .collect();
    original.remove();
    found
}

fn rows(entries: &[Entry]) -> Vec<Row> {
    let count = |wanted: fn(&Entry) -> bool| entries.iter().filter(|e| wanted(e)).count() as f64;
    let most = |of: fn(&Entry) -> f64| entries.iter().map(of).fold(0.0, f64::max);
    let least = entries.iter().flat_map(|e| e.likenesses.iter().flatten());
    let least = least.copied().fold(1.0, f64::min);
    vec![
        Row::plain("media.files", entries.len() as f64, "files"),
        Row::plain("media.shown", count(|e| e.outcome.code.is_none()), "files"),
        Row::plain("media.refused", count(Entry::is_refused), "files"),
        Row::plain("media.died", count(Entry::died), "files").at_most(0.0),
        Row::plain("media.ssim_least", least, "of 1").at_least(GOAL_SSIM),
        Row::plain("media.cpu_most", most(|e| e.cost.cpu_ms), "ms"),
        Row::plain("media.memory_most", most(|e| e.cost.peak_mb), "MB").at_most(GOAL_PEAK_MB),
    ]
}

impl Entry {
    fn is_refused(&self) -> bool {
        self.outcome.code.is_some() && !self.outcome.died
    }

    fn died(&self) -> bool {
        self.outcome.died
    }
}
