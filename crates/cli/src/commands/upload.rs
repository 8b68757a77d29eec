//! `safelight upload`.

use std::process::ExitCode;

use crate::global::GlobalArgs;

/// Arguments of `upload`.
#[derive(clap::Args)]
pub struct UploadArgs {}

/// Runs it.
pub async fn run(_args: UploadArgs, _global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
