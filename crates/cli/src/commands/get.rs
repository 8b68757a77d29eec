//! `safelight get`.

use std::process::ExitCode;

use crate::global::GlobalArgs;

/// Arguments of `get`.
#[derive(clap::Args)]
pub struct GetArgs {}

/// Runs it.
pub async fn run(_args: GetArgs, _global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
