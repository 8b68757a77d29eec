//! `safelight status`.

use std::process::ExitCode;

use crate::global::GlobalArgs;

/// Arguments of `status`.
#[derive(clap::Args)]
pub struct StatusArgs {}

/// Runs it.
pub async fn run(_args: StatusArgs, _global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
