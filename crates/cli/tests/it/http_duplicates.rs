//! Bytes that are there already: kept as an asset of their own, and shared by a tenant's owners.

use safelight_objects::ObjectKey;
use safelight_testkit::server::Server;
use safelight_testkit::wait;
use serde_json::{Value, json};

use crate::http_owners::stranger;
use crate::http_rig::{
    Caller, Database, PART_BYTES, PATIENCE, Rig, capture, change, fetch, large_photo, number,
    objects, on_both_databases, options, photo, rows, sha256, text,
};
use crate::http_twins::title_of;
use crate::wire::ask;

on_both_databases!(
    a_copy_is_kept_without_being_sent,
    what_waits_for_its_inspection_is_not_sent_again,
    what_nobody_will_inspect_holds_up_nothing,
    a_copy_that_was_sent_is_kept_on_the_same_bytes,
    a_copy_is_kept_by_who_speaks_an_upload_protocol_only,
    owners_that_share_bytes_learn_nothing_of_one_another,
    sharing_begins_with_what_comes_then,
    what_the_store_lost_of_before_sharing_comes_again,
);

const SHARED: [&str; 2] = ["--dedup-scope", "tenant"];

/// A capture of one file that is kept whatever is there; the hash of it need not be told.
pub async fn keep(ann: &Caller, file: &[u8], tells: bool) -> Value {
    let mut request = capture(&[file]);
    request["duplicates"] = json!("keep");
    if !tells {
        request["assets"][0]["resources"][0]["sha256"] = Value::Null;
    }
    let made = ann.post("/v1/captures", &request).await.expect(201);
    // Told again, it is the same.
    let again = ann.post("/v1/captures", &request).await.expect(201);
    assert_eq!(
        again["assets"][0]["asset_id"],
        made["assets"][0]["asset_id"]
    );
    made["assets"][0].clone()
}

/// Waits until so many originals are left.
async fn originals(rig: &Rig, count: usize) {
    let (catalog, store) = (rig.catalog().await, rig.store());
    let left = wait::until(PATIENCE, async || {
        let soon = "UPDATE jobs SET run_at = 1 WHERE kind = 'purge' AND run_at > 1";
        change(&catalog, soon, vec![]).await;
        objects(&store, "o/").await.len() == count
    });
    left.await.unwrap();
    let dead = "SELECT COUNT(*) FROM jobs WHERE state = 'dead'";
    assert_eq!(number(&catalog, dead).await, 0);
}

async fn live(rig: &Rig, file: &[u8]) -> i64 {
    let hash = sha256(file);
    let sql = format!("SELECT COUNT(*) FROM blobs WHERE state = 'live' AND sha256 = '{hash}'");
    number(&rig.catalog().await, &sql).await
}

/// The ids of an owner's assets as they are listed.
async fn listed(caller: &Caller) -> Vec<String> {
    let list = caller.get("/v1/assets").await.expect(200);
    let items = list["items"].as_array().unwrap();
    let mut ids: Vec<String> = items
        .iter()
        .map(|i| text(&i["asset_id"]).to_owned())
        .collect();
    ids.sort();
    ids
}

async fn a_copy_is_kept_without_being_sent(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(1);
    let first = ann.upload(&file).await;
    ann.ready(&first).await;
    let copy = keep(&ann, &file, true).await;
    assert!(copy["uploads"].is_null(), "nothing is to be sent: {copy}");
    assert_eq!(copy["state"], "ready");
    let copy = text(&copy["asset_id"]);
    assert_ne!(copy, first);
    let mut both = vec![first.clone(), copy.to_owned()];
    both.sort();
    assert_eq!(listed(&ann).await, both);
    let shown = ann.ready(copy).await;
    assert_eq!(shown["asset_id"], copy);
    let cover = fetch(&rig.http, text(&shown["cover_url"])).await;
    assert_eq!(cover.status, 200, "{cover:?}");
    assert_eq!(ann.original(copy).await, file);
    // What is said of the one is not said of the other.
    let title = json!({ "title": "Copy" });
    let path = format!("/v1/assets/{copy}");
    ann.patch(&path, &[], &title).await.expect(200);
    assert_eq!(title_of(&ann, copy).await, "Copy");
    assert!(title_of(&ann, &first).await.is_null());
    assert_eq!(live(&rig, &file).await, 1);
    originals(&rig, 1).await;
    // By default it joins what is there.
    let joined = ann.initiate(&[&file]).await.remove(0);
    assert!(both.contains(&text(&joined["asset_id"]).to_owned()));
    assert_eq!(listed(&ann).await, both);
    let mut request = capture(&[&file]);
    request["duplicates"] = json!("drop");
    let refused = ann.post("/v1/captures", &request).await;
    let problem = refused.problem(422, "validation_failed");
    assert_eq!(problem["field"], "duplicates");
}

/// A server whose files and database outlive it.
async fn serve(dir: &std::path::Path, url: &Option<String>, args: &[&str]) -> Rig {
    let options = options(dir.join("server"), url.clone(), args);
    Rig::around(
        Server::start(options).await.unwrap(),
        tempfile::tempdir().unwrap(),
    )
}

/// One that does no work.
const IDLE: [&str; 2] = ["--roles", "api,store,delivery,janitor"];

/// As a version leaves it that does not know that bytes may be known before they are inspected, when it gives up.
async fn what_nobody_will_inspect_holds_up_nothing(database: Database) {
    let (dir, url) = (tempfile::tempdir().unwrap(), database.fresh());
    let mut rig = serve(dir.path(), &url, &IDLE).await;
    let ann = rig.owner("ann");
    let file = photo(1);
    let mute = keep(&ann, &file, false).await;
    let first = ann.upload(&file).await;
    let upload_id = text(&mute["uploads"][0]["upload_id"]);
    send_mute(&rig, &ann, upload_id, &file).await;
    ann.complete(upload_id).await.expect(200);
    let catalog = rig.catalog().await;
    let dead = "UPDATE jobs SET state = 'dead' WHERE kind = 'inspect' AND subject_id IN (SELECT blob_id FROM blobs WHERE sha256 IS NOT NULL)";
    assert_eq!(change(&catalog, dead, vec![]).await, 1);
    drop(catalog);
    assert!(rig.server.terminate().await.unwrap().success());
    let rig = serve(dir.path(), &url, &[]).await;
    let ann = rig.owner("ann");
    let id = text(&mute["asset_id"]);
    assert_eq!(ann.ready(id).await["asset_id"], id);
    assert!(ann.original(id).await == file);
    // Sent again they are what was inspected.
    let again = ann.initiate(&[&file]).await.remove(0);
    assert_eq!(
        (&again["asset_id"], &again["uploads"]),
        (&json!(id), &Value::Null)
    );
    assert_ne!(first, id);
}

/// A single PUT is bound to its hash, so the bytes are known as soon as they are whole.
async fn what_waits_for_its_inspection_is_not_sent_again(database: Database) {
    let (dir, url) = (tempfile::tempdir().unwrap(), database.fresh());
    let mut rig = serve(dir.path(), &url, &IDLE).await;
    let ann = rig.owner("ann");
    let (file, large) = (photo(1), large_photo(2, PART_BYTES + 1000));
    let slower = ann.initiate(&[&file]).await.remove(0);
    let mute = keep(&ann, &file, false).await;
    let first = ann.upload(&file).await;
    assert_eq!(ann.asset(&first).await["state"], "uploaded");
    // Initiated later it is there; begun before it has ended.
    let later = ann.initiate(&[&file]).await.remove(0);
    assert!(later["uploads"].is_null(), "{later}");
    assert_eq!(
        (&later["asset_id"], &later["state"]),
        (&json!(first), &json!("uploaded"))
    );
    let upload_id = text(&slower["uploads"][0]["upload_id"]);
    let path = format!("/v1/uploads/{upload_id}");
    let ended = ann.get(&path).await.expect(200);
    assert_eq!(
        (&ended["state"], &ended["asset_id"]),
        (&json!("merged"), &json!(first))
    );
    let copy = keep(&ann, &file, true).await;
    assert!(copy["uploads"].is_null(), "{copy}");
    assert_eq!(copy["state"], "processing");
    // What nobody has checked is sent again, as is what another owner has.
    ann.upload(&large).await;
    assert!(ann.initiate(&[&large]).await[0]["uploads"].is_array());
    let bob = rig.owner("bob");
    assert!(bob.initiate(&[&file]).await[0]["uploads"].is_array());
    // Bytes of which nobody said what they are.
    send_mute(&rig, &ann, text(&mute["uploads"][0]["upload_id"]), &file).await;
    let mute_upload = text(&mute["uploads"][0]["upload_id"]);
    ann.complete(mute_upload).await.expect(200);
    assert!(rig.server.terminate().await.unwrap().success());

    let rig = serve(dir.path(), &url, &[]).await;
    let ann = rig.owner("ann");
    let mut ids = Vec::new();
    for id in [
        first.as_str(),
        text(&copy["asset_id"]),
        text(&mute["asset_id"]),
    ] {
        let shown = ann.ready(id).await;
        assert_eq!(shown["asset_id"], id);
        assert_eq!(shown["original"]["sha256"], sha256(&file));
        assert!(ann.original(id).await == file);
        ids.push(id.to_owned());
    }
    assert_eq!(live(&rig, &file).await, 1);
    originals(&rig, 2).await;
}

async fn a_copy_that_was_sent_is_kept_on_the_same_bytes(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(2, PART_BYTES + 1000);
    // One does not say what it is; the other's bytes are there before its own.
    let (mute, half) = (
        keep(&ann, &file, false).await,
        keep(&ann, &file, true).await,
    );
    let upload_id = text(&half["uploads"][0]["upload_id"]);
    ann.send_parts(upload_id, &file, &[1]).await;
    let first = ann.upload(&file).await;
    ann.ready(&first).await;
    ann.send_parts(upload_id, &file, &[2]).await;
    ann.complete(upload_id).await.expect(200);
    let upload_id = text(&mute["uploads"][0]["upload_id"]);
    send_mute(&rig, &ann, upload_id, &file).await;
    ann.complete(upload_id).await.expect(200);
    let mut all = vec![first];
    for copy in [&mute, &half] {
        let id = text(&copy["asset_id"]);
        let shown = ann.ready(id).await;
        assert_eq!(shown["asset_id"], id, "{shown}");
        assert_eq!(shown["original"]["sha256"], sha256(&file));
        all.push(id.to_owned());
    }
    all.sort();
    assert_eq!(listed(&ann).await, all);
    assert_eq!(live(&rig, &file).await, 1);
    originals(&rig, 1).await;
    for id in &all {
        assert!(ann.original(id).await == file);
    }
}

async fn a_copy_is_kept_by_who_speaks_an_upload_protocol_only(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(3);
    let first = ann.upload(&file).await;
    ann.ready(&first).await;
    let bearer = format!("Bearer {}", ann.token.as_deref().unwrap());
    let (length, mut all) = (file.len().to_string(), vec![first.clone()]);
    let create = |address: &str, more: &[(&str, &str)]| {
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("safelight-owner", "ann"),
        ];
        headers.extend(more);
        ask(
            "POST",
            &format!("{}{address}", ann.base),
            &headers,
            Some(&file),
        )
    };
    // In base64: `keep`, `merge`, `drop`.
    for (word, encoded, status) in [
        ("keep", "a2VlcA==", 201),
        ("merge", "bWVyZ2U=", 201),
        ("drop", "ZHJvcA==", 422),
    ] {
        let metadata = format!("filename YS5qcGc=,duplicates {encoded}");
        let tus = [
            ("tus-resumable", "1.0.0"),
            ("content-type", "application/offset+octet-stream"),
            ("upload-length", length.as_str()),
            ("upload-metadata", metadata.as_str()),
        ];
        let rufh = [
            ("content-type", "image/jpeg"),
            ("upload-draft-interop-version", "8"),
            ("upload-complete", "?1"),
            ("safelight-duplicates", word),
        ];
        for (address, headers) in [("/u/tus", &tus), ("/u/rufh", &rufh)] {
            let made = create(address, headers);
            if status == 422 {
                let refused = made.expect(status);
                let why = String::from_utf8_lossy(&refused.body);
                assert!(why.contains("merge or keep"), "{address}: {why}");
                continue;
            }
            assert!((200..300).contains(&made.status), "{made:?}");
            let url = made
                .header("location")
                .split('?')
                .next()
                .unwrap()
                .to_owned();
            let upload_id = url.rsplit('/').next().unwrap();
            let upload = ann
                .get(&format!("/v1/uploads/{upload_id}"))
                .await
                .expect(200);
            let sent = text(&upload["asset_id"]).to_owned();
            let shown = ann.ready(&sent).await;
            if word == "keep" {
                assert_eq!(shown["asset_id"], sent, "{address}: {shown}");
                all.push(sent);
            } else {
                let id = text(&shown["asset_id"]).to_owned();
                assert!(all.contains(&id), "{address}: {shown}");
            }
        }
    }
    all.sort();
    assert_eq!(listed(&ann).await, all);
    assert_eq!((all.len(), live(&rig, &file).await), (3, 1));
    for id in &all {
        assert!(ann.original(id).await == file);
    }
}

/// Sends the parts of a file whose hash was not declared.
async fn send_mute(rig: &Rig, ann: &Caller, upload_id: &str, file: &[u8]) {
    let numbers: Vec<Value> = (1..=file.chunks(PART_BYTES).len())
        .map(|n| json!({ "number": n }))
        .collect();
    let path = format!("/v1/uploads/{upload_id}/urls");
    let signed = ann.post(&path, &json!({ "parts": numbers })).await;
    let signed = signed.expect(200);
    let urls = signed["urls"].as_array().unwrap();
    for (url, chunk) in urls.iter().zip(file.chunks(PART_BYTES)) {
        let sent = crate::http_rig::put(&rig.http, url, chunk.to_vec()).await;
        assert_eq!(sent.status, 200, "{sent:?}");
    }
}

/// What is told of an asset: kinds with states and presets, in no order.
async fn told(rig: &Rig, asset_id: &str) -> Vec<String> {
    let catalog = rig.catalog().await;
    let sql = format!("SELECT kind, detail FROM events WHERE asset_id = '{asset_id}'");
    let mut told = Vec::new();
    for row in rows(&catalog, &sql).await {
        let mut detail: Value =
            serde_json::from_str(&row.maybe_text(1).unwrap().unwrap_or_default())
                .unwrap_or_default();
        if let Some(detail) = detail.as_object_mut() {
            detail.remove("upload_id");
        }
        told.push(format!("{} {detail}", row.text(0).unwrap()));
    }
    told.sort();
    told
}

async fn owners_that_share_bytes_learn_nothing_of_one_another(database: Database) {
    let rig = Rig::start(database, &SHARED).await;
    let (ann, ben) = (rig.owner("ann"), rig.owner("ben"));
    let file = photo(3);
    let anns = ann.upload(&file).await;
    let seen_by_ann = ann.ready(&anns).await;
    let told_to_ann = told(&rig, &anns).await;
    // A hash alone gives nothing.
    let asset = ben.initiate(&[&file]).await.remove(0);
    assert_eq!(asset["state"], "uploading");
    let upload = format!("/v1/uploads/{}", text(&asset["uploads"][0]["upload_id"]));
    assert_eq!(ben.get(&upload).await.expect(200)["state"], "open");
    let kept = keep(&ben, &file, true).await;
    assert_eq!(kept["state"], "uploading");
    ben.send(&asset, &file).await;
    let done = ben.post(&format!("{upload}/complete"), &json!({})).await;
    let bens = text(&asset["asset_id"]);
    assert_eq!(done.expect(200)["asset_id"], bens);
    let seen_by_ben = ben.ready(bens).await;
    assert_eq!(seen_by_ben["asset_id"], bens);
    assert_eq!(ben.original(bens).await, file);
    let cover = fetch(&rig.http, text(&seen_by_ben["cover_url"])).await;
    assert_eq!(cover.status, 200, "{cover:?}");
    assert_eq!(seen_by_ann["original"], seen_by_ben["original"]);

    // Stored once; whose it is, and what is told, as if nobody else had it.
    assert_eq!(live(&rig, &file).await, 1);
    assert_eq!(told(&rig, bens).await, told_to_ann);
    assert_eq!(told(&rig, &anns).await, told_to_ann);
    let catalog = rig.catalog().await;
    let strange = format!(
        "SELECT COUNT(*) FROM events WHERE (owner_id = 'ben' AND (asset_id = '{anns}' OR detail LIKE '%{anns}%'))
            OR (owner_id = 'ann' AND (asset_id = '{bens}' OR detail LIKE '%{bens}%'))"
    );
    assert_eq!(number(&catalog, &strange).await, 0);
    let theirs = ben.get(&format!("/v1/assets/{anns}")).await;
    theirs.problem(404, "not_found");
    let title = json!({ "title": "Ben's" });
    let path = format!("/v1/assets/{bens}");
    ben.patch(&path, &[], &title).await.expect(200);
    assert!(title_of(&ann, &anns).await.is_null());
    assert_eq!(listed(&ann).await, std::slice::from_ref(&anns));

    // Once his own bytes were here, he is told of his own asset, at initiation and in mid-upload; or keeps another.
    let again = ben.initiate(&[&file]).await.remove(0);
    assert_eq!(again["asset_id"], bens);
    assert!(again["uploads"].is_null());
    let copy = keep(&ben, &file, true).await;
    assert_eq!(copy["state"], "ready");
    assert!(copy["uploads"].is_null());
    assert_eq!(ben.original(text(&copy["asset_id"])).await, file);
    assert_eq!(live(&rig, &file).await, 1);
    originals(&rig, 1).await;
    // Of another tenant are other bytes.
    let far = stranger(&rig, "ann").await;
    let theirs = far.upload(&file).await;
    far.ready(&theirs).await;
    assert_eq!(live(&rig, &file).await, 2);
    originals(&rig, 2).await;
}

/// A server that lets owners share since it was started again, and ann's asset of before.
async fn shared_since(database: Database, file: &[u8]) -> (Rig, String) {
    let dir = tempfile::tempdir().unwrap();
    let (data_dir, url) = (dir.path().join("server"), database.fresh());
    let before = options(data_dir.clone(), url.clone(), &[]);
    let mut rig = Rig::around(Server::start(before).await.unwrap(), dir);
    let ann = rig.owner("ann");
    let own = ann.upload(file).await;
    ann.ready(&own).await;
    rig.server.terminate().await.unwrap();
    rig.server = Server::start(options(data_dir, url, &SHARED))
        .await
        .unwrap();
    (rig, own)
}

/// Sends a file without saying what it is; the asset that it was to be.
async fn send_unhashed(ann: &Caller, file: &[u8]) -> String {
    let mut request = capture(&[file]);
    request["assets"][0]["resources"][0]["sha256"] = Value::Null;
    let made = ann.post("/v1/captures", &request).await.expect(201);
    let mute = &made["assets"][0];
    ann.send(mute, file).await;
    ann.complete(text(&mute["uploads"][0]["upload_id"]))
        .await
        .expect(200);
    text(&mute["asset_id"]).to_owned()
}

async fn what_the_store_lost_of_before_sharing_comes_again(database: Database) {
    let file = photo(5);
    let (rig, own) = shared_since(database, &file).await;
    let (ann, store) = (rig.owner("ann"), rig.store());
    for key in objects(&store, "o/").await {
        store
            .delete(&ObjectKey::parse(&key).unwrap())
            .await
            .unwrap();
    }
    let mute = send_unhashed(&ann, &file).await;
    assert_eq!(ann.ready(&mute).await["asset_id"], own);
    assert_eq!(ann.original(&own).await, file);
    assert_eq!(listed(&ann).await, std::slice::from_ref(&own));
    // They are shared from now on.
    let ben = rig.owner("ben");
    let bens = send_unhashed(&ben, &file).await;
    ben.ready(&bens).await;
    assert_eq!(live(&rig, &file).await, 1);
    let again = ann.initiate(&[&file]).await.remove(0);
    assert_eq!(again["asset_id"], own);
    assert!(again["uploads"].is_null(), "{again}");
}

async fn sharing_begins_with_what_comes_then(database: Database) {
    let file = photo(4);
    let (rig, own) = shared_since(database, &file).await;
    let (ann, ben) = (rig.owner("ann"), rig.owner("ben"));
    // His own of before are found as ever, also by who does not say what he sends.
    let again = ann.initiate(&[&file]).await.remove(0);
    assert_eq!(again["asset_id"], own);
    let mute = send_unhashed(&ann, &file).await;
    assert_eq!(ann.ready(&mute).await["asset_id"], own);
    // What others had of their own before is not shared.
    let bens = ben.upload(&file).await;
    assert_eq!(ben.ready(&bens).await["asset_id"], bens);
    assert_eq!(live(&rig, &file).await, 2);
    originals(&rig, 2).await;
}
