//! `safelight completions`: completions for a shell.

use std::process::ExitCode;

use clap::CommandFactory;

/// Which shell.
#[derive(clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

/// Prints the completions.
pub fn run(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut crate::Cli::command(),
        "safelight",
        &mut script,
    );
    crate::output::write(&script)?;
    Ok(ExitCode::SUCCESS)
}
