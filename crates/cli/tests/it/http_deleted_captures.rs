//! An owner deletes captures of his: what they brought goes, what another one holds stays, and none comes back.

use safelight_testkit::wait;
use serde_json::{Value, json};

use crate::event_stream::Stream;
use crate::http_deletion::{all_gone, is_deleted, stored};
use crate::http_owners::stranger;
use crate::http_rig::{
    Caller, Database, PART_BYTES, PATIENCE, Rig, answer, capture, fetch, fresh_key, large_photo,
    number, on_both_databases, photo, text,
};

on_both_databases!(
    a_capture_goes_with_all_that_it_brought,
    what_is_sent_again_by_its_reference_is_refused,
    what_another_capture_holds_stays,
    a_smaller_copy_in_another_capture_stays,
    who_is_not_the_owner_deletes_nothing,
    captures_that_share_an_asset_may_go_at_once,
    a_capture_and_its_assets_may_go_at_once,
    deleting_and_initiating_lose_nothing,
);

fn path(made: &Value) -> String {
    format!("/v1/captures/{}", text(&made["capture_id"]))
}

/// Takes a capture of these files all the way; the answer to its initiation.
async fn send(ann: &Caller, files: &[&[u8]]) -> Value {
    let made = ann.post("/v1/captures", &capture(files)).await.expect(201);
    for (asset, file) in made["assets"].as_array().unwrap().iter().zip(files) {
        if asset["uploads"].is_array() {
            ann.send(asset, file).await;
            let upload_id = text(&asset["uploads"][0]["upload_id"]);
            ann.complete(upload_id).await.expect(200);
        }
        ann.ready(text(&asset["asset_id"])).await;
    }
    made
}

/// Deletes a capture; what became of its assets.
async fn delete(ann: &Caller, made: &Value) -> Vec<(String, String)> {
    let deleted = ann.delete(&path(made)).await.expect(202);
    assert_eq!(deleted["state"], "deleted", "{deleted}");
    assert_eq!(deleted["capture_id"], made["capture_id"]);
    let assets = deleted["assets"].as_array().unwrap();
    let became = |a: &Value| {
        (
            text(&a["asset_id"]).to_owned(),
            text(&a["state"]).to_owned(),
        )
    };
    assets.iter().map(became).collect()
}

fn asset_id(made: &Value, index: usize) -> &str {
    text(&made["assets"][index]["asset_id"])
}

async fn a_capture_goes_with_all_that_it_brought(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let stays = ann.upload(&photo(9)).await;
    ann.ready(&stays).await;
    let kept = stored(&rig).await;
    // One is ready, one cannot be shown, one is being sent, of one nothing was.
    let files = [
        photo(1),
        b"no picture at all".to_vec(),
        large_photo(2, 2 * PART_BYTES),
        photo(3),
    ];
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let mut asked = capture(&files);
    asked["captured_at"] = json!("2019-04-05T06:07:08.765432Z");
    asked["device"] = json!({ "model": "Mathilda's phone" });
    let made = ann.post("/v1/captures", &asked).await.expect(201);
    let assets = made["assets"].as_array().unwrap();
    for (asset, file) in assets.iter().zip(&files).take(2) {
        ann.send(asset, file).await;
        let upload_id = text(&asset["uploads"][0]["upload_id"]);
        ann.complete(upload_id).await.expect(200);
        ann.settled(text(&asset["asset_id"])).await;
    }
    let under_way = text(&assets[2]["uploads"][0]["upload_id"]);
    ann.send_parts(under_way, files[2], &[1]).await;
    let link = text(&ann.ready(asset_id(&made, 0)).await["cover_url"]).to_owned();

    let mut events = Stream::open(&ann, "/v1/events", None).await;
    let capture_path = path(&made);
    let became = delete(&ann, &made).await;
    assert_eq!(became.len(), 4);
    for (index, (of, state)) in became.iter().enumerate() {
        assert_eq!(
            (of.as_str(), state.as_str()),
            (asset_id(&made, index), "deleted")
        );
        is_deleted(&ann, of).await;
    }
    ann.get(&capture_path).await.problem(410, "capture_deleted");
    let list = format!("/v1/assets?capture={}", text(&made["capture_id"]));
    ann.get(&list).await.problem(410, "capture_deleted");
    fetch(&rig.http, &link).await.problem(410, "asset_deleted");
    ann.get(&format!("/v1/uploads/{under_way}"))
        .await
        .problem(410, "asset_deleted");
    ann.complete(under_way).await.problem(410, "asset_deleted");
    // Bytes that come by a URL of before go too.
    ann.send(&assets[3], files[3]).await;

    let first = ann.delete(&capture_path).await.expect(202);
    let catalog = rig.catalog().await;
    all_gone(&catalog).await;
    assert_eq!(stored(&rig).await, kept);
    let again = ann.delete(&capture_path).await.expect(202);
    assert_eq!(again["deleted_at"], first["deleted_at"]);
    assert!(
        text(&again["completed_at"]) >= text(&again["deleted_at"]),
        "{again}"
    );
    let written =
        "SELECT COUNT(*) FROM captures WHERE device IS NOT NULL OR captured_at IS NOT NULL";
    assert_eq!(number(&catalog, written).await, 0);

    let mut all = Vec::new();
    for _ in 0..4 {
        all.extend(events.until(|e| e["type"] == "deletion.completed").await);
    }
    let of_it: Vec<&Value> = all
        .iter()
        .filter(|e| e["type"] == "capture.deleted")
        .collect();
    assert_eq!(of_it.len(), 1, "{all:?}");
    assert_eq!(of_it[0]["subject"], made["capture_id"]);
    assert_eq!(of_it[0]["data"]["capture_id"], made["capture_id"]);
    let deleted = all.iter().filter(|e| e["type"] == "asset.deleted").count();
    assert_eq!(deleted, 4, "{all:?}");
    ann.ready(&stays).await;
}

async fn what_is_sent_again_by_its_reference_is_refused(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(1);
    let (asked, key) = (capture(&[&file]), fresh_key());
    let made = ann.post_as("/v1/captures", &key, &asked).await.expect(201);
    delete(&ann, &made).await;
    for key in [key.clone(), fresh_key(), key] {
        let again = ann.post_as("/v1/captures", &key, &asked).await;
        again.problem(410, "capture_deleted");
    }
    // At the gateway likewise.
    let request = ann
        .request(reqwest::Method::PUT, "/u/rufh")
        .header("safelight-client-ref", text(&asked["client_ref"]))
        .body(file.clone());
    let refused = answer(request).await;
    assert_eq!(refused.status, 410, "{refused:?}");
    assert_eq!(refused.json()["code"], "capture_deleted", "{refused:?}");
    let left = "SELECT COUNT(*) FROM uploads WHERE state = 'open'";
    assert_eq!(number(&rig.catalog().await, left).await, 0);
    // By another reference it is another capture.
    let anew = send(&ann, &[&file]).await;
    assert_ne!(anew["capture_id"], made["capture_id"]);
    assert!(ann.original(asset_id(&anew, 0)).await == file);
}

async fn what_another_capture_holds_stays(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    for (round, first_goes) in [true, false].into_iter().enumerate() {
        let n = round as u64 * 10;
        let (both, of_first, of_second) = (photo(n + 1), photo(n + 2), photo(n + 3));
        let first = send(&ann, &[&both, &of_first]).await;
        let second = send(&ann, &[&of_second, &both]).await;
        let shared = asset_id(&first, 0);
        assert_eq!(asset_id(&second, 1), shared);
        let (gone, its, there) = match first_goes {
            true => (&first, asset_id(&first, 1), &second),
            false => (&second, asset_id(&second, 0), &first),
        };
        let became = delete(&ann, gone).await;
        let state = |of: &str| &became.iter().find(|(id, _)| id == of).unwrap().1;
        assert_eq!(
            (state(shared).as_str(), state(its).as_str()),
            ("ready", "deleted")
        );
        is_deleted(&ann, its).await;
        let asset = ann.ready(shared).await;
        assert_eq!(asset["capture_id"], there["capture_id"], "{asset}");
        assert!(ann.original(shared).await == both);
        let read = ann.get(&path(there)).await.expect(200);
        let states: Vec<&str> = read["assets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| text(&a["state"]))
            .collect();
        assert_eq!(states, ["ready", "ready"]);
        all_gone(&rig.catalog().await).await;
        assert!(ann.original(shared).await == both);
        let before = ann.delete(&path(gone)).await.expect(202);
        assert!(before["completed_at"].is_string(), "{before}");
        // With the last one it goes.
        for (_, state) in delete(&ann, there).await {
            assert_eq!(state, "deleted");
        }
        is_deleted(&ann, shared).await;
        all_gone(&rig.catalog().await).await;
        assert!(stored(&rig).await.is_empty());
        let after = ann.delete(&path(gone)).await.expect(202);
        assert_eq!(after["completed_at"], before["completed_at"]);
    }
}

async fn a_smaller_copy_in_another_capture_stays(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let (large, small) = (large_photo(1, PART_BYTES + 1000), photo(1));
    for first_goes in [true, false] {
        let first = ann
            .post("/v1/captures", &capture(&[&large]))
            .await
            .expect(201);
        let second = send(&ann, &[&small]).await;
        let copy = asset_id(&second, 0);
        let upload_id = text(&first["assets"][0]["uploads"][0]["upload_id"]);
        let superseded = format!("/v1/uploads/{upload_id}?superseded_by={copy}");
        ann.delete(&superseded).await.expect(200);
        if first_goes {
            delete(&ann, &first).await;
            assert!(ann.original(copy).await == small);
            delete(&ann, &second).await;
        } else {
            delete(&ann, &second).await;
        }
        is_deleted(&ann, copy).await;
        all_gone(&rig.catalog().await).await;
        assert!(stored(&rig).await.is_empty());
    }
}

async fn who_is_not_the_owner_deletes_nothing(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let (ann, bob) = (rig.owner("ann"), rig.owner("bob"));
    let made = send(&ann, &[&photo(1)]).await;
    let path = path(&made);
    bob.delete(&path).await.problem(404, "not_found");
    let stranger = stranger(&rig, "ann").await;
    stranger.delete(&path).await.problem(404, "not_found");
    let nobody = rig.caller(None, None);
    nobody.delete(&path).await.problem(401, "unauthorized");
    ann.delete("/v1/captures/cap_nobody")
        .await
        .problem(404, "not_found");
    ann.get(&path).await.expect(200);
    let key = fresh_key();
    let under_key = |path: &str| {
        let request = ann.request(reqwest::Method::DELETE, path);
        answer(request.header("idempotency-key", &key))
    };
    let first = under_key(&path).await.expect(202);
    let again = under_key(&path).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(202)["deleted_at"], first["deleted_at"]);
    let other = send(&ann, &[&photo(2)]).await;
    let other = format!("/v1/captures/{}", text(&other["capture_id"]));
    under_key(&other)
        .await
        .problem(422, "idempotency_key_mismatch");
    bob.get(&path).await.problem(404, "not_found");
    bob.delete(&path).await.problem(404, "not_found");
}

const ROUNDS: u64 = 8;

async fn captures_that_share_an_asset_may_go_at_once(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    for round in 0..ROUNDS {
        let files = [photo(round * 3), photo(round * 3 + 1), photo(round * 3 + 2)];
        let mut made = vec![send(&ann, &[&files[0], &files[1]]).await];
        made.push(send(&ann, &[&files[2], &files[1]]).await);
        made.push(send(&ann, &[&files[1], &files[0]]).await);
        let mut asked = tokio::task::JoinSet::new();
        for one in made.iter().chain(&made) {
            let (ann, one) = (ann.clone(), one.clone());
            asked.spawn(async move { delete(&ann, &one).await });
        }
        asked.join_all().await;
        for one in &made {
            for (of, state) in delete(&ann, one).await {
                assert_eq!(state, "deleted", "round {round}");
                is_deleted(&ann, &of).await;
            }
        }
    }
    let catalog = rig.catalog().await;
    all_gone(&catalog).await;
    assert!(stored(&rig).await.is_empty());
    for (kind, expected) in [
        ("capture.deleted", 3),
        ("asset.deleted", 3),
        ("deletion.completed", 3),
    ] {
        let told = format!("SELECT COUNT(*) FROM events WHERE kind = '{kind}'");
        assert_eq!(
            number(&catalog, &told).await,
            expected * ROUNDS as i64,
            "{kind}"
        );
    }
}

async fn a_capture_and_its_assets_may_go_at_once(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    for round in 0..ROUNDS {
        let files = [
            photo(round * 3),
            large_photo(round * 3 + 1, PART_BYTES + 1000),
            photo(round * 3 + 2),
        ];
        let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let made = ann.post("/v1/captures", &capture(&files)).await.expect(201);
        for (asset, file) in made["assets"].as_array().unwrap().iter().zip(&files) {
            ann.send(asset, file).await;
        }
        let mut asked = tokio::task::JoinSet::new();
        for asset in made["assets"].as_array().unwrap() {
            let (ann, asset) = (ann.clone(), asset.clone());
            asked.spawn(async move {
                let upload_id = text(&asset["uploads"][0]["upload_id"]);
                let done = ann.complete(upload_id).await;
                assert!([200, 410].contains(&done.status), "{done:?}");
                let path = format!("/v1/assets/{}", text(&asset["asset_id"]));
                ann.delete(&path).await.expect(202);
            });
        }
        let (deleter, gone) = (ann.clone(), made.clone());
        asked.spawn(async move { drop(delete(&deleter, &gone).await) });
        asked.join_all().await;
        for (of, _) in delete(&ann, &made).await {
            is_deleted(&ann, &of).await;
        }
    }
    let catalog = rig.catalog().await;
    all_gone(&catalog).await;
    assert!(stored(&rig).await.is_empty());
    let left = "SELECT (SELECT COUNT(*) FROM renditions) + (SELECT COUNT(*) FROM blobs WHERE state <> 'gone')
                     + (SELECT COUNT(*) FROM jobs WHERE kind <> 'sweep')";
    wait::until(PATIENCE, async || number(&catalog, left).await == 0)
        .await
        .unwrap();
}

async fn deleting_and_initiating_lose_nothing(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    for round in 0..ROUNDS {
        let file = photo(100 + round);
        let first = send(&ann, &[&file]).await;
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let (ann, request) = (ann.clone(), capture(&[&file]));
            asked.spawn(async move { ann.post("/v1/captures", &request).await.expect(201) });
        }
        let (deleter, gone) = (ann.clone(), first.clone());
        asked.spawn(async move {
            delete(&deleter, &gone).await;
            json!({})
        });
        // Whoever was told of an asset has it, whatever came first.
        for made in asked.join_all().await {
            let Some(asset) = made["assets"].get(0) else {
                continue;
            };
            if asset["uploads"].is_array() {
                ann.send(asset, &file).await;
                let upload_id = text(&asset["uploads"][0]["upload_id"]);
                ann.complete(upload_id).await.expect(200);
            }
            let there = ann.ready(text(&asset["asset_id"])).await;
            assert!(
                ann.original(text(&there["asset_id"])).await == file,
                "round {round}"
            );
            ann.get(&path(&made)).await.expect(200);
        }
        ann.get(&path(&first)).await.problem(410, "capture_deleted");
    }
}
