//! What others see of a picture before its bytes have arrived.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use safelight_testkit::camera::{Burst, shoot};
use serde_json::Value;

use crate::event_stream::Stream;
use crate::http_rig::{Database, Split, on_both_databases, text};

on_both_databases!(another_client_sees_previews_before_any_byte);

const FRAMES: u32 = 4;

fn upload(rig: &Split, dir: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_safelight"))
        .args(["upload", "photos", "--wait", "--json"])
        .env_clear()
        .env("HOME", dir)
        .env("SAFELIGHT_URL", rig.api.url())
        .env("SAFELIGHT_TOKEN", rig.store.admin_key().unwrap())
        .env("SAFELIGHT_OWNER", "ann")
        .current_dir(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn another_client_sees_previews_before_any_byte(database: Database) {
    let rig = Split::start(database).await;
    let dir = tempfile::tempdir().unwrap();
    let photos = dir.path().join("photos");
    let burst = Burst {
        seed: 5,
        count: FRAMES,
        megapixels: 0.5,
    };
    shoot(&burst, &photos).unwrap();
    // One that nothing can decode is sent all the same.
    std::fs::write(photos.join("zz.jpg"), b"\xff\xd8\xff\xe0 no picture").unwrap();
    let ann = rig.owner("ann");
    let mut stream = Stream::open(&ann, "/v1/events", None).await;
    rig.proxy.hold("PUT ");
    let child = upload(&rig, dir.path());

    // The event is enough to find the previews by. What is no picture stands alone, and either may be told of first.
    let (path, before) = loop {
        let told = stream.until(|told| told["type"] == "capture.created").await;
        let capture_id = text(&told.last().unwrap()["data"]["capture_id"]).to_owned();
        let path = format!("/v1/assets?capture={capture_id}&fields=thumbhash");
        let page = ann.get(&path).await.expect(200);
        let assets = page["items"].as_array().unwrap().clone();
        if assets.len() > 1 {
            break (path, assets);
        }
    };
    assert_eq!(before.len(), FRAMES as usize);
    for asset in &before {
        assert!(
            ["initiated", "uploading"].contains(&text(&asset["state"])),
            "{asset}"
        );
        assert!(asset["thumbhash"].is_string(), "{asset}");
        assert_eq!(
            ann.asset(text(&asset["asset_id"])).await["thumbhash"],
            asset["thumbhash"]
        );
    }
    // It is the first one that is held: no byte has come before.
    rig.proxy.holds().await;
    let state = ann.get(&path).await.expect(200);
    let none_is_whole = |a: &Value| ["initiated", "uploading"].contains(&text(&a["state"]));
    assert!(state["items"].as_array().unwrap().iter().all(none_is_whole));

    rig.proxy.release();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output = output.await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
        panic!("{e}: {output:?}");
    });
    assert_eq!(report["uploaded"], FRAMES + 1, "{report}");
    for asset in &before {
        let id = text(&asset["asset_id"]);
        let after = ann.ready(id).await;
        assert!(after["cover_url"].is_string(), "{after}");
        resembles(text(&asset["thumbhash"]), text(&after["thumbhash"]));
    }
    let undecodable = report["files"].as_array().unwrap().last().unwrap().clone();
    let asset = ann.settled(text(&undecodable["asset_id"])).await;
    assert_eq!(
        (&asset["state"], asset["thumbhash"].is_null()),
        (&"failed".into(), true)
    );
}

/// What a thumbhash says, each from 0 to 1: the average in three channels, then how it changes over the picture.
fn terms(thumbhash: &str) -> (usize, Vec<f64>, Vec<f64>) {
    let bytes = BASE64_STANDARD.decode(thumbhash).unwrap();
    let head = u32::from(bytes[0]) | u32::from(bytes[1]) << 8 | u32::from(bytes[2]) << 16;
    let averages = [head, head >> 6, head >> 12].map(|t| f64::from(t & 63) / 63.0);
    let changes = bytes[5..].iter().flat_map(|b| [b & 15, b >> 4]);
    let changes = changes.map(|t| f64::from(t) / 15.0).collect();
    (bytes.len(), averages.to_vec(), changes)
}

fn resembles(preview: &str, servers: &str) {
    let (preview, servers) = (terms(preview), terms(servers));
    assert_eq!(preview.0, servers.0);
    let mean = |a: &[f64], b: &[f64]| {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / a.len() as f64
    };
    // Averages of other pictures are a tenth and more apart.
    assert!(
        mean(&preview.1, &servers.1) < 0.02,
        "{preview:?} {servers:?}"
    );
    assert!(
        mean(&preview.2, &servers.2) < 0.1,
        "{preview:?} {servers:?}"
    );
}
