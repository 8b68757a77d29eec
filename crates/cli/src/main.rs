//! The `safelight` binary: one program for the server, its operation and the capture-side client.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod commands;
mod connect;
mod global;
mod output;
mod server;

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
    /// Run the server: by default every role, on SQLite and a store on disk
    Serve(commands::serve::ServeArgs),
    /// Bring the catalog's schema up to date
    Migrate(commands::migrate::MigrateArgs),
    /// Look for what is wrong with the server's settings, database, store, clock, sandbox and codecs
    Doctor(commands::doctor::DoctorArgs),
    /// Compare store and catalog, and show what is on one side only
    Sweep(commands::sweep::SweepArgs),
    /// Have pictures made by the present versions of presets that were made by others before
    Rederive(commands::rederive::RederiveArgs),
    /// Print the description of the HTTP API
    Openapi,
    /// Decode what the server hands over (started by the server only)
    #[command(hide = true)]
    Sandbox,
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
        // The child that decodes needs no runtime, and closes itself before it reads anything.
        Command::Sandbox => {
            let code = safelight_service::processing::sandbox::child_main();
            Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
        }
        Command::Openapi => commands::openapi::run(),
        Command::Completions(args) => commands::completions::run(&args),
        command => runtime()?.block_on(run_async(command, &global)),
    }
}

async fn run_async(command: Command, global: &global::GlobalArgs) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => commands::serve::run(args, global).await,
        Command::Migrate(args) => commands::migrate::run(args, global).await,
        Command::Doctor(args) => commands::doctor::run(args, global).await,
        Command::Sweep(args) => commands::sweep::run(args, global).await,
        Command::Rederive(args) => commands::rederive::run(args, global).await,
        Command::Openapi => commands::openapi::run(),
        Command::Sandbox => unreachable!("run before the runtime"),
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
