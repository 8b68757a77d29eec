//! Bytes on their way in: by one PUT and by parts, whole, wrong, given up and forgotten.

use bytes::Bytes;
use safelight_objects::{ObjectKey, PutOptions};
use safelight_testkit::wait;
use serde_json::{Value, json};

use crate::http_rig::{
    Caller, Database, PART_BYTES, PATIENCE, Rig, Split, capture, change, large_photo, number,
    on_both_databases, open_catalog, photo, put, rows, sha256, text,
};

on_both_databases!(
    a_small_photo_goes_by_one_put,
    a_large_photo_goes_by_parts_in_any_order,
    the_store_takes_no_other_bytes_than_were_signed,
    a_url_without_a_hash_stores_once,
    what_arrived_is_compared_with_what_was_declared,
    an_upload_that_is_given_up_expires_and_leaves_nothing,
    other_bytes_under_a_reference_that_was_used_are_refused,
    what_is_sent_in_another_s_place_stands_for_it,
    only_an_asset_of_the_same_owner_that_comes_takes_another_s_place,
    an_upload_lives_as_long_as_the_settings_say,
    a_completion_that_everybody_died_in_is_ended_by_itself,
);

async fn a_small_photo_goes_by_one_put(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(1);
    let asset = ann.initiate(&[&file]).await.remove(0);
    assert_eq!(asset["state"], "uploading");
    let (asset_id, upload) = (text(&asset["asset_id"]), &asset["uploads"][0]);
    assert_eq!(upload["plan"]["transport"], "single");
    assert_eq!(upload["urls"][0]["size_bytes"], file.len());
    let upload_id = text(&upload["upload_id"]);

    let early = ann.complete(upload_id).await;
    early.problem(409, "upload_incomplete");
    ann.send(&asset, &file).await;
    let truth = ann.get(&format!("/v1/uploads/{upload_id}")).await;
    let truth = truth.expect(200);
    assert_eq!(
        (&truth["state"], &truth["received_bytes"]),
        (&json!("open"), &json!(file.len()))
    );
    let done = ann.complete(upload_id).await.expect(200);
    assert_eq!(done["asset_id"], asset_id);
    let truth = ann.get(&format!("/v1/uploads/{upload_id}")).await;
    assert_eq!(truth.expect(200)["state"], "completed");

    let ready = ann.ready(asset_id).await;
    assert_eq!(
        ready["original"],
        json!({
            "filename": "IMG_0.jpg", "mime": "image/jpeg", "size_bytes": file.len(),
            "sha256": sha256(&file), "width": 240, "height": 320,
        })
    );
    assert_eq!(
        ready["progress"],
        json!({ "renditions_ready": 3, "renditions_total": 3 })
    );
    for preset in ["cover", "display", "large"] {
        assert_eq!(ready["renditions"][preset]["state"], "ready");
    }
    assert_eq!(ann.original(asset_id).await, file);
    // A second completion, and signing for what is complete.
    ann.complete(upload_id).await.expect(200);
    let urls = format!("/v1/uploads/{upload_id}/urls");
    let signed = ann.post(&urls, &json!({})).await;
    signed.problem(422, "validation_failed");
    let aborted = ann.delete(&format!("/v1/uploads/{upload_id}")).await;
    aborted.problem(422, "validation_failed");
}

async fn a_large_photo_goes_by_parts_in_any_order(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(2, 2 * PART_BYTES + 1_000_000);
    let asset = ann.initiate(&[&file]).await.remove(0);
    assert_eq!(asset["state"], "initiated");
    let upload = &asset["uploads"][0];
    assert_eq!(upload["plan"]["transport"], "multipart");
    assert_eq!(upload["plan"]["part_size_bytes"], PART_BYTES);
    assert!(upload["urls"].is_null());
    let upload_id = text(&upload["upload_id"]);

    ann.send_parts(upload_id, &file, &[3, 1]).await;
    let truth = ann.get(&format!("/v1/uploads/{upload_id}")).await;
    let truth = truth.expect(200);
    let numbers: Vec<u64> = truth["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 3]);
    assert_eq!(truth["parts"][0]["sha256"], sha256(&file[..PART_BYTES]));
    let problem = ann.complete(upload_id).await;
    let problem = problem.problem(409, "upload_incomplete");
    assert!(
        text(&problem["detail"]).contains("missing parts: 2"),
        "{problem}"
    );

    let urls = format!("/v1/uploads/{upload_id}/urls");
    let hash = sha256(b"x");
    let many: Vec<_> = (1..=17)
        .map(|n| json!({ "number": n, "sha256": hash }))
        .collect();
    for (parts, field) in [
        (json!([{ "number": 4, "sha256": hash }]), "parts[0].number"),
        (json!([{ "number": 0, "sha256": hash }]), "parts[0].number"),
        (json!([{ "number": 1 }]), "parts[0].sha256"),
        (json!([{ "number": 1, "sha256": "F00" }]), "parts[0].sha256"),
        (json!([]), "parts"),
        (json!(many), "parts"),
    ] {
        let refused = ann.post(&urls, &json!({ "parts": parts })).await;
        let problem = refused.problem(422, "validation_failed");
        assert_eq!(problem["field"], field, "{problem}");
    }

    ann.send_parts(upload_id, &file, &[2]).await;
    ann.complete(upload_id).await.expect(200);
    let asset_id = text(&asset["asset_id"]);
    ann.ready(asset_id).await;
    assert_eq!(ann.original(asset_id).await, file);
}

async fn the_store_takes_no_other_bytes_than_were_signed(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(3);
    let asset = ann.initiate(&[&file]).await.remove(0);
    let (upload, url) = (&asset["uploads"][0], &asset["uploads"][0]["urls"][0]);
    let mut flipped = file.clone();
    flipped[1000] ^= 1;
    for wrong in [flipped, file[1..].to_vec(), [&file[..], b"x"].concat()] {
        let refused = put(&rig.http, url, wrong).await;
        assert!((400..500).contains(&refused.status), "{refused:?}");
    }
    let upload_id = text(&upload["upload_id"]);
    let nothing = ann.get(&format!("/v1/uploads/{upload_id}")).await;
    assert_eq!(nothing.expect(200)["received_bytes"], 0);
    // Without the headers that were signed it is not the signed request either.
    let bare = json!({ "url": url["url"] });
    let refused = put(&rig.http, &bare, file.clone()).await;
    assert!((400..500).contains(&refused.status), "{refused:?}");
    ann.send(&asset, &file).await;
    ann.complete(upload_id).await.expect(200);
    ann.ready(text(&asset["asset_id"])).await;

    let large = large_photo(4, PART_BYTES + 1000);
    let asset = ann.initiate(&[&large]).await.remove(0);
    let upload_id = text(&asset["uploads"][0]["upload_id"]);
    let urls = format!("/v1/uploads/{upload_id}/urls");
    let parts = json!({ "parts": [{ "number": 2, "sha256": sha256(&large[PART_BYTES..]) }] });
    let signed = ann.post(&urls, &parts).await.expect(200);
    let refused = put(&rig.http, &signed["urls"][0], large[..1000].to_vec()).await;
    assert!((400..500).contains(&refused.status), "{refused:?}");
    let nothing = ann.get(&format!("/v1/uploads/{upload_id}")).await;
    assert_eq!(nothing.expect(200)["parts"], json!([]));
}

async fn a_url_without_a_hash_stores_once(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let (file, other) = (photo(9), photo(10));
    let mut request = capture(&[&file]);
    let resource = &mut request["assets"][0]["resources"][0];
    resource.as_object_mut().unwrap().remove("sha256");
    let made = ann.post("/v1/captures", &request).await.expect(201);
    let asset = &made["assets"][0];
    let url = &asset["uploads"][0]["urls"][0];
    assert_eq!(url["headers"]["if-none-match"], "*");
    ann.send(asset, &file).await;
    // Its owner again, whose answer was lost; and somebody else with bytes of the same length.
    let mut others = other.clone();
    others.resize(file.len(), 0);
    for bytes in [file.clone(), others] {
        let again = put(&rig.http, url, bytes).await;
        assert_eq!(again.status, 412, "{again:?}");
    }
    ann.complete(text(&asset["uploads"][0]["upload_id"]))
        .await
        .expect(200);
    let asset_id = text(&asset["asset_id"]);
    ann.ready(asset_id).await;
    assert_eq!(ann.original(asset_id).await, file);
}

async fn what_arrived_is_compared_with_what_was_declared(database: Database) {
    let rig = Rig::start(database, &["--single-max-bytes", "0"]).await;
    let ann = rig.owner("ann");
    // Parts whose hashes are right, of a file that is another one than declared.
    let (file, other) = (photo(5), photo(6));
    let mut request = capture(&[&file]);
    request["assets"][0]["resources"][0]["sha256"] = json!(sha256(&other));
    let made = ann.post("/v1/captures", &request).await.expect(201);
    let asset = &made["assets"][0];
    ann.send(asset, &file).await;
    let upload_id = text(&asset["uploads"][0]["upload_id"]);
    ann.complete(upload_id).await.expect(200);
    let asset_id = text(&asset["asset_id"]);
    let failed = ann.settled(asset_id).await;
    assert_eq!(failed["state"], "failed");
    assert_eq!(failed["reason"]["code"], "checksum_mismatch");
    assert!(failed["cover_url"].is_null());
    assert_eq!(ann.original(asset_id).await, file);

    // An object of another length, which only somebody with the store's own key can put there.
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let asset = ann.initiate(&[&file]).await.remove(0);
    let upload = &asset["uploads"][0];
    let url = text(&upload["urls"][0]["url"]);
    let (_, path) = url.split_once("/safelight/").unwrap();
    let key = ObjectKey::parse(path.split_once('?').unwrap().0).unwrap();
    let short = Bytes::copy_from_slice(&file[1..]);
    let stored = rig.store().put(&key, short, PutOptions::default()).await;
    stored.unwrap();
    let (upload_id, frozen) = (text(&upload["upload_id"]), "frozen");
    let complete = format!("/v1/uploads/{upload_id}/complete");
    let refused = ann.post_as(&complete, frozen, &json!({})).await;
    refused.problem(422, "size_mismatch");
    // The outcome of that request stays what it was; another request finds the file as sent again.
    ann.send(&asset, &file).await;
    let refused = ann.post_as(&complete, frozen, &json!({})).await;
    refused.problem(422, "size_mismatch");
    ann.complete(upload_id).await.expect(200);
    ann.ready(text(&asset["asset_id"])).await;
}

async fn an_upload_that_is_given_up_expires_and_leaves_nothing(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(7, PART_BYTES + 1000);
    let asset = ann.initiate(&[&file]).await.remove(0);
    let (asset_id, upload_id) = (
        text(&asset["asset_id"]),
        text(&asset["uploads"][0]["upload_id"]),
    );
    ann.send_parts(upload_id, &file, &[1]).await;
    let upload = format!("/v1/uploads/{upload_id}");
    for _ in 0..2 {
        let ended = ann.delete(&upload).await.expect(200);
        assert_eq!(
            (&ended["asset_id"], &ended["state"]),
            (&json!(asset_id), &json!("expired"))
        );
    }
    assert_eq!(ann.get(&upload).await.expect(200)["state"], "aborted");
    let expired = ann.asset(asset_id).await;
    assert_eq!(expired["state"], "expired");
    assert_eq!(expired["reason"]["code"], "upload_expired");
    let parts = json!({ "parts": [{ "number": 1, "sha256": sha256(b"x") }] });
    let signed = ann.post(&format!("{upload}/urls"), &parts).await;
    signed.problem(410, "upload_expired");
    ann.complete(upload_id).await.problem(410, "upload_expired");

    // A second one, forgotten by its client. Its week and the first one's URLs come to their end.
    let forgotten = photo(8);
    let forgotten = ann.initiate(&[&forgotten]).await.remove(0);
    let catalog = rig.catalog().await;
    let row = &rows(
        &catalog,
        "SELECT object_key, store_upload_id FROM uploads WHERE state = 'aborted'",
    )
    .await[0];
    let key = ObjectKey::parse(&row.text(0).unwrap()).unwrap();
    let store_upload_id = row.text(1).unwrap();
    let store = rig.store();
    // What had arrived takes no room any more, though a URL still works.
    let cleared = wait::until(PATIENCE, async || {
        let parts = store.list_parts(&key, &store_upload_id).await.unwrap();
        parts.is_none_or(|p| p.is_empty())
    });
    cleared.await.unwrap();
    change(
        &catalog,
        "UPDATE uploads SET signed_until = 0, look_at = 0, expires_at = CASE state WHEN 'open' THEN 0 ELSE expires_at END",
        vec![],
    )
    .await;
    let closed = "SELECT COUNT(*) FROM uploads WHERE cleared_at IS NOT NULL";
    let closed = wait::until(PATIENCE, async || number(&catalog, closed).await == 2);
    closed.await.unwrap();
    let late = ann.settled(text(&forgotten["asset_id"])).await;
    assert_eq!(late["state"], "expired");
    let upload_id = text(&forgotten["uploads"][0]["upload_id"]);
    ann.complete(upload_id).await.problem(410, "upload_expired");
}

fn asset_and_upload(asset: &Value) -> (&str, String) {
    let upload_id = text(&asset["uploads"][0]["upload_id"]);
    (text(&asset["asset_id"]), format!("/v1/uploads/{upload_id}"))
}

/// The ids of all that a caller's list shows.
async fn listed(ann: &Caller) -> Vec<String> {
    let list = ann.get("/v1/assets").await.expect(200);
    let items = list["items"].as_array().unwrap().iter();
    items.map(|i| text(&i["asset_id"]).to_owned()).collect()
}

async fn what_is_sent_in_another_s_place_stands_for_it(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let (large, small) = (large_photo(7, PART_BYTES + 1000), photo(8));
    let request = capture(&[&large]);
    let first = ann.post("/v1/captures", &request).await.expect(201);
    let capture_id = text(&first["capture_id"]);
    let (large_id, upload) = asset_and_upload(&first["assets"][0]);
    let title = json!({ "title": "Kept", "tags": ["sea"] });
    let titled = format!("/v1/assets/{large_id}");
    ann.patch(&titled, &[], &title).await.expect(200);
    let second = ann.initiate(&[&small]).await.remove(0);
    let (small_id, small_upload) = asset_and_upload(&second);
    assert_eq!(listed(&ann).await, [small_id, large_id]);

    let superseded = format!("{upload}?superseded_by={small_id}");
    for _ in 0..2 {
        let ended = ann.delete(&superseded).await.expect(200);
        assert_eq!(
            (&ended["asset_id"], &ended["state"]),
            (&json!(small_id), &json!("uploading"))
        );
    }
    assert_eq!(ann.get(&upload).await.expect(200)["state"], "aborted");
    // One picture, in every list, by whichever name, with what was said of it.
    assert_eq!(listed(&ann).await, [small_id]);
    let path = format!("/v1/assets?capture={capture_id}");
    assert_eq!(ann.get(&path).await.expect(200)["items"], json!([]));
    for id in [large_id, small_id] {
        let path = format!("/v1/assets/{id}?fields=title,tags");
        let shown = ann.get(&path).await.expect(200);
        assert_eq!(
            (&shown["asset_id"], &shown["title"], &shown["tags"]),
            (&json!(small_id), &json!("Kept"), &json!(["sea"]))
        );
    }
    let told = "SELECT COUNT(*) FROM events WHERE kind = 'asset.state_changed' AND detail LIKE '%merged_into%'";
    assert_eq!(number(&rig.catalog().await, told).await, 1);

    // Asked for again, its capture is not led to an upload of other bytes.
    let again = ann.post("/v1/captures", &request).await.expect(201);
    assert_eq!(again["assets"][0]["state"], "deleted", "{again}");
    assert!(again["assets"][0]["uploads"].is_null(), "{again}");

    // Its own bytes are found to be there before it has arrived: both are the one that has them.
    let third = ann.upload(&small).await;
    assert_ne!(third, small_id);
    ann.ready(&third).await;
    assert_eq!(ann.get(&small_upload).await.expect(200)["state"], "merged");
    // Giving up what is merged changes nothing, and is not answered by the advice to delete the other's picture.
    let given_up = ann.delete(&small_upload).await.expect(200);
    assert_eq!(given_up["asset_id"], third.as_str());
    for id in [large_id, small_id] {
        assert_eq!(ann.asset(id).await["asset_id"], third);
    }
    assert_eq!(listed(&ann).await, [third]);
}

/// As by a camera whose numbers begin again: the answer must not be that all is there.
async fn other_bytes_under_a_reference_that_was_used_are_refused(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let (file, other) = (photo(1), photo(2));
    let request = capture(&[&file]);
    let with = |bytes: &[u8], tells_hash: bool| {
        let mut request = request.clone();
        let resource = &mut request["assets"][0]["resources"][0];
        resource["size_bytes"] = json!(bytes.len());
        resource["sha256"] = json!(sha256(bytes));
        if !tells_hash {
            resource.as_object_mut().unwrap().remove("sha256");
        }
        request
    };
    let longer = [&file[..], b"more"].concat();
    let made = ann.post("/v1/captures", &with(&file, false)).await;
    let made = made.expect(201);
    let asset = &made["assets"][0];
    let again = async |request: Value| ann.post("/v1/captures", &request).await;
    // Before a byte was sent only the length is known.
    let refused = again(with(&longer, false)).await;
    let problem = refused.problem(422, "validation_failed");
    assert_eq!(problem["field"], "assets[0]", "{problem}");
    ann.send(asset, &file).await;
    ann.complete(text(&asset["uploads"][0]["upload_id"]))
        .await
        .expect(200);
    ann.ready(text(&asset["asset_id"])).await;
    for wrong in [with(&other, true), with(&longer, false)] {
        again(wrong).await.problem(422, "validation_failed");
    }
    // The same bytes are found again, whatever is told of them.
    for right in [with(&file, true), with(&file, false)] {
        let found = again(right).await.expect(201);
        assert_eq!(found["capture_id"], made["capture_id"]);
        assert_eq!(found["assets"][0]["state"], "ready");
    }
}

async fn only_an_asset_of_the_same_owner_that_comes_takes_another_s_place(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let (ann, bob) = (rig.owner("ann"), rig.owner("bob"));
    let mine = ann.initiate(&[&photo(1)]).await.remove(0);
    let (id, upload) = asset_and_upload(&mine);
    let other = bob.initiate(&[&photo(2)]).await.remove(0);
    for successor in [text(&other["asset_id"]), id, "ast_none"] {
        let refused = ann
            .delete(&format!("{upload}?superseded_by={successor}"))
            .await;
        refused.problem(422, "validation_failed");
        assert_eq!(ann.get(&upload).await.expect(200)["state"], "open");
    }
    // What was given up itself brings nothing.
    let gone = ann.initiate(&[&photo(3)]).await.remove(0);
    let (gone_id, gone_upload) = asset_and_upload(&gone);
    ann.delete(&gone_upload).await.expect(200);
    let superseded = format!("{upload}?superseded_by={gone_id}");
    let ended = ann.delete(&superseded).await.expect(200);
    assert_eq!(
        (&ended["asset_id"], &ended["state"]),
        (&json!(id), &json!("expired"))
    );
}

async fn a_completion_that_everybody_died_in_is_ended_by_itself(database: Database) {
    let mut split = Split::start(database).await;
    let ann = split.owner("ann");
    let file = large_photo(9, PART_BYTES + 1000);
    let asset = ann.initiate(&[&file]).await.remove(0);
    ann.send(&asset, &file).await;
    let upload_id = text(&asset["uploads"][0]["upload_id"]).to_owned();
    // The store is asked to complete; before it hears of it, the server dies, and nobody asks again.
    split.proxy.hold("POST /safelight/o/");
    let (asking, id) = (ann.clone(), upload_id.clone());
    let asked = tokio::spawn(async move {
        let path = format!("/v1/uploads/{id}/complete");
        let request = asking.request(reqwest::Method::POST, &path);
        let sent = request.header("idempotency-key", "lost").send().await;
        assert!(sent.is_err(), "the server died");
    });
    split.proxy.holds().await;
    split.api.kill().await.unwrap();
    asked.await.unwrap();
    split.proxy.release();

    let catalog = open_catalog(&split.api).await;
    let completing = "SELECT COUNT(*) FROM uploads WHERE state = 'completing'";
    assert_eq!(number(&catalog, completing).await, 1);
    // Time passes: long enough for the reconciler to believe that nobody is at it.
    change(
        &catalog,
        "UPDATE uploads SET look_at = 0 WHERE state = 'completing'",
        vec![],
    )
    .await;
    drop(catalog);
    split.api.restart().await.unwrap();
    let asset_id = text(&asset["asset_id"]);
    ann.ready(asset_id).await;
    assert_eq!(ann.original(asset_id).await, file);
    let truth = ann.get(&format!("/v1/uploads/{upload_id}")).await;
    assert_eq!(truth.expect(200)["state"], "completed");
}

async fn an_upload_lives_as_long_as_the_settings_say(database: Database) {
    let rig = Rig::start(database, &["--upload-life-hours", "2"]).await;
    rig.owner("ann").initiate(&[&photo(1)]).await;
    let catalog = rig.catalog().await;
    let life = "SELECT u.expires_at - a.created_at FROM uploads u JOIN assets a ON a.asset_id = u.asset_id";
    assert_eq!(number(&catalog, life).await, 2 * 3600 * 1_000_000);
    for (hours, is_taken) in [("168", true), ("169", false), ("0", false)] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_safelight"));
        command
            .args(["serve", "--explain-config", "--upload-life-hours", hours])
            .env_clear();
        let explained = tokio::task::spawn_blocking(move || command.output().unwrap());
        let explained = explained.await.unwrap();
        assert_eq!(explained.status.success(), is_taken, "{explained:?}");
        if !is_taken {
            let said = String::from_utf8(explained.stderr).unwrap();
            assert!(said.contains("upload_life_hours"), "{said}");
        }
    }
}
