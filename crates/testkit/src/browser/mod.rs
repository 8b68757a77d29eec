//! A browser without a window, and pages for it: Chromium, which `make test-tools` installs.

mod pages;

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use tokio::process::{Child, Command};

pub use pages::Pages;

/// How long a page may take, in a browser that starts for the first time.
const PATIENCE: Duration = Duration::from_secs(300);

/// Without a window, a display or a keyring, and with nothing to say to anybody but the loopback.
const FLAGS: [&str; 16] = [
    "--headless=new",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--password-store=basic",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--metrics-recording-only",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/// Opens a page that runs this script by this plan, in a browser that was never used, and waits for its report.
///
/// # Errors
/// There is no browser, the page takes too long, or one of its steps fails.
pub async fn visit(pages: &mut Pages, script: &str, plan: Value) -> anyhow::Result<()> {
    let profile = tempfile::tempdir()?;
    let profile = profile.path();
    let url = pages.prepare(script, plan);
    let log = profile.join("chromium.log");
    let mut command = Command::new("chromium");
    command
        .args(FLAGS)
        .arg(format!("--user-data-dir={}", profile.display()));
    // Chromium's sandbox does not start as root. Nothing but this repository's pages runs in it.
    if rustix::process::geteuid().is_root() {
        command.arg("--no-sandbox");
    }
    let mut browser = command
        .arg(&url)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", profile)
        .env("TMPDIR", profile)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log)?)
        .kill_on_drop(true)
        .spawn()
        .context("run `make test-tools`, which installs Chromium")?;
    let outcome = tokio::time::timeout(PATIENCE, async {
        tokio::select! {
            report = pages.report() => report,
            status = browser.wait() => bail!("Chromium ended by itself: {}", status?),
        }
    });
    let report = outcome.await.context("the page takes too long").flatten();
    let report = report.with_context(|| {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        format!("{script}\n{said}")
    })?;
    end(browser).await?;
    for step in &report.steps {
        println!("{script}: {}", step.name);
    }
    let failed: Vec<_> = report.failures().collect();
    ensure!(failed.is_empty(), "{script}:\n{}", failed.join("\n"));
    ensure!(
        report.finished && !report.steps.is_empty(),
        "{script} did nothing, or not all"
    );
    Ok(())
}

/// Has the browser end its other processes, which write into its profile, before itself.
async fn end(mut browser: Child) -> anyhow::Result<()> {
    let pid = browser.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    rustix::process::kill_process(pid.context("Chromium has ended")?, Signal::TERM)?;
    let ended = tokio::time::timeout(PATIENCE, browser.wait()).await;
    ended.context("Chromium does not end")??;
    Ok(())
}
