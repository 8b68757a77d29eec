//! Uppy in Chromium, by the recipe that the guide gives, over links that break. Its pages come from another origin than
//! the API and the store.

use std::path::PathBuf;

use safelight_testkit::browser::{Pages, visit};
use safelight_testkit::link::{Link, Weather};
use safelight_testkit::server::Server;
use safelight_testkit::wait;
use serde_json::{Value, json};

use super::TALK_BYTES;
use crate::http_rig::{
    Caller, PART_BYTES, PATIENCE, Rig, large_photo, number, options, photo, port, sha256, text,
};

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/browsers.md");
const PAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/strangers/uppy");
/// What the gateway reads of a request that it refuses, 1 MiB, and what is on its way by then.
const REFUSED_BYTES: u64 = 1_500_000;

const UPPY_6: &[(&str, &str)] = &[
    ("@uppy/core", "/uppy-core.js"),
    ("@uppy/aws-s3", "/uppy-aws-s3.js"),
    ("@uppy/tus", "/uppy-tus.js"),
];
const UPPY_5: &[(&str, &str)] = &[
    ("@uppy/core", "/uppy5-uppy-core.js"),
    ("@uppy/aws-s3", "/uppy5-uppy-aws-s3.js"),
];

/// How a recipe sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Store,
    Gateway,
}

/// A server behind links, and pages that upload to it.
struct Site {
    rig: Rig,
    ann: Caller,
    to_api: Link,
    to_store: Link,
    pages: Pages,
    way: Way,
    files: Vec<(String, Vec<u8>)>,
    folder: tempfile::TempDir,
}

/// The code of the guide's page, file by file: each block stands below a comment that names it.
fn recipe() -> Vec<(String, String)> {
    let guide = std::fs::read_to_string(GUIDE).unwrap();
    let marked = guide.split("<!-- tested: ").skip(1);
    marked
        .map(|rest| {
            let (name, rest) = rest.split_once(" -->\n```js\n").unwrap();
            let (code, _) = rest.split_once("\n```\n").unwrap();
            (name.to_owned(), code.to_owned())
        })
        .collect()
}

impl Site {
    async fn open(way: Way, imports: &[(&'static str, &'static str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Server::start(options(dir.path().join("server"), None, &[]))
            .await
            .unwrap();
        let calm = Weather::default;
        let to_api = Link::start(port(&server.url()), calm(), 41).await.unwrap();
        let to_store = Link::start(port(&server.store_url()), calm(), 42);
        let to_store = to_store.await.unwrap();
        server.terminate().await.unwrap();
        let (api_url, store_url) = (to_api.url(), to_store.url());
        server.add_args(&["--public-url", &api_url, "--store-public-url", &store_url]);
        server.restart().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        for (name, code) in recipe() {
            std::fs::write(folder.path().join(name), code).unwrap();
        }
        let folders: Vec<PathBuf> = vec![folder.path().into(), PAGES.into()];
        let rig = Rig::around(server, dir);
        Self {
            ann: rig.owner("ann"),
            rig,
            to_api,
            to_store,
            pages: Pages::open(folders, imports).await.unwrap(),
            way,
            files: Vec::new(),
            folder,
        }
    }

    /// A file that a user can choose.
    fn add(&mut self, bytes: Vec<u8>) {
        let name = format!("IMG_{}.jpg", self.files.len());
        std::fs::write(self.folder.path().join(&name), &bytes).unwrap();
        self.files.push((name, bytes));
    }

    /// A token as the app's backend gets it for whoever is logged in.
    async fn token(&self) -> String {
        let backend = self.rig.caller(self.ann.token.as_deref(), None);
        let wanted = json!({ "owner": "ann", "device": "anns-browser", "ttl_s": 3600 });
        let minted = backend.post("/v1/tokens", &wanted).await.expect(201);
        text(&minted["token"]).to_owned()
    }

    /// Has a page do something with the files.
    async fn visit(&mut self, script: &str, more: Value) {
        let names: Vec<&String> = self.files.iter().map(|(name, _)| name).collect();
        let is_store = self.way == Way::Store;
        let mut plan = json!({
            "api": self.to_api.url(),
            "way": if is_store { "store" } else { "gateway" },
            "files": names,
            "enough": PART_BYTES,
            // A page that was open for long has one that is no longer good.
            "tokens": if is_store { json!(["old", self.token().await]) } else { json!([self.token().await]) },
        });
        for (key, value) in more.as_object().unwrap() {
            plan[key] = value.clone();
        }
        visit(&mut self.pages, script, plan).await.unwrap();
    }

    /// The bytes that went up on the way that media take, and how often that was cut.
    fn carried(&self) -> (u64, u64) {
        let link = match self.way {
            Way::Store => &self.to_store,
            Way::Gateway => &self.to_api,
        };
        let carried = link.carried();
        (carried.up_bytes, carried.cuts)
    }

    fn all_bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// Every file is an asset that is ready, and there is no other but those that have ended.
    async fn is_taken_in(&self) {
        let catalog = self.rig.catalog().await;
        let idle = wait::until(PATIENCE, async || {
            number(&catalog, "SELECT COUNT(*) FROM jobs").await == 0
        });
        idle.await.unwrap();
        let list = self.ann.get("/v1/assets?limit=200").await.expect(200);
        let mut got = Vec::new();
        for item in list["items"].as_array().unwrap() {
            if item["state"] == "expired" {
                continue;
            }
            let asset = self.ann.ready(text(&item["asset_id"])).await;
            got.push(text(&asset["original"]["sha256"]).to_owned());
        }
        let mut wanted: Vec<String> = self.files.iter().map(|(_, b)| sha256(b)).collect();
        got.sort();
        wanted.sort();
        assert_eq!(got, wanted);
    }
}

/// Connections that carry one part, and seldom two.
fn cut_by_parts() -> Weather {
    Weather {
        cut_after_bytes: Some(9_000_000..=20_000_000),
        ..Weather::default()
    }
}

async fn by_parts_under_cuts(imports: &[(&'static str, &'static str)], hashes: bool) {
    let mut site = Site::open(Way::Store, imports).await;
    site.add(large_photo(71, 4 * PART_BYTES + 1_000_000));
    site.add(photo(72));
    site.to_store.change(|w| *w = cut_by_parts());
    // Of the small requests, answers included.
    site.to_api.change(|w| {
        w.cut_after_bytes = Some(3_000..=9_000);
        w.lost_answers = 0.1;
    });
    site.visit("all.js", json!({ "hashes": hashes })).await;
    site.is_taken_in().await;
    let (up_bytes, cuts) = site.carried();
    println!("{up_bytes} bytes for {}, {cuts} cuts", site.all_bytes());
    assert!(cuts > 0 && site.to_api.carried().cuts > 0);
    // Known by its hash, what is sent again is not sent; without one, it is.
    let again = if hashes {
        0
    } else {
        site.files[0].1.len() as u64
    };
    let most = site.all_bytes() + again + cuts * PART_BYTES as u64 + TALK_BYTES;
    assert!(up_bytes <= most, "{up_bytes} of {most}");
    let catalog = site.rig.catalog().await;
    let kinds = "SELECT COUNT(*) FROM uploads WHERE part_checksum = 'sha256'";
    let bound = number(&catalog, kinds).await;
    assert_eq!(bound, if hashes { 2 } else { 0 });
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn parts_under_cuts() {
    by_parts_under_cuts(UPPY_6, true).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn parts_by_their_length_alone_under_cuts() {
    by_parts_under_cuts(UPPY_6, false).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn parts_of_version_5_under_cuts() {
    by_parts_under_cuts(UPPY_5, true).await;
}

/// So many bytes may be under way when the page goes, and be lost.
async fn goes_on_when_its_page_is_loaded_again(
    way: Way,
    imports: &[(&'static str, &'static str)],
    lost_bytes: u64,
) {
    let mut site = Site::open(way, imports).await;
    site.add(large_photo(73, 5 * PART_BYTES));
    // Slow enough that most is still to come when the page goes.
    let slow = |w: &mut Weather| w.up_bits_per_s = Some(200_000_000);
    site.to_api.change(slow);
    site.to_store.change(slow);
    site.visit("reload.js", json!({})).await;
    site.is_taken_in().await;
    let (up_bytes, _) = site.carried();
    println!("{up_bytes} bytes for {}", site.all_bytes());
    let most = site.all_bytes() + lost_bytes + TALK_BYTES;
    assert!(up_bytes <= most, "{up_bytes} of {most}");
    let catalog = site.rig.catalog().await;
    assert_eq!(number(&catalog, "SELECT COUNT(*) FROM uploads").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn parts_go_on_when_the_page_is_loaded_again() {
    let part_bytes = PART_BYTES as u64;
    goes_on_when_its_page_is_loaded_again(Way::Store, UPPY_6, part_bytes).await;
    goes_on_when_its_page_is_loaded_again(Way::Store, UPPY_5, 4 * part_bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn tus_goes_on_when_the_page_is_loaded_again() {
    // What sockets held: the gateway reads it, but for no longer than a moment.
    goes_on_when_its_page_is_loaded_again(Way::Gateway, UPPY_6, 4 << 20).await;
}

async fn is_given_up_and_sent_again(way: Way, imports: &[(&'static str, &'static str)]) {
    let mut site = Site::open(way, imports).await;
    site.add(large_photo(74, 4 * PART_BYTES));
    let slow = |w: &mut Weather| w.up_bits_per_s = Some(200_000_000);
    site.to_api.change(slow);
    site.to_store.change(slow);
    site.visit("cancel.js", json!({})).await;
    site.is_taken_in().await;
    let catalog = site.rig.catalog().await;
    for state in ["aborted", "completed"] {
        let count = format!("SELECT COUNT(*) FROM uploads WHERE state = '{state}'");
        assert_eq!(number(&catalog, &count).await, 1, "{state}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn what_is_given_up_can_be_sent_again() {
    is_given_up_and_sent_again(Way::Store, UPPY_6).await;
    is_given_up_and_sent_again(Way::Store, UPPY_5).await;
    is_given_up_and_sent_again(Way::Gateway, UPPY_6).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn tus_under_cuts() {
    let mut site = Site::open(Way::Gateway, UPPY_6).await;
    site.add(large_photo(75, 12_000_000));
    site.add(photo(76));
    site.to_api.change(|w| {
        w.cut_after_bytes = Some(1_000_000..=3_000_000);
        w.up_bits_per_s = Some(40_000_000);
    });
    site.visit("all.js", json!({})).await;
    site.is_taken_in().await;
    let (up_bytes, cuts) = site.carried();
    println!("{up_bytes} bytes for {}, {cuts} cuts", site.all_bytes());
    assert!(cuts >= 3, "{cuts}");
    // Chromium repeats a request by itself when a connection that it used before breaks: from an offset that is no longer
    // true, of which the gateway reads some before it refuses the rest.
    let most = site.all_bytes() + cuts * REFUSED_BYTES + TALK_BYTES;
    assert!(up_bytes <= most, "{up_bytes} of {most}");
}
