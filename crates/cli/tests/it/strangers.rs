//! Clients of upload protocols that know nothing of this server, unmodified. `make test-tools` installs them and runs
//! these tests, which are ignored otherwise.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use safelight_testkit::wait;
use tokio::process::Command;

use crate::http_rig::{Database, PART_BYTES, Rig, large_photo, number, sha256, text};

/// How long a tool may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a script beside this file; so many uploads of the file must have been completed then.
async fn run(program: &str, script: &str, uploads: i64) {
    let rig = Rig::start(Database::Sqlite, &[]).await;
    let ann = rig.owner("ann");
    let dir = tempfile::tempdir().unwrap();
    let file = large_photo(31, PART_BYTES + 2_000_000);
    std::fs::write(dir.path().join("file.jpg"), &file).unwrap();
    let tools =
        std::env::var("SAFELIGHT_TOOLS").expect("run `make test-tools`, which names the tools");
    let path = format!("{tools}/bin:{}", std::env::var("PATH").unwrap_or_default());
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/strangers");
    let child = Command::new(program)
        .arg(scripts.join(script))
        .env_clear()
        .env("PATH", path)
        .env("HOME", dir.path())
        .env("LC_ALL", "C.UTF-8")
        .env("SAFELIGHT_TOOLS", &tools)
        .env("GATEWAY", rig.server.url())
        .env("TOKEN", rig.server.admin_key().unwrap())
        .env("FILE", dir.path().join("file.jpg"))
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
    let catalog = rig.catalog().await;
    let completed = "SELECT COUNT(*) FROM uploads WHERE state = 'completed'";
    assert_eq!(number(&catalog, completed).await, uploads);
    let idle = wait::until(PATIENCE, async || {
        number(&catalog, "SELECT COUNT(*) FROM jobs").await == 0
    });
    idle.await.unwrap();
    // The same bytes each time, so they are one asset in the end.
    let list = ann.get("/v1/assets?limit=200").await.expect(200);
    let list = list["items"].as_array().unwrap();
    assert_eq!(list.len(), 1);
    let asset = ann.ready(text(&list[0]["asset_id"])).await;
    assert_eq!(asset["original"]["sha256"], sha256(&file));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn tuspy() {
    run("python", "tuspy_all.py", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn tus_js_client() {
    run("node", "tus_js.cjs", 3).await;
}
