//! Previews go with the initiation, and never hold it up.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use safelight_client::preview::Preview;
use safelight_client::uploader::Settings;

use crate::fake_server::Deed;
use crate::rig::{Rig, failures};

/// An app that makes previews of what it can: of names that begin with `odd` it makes none, with `long` one that the server
/// would refuse, with `slow` it never ends.
struct App;

fn thumbhash(path: &Path) -> Vec<u8> {
    let name = path.file_stem().unwrap().as_encoded_bytes();
    name.iter().copied().cycle().take(25).collect()
}

#[async_trait::async_trait]
impl Preview for App {
    async fn thumbhash(&self, path: &Path) -> Option<Vec<u8>> {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match name.get(..4) {
            Some("odd_") => None,
            Some("long") => Some(vec![1; 65]),
            Some("slow") => std::future::pending().await,
            _ => Some(thumbhash(path)),
        }
    }
}

/// What was said of each file's preview, by name.
fn said(rig: &Rig) -> Vec<(String, Option<String>)> {
    let world = rig.server.world();
    let captures = world.captures.values().flat_map(|c| &c.request.assets);
    let resources = captures.map(|a| &a.resources[0]);
    let mut said: Vec<_> = resources
        .map(|r| (r.filename.clone().unwrap(), r.preview.clone()))
        .collect();
    said.sort();
    said
}

fn settings() -> Settings {
    Settings {
        preview: Some(Arc::new(App)),
        preview_within: Duration::from_secs(60),
        ..Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_file_s_preview_is_said_before_the_first_byte() {
    let rig = Rig::start().await;
    let paths = [
        rig.file("A_BURST001.jpg", 900),
        rig.file("A_BURST002_COVER.jpg", 7_500),
        rig.file("long.jpg", 500),
        rig.file("odd_.jpg", 600),
    ];
    let outcomes = rig.uploader(settings()).upload(&paths).await.unwrap();
    assert_eq!(failures(&outcomes), [""; 0]);
    let preview = |path: &Path| Some(BASE64_STANDARD.encode(thumbhash(path)));
    assert_eq!(
        said(&rig),
        [
            ("A_BURST001.jpg".to_owned(), preview(&paths[0])),
            ("A_BURST002_COVER.jpg".to_owned(), preview(&paths[1])),
            ("long.jpg".to_owned(), None),
            ("odd_.jpg".to_owned(), None),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_keeps_previews() {
    let mut rig = Rig::start().await;
    rig.give_up_after = Duration::ZERO;
    let paths = [rig.file("a.jpg", 900)];
    rig.server
        .fail("initiate", 0, Deed::Refuse(503, "overloaded", None));
    let outcomes = rig.uploader(settings()).upload(&paths).await.unwrap();
    assert!(outcomes[0].failure.is_some());
    assert_eq!(said(&rig), []);
    // The next run makes none.
    let outcomes = rig.upload(&paths).await;
    assert_eq!(failures(&outcomes), [""; 0]);
    let preview = BASE64_STANDARD.encode(thumbhash(&paths[0]));
    assert_eq!(said(&rig), [("a.jpg".to_owned(), Some(preview))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_not_made_in_time_is_left_out() {
    let rig = Rig::start().await;
    let paths = [
        rig.file("slow_BURST001.jpg", 900),
        rig.file("slow_BURST002.jpg", 800),
        rig.file("slow.jpg", 700),
    ];
    let settings = Settings {
        preview_within: Duration::ZERO,
        ..settings()
    };
    let outcomes = rig.uploader(settings).upload(&paths).await.unwrap();
    assert_eq!(failures(&outcomes), [""; 0]);
    assert!(said(&rig).iter().all(|(_, preview)| preview.is_none()));
    assert_eq!(said(&rig).len(), 3);
}

/// Stalls at every frame that is not the key frame.
struct KeyOnly;

#[async_trait::async_trait]
impl Preview for KeyOnly {
    async fn thumbhash(&self, path: &Path) -> Option<Vec<u8>> {
        let is_key = path.to_string_lossy().contains("_COVER");
        if !is_key {
            std::future::pending::<()>().await;
        }
        Some(thumbhash(path))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_frame_s_is_made_first() {
    let rig = Rig::start().await;
    let mut paths: Vec<_> = (1..=9)
        .map(|i| rig.file(&format!("A_BURST00{i}.jpg"), 500 + i))
        .collect();
    paths.push(rig.file("A_BURST010_COVER.jpg", 900));
    let settings = Settings {
        preview: Some(Arc::new(KeyOnly)),
        preview_within: Duration::ZERO,
        ..Settings::default()
    };
    let outcomes = rig.uploader(settings).upload(&paths).await.unwrap();
    assert_eq!(failures(&outcomes), [""; 0]);
    let made: Vec<_> = said(&rig).into_iter().filter(|s| s.1.is_some()).collect();
    let preview = BASE64_STANDARD.encode(thumbhash(&paths[9]));
    assert_eq!(made, [("A_BURST010_COVER.jpg".to_owned(), Some(preview))]);
}
