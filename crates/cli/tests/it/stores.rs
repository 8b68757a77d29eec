//! The real server on foreign stores: from the client's command to viewable pictures, before and after
//! it is known what the store can do, and through a kill while the store completes.
//!
//! `make test-stores` builds the stores and runs these.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use safelight_testkit::proxy::Proxy;
use safelight_testkit::server::{Server, ServerOptions};
use safelight_testkit::stores::{BUCKET, Kind, REGION, Store};
use safelight_testkit::wait;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::unbounded_channel;

use crate::http_rig::{
    Caller, PART_BYTES, PATIENCE, http, large_photo, number, open_catalog, photo, put, sha256, text,
};

/// A store, and what a server is started with to use it.
struct Rig {
    store: Store,
    dir: TempDir,
}

impl Rig {
    async fn start(kind: Kind) -> Self {
        Self {
            store: Store::start(kind).await.unwrap(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn environment(&self) -> Vec<(String, String)> {
        let access = self.store.access();
        [
            ("SAFELIGHT_STORE_ACCESS_KEY", access.key),
            ("SAFELIGHT_STORE_SECRET_KEY", access.secret),
            ("SAFELIGHT_STORE_REGION", REGION),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    fn store_url(&self, endpoint: &str) -> String {
        format!("s3://{BUCKET}?endpoint={endpoint}")
    }

    /// A server that reaches the store at `endpoint`.
    async fn serve(&self, endpoint: &str) -> Server {
        let options = ServerOptions {
            program: env!("CARGO_BIN_EXE_safelight").into(),
            data_dir: self.dir.path().join("server"),
            catalog_url: None,
            extra_args: vec!["--store-url".to_owned(), self.store_url(endpoint)],
            env: self.environment(),
        };
        Server::start(options).await.unwrap()
    }

    /// `safelight doctor store`, as an operator runs it.
    async fn probe(&self, endpoint: &str) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
        command
            .args(["doctor", "store", &self.store_url(endpoint), "--json"])
            .arg("--data-dir")
            .arg(self.dir.path().join("server"))
            .env_clear()
            .envs(self.environment())
            .current_dir(self.dir.path());
        let output = run(command).await;
        let report = serde_json::from_slice(&output.stdout);
        let report: Value = report.unwrap_or_else(|e| panic!("{e}: {output:?}"));
        assert!(output.status.success(), "{report:#}");
        assert_eq!(report["recorded"], true);
        assert_eq!(report["left_behind"], json!([]));
        report
    }

    /// The command that sends what is in `photos`.
    fn upload(&self, server: &Server, photos: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
        command
            .args(["upload", "--wait", "--json", "--journal"])
            .arg(self.dir.path().join("journal.db"))
            .arg(photos)
            .env_clear()
            .env("SAFELIGHT_URL", server.url())
            .env("SAFELIGHT_TOKEN", server.admin_key().unwrap())
            .env("SAFELIGHT_OWNER", "ann")
            .current_dir(self.dir.path());
        command
    }

    fn photos(&self, name: &str, files: &[Vec<u8>]) -> std::path::PathBuf {
        let photos = self.dir.path().join(name);
        std::fs::create_dir(&photos).unwrap();
        for (n, file) in files.iter().enumerate() {
            std::fs::write(photos.join(format!("IMG_{n}.jpg")), file).unwrap();
        }
        photos
    }
}

async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn ann(server: &Server) -> Caller {
    Caller {
        base: server.url(),
        http: http(),
        token: Some(server.admin_key().unwrap()),
        owner: Some("ann".to_owned()),
    }
}

/// Checks that the report of an upload has every file ready, and that each reads back as it was.
async fn check(server: &Server, output: &Output, files: &[Vec<u8>]) {
    let report = serde_json::from_slice(&output.stdout);
    let report: Value = report.unwrap_or_else(|e| panic!("{e}: {output:?}"));
    assert!(output.status.success(), "{report:#}\n{output:?}");
    let listed = report["files"].as_array().unwrap();
    assert_eq!(listed.len(), files.len());
    let ann = ann(server);
    for file in listed {
        assert_eq!(file["state"], "ready", "{file}");
        let asset_id = text(&file["asset_id"]);
        let asset = ann.ready(asset_id).await;
        let original = ann.original(asset_id).await;
        assert_eq!(asset["original"]["sha256"], sha256(&original));
        assert!(files.iter().any(|sent| *sent == original), "{file}");
        let cover = crate::http_rig::fetch(&ann.http, text(&asset["cover_url"])).await;
        assert_eq!(cover.status, 200);
    }
}

async fn photos_become_ready(kind: Kind) {
    let rig = Rig::start(kind).await;
    let endpoint = rig.store.endpoint();
    let mut server = rig.serve(&endpoint).await;
    assert!(
        server
            .log()
            .contains("nobody has looked what this object store can do"),
        "{}",
        server.log()
    );
    // Nothing is known of the store, so nothing optional is asked of it.
    let first = [photo(1), large_photo(2, PART_BYTES + 100_000)];
    let photos = rig.photos("unknown", &first);
    let output = run(rig.upload(&server, &photos)).await;
    check(&server, &output, &first).await;

    // An upload that began before the store was known ends as it began.
    let half = large_photo(3, PART_BYTES + 200_000);
    let caller = ann(&server);
    let begun = caller.initiate(&[&half]).await.remove(0);
    let upload_id = text(&begun["uploads"][0]["upload_id"]).to_owned();
    caller.send_parts(&upload_id, &half, &[1]).await;
    assert_eq!(server.terminate().await.unwrap().code(), Some(0));

    let found = rig.probe(&endpoint).await;
    assert_eq!(found["capabilities"]["signed_length"], "enforced");
    server.restart().await.unwrap();
    let log = server.log();
    let said = log.matches("nobody has looked").count();
    assert_eq!(said, 1, "{log}");
    let caller = ann(&server);
    caller.send_parts(&upload_id, &half, &[2]).await;
    caller.complete(&upload_id).await.expect(200);
    let asset_id = text(&begun["asset_id"]);
    caller.ready(asset_id).await;
    assert_eq!(caller.original(asset_id).await, half);

    // Now uploads are bound to their hash, and other bytes are refused on arrival.
    let fresh = photo(4);
    let asset = caller.initiate(&[&fresh]).await.remove(0);
    let url = &asset["uploads"][0]["urls"][0];
    assert!(url["headers"]["x-amz-checksum-sha256"].is_string(), "{url}");
    let mut flipped = fresh.clone();
    flipped[1000] ^= 1;
    let refused = put(&caller.http, url, flipped).await;
    assert!((400..500).contains(&refused.status), "{refused:?}");

    let second = [
        photo(5),
        photo(6),
        photo(7),
        large_photo(8, 2 * PART_BYTES + 300_000),
    ];
    let photos = rig.photos("known", &second);
    let output = run(rig.upload(&server, &photos)).await;
    check(&server, &output, &second).await;
    assert_eq!(server.terminate().await.unwrap().code(), Some(0));
}

/// The store completes an upload, and the server is killed before it hears of that. Asked again, the
/// store answers as its probe has shown: the same once more, or that it knows no such upload.
async fn a_lost_completion_is_found(kind: Kind) {
    let rig = Rig::start(kind).await;
    let (sender, mut passed) = unbounded_channel();
    let hook = Arc::new(move |request| {
        let _ = sender.send(request);
    });
    let proxy = Proxy::start(rig.store.port(), hook).await.unwrap();
    let found = rig.probe(&proxy.url()).await;
    let mut server = rig.serve(&proxy.url()).await;
    let files = [large_photo(1, PART_BYTES + 100_000), photo(2)];
    let photos = rig.photos("photos", &files);
    let completes = format!("POST /{BUCKET}/o/");
    proxy.withhold(&completes, "uploadId=");
    let mut client = rig.upload(&server, &photos);
    client
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    safelight_testkit::server::die_with_parent(&mut client);
    let client = client.spawn().unwrap();
    proxy.holds().await;
    let children = server.strike().unwrap();
    proxy.release();
    while passed.try_recv().is_ok() {}
    server.restart().await.unwrap();
    let output = tokio::task::spawn_blocking(move || client.wait_with_output().unwrap());
    check(&server, &output.await.unwrap(), &files).await;

    // It was asked for once more, and looked for where the answer said nothing.
    let mut lines = Vec::new();
    while let Ok(request) = passed.try_recv() {
        lines.push(request.line);
    }
    let again = lines
        .iter()
        .position(|line| line.starts_with(&completes) && line.contains("uploadId="))
        .unwrap_or_else(|| panic!("no second Complete: {lines:#?}"));
    let path = lines[again].split(['?', ' ']).nth(1).unwrap();
    let look = format!("HEAD {path} ");
    let looked = lines[again..].iter().any(|line| line.starts_with(&look));
    let forgets = found["capabilities"]["duplicate_complete"] == "no_such_upload";
    assert_eq!(looked, forgets, "{path}: {lines:#?}");
    let catalog = open_catalog(&server).await;
    for (query, expected) in [
        ("FROM blobs", 2),
        ("FROM uploads WHERE state = 'completed'", 2),
        ("FROM events WHERE kind = 'upload.completed'", 2),
    ] {
        let found = number(&catalog, &format!("SELECT COUNT(*) {query}")).await;
        assert_eq!(found, expected, "{query}");
    }
    let gone = wait::until(PATIENCE, async || children.iter().all(|c| !c.is_there()));
    gone.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Garage: make test-stores"]
async fn photos_become_ready_on_garage() {
    photos_become_ready(Kind::Garage).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Garage: make test-stores"]
async fn a_lost_completion_is_found_on_garage() {
    a_lost_completion_is_found(Kind::Garage).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Versity S3 Gateway: make test-stores"]
async fn photos_become_ready_on_versitygw() {
    photos_become_ready(Kind::Versitygw).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Versity S3 Gateway: make test-stores"]
async fn a_lost_completion_is_found_on_versitygw() {
    a_lost_completion_is_found(Kind::Versitygw).await;
}
