//! Every problem that this version can answer with: status, code, page, request id.

use reqwest::Method;
use safelight_model::codes::Code;
use safelight_testkit::postgres::{Cluster, Durability};
use safelight_testkit::server::Server;
use safelight_testkit::wait;
use serde_json::{Value, json};

use crate::http_rig::{
    Caller, Database, HalfSent, PATIENCE, Rig, Split, answer, capture, fetch, fresh_key, http,
    on_both_databases, options, photo, text,
};

on_both_databases!(
    what_is_wrong_with_a_request_is_named,
    what_is_wrong_with_a_file_is_named,
    a_store_that_is_away_is_named,
);

/// Codes that other features will produce.
const RESERVED: [Code; 4] = [
    Code::ContentQuarantined,
    Code::RetentionForbids,
    Code::LegalHold,
    Code::RateLimited,
];

async fn what_is_wrong_with_a_request_is_named(database: Database) {
    let rig = Rig::start(database, &["--max-file-bytes", "100000000"]).await;
    let ann = rig.owner("ann");
    let nobody = rig.caller(None, None);

    for code in Code::ALL {
        let page = nobody.get(&format!("/docs/errors/{code}")).await;
        assert_eq!(page.status, 200);
        assert!(page.header("content-type").starts_with("text/markdown"));
        let page = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(page.contains(code.as_str()), "{page}");
        let reserved = page.to_lowercase().contains("reserved");
        assert_eq!(reserved, RESERVED.contains(&code), "{page}");
    }
    let page = nobody.get("/docs/errors/no_such_code").await;
    page.problem(404, "not_found");

    nobody.get("/nowhere").await.problem(404, "not_found");
    ann.get("/v1/nowhere").await.problem(404, "not_found");
    let wrong_method = answer(ann.request(Method::PUT, "/v1/assets")).await;
    wrong_method.problem(404, "not_found");
    ann.get("/v1/assets/ast_0").await.problem(404, "not_found");
    ann.get("/v1/assets/%FF").await.problem(404, "not_found");
    ann.get("/v1/assets/%00")
        .await
        .problem(422, "validation_failed");

    let raw = async |body: Vec<u8>| {
        let request = ann.request(Method::POST, "/v1/captures");
        answer(request.header("idempotency-key", fresh_key()).body(body)).await
    };
    for malformed in ["{", "[]", "\"x\"", "{\"client_ref\": 1}", "\u{fffd}"] {
        let refused = raw(malformed.into()).await;
        refused.problem(422, "validation_failed");
    }
    let refused = raw(vec![b' '; 1024 * 1024 + 1]).await;
    refused.problem(413, "byte_limit_exceeded");
    let fits = raw(vec![b' '; 1024 * 1024]).await;
    fits.problem(422, "validation_failed");

    let file = photo(1);
    let with = |path: &str, value: Value| {
        let mut request = capture(&[&file]);
        match request.pointer_mut(path) {
            Some(place) => *place = value,
            None => {
                let (parent, name) = path.rsplit_once('/').unwrap();
                request.pointer_mut(parent).unwrap()[name] = value;
            }
        }
        request
    };
    let resource = "/assets/0/resources/0";
    let at = |field: &str| format!("{resource}/{field}");
    let asset = capture(&[&file])["assets"][0].clone();
    for (request, field) in [
        (with("/client_ref", json!("")), "client_ref"),
        (with("/client_ref", json!("a\nb")), "client_ref"),
        (with("/client_ref", json!("x".repeat(129))), "client_ref"),
        (with("/mode", json!("panorama")), "mode"),
        (with("/purpose", json!("")), "purpose"),
        (with("/captured_at", json!("yesterday")), "captured_at"),
        (with("/assets", json!([])), "assets"),
        (with("/assets", json!(vec![asset.clone(); 101])), "assets"),
        (
            with("/assets", json!([asset.clone(), asset])),
            "assets[1].client_ref",
        ),
        (with("/assets/0/role", json!("star")), "assets[0].role"),
        (
            with("/assets/0/resources", json!([])),
            "assets[0].resources",
        ),
        (
            with("/accept_transports", json!(["pigeon"])),
            "accept_transports",
        ),
        (
            with(&at("kind"), json!("raw")),
            "assets[0].resources[0].kind",
        ),
        (
            with(&at("size_bytes"), json!(0)),
            "assets[0].resources[0].size_bytes",
        ),
        (
            with(&at("size_bytes"), json!(-1)),
            "assets[0].resources[0].size_bytes",
        ),
        (
            with(&at("sha256"), json!("ABC")),
            "assets[0].resources[0].sha256",
        ),
        (
            with(&at("filename"), json!("a\u{0}b")),
            "assets[0].resources[0].filename",
        ),
        (
            with(&at("mime"), json!("jpeg")),
            "assets[0].resources[0].mime",
        ),
        (
            with(&at("preview"), json!("?")),
            "assets[0].resources[0].preview",
        ),
    ] {
        let refused = ann.post("/v1/captures", &request).await;
        let problem = refused.problem(422, "validation_failed");
        assert_eq!(problem["field"], field, "{problem}");
    }
    let huge = with(&at("size_bytes"), json!(100_000_001));
    let refused = ann.post("/v1/captures", &huge).await;
    let problem = refused.problem(413, "byte_limit_exceeded");
    assert_eq!(problem["field"], "assets[0].resources[0].size_bytes");
    let list = ann.get("/v1/assets").await.expect(200);
    assert_eq!(list["items"], json!([]), "nothing was made by any of these");
}

async fn what_is_wrong_with_a_file_is_named(database: Database) {
    let rig = Rig::start(database, &["--max-pixels", "1000000"]).await;
    let ann = rig.owner("ann");
    let large = safelight_testkit::camera::flat(1200, 1000, [90, 20, 20]);
    let mut cut = photo(1);
    cut.truncate(cut.len() / 20);
    for (file, code) in [
        (b"not a picture at all".to_vec(), "unsupported_media_type"),
        (
            b"\x89PNG\r\n\x1a\nand then nothing of the kind".to_vec(),
            "media_corrupt",
        ),
        (cut, "media_corrupt"),
        (large, "pixel_limit_exceeded"),
    ] {
        let asset_id = ann.upload(&file).await;
        let failed = ann.settled(&asset_id).await;
        assert_eq!(failed["state"], "failed", "{failed}");
        assert_eq!(failed["reason"]["code"], code, "{failed}");
        assert!(!text(&failed["reason"]["detail"]).is_empty(), "{failed}");
        assert!(failed["cover_url"].is_null(), "{failed}");
        assert_eq!(ann.original(&asset_id).await, file, "it is kept");
        // What is damaged is so for good: the same bytes again lead to the same asset, as it really is. What another server may
        // show, or this one by other settings, is asked for.
        let again = ann.initiate(&[&file]).await.remove(0);
        if code == "media_corrupt" {
            assert_eq!(
                (&again["asset_id"], &again["state"]),
                (&json!(asset_id), &json!("failed"))
            );
        } else {
            assert_ne!(again["asset_id"], asset_id);
            assert_eq!(again["state"], "uploading");
        }
    }
}

async fn a_store_that_is_away_is_named(database: Database) {
    let mut split = Split::start(database).await;
    let ann = split.owner("ann");
    let file = photo(1);
    let asset = ann.initiate(&[&file]).await.remove(0);
    ann.send(&asset, &file).await;
    let upload_id = text(&asset["uploads"][0]["upload_id"]);
    split.store.kill().await.unwrap();
    let key = fresh_key();
    let path = format!("/v1/uploads/{upload_id}/complete");
    let refused = ann.post_as(&path, &key, &json!({})).await;
    let problem = refused.problem(503, "store_unavailable");
    assert!(!refused.header("retry-after").is_empty());
    assert!(!text(&problem["detail"]).contains("127.0.0.1"), "{problem}");
    ann.get("/readyz").await.problem(503, "store_unavailable");
    assert_eq!(ann.get("/healthz").await.status, 200);
    // What asks the database only goes on.
    ann.initiate(&[&photo(2)]).await;
    split.store.restart().await.unwrap();
    ann.post_as(&path, &key, &json!({})).await.expect(200);
    ann.ready(text(&asset["asset_id"])).await;
}

/// A key is known before the database is asked for it only while it is remembered: ask until the
/// database is what fails.
async fn unavailable(caller: &Caller) {
    let named = wait::until_some(PATIENCE, async || {
        let answer = caller.get("/v1/assets").await;
        (answer.status == 503).then_some(answer)
    });
    let refused = named.await.unwrap();
    let problem = refused.problem(503, "catalog_unavailable");
    assert_eq!(refused.header("retry-after"), "2");
    assert!(!text(&problem["detail"]).contains("127.0.0.1"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_named_and_found_again() {
    let cluster = Cluster::start(Durability::Durable).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let url = Some(cluster.fresh_database().unwrap());
    let mut server = Server::start(options(dir.path().join("server"), url, &[]))
        .await
        .unwrap();
    let ann = Caller {
        base: server.url(),
        http: http(),
        token: Some(server.admin_key().unwrap()),
        owner: Some("ann".to_owned()),
    };
    let file = photo(1);
    let asset = ann.initiate(&[&file]).await.remove(0);
    ann.send(&asset, &file).await;
    cluster.kill().unwrap();
    unavailable(&ann).await;
    ann.get("/readyz").await.problem(503, "catalog_unavailable");
    cluster.restart().unwrap();
    let back = wait::until(PATIENCE, async || ann.get("/readyz").await.status == 200);
    back.await.unwrap();
    let done = wait::until(PATIENCE, async || {
        let upload_id = text(&asset["uploads"][0]["upload_id"]);
        ann.complete(upload_id).await.status == 200
    });
    done.await.unwrap();
    ann.ready(text(&asset["asset_id"])).await;
    assert!(server.terminate().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_says_so_at_once() {
    let rig = Rig::start(Database::Sqlite, &["--max-requests", "1"]).await;
    let ann = rig.owner("ann");
    ann.get("/v1/assets").await.expect(200);
    // One request that does not come to its end holds the only place.
    let body = capture(&[&photo(1)]).to_string();
    let slow = HalfSent::begin(&ann, &body);
    let refused = ann.get("/v1/assets").await;
    refused.problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), "1");
    let health = fetch(&rig.http, &format!("{}/healthz", rig.server.url())).await;
    assert_eq!(health.status, 200, "health has a place of its own");
    let made = slow.end();
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    ann.get("/v1/assets").await.expect(200);
}
