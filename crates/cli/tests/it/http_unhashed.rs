//! Clients that cannot give checksums: URLs that are bound to a length alone.

use serde_json::{Value, json};

use crate::http_rig::{
    Caller, Database, PART_BYTES, Rig, capture, large_photo, on_both_databases, photo, put, sha256,
    text,
};

on_both_databases!(
    parts_may_lack_their_hashes_and_the_file_is_verified,
    parts_may_have_hashes_where_the_file_has_none,
    the_first_parts_decide,
    an_operator_may_want_no_url_without_a_hash,
);

/// Initiates a file that goes by parts, with this declared hash; its asset.
async fn begin(ann: &Caller, file: &[u8], hash: Option<String>) -> Value {
    let mut request = capture(&[file]);
    request["accept_transports"] = json!(["multipart"]);
    request["assets"][0]["resources"][0]["sha256"] = json!(hash);
    let made = ann.post("/v1/captures", &request).await.expect(201);
    made["assets"][0].clone()
}

fn upload_id(asset: &Value) -> &str {
    text(&asset["uploads"][0]["upload_id"])
}

/// URLs for all parts of a file, with hashes or without.
async fn sign(ann: &Caller, asset: &Value, file: &[u8], hashed: bool) -> Vec<Value> {
    let parts: Vec<Value> = file
        .chunks(PART_BYTES)
        .enumerate()
        .map(|(i, part)| {
            let hash = hashed.then(|| sha256(part));
            json!({ "number": i + 1, "sha256": hash })
        })
        .collect();
    let path = format!("/v1/uploads/{}/urls", upload_id(asset));
    let signed = ann.post(&path, &json!({ "parts": parts })).await;
    signed.expect(200)["urls"].as_array().unwrap().clone()
}

async fn send(rig: &Rig, urls: &[Value], file: &[u8]) {
    for (url, part) in urls.iter().zip(file.chunks(PART_BYTES)) {
        let sent = put(&rig.http, url, part.to_vec()).await;
        assert_eq!(sent.status, 200, "{sent:?}");
    }
}

fn is_bound(url: &Value) -> bool {
    url["headers"]["x-amz-checksum-sha256"].is_string()
}

async fn parts_may_lack_their_hashes_and_the_file_is_verified(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(1, PART_BYTES + 1_000_000);
    let asset = begin(&ann, &file, Some(sha256(&file))).await;
    let urls = sign(&ann, &asset, &file, false).await;
    assert!(!urls.iter().any(is_bound), "{urls:?}");
    // The length is part of the signature.
    let longer = put(&rig.http, &urls[1], file[..1_000_001].to_vec()).await;
    assert_eq!(longer.status, 403, "{longer:?}");
    send(&rig, &urls, &file).await;
    ann.complete(upload_id(&asset)).await.expect(200);
    let ready = ann.ready(text(&asset["asset_id"])).await;
    assert_eq!(ready["original"]["sha256"], sha256(&file));

    // Other bytes of the same length get as far as the inspection.
    let (declared, sent) = (
        large_photo(2, PART_BYTES + 9),
        large_photo(3, PART_BYTES + 9),
    );
    let asset = begin(&ann, &declared, Some(sha256(&declared))).await;
    let urls = sign(&ann, &asset, &declared, false).await;
    send(&rig, &urls, &sent).await;
    ann.complete(upload_id(&asset)).await.expect(200);
    let failed = ann.settled(text(&asset["asset_id"])).await;
    assert_eq!(failed["state"], "failed");
    assert_eq!(failed["reason"]["code"], "checksum_mismatch");
    assert!(failed["cover_url"].is_null());
}

async fn parts_may_have_hashes_where_the_file_has_none(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(4, PART_BYTES + 9);
    let asset = begin(&ann, &file, None).await;
    let urls = sign(&ann, &asset, &file, true).await;
    assert!(urls.iter().all(is_bound), "{urls:?}");
    let other = put(&rig.http, &urls[1], vec![0; 9]).await;
    assert_eq!(other.status, 400, "{other:?}");
    send(&rig, &urls, &file).await;
    ann.complete(upload_id(&asset)).await.expect(200);
    let ready = ann.ready(text(&asset["asset_id"])).await;
    assert_eq!(ready["original"]["sha256"], sha256(&file));
}

async fn the_first_parts_decide(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(5, PART_BYTES + 9);
    let hash = sha256(&file[PART_BYTES..]);
    let with = json!({ "parts": [{ "number": 2, "sha256": hash }] });
    let without = json!({ "parts": [{ "number": 2 }] });
    let mixed = json!({ "parts": [{ "number": 2, "sha256": hash }, { "number": 1 }] });

    let asset = begin(&ann, &file, Some(sha256(&file))).await;
    let urls = format!("/v1/uploads/{}/urls", upload_id(&asset));
    let refused = ann.post(&urls, &mixed).await;
    let problem = refused.problem(422, "validation_failed");
    assert_eq!(problem["field"], "parts[1].sha256");
    ann.post(&urls, &with).await.expect(200);
    let refused = ann.post(&urls, &without).await;
    let problem = refused.problem(422, "validation_failed");
    assert_eq!(problem["field"], "parts[0].sha256");

    // Another program that can give hashes goes on with what was begun without.
    let asset = begin(&ann, &large_photo(6, PART_BYTES + 9), None).await;
    let urls = format!("/v1/uploads/{}/urls", upload_id(&asset));
    ann.post(&urls, &without).await.expect(200);
    let signed = ann.post(&urls, &with).await.expect(200);
    assert!(!is_bound(&signed["urls"][0]), "{signed}");
}

async fn an_operator_may_want_no_url_without_a_hash(database: Database) {
    let rig = Rig::start(database, &["--length-only-urls", "no"]).await;
    let ann = rig.owner("ann");
    let file = photo(7);
    for transports in [json!([]), json!(["multipart"]), json!(["single"])] {
        let mut request = capture(&[&file]);
        request["accept_transports"] = transports;
        request["assets"][0]["resources"][0]["sha256"] = Value::Null;
        let refused = ann.post("/v1/captures", &request).await;
        let problem = refused.problem(422, "validation_failed");
        assert_eq!(problem["field"], "assets[0].resources[0].sha256");
    }
    // The gateway sees the bytes itself.
    let mut request = capture(&[&file]);
    request["accept_transports"] = json!(["single", "append"]);
    request["assets"][0]["resources"][0]["sha256"] = Value::Null;
    let made = ann.post("/v1/captures", &request).await.expect(201);
    let upload = &made["assets"][0]["uploads"][0];
    assert_eq!(upload["plan"]["transport"], "append", "{upload}");
    let plan = format!("/v1/uploads/{}/plan", text(&upload["upload_id"]));
    let single = json!({ "accept_transports": ["single"] });
    let refused = ann.post(&plan, &single).await;
    let problem = refused.problem(422, "validation_failed");
    assert_eq!(problem["field"], "accept_transports");

    let asset = begin(&ann, &file, Some(sha256(&file))).await;
    let urls = format!("/v1/uploads/{}/urls", upload_id(&asset));
    let without = json!({ "parts": [{ "number": 1 }] });
    let refused = ann.post(&urls, &without).await;
    let problem = refused.problem(422, "validation_failed");
    assert_eq!(problem["field"], "parts[0].sha256");
    let urls = sign(&ann, &asset, &file, true).await;
    send(&rig, &urls, &file).await;
    ann.complete(upload_id(&asset)).await.expect(200);
    ann.ready(text(&asset["asset_id"])).await;
}
