//! Retakes are found and told, to their owner only, and nothing is merged for it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use safelight_testkit::camera::{self, Scene};
use safelight_testkit::{media, wait};
use serde_json::{Value, json};

use crate::http_duplicates::keep;
use crate::http_rig::{
    Caller, Database, PATIENCE, Rig, capture, change, number, on_both_databases, rows, sha256, text,
};

on_both_databases!(
    retakes_are_told_of_one_another,
    of_owners_who_share_bytes_each_sees_his_own,
    capture_times_count,
    what_was_not_compared_is_once_it_is_decoded,
    pictures_from_before_the_upgrade_are_compared_after_it,
);

/// An exposure of a place.
fn shot(seed: u64, frame: u32) -> Vec<u8> {
    camera::photo(&Scene {
        seed,
        frame,
        width: 480,
        height: 360,
        orientation: 1,
        ..Scene::default()
    })
}

/// A gray square, which has no hash.
fn plain_picture() -> Vec<u8> {
    let png = "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAAAAACPAi4CAAAAKUlEQVR42u3MQREAAAwCIKMb3RD77SAA6VEEAoFAIBAIBAKBQCAQfA8G320AeXC6efoAAAAASUVORK5CYII=";
    BASE64_STANDARD.decode(png).unwrap()
}

/// Uploads a file, and waits until it is ready.
async fn take(caller: &Caller, file: &[u8]) -> String {
    let id = caller.upload(file).await;
    caller.ready(&id).await;
    id
}

async fn near(caller: &Caller, asset_id: &str) -> Value {
    let path = format!("/v1/assets/{asset_id}/near");
    caller.get(&path).await.expect(200)
}

/// The ids that are told of an asset that can be compared, the nearest first.
async fn told(caller: &Caller, asset_id: &str) -> Vec<String> {
    let near = near(caller, asset_id).await;
    assert_eq!(near["comparable"], true, "{near}");
    assert_eq!(near["asset_id"], asset_id);
    let items = near["items"].as_array().unwrap();
    let distances: Vec<u64> = items
        .iter()
        .map(|i| i["distance"].as_u64().unwrap())
        .collect();
    assert!(distances.is_sorted(), "{near}");
    let ids = items.iter().map(|i| text(&i["asset_id"]).to_owned());
    ids.collect()
}

async fn retakes_are_told_of_one_another(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let (ann, ben) = (rig.owner("ann"), rig.owner("ben"));
    let file = shot(1, 0);
    let first = take(&ann, &file).await;
    assert!(told(&ann, &first).await.is_empty());
    let retake = take(&ann, &shot(1, 1)).await;
    let elsewhere = take(&ann, &shot(2, 0)).await;
    let mut plain = Vec::new();
    for colour in [[0, 0, 0], [3, 3, 3], [240, 240, 240]] {
        plain.push(take(&ann, &camera::flat(320, 240, colour)).await);
    }
    let bens = take(&ben, &file).await;
    assert_eq!(told(&ann, &first).await, std::slice::from_ref(&retake));
    assert_eq!(told(&ann, &retake).await, std::slice::from_ref(&first));
    assert!(told(&ann, &elsewhere).await.is_empty());
    assert!(told(&ben, &bens).await.is_empty());
    for black in &plain {
        let near = near(&ann, black).await;
        let nothing = json!({ "asset_id": black, "comparable": false, "items": [] });
        assert_eq!(near, nothing);
    }
    let path = format!("/v1/assets/{first}/near");
    ben.get(&path).await.problem(404, "not_found");

    // They are shown as in lists.
    let asked = format!("{path}?fields=original,revision&limit=1");
    let shown = ann.get(&asked).await.expect(200)["items"][0].clone();
    assert_eq!(shown["state"], "ready");
    assert_eq!(shown["revision"], 1);
    assert_eq!(shown["original"]["sha256"], sha256(&shot(1, 1)));
    assert!(text(&shown["cover_url"]).starts_with("http"), "{shown}");
    assert!(shown["progress"].is_null());
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("fields=colour", "fields"),
    ] {
        let refused = ann.get(&format!("{path}?{query}")).await;
        assert_eq!(refused.problem(422, "validation_failed")["field"], field);
    }

    // What is the same still becomes one, and what is alike stays two.
    let again = ann.initiate(&[&file]).await.remove(0);
    assert_eq!(again["asset_id"], first);
    let mut unhashed = capture(&[&file]);
    unhashed["assets"][0]["resources"][0]["sha256"] = Value::Null;
    let made = ann.post("/v1/captures", &unhashed).await.expect(201);
    let mute = made["assets"][0].clone();
    ann.send(&mute, &file).await;
    let upload_id = text(&mute["uploads"][0]["upload_id"]);
    ann.complete(upload_id).await.expect(200);
    let mute = text(&mute["asset_id"]);
    assert_eq!(ann.ready(mute).await["asset_id"], first);
    assert_eq!(told(&ann, &first).await, std::slice::from_ref(&retake));
    assert_eq!(told(&ann, &retake).await, std::slice::from_ref(&first));
    // Asked of the one that was merged, the other answers.
    let of_merged = near(&ann, mute).await;
    assert_eq!(of_merged["asset_id"], first);
    assert_eq!(of_merged["items"][0]["asset_id"], retake);
    // A copy that is kept is as near as can be.
    let copy = keep(&ann, &file, true).await;
    let copy = text(&copy["asset_id"]).to_owned();
    assert_eq!(told(&ann, &first).await, [copy.clone(), retake.clone()]);
    assert_eq!(near(&ann, &copy).await["items"][0]["distance"], 0);
    assert_eq!(told(&ann, &copy).await, [first, retake]);
}

async fn of_owners_who_share_bytes_each_sees_his_own(database: Database) {
    let rig = Rig::start(database, &["--dedup-scope", "tenant"]).await;
    let (ann, ben) = (rig.owner("ann"), rig.owner("ben"));
    let (file, other) = (shot(1, 0), shot(1, 1));
    let anns = take(&ann, &file).await;
    let bens = take(&ben, &file).await;
    let catalog = rig.catalog().await;
    let live = "SELECT COUNT(*) FROM blobs WHERE state = 'live'";
    assert_eq!(number(&catalog, live).await, 1);
    let bens_retake = take(&ben, &other).await;
    assert!(told(&ann, &anns).await.is_empty());
    assert_eq!(told(&ben, &bens).await, std::slice::from_ref(&bens_retake));
    let anns_retake = take(&ann, &other).await;
    assert_eq!(told(&ann, &anns).await, [anns_retake]);
    assert_eq!(told(&ben, &bens).await, [bens_retake]);
}

/// Says when an asset was taken.
async fn taken(caller: &Caller, asset_id: &str, captured_at: &str) {
    let said = json!({ "captured_at": captured_at });
    let path = format!("/v1/assets/{asset_id}");
    caller.patch(&path, &[], &said).await.expect(200);
}

/// The same picture aimed aside: what is left of it without so many columns and rows.
fn aside(seed: u64, width: u32, height: u32, by: u32) -> Vec<u8> {
    let light = |x: u32, y: u32| {
        let (x, y) = (f64::from(x), f64::from(y));
        let wave = |n: u64| {
            let turn = (seed * 31 + n * 17) as f64;
            let (u, v) = ((turn * 0.37).sin() * 0.06, (turn * 0.73).cos() * 0.06);
            (x * u + y * v + turn).sin() * 18.0
        };
        (128.0 + (0..7).map(wave).sum::<f64>()) as u8
    };
    let mut rgb = Vec::new();
    for y in by..height {
        for x in by..width {
            rgb.extend([light(x, y); 3]);
        }
    }
    safelight_imaging::encode_jpeg(width - by, height - by, &rgb, 90).unwrap()
}

async fn capture_times_count(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let first = take(&ann, &aside(1, 320, 240, 0)).await;
    let small = take(&ann, &aside(1, 320, 240, 1)).await;
    // As far aside as still is near within minutes only.
    let mut far = None;
    for by in 2..32 {
        let asset = take(&ann, &aside(1, 320, 240, by)).await;
        let near = near(&ann, &first).await;
        let mut items = near["items"].as_array().unwrap().iter();
        let told = items.find(|i| i["asset_id"] == asset.as_str());
        let distance = told.map(|i| i["distance"].as_u64().unwrap());
        if distance.is_some_and(|d| d > 7) {
            far = Some(asset);
            break;
        }
        taken(&ann, &asset, "1999-01-01T00:00:00Z").await;
    }
    let far = far.expect("one between the two bounds");
    let both = told(&ann, &first).await;
    assert!(both.contains(&far) && both.contains(&small), "{both:?}");
    // What is that near is told whenever it was taken, the other within ten minutes.
    taken(&ann, &first, "2026-07-01T12:00:00Z").await;
    taken(&ann, &small, "2001-01-01T00:00:00Z").await;
    for (at, is_told) in [
        ("2026-07-01T12:10:00Z", true),
        ("2026-07-01T11:50:00Z", true),
        ("2026-07-01T12:10:01Z", false),
        ("2026-07-01T11:49:59Z", false),
    ] {
        taken(&ann, &far, at).await;
        let near = told(&ann, &first).await;
        assert_eq!(near.contains(&far), is_told, "{at}");
        assert!(near.contains(&small), "{near:?}");
    }
}

async fn what_was_not_compared_is_once_it_is_decoded(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let (first, retake) = (take(&ann, &shot(1, 0)).await, take(&ann, &shot(1, 1)).await);
    let catalog = rig.catalog().await;
    // As an older version left it.
    for sql in [
        "UPDATE blobs SET picture_hash = NULL",
        "DELETE FROM asset_hashes",
    ] {
        assert_eq!(change(&catalog, sql, vec![]).await, 2);
    }
    assert_eq!(near(&ann, &first).await["comparable"], false);
    // The store lost a rendition: it is made again.
    let lost = "UPDATE renditions SET state = 'pending' WHERE preset = 'large'";
    assert_eq!(change(&catalog, lost, vec![]).await, 2);
    let derive = "INSERT INTO jobs (tenant_id, job_id, kind, lane, owner_id, subject_id, unique_key, state, turn, run_at,
                                    attempts, fence, enqueued_at, updated_at)
                  SELECT tenant_id, 'job_' || blob_id, 'derive', 'standard', scope, blob_id, 'derive ' || blob_id,
                         'queued', 0, 0, 0, 0, 0, 0 FROM blobs";
    assert_eq!(change(&catalog, derive, vec![]).await, 2);
    for asset_id in [&first, &retake] {
        ann.ready(asset_id).await;
    }
    assert_eq!(told(&ann, &first).await, std::slice::from_ref(&retake));
    assert_eq!(told(&ann, &retake).await, [first]);
}

async fn pictures_from_before_the_upgrade_are_compared_after_it(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let old = take(&ann, &shot(1, 0)).await;
    let plain = take(&ann, &plain_picture()).await;
    let lost = take(&ann, &shot(2, 0)).await;
    let new = take(&ann, &shot(1, 1)).await;
    let catalog = rig.catalog().await;
    // As an older version left them; of one the original is no longer what it was.
    let of = |asset: &str| format!("(SELECT blob_id FROM resources WHERE asset_id = '{asset}')");
    for (sql, rows) in [
        (
            format!("DELETE FROM asset_hashes WHERE asset_id <> '{new}'"),
            2,
        ),
        (
            format!(
                "UPDATE blobs SET etag = 'another' WHERE blob_id = {}",
                of(&lost)
            ),
            1,
        ),
        (
            format!(
                "UPDATE blobs SET picture_hash = NULL, hash_sought_at = NULL WHERE blob_id <> {}",
                of(&new)
            ),
            3,
        ),
    ] {
        let changed = catalog
            .write::<_, safelight_catalog::CatalogError, _>(move |tx| {
                Box::pin(async move { tx.exec(&sql, &[]).await })
            })
            .await;
        assert_eq!(changed.unwrap(), rows);
    }
    // The janitor asks for them by itself, and once only.
    let left = "SELECT COUNT(*) FROM blobs WHERE hash_sought_at IS NULL";
    wait::until(PATIENCE, async || number(&catalog, left).await == 0)
        .await
        .unwrap();
    assert_eq!(told(&ann, &old).await, std::slice::from_ref(&new));
    assert_eq!(told(&ann, &new).await, std::slice::from_ref(&old));
    for asset_id in [&plain, &lost] {
        assert_eq!(near(&ann, asset_id).await["comparable"], false);
        ann.ready(asset_id).await;
    }
    let jobs = "SELECT state, lane FROM jobs WHERE kind = 'hash'";
    let jobs = rows(&catalog, jobs).await;
    let jobs: Vec<_> = jobs
        .iter()
        .map(|r| (r.text(0).unwrap(), r.text(1).unwrap()))
        .collect();
    assert_eq!(jobs, [("dead".to_owned(), "bulk".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_phones_took_twice() {
    let Some(folder) = media::require("burst") else {
        return;
    };
    let root = folder.parent().unwrap();
    let rig = Rig::start(Database::Sqlite, &[]).await;
    let ann = rig.owner("ann");
    let mut scenes: Vec<Vec<String>> = Vec::new();
    for names in [
        &[
            "burst/00000IMG_00000_BURST20200710061629144.jpg",
            "burst/00003IMG_00003_BURST20200710061629144.jpg",
        ][..],
        &["photos/iphone6_hdr_off.jpg", "photos/iphone6_hdr_on.jpg"],
        &["orientation/landscape_1.jpg", "orientation/landscape_6.jpg"],
        &["photos/samsung_galaxy_s7edge_12mp_gps.jpg"],
        &["heic/nokia83_16mp_hdr.heif"],
        &["photos/xiaomi_mi9t_12mp_orient6.jpg"],
        &["formats/photo_8bit.avif"],
    ] {
        let mut ids = Vec::new();
        for name in names {
            ids.push(take(&ann, &std::fs::read(root.join(name)).unwrap()).await);
        }
        scenes.push(ids);
    }
    for scene in &scenes {
        for id in scene {
            let others: Vec<&String> = scene.iter().filter(|other| *other != id).collect();
            assert_eq!(told(&ann, id).await.iter().collect::<Vec<_>>(), others);
        }
    }
}
