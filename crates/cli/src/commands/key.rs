//! `safelight key`.

use std::process::ExitCode;

use crate::global::GlobalArgs;

/// Arguments of `key`.
#[derive(clap::Args)]
pub struct KeyArgs {}

/// Runs it.
pub async fn run(_args: KeyArgs, _global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
