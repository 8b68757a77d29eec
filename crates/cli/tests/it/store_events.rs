//! The store tells what happens to it: uploads are completed for it at once, and for nothing that it only says.

use reqwest::Method;
use safelight_testkit::wait;
use serde_json::{Value, json};

use crate::http_rig::{
    Answer, Caller, Database, PART_BYTES, PATIENCE, Rig, Split, answer, large_photo, number,
    on_both_databases, open_catalog, photo, rows, text,
};

on_both_databases!(
    the_embedded_store_tells_by_itself,
    an_event_has_the_store_asked_and_is_not_believed,
    an_event_ends_what_a_dead_server_began,
    only_the_store_is_heard,
);

const SECRET: &str = "a secret of the store";
/// Nobody is looked at for being silent.
const PATIENT: [&str; 4] = [
    "--upload-quiet-seconds",
    "604800",
    "--store-events-secret",
    SECRET,
];

fn upload_id(asset: &Value) -> &str {
    text(&asset["uploads"][0]["upload_id"])
}

async fn state(caller: &Caller, asset: &Value) -> String {
    let path = format!("/v1/uploads/{}", upload_id(asset));
    text(&caller.get(&path).await.expect(200)["state"]).to_owned()
}

async fn key_of(split: &Split, asset: &Value) -> String {
    let catalog = open_catalog(&split.api).await;
    let query = format!(
        "SELECT object_key FROM uploads WHERE upload_id = '{}'",
        upload_id(asset)
    );
    rows(&catalog, &query).await[0].text(0).unwrap()
}

fn record(name: &str, bucket: &str, key: &str, size: Value) -> Value {
    json!({ "eventVersion": "2.1", "eventName": name, "eventTime": "2026-11-28T03:00:00.000Z",
            "s3": { "bucket": { "name": bucket }, "object": { "key": key, "size": size, "eTag": "made up" } } })
}

fn created(key: &str) -> Value {
    json!({ "Records": [record("ObjectCreated:Put", "safelight", key, json!(1))] })
}

async fn tell(caller: &Caller, body: &Value) -> Answer {
    let url = format!("{}/v1/store-events", caller.base);
    answer(caller.http.post(url).bearer_auth(SECRET).json(body)).await
}

async fn looked_at(caller: &Caller, body: &Value) -> u64 {
    let heard = tell(caller, body).await.expect(200);
    heard["looked_at"].as_u64().unwrap()
}

async fn the_embedded_store_tells_by_itself(database: Database) {
    let rig = Rig::start(database, &PATIENT[..2]).await;
    let ann = rig.owner("ann");
    let file = photo(1);
    let asset = ann.initiate(&[&file]).await.remove(0);
    ann.send(&asset, &file).await;
    ann.ready(text(&asset["asset_id"])).await;
    let ways = rows(&rig.catalog().await, "SELECT way FROM store_events").await;
    assert_eq!(ways[0].text(0).unwrap(), "embedded");
}

async fn an_event_has_the_store_asked_and_is_not_believed(database: Database) {
    let split = Split::start_with(database, &PATIENT).await;
    let ann = split.owner("ann");
    let files: Vec<Vec<u8>> = (1..=5).map(photo).collect();
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let assets = ann.initiate(&files).await;
    let mut keys = Vec::new();
    for asset in &assets {
        keys.push(key_of(&split, asset).await);
    }
    // Before anything was sent.
    assert_eq!(looked_at(&ann, &created(&keys[0])).await, 1);
    let catalog = open_catalog(&split.api).await;
    let asked = wait::until(PATIENCE, async || {
        let waiting = "SELECT COUNT(*) FROM uploads WHERE looks = 1 AND look_at > 0";
        number(&catalog, waiting).await == 1
    });
    asked.await.unwrap();
    assert_eq!(state(&ann, &assets[0]).await, "open");
    for (asset, file) in assets.iter().zip(&files) {
        ann.send(asset, file).await;
    }
    // A stranger's key, a key that is none, another bucket, something that went.
    let strange = "o/ten_00000000000000000000000000/2026/11/28/00000000000000000000000000";
    let nothing = json!({ "Records": [
        record("s3:ObjectCreated:Put", "safelight", strange, json!(1)),
        record("s3:ObjectCreated:Put", "safelight", "../etc/passwd", json!(1)),
        record("s3:ObjectCreated:Put", "other", &keys[0], json!(1)),
        record("s3:ObjectRemoved:Delete", "safelight", &keys[0], json!(1)),
    ]});
    let heard = tell(&ann, &nothing).await.expect(200);
    assert_eq!(
        (&heard["looked_at"], &heard["ignored"]),
        (&json!(0), &json!(3))
    );
    for asset in &assets {
        assert_eq!(state(&ann, asset).await, "open");
    }
    // As each kind of store says it, one of them twice at once.
    let encoded = keys[1].replace('/', "%2F");
    let minio = json!({ "EventName": "s3:ObjectCreated:Put", "Key": format!("safelight/{}", keys[1]),
        "Records": [record("s3:ObjectCreated:Put", "safelight", &encoded, json!(1))] });
    let ceph =
        json!({ "Records": [record("ObjectCreated:Put", "safelight", &keys[2], json!("1"))] });
    let bridge = json!({ "version": "0", "detail-type": "Object Created", "source": "aws.s3",
        "detail": { "bucket": { "name": "safelight" }, "object": { "key": keys[3], "size": 1 } } });
    let aws = created(&keys[0]);
    let (once, twice) = tokio::join!(tell(&ann, &aws), tell(&ann, &aws));
    assert_eq!((once.status, twice.status), (200, 200));
    for message in [&minio, &ceph, &bridge] {
        assert_eq!(looked_at(&ann, message).await, 1, "{message}");
    }
    for asset in &assets[..4] {
        ann.ready(text(&asset["asset_id"])).await;
    }
    assert_eq!(state(&ann, &assets[4]).await, "open", "nobody told of it");
    // After the client said so itself, and for what is whole long since.
    ann.complete(upload_id(&assets[4])).await.expect(200);
    for key in &keys {
        assert_eq!(looked_at(&ann, &created(key)).await, 0);
    }
    let told = "SELECT COUNT(*) FROM events WHERE kind = 'upload.completed'";
    assert_eq!(number(&catalog, told).await, 5);
    assert_eq!(number(&catalog, "SELECT COUNT(*) FROM blobs").await, 5);
}

/// The store has made the object, and the server died before it heard so.
async fn an_event_ends_what_a_dead_server_began(database: Database) {
    let mut split = Split::start_with(database, &PATIENT).await;
    let ann = split.owner("ann");
    let file = large_photo(9, PART_BYTES + 1000);
    let asset = ann.initiate(&[&file]).await.remove(0);
    ann.send(&asset, &file).await;
    let key = key_of(&split, &asset).await;
    split.proxy.withhold("POST /safelight/o/", "uploadId=");
    let (asking, id) = (ann.clone(), upload_id(&asset).to_owned());
    let asked = tokio::spawn(async move {
        let path = format!("/v1/uploads/{id}/complete");
        let request = asking.request(Method::POST, &path);
        let sent = request.header("idempotency-key", "lost").send().await;
        assert!(sent.is_err(), "the server died");
    });
    split.proxy.holds().await;
    split.api.kill().await.unwrap();
    asked.await.unwrap();
    split.proxy.release();
    split.api.restart().await.unwrap();
    assert_eq!(state(&ann, &asset).await, "completing");
    assert_eq!(looked_at(&ann, &created(&key)).await, 1);
    ann.ready(text(&asset["asset_id"])).await;
}

async fn only_the_store_is_heard(database: Database) {
    let rig = Rig::start(database, &PATIENT).await;
    let (url, body) = (
        format!("{}/v1/store-events", rig.server.url()),
        created("o/x"),
    );
    let send = |request: reqwest::RequestBuilder| answer(request.json(&body));
    let post = || rig.http.post(&url);
    assert_eq!(
        send(post().basic_auth("minio", Some(SECRET))).await.status,
        200
    );
    assert_eq!(
        send(post().header("authorization", format!("bearer {SECRET}")))
            .await
            .status,
        200
    );
    send(post()).await.problem(401, "unauthorized");
    send(post().bearer_auth("guess"))
        .await
        .problem(401, "unauthorized");
    let admin = rig.server.admin_key().unwrap();
    send(post().bearer_auth(&admin))
        .await
        .problem(401, "unauthorized");
    send(post().basic_auth(SECRET, Some("")))
        .await
        .problem(401, "unauthorized");

    let told = async |body: &str| {
        let request = post().bearer_auth(SECRET).body(body.to_owned());
        answer(request).await
    };
    for wrong in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"Records":3}"#,
        r#"{"Records":[{}]}"#,
    ] {
        told(wrong).await.problem(422, "validation_failed");
    }
    let problem = told(r#"{"Records":[{"eventName":"ObjectCreated:Put"}]}"#).await;
    let problem = problem.problem(422, "validation_failed");
    assert_eq!(problem["field"], "Records[0].s3.bucket.name");
    let large = format!(r#"{{"Records":[],"x":"{}"}}"#, "x".repeat(1 << 20));
    told(&large).await.problem(413, "byte_limit_exceeded");
    assert_eq!(told(r#"{"Event":"s3:TestEvent"}"#).await.status, 200);

    let rig = Rig::start(database, &[]).await;
    let url = format!("{}/v1/store-events", rig.server.url());
    for secret in ["", "x"] {
        let request = rig.http.post(&url).bearer_auth(secret).json(&body);
        answer(request).await.problem(403, "forbidden");
    }
}
