//! Originals that the embedded store's disk does not give back as they were written.

use std::path::{Path, PathBuf};
use std::process::Command;

use safelight_model::limits;
use safelight_objects::{ObjectKey, ownership};
use safelight_service::retention::catalog_mark;
use safelight_service::retention::sweep::sweep_all;
use safelight_testkit::server::Server;
use safelight_testkit::wait;
use serde_json::{Value, json};

use crate::http_rig::{
    Database, PATIENCE, Rig, fetch, http, large_photo, on_both_databases, options, photo, text,
};
use crate::in_process::{InProcess, TENANT};
use crate::sweep::{DAY, ended, found, put};

on_both_databases!(
    a_damaged_original_is_found_and_not_given_out,
    an_original_that_was_damaged_before_it_was_looked_at_fails,
    a_damaged_orphan_stops_no_sweep,
);

/// The file of the only original.
fn original(data_dir: &Path) -> PathBuf {
    largest(&data_dir.join("store"))
}

/// The file of the largest original of a store.
fn largest(store_dir: &Path) -> PathBuf {
    let bucket = store_dir.join("buckets/safelight");
    let mut ahead = vec![bucket.join("objects/o"), bucket.join("uploads")];
    let mut largest: Option<(u64, PathBuf)> = None;
    while let Some(dir) = ahead.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let about = entry.metadata().unwrap();
            if about.is_dir() {
                ahead.push(entry.path());
            } else if largest.as_ref().is_none_or(|(most, _)| about.len() > *most) {
                largest = Some((about.len(), entry.path()));
            }
        }
    }
    largest.unwrap().1
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

async fn a_damaged_original_is_found_and_not_given_out(database: Database) {
    let mut rig = Rig::start(database, &[]).await;
    let asset_id = rig.owner("ann").upload(&photo(1)).await;
    rig.owner("ann").ready(&asset_id).await;
    rig.server.terminate().await.unwrap();
    let data_dir = rig.server.data_dir().to_owned();
    flip(&original(&data_dir), 1000);
    // As if the last time that the store was read was long ago.
    std::fs::remove_file(data_dir.join("store/scrub")).unwrap();
    rig.server.restart().await.unwrap();

    let metrics = format!("{}/metrics", rig.server.url());
    let found = wait::until(PATIENCE, async || {
        let text = fetch(&rig.http, &metrics).await.body;
        String::from_utf8_lossy(&text).contains("safelight_store_damaged 1")
    });
    found.await.unwrap();
    let named = wait::until(PATIENCE, async || {
        rig.server.log().contains("is damaged: restore it")
    });
    named.await.unwrap();

    let ann = rig.owner("ann");
    let granted = ann
        .post(&format!("/v1/assets/{asset_id}/grants"), &json!({}))
        .await;
    let read = fetch(&rig.http, text(&granted.expect(201)["url"])).await;
    assert_eq!(read.status, 500, "{read:?}");
    // What was made of it before is still there.
    let asset = ann.ready(&asset_id).await;
    let cover = fetch(&rig.http, text(&asset["renditions"]["cover"]["url"])).await;
    assert_eq!(cover.status, 200);

    let mut doctor = Command::new(env!("CARGO_BIN_EXE_safelight"));
    doctor
        .args(["doctor", "--json", "--data-dir"])
        .arg(&data_dir);
    doctor.args([
        "--store-listen",
        &rig.server.store_url().replace("http://", ""),
    ]);
    doctor
        .args(["--catalog-url", &rig.server.catalog_url()])
        .env_clear();
    let output = tokio::task::spawn_blocking(move || doctor.output().unwrap())
        .await
        .unwrap();
    assert!(!output.status.success());
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    let scrub = findings
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["check"] == "scrub")
        .unwrap();
    assert_eq!(scrub["verdict"], "wrong", "{scrub}");
    assert!(text(&scrub["found"]).contains("1 damaged"), "{scrub}");
}

async fn an_original_that_was_damaged_before_it_was_looked_at_fails(database: Database) {
    let dir = tempfile::tempdir().unwrap();
    let (data_dir, database) = (dir.path().join("server"), database.fresh());
    // In its first bytes, and so far behind that the answer has begun by then.
    for (owner, at) in [("ann", 100), ("bea", 3 << 20)] {
        let idle = ["--roles", "api,store,delivery"];
        let mut server = Server::start(options(data_dir.clone(), database.clone(), &idle))
            .await
            .unwrap();
        let caller = crate::http_rig::Caller {
            base: server.url(),
            http: http(),
            token: Some(server.admin_key().unwrap()),
            owner: Some(owner.to_owned()),
        };
        let asset_id = caller.upload(&large_photo(at, 4 << 20)).await;
        server.terminate().await.unwrap();
        let file = original(&data_dir);
        flip(&file, usize::try_from(at).unwrap());
        let server = Server::start(options(data_dir.clone(), database.clone(), &[]))
            .await
            .unwrap();
        let caller = crate::http_rig::Caller {
            base: server.url(),
            ..caller
        };
        let asset = caller.settled(&asset_id).await;
        assert_eq!(asset["state"], "failed", "{asset}");
        assert!(
            asset.to_string().contains("damaged in the object store"),
            "{asset}"
        );
        std::fs::remove_file(file).unwrap();
    }
}

/// Of two objects that no row stands for the store cannot read one.
async fn a_damaged_orphan_stops_no_sweep(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store) = (&service.context, &service.context.objects);
    let entropy = context.entropy.as_ref();
    let own = ownership(&context.catalog_id, TENANT, "ast_nobody");
    let key = || ObjectKey::original(TENANT, context.now(), entropy).unwrap();
    let (damaged, whole) = (key(), key());
    put(store, &damaged, Some(&own)).await;
    let file = largest(&service.store_dir());
    let last = std::fs::metadata(&file).unwrap().len() as usize - 40;
    flip(&file, last);
    put(store, &whole, Some(&own)).await;
    ended(context, &damaged).await;
    ended(context, &whole).await;
    catalog_mark::raise(context, context.now()).await.unwrap();
    service.clock.advance(2 * DAY);
    sweep_all(context, false).await.unwrap();
    let kept_because = async |key: &ObjectKey| {
        let all = found(context).await;
        let one = all.into_iter().find(|f| f.object_key == key.as_str());
        one.map(|f| f.kept_because.unwrap_or_default())
    };
    assert_eq!(kept_because(&whole).await.as_deref(), Some(""));
    let why = kept_because(&damaged).await.unwrap();
    assert!(why.contains("cannot read it"), "{why}");
    service.clock.advance(limits::ORPHAN_GRACE + DAY);
    sweep_all(context, true).await.unwrap();
    assert_eq!(kept_because(&whole).await, None);
    assert!(store.head(&whole).await.unwrap().is_none());
    assert!(kept_because(&damaged).await.is_some());
    assert!(file.exists());
}
