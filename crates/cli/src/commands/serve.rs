//! `safelight serve`: runs the server until it is told to stop.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::targets::Targets;
use tracing_subscriber::prelude::*;

use crate::global::GlobalArgs;
use crate::output;
use crate::server::compose;
use crate::server::plan_policy;
use crate::server::settings::{Resolved, SettingArgs, Sources, resolve};

/// What `serve` takes.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub source: ServerArgs,
    /// Print every setting with where it came from, and stop
    #[arg(long)]
    pub explain_config: bool,
    /// Print every number of the plan policy in force, with its default and its reason, and stop
    #[arg(long)]
    pub explain_plan: bool,
}

/// Where a server's settings come from; the same for every command that works on a server's data.
#[derive(Debug, clap::Args)]
pub struct ServerArgs {
    /// The settings file [default: ./safelight.toml where it exists]
    #[arg(long, global = true, env = "SAFELIGHT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub settings: SettingArgs,
}

impl ServerArgs {
    /// The settings.
    pub fn resolve(&self, global: &GlobalArgs) -> anyhow::Result<Resolved> {
        let here = PathBuf::from("safelight.toml");
        resolve(&Sources {
            flags: &self.settings,
            data_dir: global.data_dir.clone(),
            file: self
                .config
                .clone()
                .or_else(|| here.exists().then_some(here)),
            environment: &|name| std::env::var(name).ok(),
        })
    }
}

#[derive(Serialize)]
struct Explained {
    key: String,
    value: String,
    from: String,
    meaning: String,
}

pub async fn run(args: ServeArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let settings = args.source.resolve(global)?;
    if args.explain_config {
        explain(&settings, global.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.explain_plan {
        explain_plan(&settings, global.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    start_log(&settings)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = compose::start(&settings).await?;
    announce(&settings);
    tokio::select! {
        _ = terminate.recv() => tracing::info!("told to stop (SIGTERM)"),
        _ = interrupt.recv() => tracing::info!("told to stop (SIGINT)"),
    }
    server.stop().await?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

fn explain(settings: &Resolved, json: bool) -> anyhow::Result<()> {
    let rows: Vec<Explained> = settings
        .explain()
        .into_iter()
        .map(|(key, value, from, meaning)| Explained {
            key,
            value,
            from,
            meaning,
        })
        .collect();
    if json {
        return output::json(&rows);
    }
    let mut table = output::Table::with(&["SETTING", "VALUE", "FROM", "MEANING"], &[]);
    for row in rows {
        table.row([row.key, row.value, row.from, row.meaning]);
    }
    output::write(table.render().as_bytes())
}

#[derive(Serialize)]
struct PlanNumber {
    name: &'static str,
    value: u64,
    default: u64,
    meaning: &'static str,
}

fn explain_plan(settings: &Resolved, json: bool) -> anyhow::Result<()> {
    let numbers = plan_policy::read(settings)?.thresholds();
    let rows: Vec<PlanNumber> = numbers
        .into_iter()
        .map(|t| PlanNumber {
            name: t.name,
            value: t.value,
            default: t.default,
            meaning: t.meaning,
        })
        .collect();
    if json {
        return output::json(&rows);
    }
    let mut table = output::Table::with(&["NUMBER", "VALUE", "DEFAULT", "MEANING"], &[]);
    for row in rows {
        table.row([
            row.name.to_owned(),
            row.value.to_string(),
            row.default.to_string(),
            row.meaning.to_owned(),
        ]);
    }
    output::write(table.render().as_bytes())
}

fn start_log(settings: &Resolved) -> anyhow::Result<()> {
    let wanted: Targets = settings
        .text("log")
        .parse()
        .context("log is not a filter")?;
    // The protocol library calls every refusal an error; the store tells of its own faults itself.
    let wanted = wanted.with_target("s3s", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // Colours are for eyes; a file or a collector gets plain text.
        .with_ansi(std::io::stderr().is_terminal());
    let registry = tracing_subscriber::registry();
    match settings.text("log_format") {
        "json" => registry.with(lines.json().with_filter(wanted)).init(),
        _ => registry.with(lines.with_filter(wanted)).init(),
    }
    Ok(())
}

fn announce(settings: &Resolved) {
    tracing::info!(
        roles = settings.text("roles"),
        api = settings.text("public_url"),
        store = settings.text("store_public_url"),
        "Safelight is ready"
    );
    tracing::info!(
        "the administrator's key is in {}/admin.key",
        settings.text("keys_dir")
    );
    tracing::warn!("no scanner is configured: every file counts as clean");
}
