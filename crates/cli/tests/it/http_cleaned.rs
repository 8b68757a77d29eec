//! Cleaned originals: made when they are asked for, of every kind that can be cleaned, and gone with their asset.

use safelight_imaging::{Limits, clean, read_metadata, render};
use safelight_model::preset;
use safelight_testkit::{media, wait};
use serde_json::{Value, json};

use crate::http_rig::{
    Answer, Caller, Database, PATIENCE, Rig, answer, change, fetch, fresh_key, number, objects,
    on_both_databases, photo, rows, text,
};

on_both_databases!(
    it_is_made_once_and_tells_nothing,
    who_asks_together_is_given_the_same,
    a_key_that_came_before_leads_to_it,
    what_cannot_be_cleaned_says_so,
    it_goes_with_its_asset,
    what_failed_for_want_of_the_store_is_tried_again,
);

/// Asks for a cleaned original.
async fn ask(caller: &Caller, asset_id: &str, key: &str, patience: Option<&str>) -> Answer {
    let path = format!("/v1/assets/{asset_id}/grants");
    let mut request = caller.request(reqwest::Method::POST, &path);
    if let Some(patience) = patience {
        request = request.header("prefer", patience);
    }
    let body = json!({ "variant": "cleaned" });
    answer(request.header("idempotency-key", key).json(&body)).await
}

/// The link to a cleaned original, however long it takes to make it.
async fn link(caller: &Caller, asset_id: &str) -> String {
    for _ in 0..10 {
        let answer = ask(caller, asset_id, &fresh_key(), Some("wait=20")).await;
        if answer.status != 202 {
            return text(&answer.expect(201)["url"]).to_owned();
        }
    }
    panic!("{asset_id} has no cleaned original")
}

fn cleaned(original: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let segments = clean(original).unwrap();
    segments.write_to(original, &mut bytes).unwrap();
    bytes
}

async fn it_is_made_once_and_tells_nothing(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let original = photo(1);
    assert!(read_metadata(&original).unwrap().place.is_some());
    let id = ann.upload(&original).await;
    ann.ready(&id).await;
    let catalog = rig.catalog().await;
    let count = "SELECT COUNT(*) FROM renditions WHERE preset = 'cleaned'";
    assert_eq!(number(&catalog, count).await, 0, "nobody has asked");

    let first = ask(&ann, &id, &fresh_key(), None).await;
    if first.status == 202 {
        assert_eq!(first.header("retry-after"), "1");
        assert_eq!(first.json(), json!({ "state": "pending" }));
    }
    let url = link(&ann, &id).await;
    assert!(url.contains("/cleaned@1.jpg?"), "{url}");
    let served = fetch(&rig.http, &url).await;
    assert_eq!(served.status, 200, "{served:?}");
    assert_eq!(served.header("content-type"), "image/jpeg");
    assert!(served.header("cache-control").starts_with("private"));
    let name = served.header("content-disposition");
    assert!(name.ends_with(".jpg\"") && !name.contains("IMG_"), "{name}");
    assert_eq!(served.body, cleaned(&original));
    // Nothing is told by it but how to turn it, and the pixels are the same.
    let told = read_metadata(&served.body).unwrap();
    assert_eq!(told.orientation.exif_value(), 6);
    assert!(told.place.is_none() && told.captured.is_none() && told.make.is_none());
    let pixels = |bytes: &[u8]| {
        let limits = Limits::default();
        let made = render(bytes, &[preset::LARGE], &limits, false).unwrap();
        made.renditions[0].bytes.clone()
    };
    assert_eq!(pixels(&served.body), pixels(&original));

    // The original is what it was, and the asset is none the more.
    assert_eq!(ann.original(&id).await, original);
    let asset = ann.asset(&id).await;
    let progress = json!({ "renditions_ready": 3, "renditions_total": 3 });
    assert_eq!(asset["progress"], progress);
    let made = &asset["renditions"]["cleaned"];
    assert_eq!(made["state"], "ready");
    assert_eq!(made["size_bytes"], served.body.len());
    assert!(made["url"].is_null(), "by a grant alone: {made}");
    // Another link to it is not signed.
    let other = url.replace("cleaned@1.jpg", "cleaned@1.png");
    fetch(&rig.http, &other).await.problem(403, "forbidden");

    // Nobody else is given it, and words that mean nothing are refused.
    let stranger = ask(&rig.owner("bob"), &id, &fresh_key(), None).await;
    stranger.problem(404, "not_found");
    let path = format!("/v1/assets/{id}/grants");
    let wrong = ann.post(&path, &json!({ "variant": "washed" })).await;
    let problem = wrong.problem(422, "validation_failed");
    assert_eq!(problem["field"], "variant");
    let plain = ann.post(&path, &json!({ "variant": "original" })).await;
    assert!(text(&plain.expect(201)["url"]).contains("/original?"));
    assert_eq!(number(&catalog, count).await, 1);
}

async fn who_asks_together_is_given_the_same(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let original = photo(2);
    let id = ann.upload(&original).await;
    ann.ready(&id).await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (ann, id) = (ann.clone(), id.clone());
        asking.spawn(async move { link(&ann, &id).await });
    }
    let links = asking.join_all().await;
    for url in links {
        assert_eq!(fetch(&rig.http, &url).await.body, cleaned(&original));
    }
    let stored = objects(&rig.store(), "r/").await;
    let stored: Vec<_> = stored.iter().filter(|k| k.contains("/cleaned@")).collect();
    assert_eq!(stored.len(), 1, "{stored:?}");
    let events = "SELECT detail FROM events WHERE kind = 'rendition.ready'";
    let told = rows(&rig.catalog().await, events).await;
    let told = told.iter().filter_map(|r| r.maybe_text(0).unwrap());
    assert_eq!(told.filter(|d| d.contains("\"cleaned\"")).count(), 1);
}

async fn a_key_that_came_before_leads_to_it(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let id = ann.upload(&photo(3)).await;
    ann.ready(&id).await;
    let key = fresh_key();
    let mut answers = Vec::new();
    let last = wait::until_some(PATIENCE, async || {
        let answer = ask(&ann, &id, &key, None).await;
        (answer.status == 201).then_some(answer)
    });
    answers.push(last.await.unwrap());
    let again = ask(&ann, &id, &key, Some("wait=5")).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.header("preference-applied"), "wait=5");
    assert!(text(&again.expect(201)["url"]).contains("/cleaned@1.jpg?"));
    // Another request under the key is refused.
    let path = format!("/v1/assets/{id}/grants");
    let other = ann.post_as(&path, &key, &json!({})).await;
    other.problem(422, "idempotency_key_mismatch");
}

async fn what_cannot_be_cleaned_says_so(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    // Of no kind that is cleaned.
    let odd = ann.upload(b"GIF89a this is no picture at all").await;
    ann.settled(&odd).await;
    let refused = ask(&ann, &odd, &fresh_key(), Some("wait=20")).await;
    let problem = refused.problem(422, "not_cleanable");
    assert!(text(&problem["detail"]).contains("image/gif"), "{problem}");
    // Of one, and damaged.
    let cut = [&b"\0\0\0\x14ftypisom\0\0\0\0mp41"[..], &[0; 64]].concat();
    let cut = ann.upload(&cut).await;
    ann.settled(&cut).await;
    let refused = wait::until_some(PATIENCE, async || {
        let answer = ask(&ann, &cut, &fresh_key(), Some("wait=20")).await;
        (answer.status != 202).then_some(answer)
    });
    let refused = refused.await.unwrap();
    let problem = refused.problem(422, "not_cleanable");
    assert!(text(&problem["detail"]).contains("moov"), "{problem}");
    let shown = ann.asset(&cut).await;
    let made = &shown["renditions"]["cleaned"];
    assert_eq!(made["reason"]["code"], "not_cleanable", "{shown}");
    // The original is given all the same.
    ann.original(&cut).await;
    // Before it is there, there is nothing.
    let asset = ann.initiate(&[&photo(9)]).await.remove(0);
    let early = ask(&ann, text(&asset["asset_id"]), &fresh_key(), None).await;
    early.problem(404, "not_found");
}

async fn it_goes_with_its_asset(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let id = ann.upload(&photo(4)).await;
    ann.ready(&id).await;
    let url = link(&ann, &id).await;
    let path = format!("/v1/assets/{id}");
    ann.delete(&path).await.expect(202);
    let gone = fetch(&rig.http, &url).await;
    gone.problem(410, "asset_deleted");
    let refused = ask(&ann, &id, &fresh_key(), None).await;
    refused.problem(410, "asset_deleted");
    wait::until(PATIENCE, async || {
        objects(&rig.store(), "r/").await.is_empty()
    })
    .await
    .unwrap();
}

async fn what_failed_for_want_of_the_store_is_tried_again(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let original = photo(5);
    let id = ann.upload(&original).await;
    ann.ready(&id).await;
    link(&ann, &id).await;
    let catalog = rig.catalog().await;
    // As where the last attempt failed for a reason that is not the file's.
    let failed = "UPDATE renditions SET state = 'failed', reason_code = 'store_unavailable', object_key = NULL
                   WHERE preset = 'cleaned'";
    assert_eq!(change(&catalog, failed, vec![]).await, 1);
    let url = link(&ann, &id).await;
    assert_eq!(fetch(&rig.http, &url).await.body, cleaned(&original));
    // One that is the file's own is not.
    let failed = "UPDATE renditions SET state = 'failed', reason_code = 'decode_crashed', reason_detail = 'it died'
                   WHERE preset = 'cleaned'";
    assert_eq!(change(&catalog, failed, vec![]).await, 1);
    let refused = ask(&ann, &id, &fresh_key(), None).await;
    let problem = refused.problem(422, "decode_crashed");
    assert_eq!(problem["detail"], "it died");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_phones_wrote() {
    let Some(folder) = media::require("photos") else {
        return;
    };
    let root = folder.parent().unwrap();
    let rig = Rig::start(Database::Sqlite, &[]).await;
    let ann = rig.owner("ann");
    for (name, mime) in [
        ("photos/samsung_galaxy_s7edge_12mp_gps.jpg", "image/jpeg"),
        ("motion/pixel3axl_12mp.MP.jpg", "image/jpeg"),
        ("heic/iphone11pro_live_still_gps.heic", "image/heic"),
        ("formats/iphone_exif_small.avif", "image/avif"),
        ("formats/denali.webp", "image/webp"),
        ("formats/screenshot_1170x2532.png", "image/png"),
        ("video/android_1080p_gps.mp4", "video/mp4"),
        ("video/iphonex_720x1280_gps.mov", "video/quicktime"),
        ("video/android_720p_rot90.3gp", "video/3gpp"),
    ] {
        let original = std::fs::read(root.join(name)).unwrap();
        let id = ann.upload(&original).await;
        let settled: Value = ann.settled(&id).await;
        assert_eq!(settled["original"]["mime"], mime, "{name}");
        let served = fetch(&rig.http, &link(&ann, &id).await).await;
        assert_eq!(served.header("content-type"), mime, "{name}");
        assert_eq!(served.body, cleaned(&original), "{name}");
        let told = read_metadata(&served.body).unwrap();
        assert!(told.place.is_none() && told.captured.is_none(), "{name}");
        assert!(told.make.is_none() && !told.is_motion_photo, "{name}");
    }
}
