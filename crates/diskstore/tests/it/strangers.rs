//! Tools that know nothing of this store, unmodified. `make test-tools` installs them and runs these tests,
//! which are ignored otherwise.

mod browser;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::harness::*;

/// How long a tool may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs a script beside this file against a fresh store; it must succeed and leave no bucket.
async fn run(program: &str, script: &str) {
    let store = Running::start().await;
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/strangers");
    // The tools come first in the path; what else the environment has to say to them is not said.
    let tools =
        std::env::var("SAFELIGHT_TOOLS").expect("run `make test-tools`, which names the tools");
    let path = format!("{tools}/bin:{}", std::env::var("PATH").unwrap_or_default());
    let home = tempfile::tempdir().unwrap();
    let child = Command::new(program)
        .arg(dir.join(script))
        .env_clear()
        .env("PATH", path)
        .env("HOME", home.path())
        .env("LC_ALL", "C.UTF-8")
        .env("ENDPOINT", &store.endpoint)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, child).await;
    let output = output.expect("it takes too long").unwrap();
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{}", String::from_utf8_lossy(&output.stdout).trim());
    let left = store.client().list_buckets().send().await.unwrap();
    let left: Vec<_> = left.buckets().iter().filter_map(|b| b.name()).collect();
    assert_eq!(left, [BUCKET]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn boto3() {
    run("python", "boto3_all.py").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn aws_cli() {
    run("bash", "aws.sh").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn rclone() {
    run("bash", "rclone.sh").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn s3cmd() {
    run("bash", "s3cmd.sh").await;
}
