//! Programs that know nothing of this project, which `make test-tools` installs.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::process::Command;

/// How long a script may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs a script with one of the tools, in this environment and no other; `home` is its home directory. What it says.
///
/// # Errors
/// The tools are not installed, or it does not end well; the error has all that it said.
pub async fn run(
    program: &str,
    script: &Path,
    home: &Path,
    env: &[(&str, &str)],
) -> anyhow::Result<String> {
    let tools =
        std::env::var("SAFELIGHT_TOOLS").context("run `make test-tools`, which names the tools")?;
    // The tools come first in the path.
    let path = format!("{tools}/bin:{}", std::env::var("PATH").unwrap_or_default());
    let child = Command::new(program)
        .arg(script)
        .env_clear()
        .env("PATH", path)
        .env("HOME", home)
        .env("LC_ALL", "C.UTF-8")
        .env("SAFELIGHT_TOOLS", &tools)
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, child).await;
    let output = output.context("it takes too long")??;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(
        output.status.success(),
        "{}\n{said}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(said)
}
