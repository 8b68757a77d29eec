//! `safelight upload`: sends photos and clips, and waits for them if asked to.

mod bars;
mod compress;
mod interrupt;
mod link;
mod preview;
mod report;
mod walk;

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use safelight_api::captures::Device;
use safelight_client::encode::Encode;
use safelight_client::journal::Journal;
use safelight_client::settle::{self, Waited};
use safelight_client::uploader::{FileOutcome, Settings, Uploader};
use safelight_model::duplicates::Duplicates;

use crate::connect::{Connection, SHORT, connect_with, explain};
use crate::global::GlobalArgs;
use crate::output;
use bars::Bars;
use preview::Sandboxed;
use report::Report;

/// How long an operation is retried: a server that is restarted or a tunnel is shorter.
const RETRY_FOR: Duration = Duration::from_secs(300);

/// What to send, and how.
#[derive(clap::Args)]
pub struct UploadArgs {
    /// Files and folders. Of folders, the pictures and clips in them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Wait until every asset is viewable or failed, and show a table
    #[arg(long)]
    wait: bool,
    /// Wait no longer than this, in seconds
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    wait_timeout: Option<u64>,
    /// How many files may be under way at once; fewer where they carry no more together
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=16))]
    parallel_files: u32,
    /// What they are for: profile, post, message, archive, or a word of your own
    #[arg(long, value_name = "WORD")]
    purpose: Option<String>,
    /// What becomes of bytes that you have already: merge makes no second asset of them, keep does
    #[arg(long, value_name = "WORD", default_value = "merge", value_parser = duplicates)]
    duplicates: Duplicates,
    /// Where the server advises it, upload smaller JPEG copies in place of pictures. The files stay as they are, and copies do
    /// not say where a picture was taken
    #[arg(long)]
    compress: bool,
    /// Send files once more that the server has but could not show, or that were deleted there
    #[arg(long, conflicts_with = "cancel")]
    again: bool,
    /// Where to note what was sent [default: one file for each server and owner in ~/.local/state/safelight]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Keep trying for so long when the server or the network fails, in seconds [default: 300]
    #[arg(long, value_name = "SECONDS")]
    retry_for: Option<u64>,
    /// Give up what is not sent yet of the captures that these files belong to, and send nothing
    #[arg(long, conflicts_with = "wait")]
    cancel: bool,
    #[command(flatten)]
    link: link::LinkArgs,
}

/// Sends, waits, reports.
pub async fn run(args: UploadArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let files = walk::files(&args.paths)?;
    let bars = Arc::new(Bars::show());
    let retry_for = args.retry_for.map(Duration::from_secs);
    let connection = connect_with(global, retry_for.unwrap_or(RETRY_FOR), bars.clone())?;
    connection
        .session
        .prepare(retry_for.unwrap_or(SHORT))
        .await
        .map_err(|e| explain(&e, global))?;
    let previews = Arc::new(Sandboxed::for_files(&files));
    let encode = match args.compress && !args.cancel {
        true => encoder(&previews).await,
        false => None,
    };
    let makes_copies = encode.is_some();
    let uploader = open(&args, global, &connection, previews.clone(), encode)?;
    if args.cancel {
        return cancel(&uploader, &files, global).await;
    }
    let mut interrupts = interrupt::listen()?;
    uploader.resume_all().await?;
    let outcomes = tokio::select! {
        outcomes = uploader.upload(&files) => outcomes?,
        _ = interrupts.recv() => {
            interrupt::end_at_next(interrupts);
            bars.end();
            interrupt::pause(&uploader, &args).await?;
            return Ok(ExitCode::from(interrupt::EXIT_CODE));
        }
    };
    interrupt::end_at_next(interrupts);
    previews.end().await;
    let waited = if args.wait {
        wait(&args, global, &connection, &outcomes, &bars).await?
    } else {
        Waited::default()
    };
    bars.end();
    if makes_copies && let Some(why) = compress::why_none(&outcomes, args.purpose.as_deref()) {
        eprintln!("--compress: files went as they are: {why}");
    }
    let report = Report::of(&outcomes, &waited, args.wait);
    report.print(global)?;
    Ok(report.exit_code())
}

fn duplicates(word: &str) -> Result<Duplicates, &'static str> {
    Duplicates::parse(word).ok_or("it must be merge or keep")
}

/// What makes smaller copies; says so where nothing can.
async fn encoder(sandbox: &Arc<Sandboxed>) -> Option<Arc<dyn Encode>> {
    if let Some(why) = sandbox.why_not().await {
        let why = output::printable(&why);
        eprintln!(
            "--compress: no smaller copies are made on this machine, files go as they are: {why}"
        );
        return None;
    }
    let sandbox = sandbox.clone();
    Some(Arc::new(compress::Jpeg { sandbox }))
}

fn open(
    args: &UploadArgs,
    global: &GlobalArgs,
    connection: &Connection,
    previews: Arc<Sandboxed>,
    encode: Option<Arc<dyn Encode>>,
) -> anyhow::Result<Arc<Uploader>> {
    let journal = match &args.journal {
        Some(path) => path.clone(),
        None => state_folder()?.join(Journal::file_name(&global.url(), &global.owner())),
    };
    let journal = Journal::open(&journal)?;
    let settings = Settings {
        parallel_files: args.parallel_files,
        purpose: args.purpose.clone(),
        duplicates: args.duplicates,
        encode,
        again: args.again,
        device: Some(Device {
            os: Some(std::env::consts::OS.to_owned()),
            app_version: Some(concat!("safelight ", env!("CARGO_PKG_VERSION")).to_owned()),
            ..Device::default()
        }),
        conditions: args.link.conditions().fixed(),
        preview: Some(previews),
        ..Settings::default()
    };
    let uploader = Uploader::open(
        connection.session.clone(),
        connection.transport.clone(),
        journal,
        connection.patience.clone(),
        settings,
    );
    Ok(Arc::new(uploader))
}

/// Gives up the captures of which one of `files` is not sent yet.
async fn cancel(
    uploader: &Uploader,
    files: &[PathBuf],
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    let real = files.iter().filter_map(|f| std::fs::canonicalize(f).ok());
    let named: HashSet<PathBuf> = real.collect();
    let mut cancelled = 0;
    for capture in uploader.captures().await? {
        let is_named = |(path, is_there): &(PathBuf, bool)| !is_there && named.contains(path);
        if capture.files.iter().any(is_named) {
            uploader.cancel(&capture.client_ref).await?;
            cancelled += 1;
        }
    }
    if global.json {
        output::json(&serde_json::json!({ "cancelled": cancelled }))?;
    } else {
        eprintln!("{cancelled} captures were given up; what of them had arrived whole stays");
    }
    Ok(ExitCode::SUCCESS)
}

async fn wait(
    args: &UploadArgs,
    global: &GlobalArgs,
    connection: &Connection,
    outcomes: &[FileOutcome],
    bars: &Bars,
) -> anyhow::Result<Waited> {
    let uploaded = outcomes.iter().filter(|o| o.failure.is_none());
    let ids: Vec<String> = uploaded.filter_map(|o| o.asset_id.clone()).collect();
    bars.begin_waiting(&ids);
    settle::wait(
        &connection.session,
        &*connection.patience.pause,
        &ids,
        args.wait_timeout.map(Duration::from_secs),
        |_| bars.settled(),
    )
    .await
    .map_err(|e| explain(&e, global))
}

fn state_folder() -> anyhow::Result<PathBuf> {
    let absolute = |name| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local").join("state")))
        .context("there is no home folder for the journal of uploads; name a file by --journal")?;
    Ok(state.join("safelight"))
}
