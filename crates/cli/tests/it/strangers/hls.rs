//! hls.js in Chromium plays a long clip in pieces, on a page of another origin.

use std::path::PathBuf;

use safelight_testkit::browser::{Pages, visit};
use serde_json::json;

use crate::http_clips::rendition;
use crate::http_hls::{SECONDS, WIDTH, long_clip};
use crate::http_rig::{Database, Rig, text};

const PAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/strangers/hls");

#[tokio::test]
#[ignore = "needs hls.js and Chromium: make test-tools"]
async fn hls_js_plays_a_long_clip() {
    let rig = Rig::start(Database::Sqlite, &[]).await;
    let ann = rig.owner("ann");
    let id = ann.upload(&long_clip()).await;
    ann.ready(&id).await;
    let shown = rendition(&ann, &id, "hls").await;
    let url = text(&shown["renditions"]["hls"]["url"]);
    let folders = vec![PathBuf::from(PAGES)];
    let mut pages = Pages::open(folders, &[("hls.js", "/hls.js")])
        .await
        .unwrap();
    let plan = json!({ "url": url, "seconds": SECONDS, "width": WIDTH });
    visit(&mut pages, "play.js", plan).await.unwrap();
}
