//! `safelight list`.

use std::process::ExitCode;

use crate::global::GlobalArgs;

/// Arguments of `list`.
#[derive(clap::Args)]
pub struct ListArgs {}

/// Runs it.
pub async fn run(_args: ListArgs, _global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
