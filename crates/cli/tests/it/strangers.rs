//! Clients of upload protocols that know nothing of this server, unmodified. `make test-tools` installs them and runs
//! these tests, which are ignored otherwise.

mod uppy;

use std::path::Path;

use safelight_testkit::{tools, wait};

use crate::http_rig::{Database, PART_BYTES, PATIENCE, Rig, large_photo, number, sha256, text};

/// Runs a script beside this file; so many uploads of the file must have been completed then.
async fn run(program: &str, script: &str, uploads: i64) {
    let rig = Rig::start(Database::Sqlite, &[]).await;
    let ann = rig.owner("ann");
    let dir = tempfile::tempdir().unwrap();
    let file = large_photo(31, PART_BYTES + 2_000_000);
    std::fs::write(dir.path().join("file.jpg"), &file).unwrap();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/strangers");
    let (url, token) = (rig.server.url(), rig.server.admin_key().unwrap());
    let path = dir.path().join("file.jpg");
    let env = [
        ("GATEWAY", url.as_str()),
        ("TOKEN", &token),
        ("FILE", path.to_str().unwrap()),
    ];
    let said = tools::run(program, &scripts.join(script), dir.path(), &env).await;
    println!("{}", said.unwrap());
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
