//! Clients of upload protocols that know nothing of this server, unmodified, over links that break. `make test-tools` installs
//! them and runs these tests, which are ignored otherwise.

mod hls;
mod uppy;

use std::ops::RangeInclusive;
use std::path::Path;

use safelight_testkit::link::{Link, Weather};
use safelight_testkit::server::Server;
use safelight_testkit::{tools, wait};
use serde_json::{Value, json};

use crate::http_rig::{
    Caller, Database, PART_BYTES, PATIENCE, Rig, large_photo, number, options, port, sha256, text,
};

/// What requests without media cost on the wire, all together.
const TALK_BYTES: u64 = 200_000;

/// A server whose gateway and store are reached over links that break, and a file.
struct Far {
    rig: Rig,
    ann: Caller,
    to_gateway: Link,
    to_store: Link,
    folder: tempfile::TempDir,
    file: Vec<u8>,
}

impl Far {
    /// Each connection breaks after so many bytes.
    async fn open(cuts: RangeInclusive<u64>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("server");
        let server = Server::start(options(data_dir, Database::Sqlite.fresh(), &[]));
        let mut server = server.await.unwrap();
        let weather = Weather {
            cut_after_bytes: Some(cuts),
            ..Weather::default()
        };
        let to_gateway = Link::start(port(&server.url()), weather.clone(), 51);
        let to_gateway = to_gateway.await.unwrap();
        let to_store = Link::start(port(&server.store_url()), weather, 52);
        let to_store = to_store.await.unwrap();
        server.terminate().await.unwrap();
        server.add_args(&["--gateway-public-url", &to_gateway.url()]);
        server.add_args(&["--store-public-url", &to_store.url()]);
        server.restart().await.unwrap();
        let rig = Rig::around(server, dir);
        let folder = tempfile::tempdir().unwrap();
        let file = large_photo(31, PART_BYTES + 2_000_000);
        std::fs::write(folder.path().join("file.jpg"), &file).unwrap();
        Self {
            ann: rig.owner("ann"),
            rig,
            to_gateway,
            to_store,
            folder,
            file,
        }
    }

    /// Runs a script beside this file.
    async fn run(&self, program: &str, script: &str) {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/strangers");
        let (url, token) = (self.rig.server.url(), self.rig.server.admin_key().unwrap());
        let path = self.folder.path().join("file.jpg");
        let gateway = self.to_gateway.url();
        let env = [
            ("API", url.as_str()),
            ("GATEWAY", &gateway),
            ("TOKEN", &token),
            ("FILE", path.to_str().unwrap()),
        ];
        let home = self.folder.path();
        let said = tools::run(program, &scripts.join(script), home, &env).await;
        println!("{}", said.unwrap());
    }

    /// So many uploads of the file are completed, which are one asset in the end.
    async fn is_taken_in(&self, uploads: i64) {
        let catalog = self.rig.catalog().await;
        let completed = "SELECT COUNT(*) FROM uploads WHERE state = 'completed'";
        assert_eq!(number(&catalog, completed).await, uploads);
        let idle = wait::until(PATIENCE, async || {
            number(&catalog, "SELECT COUNT(*) FROM jobs").await == 0
        });
        idle.await.unwrap();
        let list = self.ann.get("/v1/assets?limit=200").await.expect(200);
        let list = list["items"].as_array().unwrap().iter();
        // A creation whose answer was lost is one that nobody goes on with.
        let list: Vec<&Value> = list.filter(|asset| asset["state"] == "ready").collect();
        assert_eq!(list.len(), 1);
        let asset = self.ann.ready(text(&list[0]["asset_id"])).await;
        assert_eq!(asset["original"]["sha256"], sha256(&self.file));
    }

    /// An upload of the file in parts, each with its URL and the name of a file with its bytes.
    async fn parts(&self) -> (String, Vec<(Value, std::path::PathBuf)>) {
        let asset = self.ann.initiate(&[&self.file]).await.remove(0);
        let upload = &asset["uploads"][0];
        assert_eq!(upload["plan"]["transport"], "multipart");
        let id = text(&upload["upload_id"]).to_owned();
        let chunks: Vec<&[u8]> = self.file.chunks(PART_BYTES).collect();
        let asked = (1..).zip(&chunks);
        let asked: Vec<Value> = asked
            .map(|(number, chunk)| json!({ "number": number, "sha256": sha256(chunk) }))
            .collect();
        let path = format!("/v1/uploads/{id}/urls");
        let signed = self.ann.post(&path, &json!({ "parts": asked })).await;
        let signed = signed.expect(200);
        let urls = signed["urls"].as_array().unwrap().iter();
        let parts = urls.zip(&chunks).map(|(url, chunk)| {
            let path = self.folder.path().join(format!("part{}", url["number"]));
            std::fs::write(&path, chunk).unwrap();
            (url.clone(), path)
        });
        (id, parts.collect())
    }
}

/// A request that fell to a cut is one that curl repeats by itself, from the part's beginning on.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn curl_sends_parts() {
    let far = Far::open(1_000_000..=3_000_000).await;
    let (id, parts) = far.parts().await;
    let sent = async {
        for (url, path) in &parts {
            let mut curl = tokio::process::Command::new("curl");
            curl.args([
                "--silent",
                "--show-error",
                "--fail",
                "--output",
                "/dev/null",
            ])
            .args(["--retry", "30", "--retry-all-errors", "--retry-delay", "0"])
            .arg("--upload-file")
            .arg(path);
            for (name, value) in url["headers"].as_object().into_iter().flatten() {
                curl.arg("--header").arg(format!("{name}: {}", text(value)));
            }
            let output = curl.arg(text(&url["url"])).output().await.unwrap();
            assert!(output.status.success(), "{output:?}");
        }
    };
    far.while_it_breaks(sent).await;
    far.ann.complete(&id).await.expect(200);
    far.is_taken_in(1).await;
}

/// What boto3 sends by, with URLs of this server's, and boto3 itself with its own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn boto3_sends_parts() {
    let far = Far::open(1_000_000..=3_000_000).await;
    far.while_it_breaks(far.run("python", "boto3_parts.py"))
        .await;
    far.is_taken_in(1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn tuspy() {
    let far = Far::open(200_000..=2_500_000).await;
    far.run("python", "tuspy_all.py").await;
    far.is_taken_in(1).await;
    far.sent_little_twice(1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn tus_js_client() {
    let far = Far::open(200_000..=2_500_000).await;
    far.run("node", "tus_js.cjs").await;
    far.is_taken_in(3).await;
    far.sent_little_twice(3).await;
}

impl Far {
    /// Sends parts over a link to the store that breaks before a part is through, until it has done so a few times.
    async fn while_it_breaks(&self, sending: impl Future<Output = ()>) {
        let calms_down = async {
            let cuts = wait::until(PATIENCE, async || self.to_store.carried().cuts >= 3);
            cuts.await.unwrap();
            self.to_store
                .change(|weather| weather.cut_after_bytes = None);
        };
        tokio::join!(sending, calms_down);
        let carried = self.to_store.carried();
        println!("{carried:?}");
        // A cut costs one part at most.
        let most = self.file.len() as u64 + carried.cuts * PART_BYTES as u64 + TALK_BYTES;
        assert!(carried.up_bytes <= most, "{carried:?}");
    }

    /// What was sent this many times over the gateway's link went on after each cut where it was, but for what had a digest of its
    /// own, or was sent with a creation whose answer was lost.
    async fn sent_little_twice(&self, times: u64) {
        let carried = self.to_gateway.carried();
        println!("{carried:?}");
        assert!(carried.cuts >= 3 * times, "{carried:?}");
        let all = times * self.file.len() as u64;
        assert!(
            carried.up_bytes <= all + all / 4 + TALK_BYTES,
            "{carried:?}"
        );
    }
}
