//! Two devices of one owner send the same file, and one is quicker.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use safelight_objects::ObjectKey;
use safelight_testkit::wait;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::http_rig::{
    Caller, Database, PART_BYTES, PATIENCE, Rig, Split, capture, change, large_photo, number,
    objects, on_both_databases, open_catalog, photo, put, rows, sha256, text,
};
use crate::wire::{Got, ask};

on_both_databases!(
    the_slower_device_sends_nothing_more,
    what_comes_by_a_url_of_before_is_nobody_s,
    the_slower_device_of_the_gateway_is_told_it_is_done,
    what_is_known_is_not_taken_by_the_gateway,
    what_the_store_lost_is_sent_on,
    the_store_is_asked_only_where_rows_allow_it,
    whatever_races_the_bytes_are_there_once,
);

/// A capture of one file, as another device initiates it: its body and its asset.
async fn begin(ann: &Caller, file: &[u8], transport: Option<&str>) -> (Value, Value) {
    let mut request = capture(&[file]);
    if let Some(transport) = transport {
        request["accept_transports"] = json!([transport]);
    }
    let made = ann.post("/v1/captures", &request).await.expect(201);
    (request, made["assets"][0].clone())
}

fn upload_of(asset: &Value) -> String {
    format!("/v1/uploads/{}", text(&asset["uploads"][0]["upload_id"]))
}

/// Takes a file in that was initiated before; its asset's id.
async fn take_in(ann: &Caller, asset: &Value, file: &[u8]) -> String {
    ann.send(asset, file).await;
    let upload_id = text(&asset["uploads"][0]["upload_id"]);
    ann.complete(upload_id).await.expect(200);
    let asset_id = text(&asset["asset_id"]);
    ann.ready(asset_id).await;
    asset_id.to_owned()
}

/// That an upload has ended since this asset has its bytes, by all that can be asked.
async fn is_merged(ann: &Caller, request: &Value, asset: &Value, into: &str) {
    let upload = upload_of(asset);
    let shown = ann.get(&upload).await.expect(200);
    assert_eq!(
        (&shown["state"], &shown["asset_id"], &shown["parts"]),
        (&json!("merged"), &json!(into), &json!([])),
        "{shown}"
    );
    for path in ["urls", "plan"] {
        let refused = ann.post(&format!("{upload}/{path}"), &json!({})).await;
        let problem = refused.problem(409, "upload_merged");
        assert_eq!(problem["asset_id"], into, "{problem}");
    }
    let given_up = ann.delete(&upload).await.expect(200);
    assert_eq!(given_up["asset_id"], into, "{given_up}");
    for _ in 0..2 {
        let upload_id = text(&asset["uploads"][0]["upload_id"]);
        let done = ann.complete(upload_id).await.expect(200);
        assert_eq!(
            (&done["asset_id"], &done["state"]),
            (&json!(into), &json!("ready"))
        );
    }
    // Asked for again, its capture holds the asset that has the bytes, and wants nothing.
    let again = ann.post("/v1/captures", request).await.expect(201);
    assert_eq!(again["assets"][0]["asset_id"], into, "{again}");
    assert!(again["assets"][0]["uploads"].is_null(), "{again}");
    let id = text(&asset["asset_id"]);
    assert_eq!(ann.asset(id).await["asset_id"], into);
}

/// What its owner calls an asset.
pub async fn title_of(caller: &Caller, asset_id: &str) -> Value {
    let path = format!("/v1/assets/{asset_id}?fields=title");
    caller.get(&path).await.expect(200)["title"].clone()
}

/// How many events of this kind an asset has.
async fn told(rig: &Rig, kind: &str, asset: &Value) -> i64 {
    let id = text(&asset["asset_id"]);
    let sql = format!("SELECT COUNT(*) FROM events WHERE kind = '{kind}' AND asset_id = '{id}'");
    number(&rig.catalog().await, &sql).await
}

/// Waits until nothing is left at the store of what ended, once no URL works any more, but these originals.
async fn is_cleared(rig: &Rig, originals: usize) {
    let (catalog, store) = (rig.catalog().await, rig.store());
    let over = "UPDATE uploads SET signed_until = 1, look_at = 1 WHERE merged_into IS NOT NULL AND cleared_at IS NULL";
    change(&catalog, over, vec![]).await;
    let left = "SELECT COUNT(*) FROM uploads WHERE merged_into IS NOT NULL AND cleared_at IS NULL";
    let segments = "SELECT COUNT(*) FROM append_segments";
    let cleared = wait::until(PATIENCE, async || {
        for sql in [
            "UPDATE append_segments SET removable_at = 1 WHERE removable_at > 1",
            "UPDATE jobs SET run_at = 1 WHERE kind = 'purge' AND run_at > 1",
        ] {
            change(&catalog, sql, vec![]).await;
        }
        number(&catalog, left).await == 0
            && number(&catalog, segments).await == 0
            && objects(&store, "o/").await.len() == originals
    });
    cleared.await.unwrap();
    assert!(objects(&store, "x/").await.is_empty());
    let dead = "SELECT COUNT(*) FROM jobs WHERE state = 'dead'";
    assert_eq!(number(&catalog, dead).await, 0);
}

async fn the_slower_device_sends_nothing_more(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(1, 2 * PART_BYTES + 1000);
    let (_, first) = begin(&ann, &file, None).await;
    let mut slower = Vec::new();
    for _ in 0..3 {
        let (request, asset) = begin(&ann, &file, None).await;
        let upload_id = text(&asset["uploads"][0]["upload_id"]);
        ann.send_parts(upload_id, &file, &[1]).await;
        slower.push((request, asset));
    }
    // What its owner said of one of them is not lost.
    let titled = format!("/v1/assets/{}", text(&slower[0].1["asset_id"]));
    let title = json!({ "title": "Kept" });
    ann.patch(&titled, &[], &title).await.expect(200);
    let into = take_in(&ann, &first, &file).await;

    // Each finds it out in another way.
    let second =
        json!({ "parts": [{ "number": 2, "sha256": sha256(&file[PART_BYTES..2 * PART_BYTES]) }] });
    let refused = ann
        .post(&format!("{}/urls", upload_of(&slower[0].1)), &second)
        .await;
    let problem = refused.problem(409, "upload_merged");
    assert_eq!(problem["asset_id"], into);
    let shown = ann.get(&upload_of(&slower[1].1)).await.expect(200);
    assert_eq!(shown["state"], "merged");
    let upload_id = text(&slower[2].1["uploads"][0]["upload_id"]);
    let done = ann.complete(upload_id).await.expect(200);
    assert_eq!(done["asset_id"], into);
    for (request, asset) in &slower {
        is_merged(&ann, request, asset, &into).await;
        for kind in ["upload.merged", "upload.started"] {
            assert_eq!(told(&rig, kind, asset).await, 1, "{kind}");
        }
        assert_eq!(told(&rig, "upload.completed", asset).await, 0);
    }
    assert_eq!(title_of(&ann, &into).await, "Kept");
    let list = ann.get("/v1/assets").await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);

    // The parts that had arrived go at once, also while URLs still work.
    let (catalog, store) = (rig.catalog().await, rig.store());
    let sql = "SELECT object_key, store_upload_id FROM uploads WHERE merged_into IS NOT NULL";
    for row in rows(&catalog, sql).await {
        let key = ObjectKey::parse(&row.text(0).unwrap()).unwrap();
        let id = row.text(1).unwrap();
        let gone = wait::until(PATIENCE, async || {
            let parts = store.list_parts(&key, &id).await.unwrap();
            parts.is_none_or(|p| p.is_empty())
        });
        gone.await.unwrap();
    }
    is_cleared(&rig, 1).await;
    let open = "SELECT COUNT(*) FROM uploads WHERE state IN ('open', 'completing')";
    assert_eq!(number(&catalog, open).await, 0);
    assert!(ann.original(&into).await == file);
}

async fn what_comes_by_a_url_of_before_is_nobody_s(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(2);
    let (_, first) = begin(&ann, &file, None).await;
    let late = begin(&ann, &file, None).await;
    let into = take_in(&ann, &first, &file).await;
    is_merged(&ann, &late.0, &late.1, &into).await;
    // A URL that was given out before still works. What comes by it is nobody's.
    let url = &late.1["uploads"][0]["urls"][0];
    assert_eq!(put(&rig.http, url, file.clone()).await.status, 200);
    is_cleared(&rig, 1).await;
    assert_eq!(ann.original(&into).await, file);
}

const RUFH: (&str, &str) = ("upload-draft-interop-version", "8");
const TUS: (&str, &str) = ("tus-resumable", "1.0.0");

/// The address of an upload at the gateway.
fn address(asset: &Value, protocol: &str) -> String {
    let urls = asset["uploads"][0]["urls"].as_array().unwrap();
    let url = urls.iter().find(|u| u["protocol"] == protocol).unwrap();
    text(&url["url"]).to_owned()
}

fn append_rufh(url: &str, offset: usize, bytes: &[u8], is_last: bool) -> Got {
    let offset = offset.to_string();
    let headers = [
        RUFH,
        ("content-type", "application/partial-upload"),
        ("upload-complete", if is_last { "?1" } else { "?0" }),
        ("upload-offset", &offset),
    ];
    ask("PATCH", url, &headers, Some(bytes))
}

fn append_tus(url: &str, offset: usize, bytes: &[u8]) -> Got {
    let offset = offset.to_string();
    let headers = [
        TUS,
        ("content-type", "application/offset+octet-stream"),
        ("upload-offset", &offset),
    ];
    ask("PATCH", url, &headers, Some(bytes))
}

async fn the_slower_device_of_the_gateway_is_told_it_is_done(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(3, PART_BYTES + 200_000);
    let half = PART_BYTES + 100_000;
    let (_, first) = begin(&ann, &file, None).await;
    let (by_rufh, by_tus) = (
        begin(&ann, &file, Some("append")).await,
        begin(&ann, &file, Some("append")).await,
    );
    let (rufh, tus) = (address(&by_rufh.1, "rufh"), address(&by_tus.1, "tus"));
    append_rufh(&rufh, 0, &file[..half], false).expect(204);
    append_tus(&tus, 0, &file[..half]).expect(204);
    let into = take_in(&ann, &first, &file).await;

    // Who goes on where he was is refused, and told the end as the place to go on from.
    let refused = append_rufh(&rufh, half, &file[half..], true).expect(409);
    assert_eq!(refused.offset(), file.len());
    assert_eq!(refused.header("upload-complete"), "?1");
    let problem = refused.json();
    assert_eq!(
        (&problem["code"], &problem["asset_id"]),
        (&json!("upload_merged"), &json!(into))
    );
    let refused = append_tus(&tus, half, &file[half..]).expect(409);
    assert_eq!(refused.offset(), file.len());
    assert_eq!(refused.json()["code"], "upload_merged");
    // Who asks is told that it is complete.
    let stands = ask("HEAD", &rufh, &[RUFH], None).expect(204);
    assert_eq!(
        (stands.offset(), stands.header("upload-complete")),
        (file.len(), "?1")
    );
    let stands = ask("HEAD", &tus, &[TUS], None).expect(200);
    assert_eq!(
        (stands.offset(), stands.header("upload-length")),
        (file.len(), file.len().to_string().as_str())
    );
    let done = append_rufh(&rufh, file.len(), b"", true).expect(200);
    assert_eq!(done.json()["asset_id"], into);
    append_tus(&tus, file.len(), b"").expect(204);
    for (request, asset) in [&by_rufh, &by_tus] {
        is_merged(&ann, request, asset, &into).await;
    }
    is_cleared(&rig, 1).await;
    let parts = "SELECT COUNT(*) FROM append_parts";
    assert_eq!(number(&rig.catalog().await, parts).await, 0);
}

/// Who creates an upload with the hash of what is there already has nothing to send.
async fn what_is_known_is_not_taken_by_the_gateway(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(4);
    let into = ann.upload(&file).await;
    ann.ready(&into).await;
    let bearer = format!("Bearer {}", ann.token.as_deref().unwrap());
    let ann_is = [
        ("authorization", bearer.as_str()),
        ("safelight-owner", "ann"),
    ];
    let length = file.len().to_string();
    let metadata = format!("sha256 {}", BASE64_STANDARD.encode(sha256(&file)));
    let said = [
        TUS,
        ("upload-length", length.as_str()),
        ("upload-metadata", metadata.as_str()),
    ];
    let tus = format!("{}/u/tus", ann.base);
    let bytes = ("content-type", "application/offset+octet-stream");
    let headers = [&ann_is[..], &said, &[bytes]].concat();
    let made = ask("POST", &tus, &headers, Some(&file)).expect(201);
    assert_eq!(made.offset(), file.len());
    assert!(made.body.is_empty());
    let stands = ask("HEAD", made.header("location"), &[TUS], None).expect(200);
    assert_eq!(stands.offset(), file.len());
    let headers = [&ann_is[..], &said].concat();
    let made = ask("POST", &tus, &headers, Some(b"")).expect(201);
    let stands = ask("HEAD", made.header("location"), &[TUS], None).expect(200);
    assert_eq!(stands.offset(), file.len());

    let digest = format!(
        "sha-256=:{}:",
        BASE64_STANDARD.encode(Sha256::digest(&file))
    );
    let headers = [&ann_is[..], &[RUFH, ("repr-digest", digest.as_str())]].concat();
    let url = format!("{}/u/rufh", ann.base);
    let done = ask("PUT", &url, &headers, Some(&file)).expect(200);
    assert_eq!(done.json()["asset_id"], into);
    // Whoever has not sent these bytes learns nothing by their hash.
    let ben_is = [
        ("authorization", bearer.as_str()),
        ("safelight-owner", "ben"),
    ];
    let headers = [&ben_is[..], &said].concat();
    let made = ask("POST", &tus, &headers, Some(b"")).expect(201);
    let stands = ask("HEAD", made.header("location"), &[TUS], None).expect(200);
    assert_eq!(stands.offset(), 0);
    let mine = "SELECT COUNT(*) FROM uploads WHERE owner_id = 'ann' AND state = 'open'";
    assert_eq!(number(&rig.catalog().await, mine).await, 0);
    is_cleared(&rig, 1).await;
}

async fn what_the_store_lost_is_sent_on(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(5, 2 * PART_BYTES);
    let (_, first) = begin(&ann, &file, None).await;
    let (_, second) = begin(&ann, &file, None).await;
    let upload_id = text(&second["uploads"][0]["upload_id"]);
    ann.send_parts(upload_id, &file, &[1]).await;
    let lost = take_in(&ann, &first, &file).await;
    let store = rig.store();
    let [original] = &objects(&store, "o/").await[..] else {
        panic!("one original");
    };
    let key = ObjectKey::parse(original).unwrap();
    store.delete(&key).await.unwrap();
    ann.send_parts(upload_id, &file, &[2]).await;
    let done = ann.complete(upload_id).await.expect(200);
    assert_eq!(done["asset_id"], second["asset_id"]);
    let again = text(&second["asset_id"]);
    ann.ready(again).await;
    assert_ne!(again, lost);
    assert!(ann.original(again).await == file);
}

async fn the_store_is_asked_only_where_rows_allow_it(database: Database) {
    let split = Split::start(database).await;
    let ann = split.owner("ann");
    let file = large_photo(7, PART_BYTES + 1000);
    let (_, first) = begin(&ann, &file, None).await;
    let (_, second) = begin(&ann, &file, None).await;
    let into = take_in(&ann, &first, &file).await;
    // Another file of the same asset: the two cannot be one.
    let catalog = open_catalog(&split.api).await;
    let another = "INSERT INTO resources (tenant_id, resource_id, asset_id, kind, size_bytes)
                   SELECT tenant_id, 'res_raw', asset_id, 'raw', 1 FROM assets WHERE asset_id = $1";
    let asset_id = text(&second["asset_id"]);
    assert_eq!(change(&catalog, another, vec![asset_id.into()]).await, 1);
    let heads = || {
        let asked = split.asked.lock().unwrap();
        let heads = asked
            .iter()
            .filter(|line| line.starts_with("HEAD /safelight/o/"));
        heads.count()
    };
    let before = heads();
    for _ in 0..3 {
        let upload = ann.get(&upload_of(&second)).await.expect(200);
        assert_eq!(upload["state"], "open");
    }
    ann.send_parts(text(&second["uploads"][0]["upload_id"]), &file, &[1])
        .await;
    assert_eq!(heads(), before);
    // With one file it can: the store is asked once, and never again.
    let gone = "DELETE FROM resources WHERE resource_id = 'res_raw'";
    assert_eq!(change(&catalog, gone, vec![]).await, 1);
    for _ in 0..2 {
        let upload = ann.get(&upload_of(&second)).await.expect(200);
        assert_eq!(
            (&upload["state"], &upload["asset_id"]),
            (&json!("merged"), &json!(into))
        );
        assert_eq!(heads(), before + 1);
    }
}

/// The first is inspected while the second is completed, looked at and signed for.
async fn whatever_races_the_bytes_are_there_once(database: Database) {
    const ROUNDS: u64 = 7;
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    for round in 0..ROUNDS {
        // Of what goes by one PUT the store itself tells that it is there; of parts it does not.
        let file = match round % 2 {
            0 => photo(100 + round),
            _ => large_photo(100 + round, PART_BYTES + 1000),
        };
        let mut twins = Vec::new();
        for _ in 0..3 {
            let (_, asset) = begin(&ann, &file, None).await;
            ann.send(&asset, &file).await;
            twins.push(asset);
        }
        let mut asked = tokio::task::JoinSet::new();
        for (i, asset) in twins.iter().enumerate() {
            let (ann, upload) = (ann.clone(), upload_of(asset));
            asked.spawn(async move {
                if i > 0 {
                    // Over and over, while the first is inspected.
                    for _ in 0..2 * i {
                        ann.get(&upload).await.expect(200);
                        let parts = json!({ "parts": [{ "number": 1, "sha256": sha256(b"x") }] });
                        let signed = ann.post(&format!("{upload}/urls"), &parts).await;
                        assert!([200, 409, 422].contains(&signed.status), "{signed:?}");
                    }
                }
                let path = format!("{upload}/complete");
                ann.post(&path, &json!({})).await.expect(200)
            });
        }
        asked.join_all().await;
        let mut stands = Vec::new();
        for asset in &twins {
            let ready = ann.ready(text(&asset["asset_id"])).await;
            assert_eq!(ready["original"]["sha256"], sha256(&file));
            stands.push(text(&ready["asset_id"]).to_owned());
        }
        stands.dedup();
        assert_eq!(stands.len(), 1, "round {round}: {stands:?}");
        assert!(ann.original(&stands[0]).await == file);
    }
    let catalog = rig.catalog().await;
    let live = "SELECT COUNT(*) FROM blobs WHERE state = 'live'";
    assert_eq!(number(&catalog, live).await, ROUNDS as i64);
    let list = ann.get("/v1/assets").await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len() as u64, ROUNDS);
    is_cleared(&rig, ROUNDS as usize).await;
}
