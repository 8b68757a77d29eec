//! The `safelight` binary: one program for the server, its operation and the capture-side client.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod commands;
mod global;
mod output;

/// The media backend for camera apps.
#[derive(Parser)]
#[command(name = "safelight", version, about, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: global::GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send photos and clips; goes on where it was if it is run again
    Upload(commands::upload::UploadArgs),
    /// List assets, the newest first
    List(commands::list::ListArgs),
    /// Show all about an asset, a capture or an upload
    Status(commands::status::StatusArgs),
    /// Write a rendition or the original to a file
    Get(commands::get::GetArgs),
    /// Make, list and revoke API keys
    Key(commands::key::KeyArgs),
    /// Print completions for a shell
    Completions(commands::completions::CompletionsArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { global, command } = cli;
    match command {
        Command::Completions(args) => commands::completions::run(&args),
        command => runtime()?.block_on(run_async(command, &global)),
    }
}

async fn run_async(command: Command, global: &global::GlobalArgs) -> anyhow::Result<ExitCode> {
    match command {
        Command::Upload(args) => commands::upload::run(args, global).await,
        Command::List(args) => commands::list::run(args, global).await,
        Command::Status(args) => commands::status::run(args, global).await,
        Command::Get(args) => commands::get::run(args, global).await,
        Command::Key(args) => commands::key::run(args, global).await,
        Command::Completions(args) => commands::completions::run(&args),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}
