//! A browser without a window.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::pages::Pages;

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

/// Opens a page that runs this script by this plan, and waits for its report: all of its steps must succeed.
pub async fn visit(pages: &mut Pages, script: &str, plan: Value) {
    let url = pages.prepare(script, plan);
    let profile = tempfile::tempdir().unwrap();
    let log = profile.path().join("chromium.log");
    let mut command = Command::new("chromium");
    command
        .args(FLAGS)
        .arg(format!("--user-data-dir={}", profile.path().display()));
    // Chromium's sandbox does not start as root. Nothing but this repository's pages runs in it.
    if rustix::process::geteuid().is_root() {
        command.arg("--no-sandbox");
    }
    let mut browser = command
        .arg(&url)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", profile.path())
        .env("TMPDIR", profile.path())
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .kill_on_drop(true)
        .spawn()
        .expect("run `make test-tools`, which installs Chromium");
    let outcome = tokio::time::timeout(PATIENCE, async {
        tokio::select! {
            report = pages.report() => Ok(report),
            status = browser.wait() => Err(format!("Chromium ended by itself: {}", status.unwrap())),
        }
    });
    let report = outcome
        .await
        .unwrap_or_else(|_| Err("the page takes too long".to_owned()));
    let log = std::fs::read_to_string(&log).unwrap();
    let report = report.unwrap_or_else(|why| panic!("{script}: {why}\n{log}"));
    end(browser).await;
    for step in &report.steps {
        println!("{script}: {}", step.name);
    }
    let failed: Vec<_> = report.failures().collect();
    assert!(failed.is_empty(), "{script}:\n{}", failed.join("\n"));
    assert!(report.finished && !report.steps.is_empty(), "{script}");
}

/// Has the browser end its other processes, which write into its profile, before itself.
async fn end(mut browser: Child) {
    let pid = browser.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    rustix::process::kill_process(pid.unwrap(), Signal::TERM).unwrap();
    let ended = tokio::time::timeout(PATIENCE, browser.wait()).await;
    ended.expect("Chromium does not end").unwrap();
}
