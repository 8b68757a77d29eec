//! An owner deletes assets of his: from then on nobody is given anything of them, and nothing of them is left.

use reqwest::Method;
use safelight_catalog::Catalog;
use safelight_testkit::wait;
use serde_json::{Value, json};

use crate::event_stream::Stream;
use crate::http_owners::stranger;
use crate::http_rig::{
    Caller, Database, PART_BYTES, PATIENCE, Rig, answer, capture, change, fetch, fresh_key,
    large_photo, number, objects, on_both_databases, photo, put, rows, sha256, text,
};

on_both_databases!(
    a_ready_asset_goes_with_everything,
    deleting_twice_is_harmless,
    who_is_not_the_owner_finds_nothing,
    an_asset_goes_in_whatever_state_it_is,
    what_was_under_way_is_taken_no_more,
    what_was_appended_goes_too,
    a_deleted_capture_is_not_made_again_by_repeating_it,
    the_same_bytes_begin_anew,
    another_asset_of_the_same_bytes_keeps_them,
    owners_that_share_bytes_keep_them,
    what_became_an_asset_goes_with_it,
    deleting_and_initiating_the_same_bytes_lose_nothing,
    deleting_and_completing_leave_nothing,
    deleting_while_it_is_worked_on_leaves_nothing,
    in_doubt_bytes_wait_and_nobody_is_given_them,
);

const SECRETS: [&str; 3] = ["Aunt Mathilda", "summerhouse", "mathilda_17.jpg"];

fn asset_path(asset_id: &str) -> String {
    format!("/v1/assets/{asset_id}")
}

/// Deletes an asset; what is answered.
async fn delete(caller: &Caller, asset_id: &str) -> Value {
    let deleted = caller.delete(&asset_path(asset_id)).await.expect(202);
    assert_eq!(deleted["state"], "deleted", "{deleted}");
    deleted
}

/// Lets time pass until all deletions are complete, no purge is left, and nothing can come behind uploads that ended.
pub async fn all_gone(catalog: &Catalog) {
    let gone = wait::until(PATIENCE, async || {
        for sql in [
            "UPDATE uploads SET signed_until = 1, look_at = 1
              WHERE state IN ('aborted', 'expired') AND cleared_at IS NULL AND signed_until <> 1",
            "UPDATE uploads SET signed_until = 1 WHERE state = 'completed' AND signed_until > 1",
            "UPDATE append_segments SET removable_at = 1 WHERE removable_at > 1",
            "UPDATE jobs SET run_at = 1 WHERE kind = 'purge' AND state = 'scheduled' AND run_at > 1",
            "UPDATE deletions SET look_at = 1 WHERE look_at > 1",
        ] {
            change(catalog, sql, vec![]).await;
        }
        let left = "SELECT (SELECT COUNT(*) FROM deletions WHERE completed_at IS NULL)
                         + (SELECT COUNT(*) FROM jobs WHERE kind = 'purge' AND state <> 'dead')
                         + (SELECT COUNT(*) FROM uploads WHERE state IN ('aborted', 'expired') AND cleared_at IS NULL)";
        number(catalog, left).await == 0
    });
    if gone.await.is_err() {
        let left = "SELECT asset_id FROM deletions WHERE completed_at IS NULL";
        panic!("not gone: {:?}", rows(catalog, left).await.len());
    }
    let dead = "SELECT kind || ': ' || COALESCE(error_detail, '') FROM jobs WHERE state = 'dead'";
    let dead = rows(catalog, dead).await;
    let dead: Vec<String> = dead.iter().map(|r| r.text(0).unwrap()).collect();
    assert_eq!(dead, [""; 0]);
}

/// All objects at the store but marks, and its unfinished uploads.
pub async fn stored(rig: &Rig) -> Vec<String> {
    let store = rig.store();
    let mut all = Vec::new();
    for prefix in ["o/", "r/", "x/"] {
        all.extend(objects(&store, prefix).await);
    }
    let uploads = store.list_uploads(None, 1000).await.unwrap();
    all.extend(uploads.uploads.into_iter().map(|u| u.key));
    all
}

/// All text and numbers of all rows.
async fn everything_written(catalog: &Catalog, database: Database) -> String {
    let columns = match database {
        Database::Sqlite => {
            "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
              WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%'"
        }
        Database::Postgres => {
            "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) FROM information_schema.columns
              WHERE table_schema = 'public'"
        }
    };
    let mut all = String::new();
    for row in rows(catalog, columns).await {
        let (table, column) = (row.text(0).unwrap(), row.text(1).unwrap());
        if table.starts_with("_sqlx") {
            continue;
        }
        let sql = format!("SELECT CAST({column} AS TEXT) FROM {table}");
        for row in rows(catalog, &sql).await {
            if let Some(text) = row.maybe_text(0).unwrap() {
                all.push_str(&format!("{table}.{column}: {text}\n"));
            }
        }
    }
    all
}

async fn is_nowhere_written(catalog: &Catalog, database: Database, secrets: &[String]) {
    let all = everything_written(catalog, database).await;
    for secret in secrets {
        let lines: Vec<&str> = all
            .lines()
            .filter(|l| l.contains(secret.as_str()))
            .collect();
        assert!(lines.is_empty(), "{secret} is still there: {lines:?}");
    }
}

/// That nobody is given anything of a deleted asset, by all that can be asked.
pub async fn is_deleted(ann: &Caller, asset_id: &str) {
    let path = asset_path(asset_id);
    ann.get(&path).await.problem(410, "asset_deleted");
    ann.get(&format!("{path}/near"))
        .await
        .problem(410, "asset_deleted");
    let title = json!({ "title": "Back" });
    let patched = ann.patch(&path, &[], &title).await;
    patched.problem(410, "asset_deleted");
    let granted = ann.post(&format!("{path}/grants"), &json!({})).await;
    granted.problem(410, "asset_deleted");
    for list in [
        "/v1/assets",
        "/v1/assets?order=captured",
        "/v1/assets?tag=summerhouse",
    ] {
        let list = ann.get(list).await.expect(200);
        let items = list["items"].as_array().unwrap();
        assert!(items.iter().all(|a| a["asset_id"] != asset_id), "{list}");
    }
}

/// The kinds of events of an asset, in order.
async fn told(rig: &Rig, asset_id: &str) -> Vec<String> {
    let sql = format!(
        "SELECT kind FROM events WHERE asset_id = '{asset_id}' AND position IS NOT NULL ORDER BY position"
    );
    let all = rows(&rig.catalog().await, &sql).await;
    all.iter().map(|r| r.text(0).unwrap()).collect()
}

async fn a_ready_asset_goes_with_everything(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let catalog = rig.catalog().await;
    // One by one PUT, one in parts; and one that stays.
    let files = [photo(1), large_photo(2, PART_BYTES + 1000)];
    let stays = ann.upload(&photo(3)).await;
    ann.ready(&stays).await;
    let kept = stored(&rig).await;
    assert_eq!(kept.len(), 4, "{kept:?}");
    let mut secrets: Vec<String> = SECRETS.map(str::to_owned).to_vec();
    let mut gone = Vec::new();
    let mut links = Vec::new();
    for file in &files {
        let mut asked = capture(&[file]);
        asked["captured_at"] = json!("2019-04-05T06:07:08.765432Z");
        asked["assets"][0]["resources"][0]["preview"] = json!("3OcRJYB4d3h/iIeHeEh3eIhw+j3A");
        asked["assets"][0]["resources"][0]["filename"] = json!("mathilda_17.jpg");
        let made = ann.post("/v1/captures", &asked).await.expect(201);
        let asset = &made["assets"][0];
        ann.send(asset, file).await;
        ann.complete(text(&asset["uploads"][0]["upload_id"]))
            .await
            .expect(200);
        let asset_id = text(&asset["asset_id"]).to_owned();
        let said = json!({
            "title": "Aunt Mathilda", "tags": ["summerhouse"],
            "location": { "latitude": 47.1234567, "longitude": 8.7654321 },
        });
        ann.patch(&asset_path(&asset_id), &[], &said)
            .await
            .expect(200);
        let ready = ann.ready(&asset_id).await;
        secrets.push(text(&ready["thumbhash"]).to_owned());
        secrets.push(sha256(file));
        links.push(text(&ready["cover_url"]).to_owned());
        let granted = ann
            .post(&format!("/v1/assets/{asset_id}/grants"), &json!({}))
            .await;
        links.push(text(&granted.expect(201)["url"]).to_owned());
        gone.push(asset_id);
    }
    secrets.extend(
        [
            "1554444428765432",
            "471234567",
            "3OcRJYB4d3h/iIeHeEh3eIhw+j3A",
        ]
        .map(str::to_owned),
    );
    let album = ann
        .post("/v1/albums", &json!({ "title": "All" }))
        .await
        .expect(201);
    let album = format!("/v1/albums/{}", text(&album["album_id"]));
    let all = json!({ "asset_ids": [&stays, &gone[0], &gone[1]] });
    ann.post(&format!("{album}/assets"), &all).await.expect(200);
    let written = everything_written(&catalog, database).await;
    for secret in &secrets {
        assert!(
            written.contains(secret.as_str()),
            "{secret} was never there"
        );
    }
    for link in &links {
        assert_eq!(fetch(&rig.http, link).await.status, 200);
    }

    let mut events = Stream::open(&ann, "/v1/events", None).await;
    for asset_id in &gone {
        let deleted = delete(&ann, asset_id).await;
        assert_eq!(deleted["asset_id"], asset_id.as_str());
        // At once.
        is_deleted(&ann, asset_id).await;
    }
    for link in &links {
        fetch(&rig.http, link).await.problem(410, "asset_deleted");
    }
    let in_album = ann
        .get(&format!(
            "/v1/assets?album={}",
            album.rsplit('/').next().unwrap()
        ))
        .await;
    let in_album = in_album.expect(200);
    assert_eq!(in_album["items"].as_array().unwrap().len(), 1, "{in_album}");

    all_gone(&catalog).await;
    assert_eq!(stored(&rig).await, kept);
    is_nowhere_written(&catalog, database, &secrets).await;
    let is_completed = |e: &Value| e["type"] == "deletion.completed";
    let mut all = events.until(is_completed).await;
    all.extend(events.until(is_completed).await);
    for asset_id in &gone {
        let of_it: Vec<&Value> = all
            .iter()
            .filter(|e| e["subject"] == asset_id.as_str())
            .collect();
        let kinds: Vec<&str> = of_it.iter().map(|e| text(&e["type"])).collect();
        assert_eq!(
            kinds,
            ["asset.state_changed", "asset.deleted", "deletion.completed"]
        );
        assert_eq!(of_it[0]["data"]["to"], "deleted");
        assert_eq!(of_it[1]["data"]["owner"], "ann");
        let deleted = delete(&ann, asset_id).await;
        assert!(
            text(&deleted["completed_at"]) >= text(&deleted["deleted_at"]),
            "{deleted}"
        );
    }
    // Who was not meant is as he was.
    let there = ann.ready(&stays).await;
    assert_eq!(
        fetch(&rig.http, text(&there["cover_url"])).await.status,
        200
    );
}

async fn deleting_twice_is_harmless(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let asset_id = ann.upload(&photo(1)).await;
    let path = asset_path(&asset_id);
    let key = fresh_key();
    let under_key = |path: &str| {
        let request = ann.request(Method::DELETE, path);
        answer(request.header("idempotency-key", &key))
    };
    let first = under_key(&path).await;
    assert_eq!(first.header("idempotency-replayed"), "");
    let first = first.expect(202);
    let again = under_key(&path).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(202), first);
    assert_eq!(delete(&ann, &asset_id).await, first);
    let other = ann.upload(&photo(2)).await;
    let mismatch = under_key(&asset_path(&other)).await;
    mismatch.problem(422, "idempotency_key_mismatch");
    ann.ready(&other).await;

    // Many at once.
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (ann, other) = (ann.clone(), other.clone());
        asked.spawn(async move { delete(&ann, &other).await });
    }
    for answer in asked.join_all().await {
        assert_eq!(answer["asset_id"], other.as_str());
    }
    all_gone(&rig.catalog().await).await;
    for id in [&asset_id, &other] {
        wait::until(PATIENCE, async || {
            told(&rig, id)
                .await
                .contains(&"deletion.completed".to_owned())
        })
        .await
        .unwrap();
        let told = told(&rig, id).await;
        for kind in ["asset.deleted", "deletion.completed"] {
            assert_eq!(told.iter().filter(|k| *k == kind).count(), 1, "{told:?}");
        }
    }
    assert!(stored(&rig).await.is_empty());
}

async fn who_is_not_the_owner_finds_nothing(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let (ann, bob) = (rig.owner("ann"), rig.owner("bob"));
    let asset_id = ann.upload(&photo(1)).await;
    ann.ready(&asset_id).await;
    let path = asset_path(&asset_id);
    bob.delete(&path).await.problem(404, "not_found");
    let stranger = stranger(&rig, "ann").await;
    stranger.delete(&path).await.problem(404, "not_found");
    rig.caller(None, None)
        .delete(&path)
        .await
        .problem(401, "unauthorized");
    ann.delete("/v1/assets/ast_nobody")
        .await
        .problem(404, "not_found");
    ann.ready(&asset_id).await;
    delete(&ann, &asset_id).await;
    // Nor does he learn that there was one.
    bob.get(&path).await.problem(404, "not_found");
    bob.delete(&path).await.problem(404, "not_found");
    stranger.get(&path).await.problem(404, "not_found");
}

async fn an_asset_goes_in_whatever_state_it_is(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let catalog = rig.catalog().await;
    let mut all = Vec::new();
    // Nothing was sent; one PUT was; a part was; given up; it cannot be shown.
    let large = large_photo(10, PART_BYTES + 1000);
    for n in 0..4_u64 {
        let file = if n == 0 || n == 2 {
            large_photo(10 + n, PART_BYTES + 1000)
        } else {
            photo(n)
        };
        let asset = ann.initiate(&[&file]).await.remove(0);
        let upload_id = text(&asset["uploads"][0]["upload_id"]);
        match n {
            1 => ann.send(&asset, &file).await,
            2 => ann.send_parts(upload_id, &file, &[1]).await,
            3 => {
                ann.delete(&format!("/v1/uploads/{upload_id}"))
                    .await
                    .expect(200);
            }
            _ => {}
        }
        all.push(text(&asset["asset_id"]).to_owned());
    }
    let failed = ann.upload(b"no picture at all").await;
    assert_eq!(ann.settled(&failed).await["state"], "failed");
    all.push(failed);
    for (state, file) in [
        ("quarantined", photo(20)),
        ("uploaded", photo(21)),
        ("processing", large),
    ] {
        let asset_id = ann.upload(&file).await;
        ann.ready(&asset_id).await;
        let sql = "UPDATE assets SET state = $2, version = version + 1 WHERE asset_id = $1";
        change(&catalog, sql, vec![asset_id.as_str().into(), state.into()]).await;
        all.push(asset_id);
    }
    for asset_id in &all {
        delete(&ann, asset_id).await;
        is_deleted(&ann, asset_id).await;
    }
    all_gone(&catalog).await;
    assert_eq!(stored(&rig).await, Vec::<String>::new());
    let live = "SELECT COUNT(*) FROM blobs WHERE state <> 'gone'";
    assert_eq!(number(&catalog, live).await, 0);
    let renditions = "SELECT COUNT(*) FROM renditions";
    assert_eq!(number(&catalog, renditions).await, 0);
}

async fn what_was_under_way_is_taken_no_more(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(1, 2 * PART_BYTES + 1000);
    let made = ann
        .post("/v1/captures", &capture(&[&file]))
        .await
        .expect(201);
    let asset = &made["assets"][0];
    let upload_id = text(&asset["uploads"][0]["upload_id"]);
    ann.send_parts(upload_id, &file, &[1]).await;
    let parts =
        json!({ "parts": [{ "number": 2, "sha256": sha256(&file[PART_BYTES..2 * PART_BYTES]) }] });
    let upload = format!("/v1/uploads/{upload_id}");
    let signed = ann
        .post(&format!("{upload}/urls"), &parts)
        .await
        .expect(200);
    delete(&ann, text(&asset["asset_id"])).await;
    for _ in 0..2 {
        ann.get(&upload).await.problem(410, "asset_deleted");
        ann.complete(upload_id).await.problem(410, "asset_deleted");
        ann.post(&format!("{upload}/urls"), &parts)
            .await
            .problem(410, "asset_deleted");
        ann.post(&format!("{upload}/plan"), &json!({}))
            .await
            .problem(410, "asset_deleted");
        // Giving it up is harmless.
        let ended = ann.delete(&upload).await.expect(200);
        assert_eq!(ended["state"], "deleted");
    }
    let found = ann
        .get(&format!("/v1/uploads?sha256={}", sha256(&file)))
        .await
        .expect(200);
    assert_eq!(found["items"], json!([]), "{found}");
    // What comes by a URL of before is nobody's: of an upload that the store has no more.
    let late = put(
        &rig.http,
        &signed["urls"][0],
        file[PART_BYTES..2 * PART_BYTES].to_vec(),
    )
    .await;
    assert!([200, 404].contains(&late.status), "{late:?}");
    let read = ann
        .get(&format!("/v1/captures/{}", text(&made["capture_id"])))
        .await
        .expect(200);
    assert_eq!(read["assets"][0]["state"], "deleted", "{read}");
    all_gone(&rig.catalog().await).await;
    assert!(stored(&rig).await.is_empty());
    ann.get(&upload).await.problem(410, "asset_deleted");

    // Bytes that come by one PUT after all.
    let small = photo(2);
    let asset = ann.initiate(&[&small]).await.remove(0);
    delete(&ann, text(&asset["asset_id"])).await;
    ann.send(&asset, &small).await;
    let upload_id = text(&asset["uploads"][0]["upload_id"]);
    ann.complete(upload_id).await.problem(410, "asset_deleted");
    all_gone(&rig.catalog().await).await;
    assert!(stored(&rig).await.is_empty());
}

async fn what_was_appended_goes_too(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(1, 2 * PART_BYTES + 1000);
    let mut asked = capture(&[&file]);
    asked["accept_transports"] = json!(["append"]);
    let made = ann.post("/v1/captures", &asked).await.expect(201);
    let asset = &made["assets"][0];
    let urls = asset["uploads"][0]["urls"].as_array().unwrap();
    let tus = urls.iter().find(|u| u["protocol"] == "tus").unwrap();
    let url = text(&tus["url"]).to_owned();
    let append = |offset: usize, bytes: Vec<u8>| {
        let request = rig.http.patch(&url).header("tus-resumable", "1.0.0");
        let request = request.header("content-type", "application/offset+octet-stream");
        answer(
            request
                .header("upload-offset", offset.to_string())
                .body(bytes),
        )
    };
    let half = PART_BYTES + 5000;
    let sent = append(0, file[..half].to_vec()).await;
    assert_eq!(sent.status, 204, "{sent:?}");
    assert!(!objects(&rig.store(), "x/").await.is_empty());
    delete(&ann, text(&asset["asset_id"])).await;
    let refused = append(half, file[half..half + 4000].to_vec()).await;
    assert_eq!(refused.status, 410, "{refused:?}");
    let head = answer(rig.http.head(&url).header("tus-resumable", "1.0.0")).await;
    assert_eq!(head.status, 410, "{head:?}");
    all_gone(&rig.catalog().await).await;
    assert!(stored(&rig).await.is_empty());
    let left = "SELECT (SELECT COUNT(*) FROM append_segments) + (SELECT COUNT(*) FROM append_parts)
                     + (SELECT COUNT(*) FROM appends)";
    assert_eq!(number(&rig.catalog().await, left).await, 0);
}

async fn a_deleted_capture_is_not_made_again_by_repeating_it(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    for file in [photo(1), large_photo(2, PART_BYTES + 1000)] {
        let (asked, key) = (capture(&[&file]), fresh_key());
        let made = ann.post_as("/v1/captures", &key, &asked).await.expect(201);
        let asset = &made["assets"][0];
        delete(&ann, text(&asset["asset_id"])).await;
        for key in [key, fresh_key()] {
            let again = ann.post_as("/v1/captures", &key, &asked).await.expect(201);
            assert_eq!(again["capture_id"], made["capture_id"]);
            assert_eq!(again["assets"][0]["asset_id"], asset["asset_id"]);
            assert_eq!(again["assets"][0]["state"], "deleted", "{again}");
            assert!(again["assets"][0]["uploads"].is_null(), "{again}");
        }
        is_deleted(&ann, text(&asset["asset_id"])).await;
    }
}

async fn the_same_bytes_begin_anew(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let catalog = rig.catalog().await;
    let file = photo(1);
    let first = ann.upload(&file).await;
    ann.ready(&first).await;
    let key = |rows: Vec<safelight_catalog::Row>| rows[0].text(0).unwrap();
    let before = key(rows(&catalog, "SELECT object_key FROM blobs").await);
    delete(&ann, &first).await;
    // Whether the old bytes are gone yet or not.
    let second = ann.upload(&file).await;
    assert_ne!(second, first);
    ann.ready(&second).await;
    let live = "SELECT object_key FROM blobs WHERE state = 'live'";
    assert_ne!(key(rows(&catalog, live).await), before);
    all_gone(&catalog).await;
    ann.ready(&second).await;
    assert!(ann.original(&second).await == file);
    assert_eq!(stored(&rig).await.len(), 4);
    is_deleted(&ann, &first).await;
}

async fn another_asset_of_the_same_bytes_keeps_them(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(1);
    let first = ann.upload(&file).await;
    ann.ready(&first).await;
    let mut asked = capture(&[&file]);
    asked["duplicates"] = json!("keep");
    let made = ann.post("/v1/captures", &asked).await.expect(201);
    let second = text(&made["assets"][0]["asset_id"]).to_owned();
    assert_ne!(second, first);
    ann.ready(&second).await;
    let deleted = delete(&ann, &first).await;
    // Nothing of it alone was at the store but what may come by its URL, which works on.
    assert_eq!(deleted["asset_id"], first.as_str());
    is_deleted(&ann, &first).await;
    assert!(ann.original(&second).await == file);
    let again = ann.initiate(&[&file]).await.remove(0);
    assert_eq!(again["asset_id"], second.as_str(), "{again}");
    all_gone(&rig.catalog().await).await;
    assert_eq!(stored(&rig).await.len(), 4);
    assert!(ann.original(&second).await == file);
    delete(&ann, &second).await;
    all_gone(&rig.catalog().await).await;
    assert!(stored(&rig).await.is_empty());
}

async fn owners_that_share_bytes_keep_them(database: Database) {
    let rig = Rig::start(database, &["--dedup-scope", "tenant"]).await;
    let (ann, bob) = (rig.owner("ann"), rig.owner("bob"));
    let catalog = rig.catalog().await;
    let file = photo(1);
    let of_ann = ann.upload(&file).await;
    ann.ready(&of_ann).await;
    let of_bob = bob.upload(&file).await;
    bob.ready(&of_bob).await;
    let live = "SELECT COUNT(*) FROM blobs WHERE state = 'live'";
    assert_eq!(number(&catalog, live).await, 1);
    delete(&ann, &of_ann).await;
    is_deleted(&ann, &of_ann).await;
    all_gone(&catalog).await;
    let there = bob.ready(&of_bob).await;
    assert!(bob.original(&of_bob).await == file);
    assert_eq!(
        fetch(&rig.http, text(&there["cover_url"])).await.status,
        200
    );
    // She has it no more.
    let asset = ann.initiate(&[&file]).await.remove(0);
    assert!(asset["uploads"].is_array(), "{asset}");
    delete(&ann, text(&asset["asset_id"])).await;
    delete(&bob, &of_bob).await;
    all_gone(&catalog).await;
    assert!(stored(&rig).await.is_empty());
}

async fn what_became_an_asset_goes_with_it(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let catalog = rig.catalog().await;
    let file = photo(1);
    // Both are sent whole; and one stops half way.
    let mut all = Vec::new();
    for _ in 0..2 {
        let asset = ann.initiate(&[&file]).await.remove(0);
        ann.send(&asset, &file).await;
        all.push(asset);
    }
    let third = ann.initiate(&[&file]).await.remove(0);
    for asset in &all {
        ann.complete(text(&asset["uploads"][0]["upload_id"]))
            .await
            .expect(200);
    }
    let stands = text(&ann.ready(text(&all[0]["asset_id"])).await["asset_id"]).to_owned();
    let other = ann.ready(text(&all[1]["asset_id"])).await;
    assert_eq!(other["asset_id"], stands.as_str());
    let upload = format!("/v1/uploads/{}", text(&third["uploads"][0]["upload_id"]));
    assert_eq!(ann.get(&upload).await.expect(200)["state"], "merged");
    all.push(third);
    // By the id of one that it stands for.
    let asked = all
        .iter()
        .map(|a| text(&a["asset_id"]))
        .find(|id| *id != stands);
    let deleted = delete(&ann, asked.unwrap()).await;
    assert_eq!(deleted["asset_id"], stands.as_str());
    for asset in &all {
        let asset_id = text(&asset["asset_id"]);
        is_deleted(&ann, asset_id).await;
        assert_eq!(delete(&ann, asset_id).await["asset_id"], stands.as_str());
    }
    all_gone(&catalog).await;
    assert!(stored(&rig).await.is_empty());
    is_nowhere_written(&catalog, database, &[sha256(&file), "IMG_0.jpg".to_owned()]).await;
    let once = told(&rig, &stands).await;
    assert_eq!(
        once.iter().filter(|k| *k == "asset.deleted").count(),
        1,
        "{once:?}"
    );
}

async fn deleting_and_initiating_the_same_bytes_lose_nothing(database: Database) {
    const ROUNDS: u64 = 12;
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    for round in 0..ROUNDS {
        let file = photo(100 + round);
        let first = ann.upload(&file).await;
        ann.ready(&first).await;
        let mut asked = tokio::task::JoinSet::new();
        for n in 0..4_u64 {
            let (ann, mut request) = (ann.clone(), capture(&[&file]));
            if (n + round) % 2 == 0 {
                request["duplicates"] = json!("keep");
            }
            asked.spawn(async move { ann.post("/v1/captures", &request).await.expect(201) });
        }
        let (deleter, gone) = (ann.clone(), first.clone());
        asked.spawn(async move { delete(&deleter, &gone).await });
        for made in asked.join_all().await {
            let Some(asset) = made["assets"].get(0) else {
                continue;
            };
            let asset_id = text(&asset["asset_id"]);
            if asset["uploads"].is_array() {
                ann.send(asset, &file).await;
                ann.complete(text(&asset["uploads"][0]["upload_id"]))
                    .await
                    .expect(200);
            } else if asset_id == first {
                // It was told before the deletion, which took it away.
                ann.get(&asset_path(asset_id))
                    .await
                    .problem(410, "asset_deleted");
                continue;
            }
            let there = ann.ready(asset_id).await;
            assert!(
                ann.original(text(&there["asset_id"])).await == file,
                "round {round}"
            );
        }
        is_deleted(&ann, &first).await;
    }
    all_gone(&rig.catalog().await).await;
    // Each live blob has what it had, and nothing else is there.
    let catalog = rig.catalog().await;
    let live = "SELECT object_key FROM blobs WHERE state = 'live' ORDER BY object_key";
    let live = rows(&catalog, live).await;
    let live: Vec<String> = live.iter().map(|r| r.text(0).unwrap()).collect();
    let mut there = objects(&rig.store(), "o/").await;
    there.sort();
    assert_eq!(there, live);
    let list = ann.get("/v1/assets?limit=200").await.expect(200);
    for asset in list["items"].as_array().unwrap() {
        let asset_id = text(&asset["asset_id"]);
        ann.ready(asset_id).await;
        delete(&ann, asset_id).await;
    }
    all_gone(&catalog).await;
    assert!(stored(&rig).await.is_empty());
}

async fn deleting_and_completing_leave_nothing(database: Database) {
    const ROUNDS: u64 = 16;
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    for round in 0..ROUNDS {
        let file = match round % 2 {
            0 => photo(100 + round),
            _ => large_photo(100 + round, PART_BYTES + 1000),
        };
        let asset = ann.initiate(&[&file]).await.remove(0);
        ann.send(&asset, &file).await;
        let upload_id = text(&asset["uploads"][0]["upload_id"]).to_owned();
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..2 {
            let (ann, upload_id) = (ann.clone(), upload_id.clone());
            asked.spawn(async move {
                let done = ann.complete(&upload_id).await;
                assert!([200, 410].contains(&done.status), "{done:?}");
            });
        }
        let (deleter, gone) = (ann.clone(), text(&asset["asset_id"]).to_owned());
        asked.spawn(async move {
            // Sooner or later in the midst of it.
            for _ in 0..round / 2 {
                deleter.get("/v1/albums").await.expect(200);
            }
            delete(&deleter, &gone).await;
        });
        asked.join_all().await;
        let asset_id = text(&asset["asset_id"]);
        is_deleted(&ann, asset_id).await;
        ann.complete(&upload_id).await.problem(410, "asset_deleted");
    }
    let catalog = rig.catalog().await;
    all_gone(&catalog).await;
    assert!(stored(&rig).await.is_empty());
    let left = "SELECT (SELECT COUNT(*) FROM renditions) + (SELECT COUNT(*) FROM blobs WHERE state <> 'gone')
                     + (SELECT COUNT(*) FROM jobs WHERE kind <> 'sweep')";
    wait::until(PATIENCE, async || number(&catalog, left).await == 0)
        .await
        .unwrap();
    let completed = "SELECT COUNT(*) FROM events WHERE kind = 'deletion.completed'";
    assert_eq!(number(&catalog, completed).await, ROUNDS as i64);
}

async fn deleting_while_it_is_worked_on_leaves_nothing(database: Database) {
    const ROUNDS: u64 = 16;
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let catalog = rig.catalog().await;
    for round in 0..ROUNDS {
        // Large enough that work on it takes a while.
        let scene = safelight_testkit::camera::Scene {
            seed: 500 + round,
            width: 2400,
            height: 1600,
            ..Default::default()
        };
        let asset_id = ann.upload(&safelight_testkit::camera::photo(&scene)).await;
        let kind = if round % 2 == 0 { "inspect" } else { "derive" };
        let leased =
            format!("SELECT COUNT(*) FROM jobs WHERE kind = '{kind}' AND state = 'leased'");
        // Where work was quicker than the question it is deleted all the same.
        let _ = wait::until(PATIENCE, async || {
            let done = ann.asset(&asset_id).await["progress"]["renditions_ready"] == 3;
            done || number(&catalog, &leased).await > 0
        })
        .await;
        delete(&ann, &asset_id).await;
    }
    all_gone(&catalog).await;
    let left = "SELECT (SELECT COUNT(*) FROM renditions) + (SELECT COUNT(*) FROM blobs WHERE state <> 'gone')
                     + (SELECT COUNT(*) FROM jobs WHERE kind <> 'sweep')";
    wait::until(PATIENCE, async || number(&catalog, left).await == 0)
        .await
        .unwrap();
    assert_eq!(stored(&rig).await, Vec::<String>::new());
}

async fn in_doubt_bytes_wait_and_nobody_is_given_them(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let catalog = rig.catalog().await;
    let whole = ann.upload(&photo(1)).await;
    let link = ann.ready(&whole).await["cover_url"].clone();
    let file = large_photo(2, PART_BYTES + 1000);
    let asset = ann.initiate(&[&file]).await.remove(0);
    let upload_id = text(&asset["uploads"][0]["upload_id"]);
    ann.send_parts(upload_id, &file, &[1]).await;
    let there = stored(&rig).await;
    let doubt = "UPDATE catalog_mark SET doubt = 'a test says so'";
    assert_eq!(change(&catalog, doubt, vec![]).await, 1);
    for asset_id in [whole.as_str(), text(&asset["asset_id"])] {
        delete(&ann, asset_id).await;
        is_deleted(&ann, asset_id).await;
    }
    fetch(&rig.http, text(&link))
        .await
        .problem(410, "asset_deleted");
    let put_off = "SELECT (SELECT COUNT(*) FROM jobs WHERE kind = 'purge' AND state = 'scheduled')
                        + (SELECT COUNT(*) FROM uploads WHERE state = 'aborted' AND looks > 0)";
    wait::until(PATIENCE, async || number(&catalog, put_off).await == 2)
        .await
        .unwrap();
    assert_eq!(stored(&rig).await, there);
    let certain = "UPDATE catalog_mark SET doubt = NULL";
    assert_eq!(change(&catalog, certain, vec![]).await, 1);
    let now = "UPDATE uploads SET look_at = 1 WHERE state = 'aborted'";
    change(&catalog, now, vec![]).await;
    all_gone(&catalog).await;
    assert!(stored(&rig).await.is_empty());
}
