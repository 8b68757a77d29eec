//! Tools that know nothing of this store, unmodified. `make test-tools` installs them and runs these tests,
//! which are ignored otherwise.

mod browser;

use std::path::Path;

use safelight_testkit::tools;

use crate::harness::*;

/// Runs a script beside this file against a fresh store; it must succeed and leave no bucket.
async fn run(program: &str, script: &str) {
    let store = Running::start().await;
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/strangers");
    let home = tempfile::tempdir().unwrap();
    let env = [
        ("ENDPOINT", store.endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ];
    let said = tools::run(program, &dir.join(script), home.path(), &env).await;
    println!("{}", said.unwrap());
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
