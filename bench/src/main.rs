//! Measures the release build: real server processes, real databases, real disk.
//!
//! `safelight-bench [GROUP…]` runs the named groups, all without names, prints a table and writes
//! `bench/results.json` below the target directory. A missed goal does not fail the run.

mod cpu;
mod disk;
mod floor;
mod groups;
mod load;
mod phone;
mod photos;
mod quantile;
mod request;
mod row;
mod sdk;
mod server;
mod wire;

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use server::Program;
use tokio::signal::unix::{SignalKind, signal};

/// What every group works with.
pub struct Bench {
    /// The server's binary.
    pub program: Program,
    /// Where data directories are made; removed at the end.
    pub scratch: PathBuf,
    /// Where what is measured is written.
    pub results: PathBuf,
}

const GROUPS: [&str; 9] = [
    "intake",
    "cover",
    "lanes",
    "imaging",
    "media",
    "diskstore",
    "wire",
    "gateway",
    "weaknet",
];
/// Groups that need no server.
const SERVERLESS: [&str; 2] = ["imaging", "media"];

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [only] = arguments.as_slice()
        && only == groups::imaging::ours::CHILD
    {
        std::process::exit(safelight_service::processing::sandbox::child_main());
    }
    if let [first, rest @ ..] = arguments.as_slice()
        && first == groups::imaging::used::MEASURED
    {
        return groups::imaging::used::run_and_say(rest);
    }
    if let [first, rest @ ..] = arguments.as_slice()
        && first == groups::media::ONE
    {
        return groups::media::make_and_say(rest);
    }
    if let Some(served) = floor::serve(&arguments) {
        return served;
    }
    if let Some(unknown) = arguments.iter().find(|a| !GROUPS.contains(&a.as_str())) {
        bail!("{unknown} is not a group; there are {}", GROUPS.join(", "));
    }
    // The generator shares the machine with what it measures: one thread is all it gets.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let mut stop = signal(SignalKind::terminate())?;
            // Dropped half-way, a run stops its servers and removes its directories all the same.
            tokio::select! {
                done = run(&arguments) => done,
                interrupted = tokio::signal::ctrl_c() => interrupted.map_err(anyhow::Error::from)
                    .and_then(|()| bail!("interrupted")),
                _ = stop.recv() => bail!("told to stop"),
            }
        })
}

async fn run(groups: &[String]) -> anyhow::Result<()> {
    let out = results_dir()?;
    std::fs::create_dir_all(&out)?;
    let scratch = tempfile::Builder::new().prefix("run-").tempdir_in(&out)?;
    disk::warn_of_memory(scratch.path());
    disk::warn_of_memory(&std::env::temp_dir());
    let serverless = |group: &String| SERVERLESS.contains(&group.as_str());
    let bench = Bench {
        program: if !groups.is_empty() && groups.iter().all(serverless) {
            Program::beside()?
        } else {
            Program::build()?
        },
        scratch: scratch.path().to_owned(),
        results: out.clone(),
    };
    let mut rows = Vec::new();
    for name in GROUPS {
        if !groups.is_empty() && !groups.iter().any(|g| g == name) {
            continue;
        }
        let measured = match name {
            "intake" => groups::intake::run(&bench).await,
            "cover" => groups::cover::run(&bench).await,
            "lanes" => groups::lanes::run(&bench).await,
            "imaging" => groups::imaging::run(&bench).await,
            "media" => groups::media::run(&bench),
            "diskstore" => groups::diskstore::run(&bench).await,
            "wire" => groups::wire::run(&bench).await,
            "gateway" => groups::gateway::run(&bench).await,
            _ => groups::weaknet::run(&bench).await,
        };
        rows.extend(measured.with_context(|| format!("group {name}"))?);
    }
    print!("{}", row::table(&rows));
    let path = out.join("results.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&rows)?)?;
    println!("\n{} rows in {}", rows.len(), path.display());
    scratch.close()?;
    Ok(())
}

/// `target/bench`: beside `target/release`, where this program is.
fn results_dir() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program
        .parent()
        .and_then(|release| release.parent())
        .context("this program is not in a target directory")?;
    Ok(target.join("bench"))
}
