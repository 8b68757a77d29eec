//! Clients that say nothing more: what arrived whole is completed soon, by whoever janitor, whatever dies meanwhile; what
//! did not is asked after a few times and expires; what was given up leaves nothing, also where bytes come behind it.

use std::time::Duration;

use safelight_model::limits;
use safelight_objects::{Capabilities, ObjectKey};
use safelight_service::look_after;
use safelight_testkit::proxy::Proxy;
use safelight_testkit::wait;
use serde_json::{Value, json};

use crate::http_rig::{
    Caller, Database, PART_BYTES, PATIENCE, Split, capture, change, large_photo, number, objects,
    on_both_databases, open_catalog, photo, put, rows, text,
};
use crate::in_process::InProcess;
use crate::odd_store::{OddStore, Oddities};

on_both_databases!(
    what_arrived_whole_is_completed_without_a_word,
    a_janitor_that_dies_at_any_step_is_followed_by_another,
    of_many_janitors_one_looks,
    an_abandoned_upload_is_asked_after_a_few_times_and_expires,
    a_tenant_with_many_uploads_keeps_nobody_waiting,
    an_abort_is_repeated_until_no_part_is_left,
    what_comes_after_an_abort_is_removed,
    what_comes_after_a_merge_is_removed,
    what_comes_for_one_that_began_anew_is_removed,
    a_deletion_waits_for_what_was_left_behind,
);

const MINUTE: Duration = Duration::from_secs(60);

fn upload_id(asset: &Value) -> &str {
    text(&asset["uploads"][0]["upload_id"])
}

fn asset_id(asset: &Value) -> &str {
    text(&asset["asset_id"])
}

async fn state(caller: &Caller, asset: &Value) -> String {
    let path = format!("/v1/uploads/{}", upload_id(asset));
    text(&caller.get(&path).await.expect(200)["state"]).to_owned()
}

/// The store is a process of its own that tells nobody of anything.
async fn what_arrived_whole_is_completed_without_a_word(database: Database) {
    let split = Split::start_with(database, &["--upload-quiet-seconds", "1"]).await;
    let ann = split.owner("ann");
    let (small, large) = (photo(1), large_photo(2, PART_BYTES + 1000));
    let assets = ann.initiate(&[&small, &large, &photo(3)]).await;
    ann.send(&assets[0], &small).await;
    ann.send_parts(upload_id(&assets[1]), &large, &[2]).await;
    ann.ready(asset_id(&assets[0])).await;
    // Looked at by now as well, or soon: what is missing is waited for.
    assert_eq!(state(&ann, &assets[1]).await, "open");
    ann.send_parts(upload_id(&assets[1]), &large, &[1]).await;
    ann.ready(asset_id(&assets[1])).await;
    assert_eq!(ann.original(asset_id(&assets[1])).await, large);
    assert_eq!(state(&ann, &assets[2]).await, "open");
    // The client, if it comes back, is told so.
    let done = ann.complete(upload_id(&assets[1])).await.expect(200);
    assert_eq!(done["asset_id"], asset_id(&assets[1]));
    let catalog = open_catalog(&split.api).await;
    let told = "SELECT COUNT(*) FROM events WHERE kind = 'upload.completed'";
    assert_eq!(number(&catalog, told).await, 2);
}

/// Between the question what is there and its answer, the intent and the store's Complete, and that and its answer.
async fn a_janitor_that_dies_at_any_step_is_followed_by_another(database: Database) {
    let mut split = Split::start_with(database, &["--upload-quiet-seconds", "1"]).await;
    let ann = split.owner("ann");
    let file = large_photo(9, PART_BYTES + 1000);
    let asset = ann.initiate(&[&file]).await.remove(0);
    let steps = [
        (false, "GET /safelight/o/"),
        (true, "GET /safelight/o/"),
        (false, "POST /safelight/o/"),
        (true, "POST /safelight/o/"),
    ];
    let stop_at = |proxy: &Proxy, (withheld, line): (bool, &str)| match withheld {
        true => proxy.withhold(line, "uploadId="),
        false => proxy.hold(line),
    };
    stop_at(&split.proxy, steps[0]);
    ann.send(&asset, &file).await;
    for (i, (_, line)) in steps.into_iter().enumerate() {
        split.proxy.holds().await;
        split.api.kill().await.unwrap();
        split.proxy.release();
        let catalog = open_catalog(&split.api).await;
        let row = &rows(&catalog, "SELECT state FROM uploads").await[0];
        let begun = line.starts_with("POST");
        let expected = if begun { "completing" } else { "open" };
        assert_eq!(row.text(0).unwrap(), expected, "{line}");
        // Time passes: the dead one has the upload no longer.
        change(&catalog, "UPDATE uploads SET look_at = 0", vec![]).await;
        catalog.close().await;
        if let Some(next) = steps.get(i + 1) {
            stop_at(&split.proxy, *next);
        }
        split.api.restart().await.unwrap();
    }
    ann.ready(asset_id(&asset)).await;
    assert_eq!(ann.original(asset_id(&asset)).await, file);
    let catalog = open_catalog(&split.api).await;
    for query in [
        "FROM blobs",
        "FROM events WHERE kind = 'upload.completed'",
        "FROM uploads WHERE state = 'completed' AND look_at IS NULL",
    ] {
        let found = number(&catalog, &format!("SELECT COUNT(*) {query}")).await;
        assert_eq!(found, 1, "{query}");
    }
}

async fn of_many_janitors_one_looks(database: Database) {
    let service = InProcess::start(database).await;
    let ann = service.owner("ann");
    let files: Vec<Vec<u8>> = (0..40).map(|n| vec![n; 100]).collect();
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let assets = ann.initiate(&files).await;
    for (asset, file) in assets.iter().zip(&files).skip(10) {
        ann.send(asset, file).await;
    }
    assert_eq!(service.pass(MINUTE / 2).await, 0, "nobody is silent yet");
    service.clock.advance(MINUTE);
    // SQLite has one process; its janitors share a catalog.
    let contexts = match database {
        Database::Sqlite => vec![service.context.clone(); 4],
        Database::Postgres => vec![service.context.clone(), service.second().await],
    };
    let rounds: Vec<_> = contexts
        .into_iter()
        .map(|context| tokio::spawn(async move { look_after::round(&context).await }))
        .collect();
    let mut looked = Vec::new();
    for round in rounds {
        looked.push(round.await.unwrap().unwrap());
    }
    assert_eq!(looked.iter().sum::<usize>(), 40, "{looked:?}");
    let catalog = &service.context.catalog;
    for (query, expected) in [
        ("FROM uploads WHERE state = 'completed'", 30),
        ("FROM uploads WHERE state = 'open' AND looks = 1", 10),
        ("FROM blobs", 30),
        ("FROM jobs WHERE kind = 'inspect'", 30),
        ("FROM events WHERE kind = 'upload.completed'", 30),
    ] {
        let found = number(catalog, &format!("SELECT COUNT(*) {query}")).await;
        assert_eq!(found, expected, "{query}");
    }
}

async fn an_abandoned_upload_is_asked_after_a_few_times_and_expires(database: Database) {
    let service = InProcess::start(database).await;
    let ann = service.owner("ann");
    let large = large_photo(5, PART_BYTES + 1000);
    let assets = ann
        .initiate(&[&photo(4), &large, &large_photo(6, PART_BYTES + 1)])
        .await;
    ann.send_parts(upload_id(&assets[1]), &large, &[1]).await;
    // The third was never asked a URL for: nothing can have arrived.
    let mut looks = Vec::new();
    for minute in 1..=120 {
        for _ in 0..service.pass(MINUTE).await {
            looks.push(minute);
        }
    }
    let until_the_end = limits::UPLOAD - 121 * MINUTE;
    assert_eq!(service.pass(until_the_end).await, 0);
    assert_eq!(looks, [1, 1, 3, 3, 7, 7, 15, 15, 31, 31, 63, 63, 75, 75]);
    for asset in &assets {
        assert_eq!(state(&ann, asset).await, "open");
    }
    // What comes at last, though late, is not thrown away.
    let catalog = &service.context.catalog;
    let row = &rows(
        catalog,
        "SELECT object_key FROM uploads WHERE transport = 'single'",
    )
    .await[0];
    let key = ObjectKey::parse(&row.text(0).unwrap()).unwrap();
    let store = &service.context.objects;
    let late = bytes::Bytes::from(photo(4));
    store.put(&key, late, Default::default()).await.unwrap();
    service.pass(2 * MINUTE).await;
    assert_eq!(state(&ann, &assets[0]).await, "completed");
    for asset in &assets[1..] {
        assert_eq!(state(&ann, asset).await, "expired");
        let asset = ann.asset(asset_id(asset)).await;
        assert_eq!(asset["reason"]["code"], "upload_expired");
    }
    let open = "SELECT COUNT(*) FROM uploads WHERE look_at IS NOT NULL";
    assert_eq!(number(catalog, open).await, 0, "and nothing is left to do");
}

async fn a_tenant_with_many_uploads_keeps_nobody_waiting(database: Database) {
    let service = InProcess::start(database).await;
    let catalog = &service.context.catalog;
    let many = "INSERT INTO uploads (tenant_id, upload_id, owner_id, asset_id, resource_id, object_key, transport, \
        part_size_bytes, concurrency, send_order, size_bytes, state, version, signed_until, expires_at, look_at, created_at) \
        SELECT 'ten_a', 'upl_' || n, 'me', 'ast_' || n, 'res_' || n, 'o/ten_a/2026/11/28/' || n, 'multipart', \
        1, 1, 0, 1, 'open', 1, 0, 9000000000000000, n, 0 FROM \
        (WITH RECURSIVE seq (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 5000) SELECT n FROM seq) AS s";
    change(catalog, many, vec![]).await;
    let resources = "INSERT INTO resources (tenant_id, resource_id, asset_id, kind, size_bytes) \
        SELECT tenant_id, resource_id, asset_id, 'primary', 1 FROM uploads";
    change(catalog, resources, vec![]).await;
    let ann = service.owner("ann");
    let file = photo(1);
    let asset = ann.initiate(&[&file]).await.remove(0);
    ann.send(&asset, &file).await;
    service.clock.advance(2 * MINUTE);
    let round = tokio::spawn({
        let context = service.context.clone();
        async move { look_after::round(&context).await }
    });
    let whole = wait::until(PATIENCE, async || state(&ann, &asset).await == "completed");
    whole.await.unwrap();
    let behind =
        "SELECT COUNT(*) FROM uploads WHERE tenant_id = 'ten_a' AND look_at < 9000000000000000";
    assert!(
        number(catalog, behind).await > 1000,
        "it did not wait for them"
    );
    round.await.unwrap().unwrap();
    assert_eq!(number(catalog, behind).await, 0);
}

/// A store at which parts arrive right behind the first two aborts.
async fn an_abort_is_repeated_until_no_part_is_left(database: Database) {
    let odd = OddStore::start(Oddities {
        parts_behind_aborts: 2,
        ..Oddities::default()
    })
    .await;
    let service = InProcess::around(odd.objects(Capabilities::unprobed()), database).await;
    let ann = service.owner("ann");
    let file = large_photo(5, PART_BYTES + 1000);
    let asset = ann.initiate(&[&file]).await.remove(0);
    ann.send_parts(upload_id(&asset), &file, &[1]).await;
    assert_eq!(odd.holds(), (0, 1));
    let path = format!("/v1/uploads/{}", upload_id(&asset));
    ann.delete(&path).await.expect(200);
    let cleared = async || {
        let cleared = "SELECT COUNT(*) FROM uploads WHERE cleared_at IS NOT NULL";
        number(&service.context.catalog, cleared).await
    };
    // At once, and again soon where a part was left.
    assert_eq!(service.pass(Duration::ZERO).await, 1);
    assert_eq!((odd.holds(), cleared().await), ((0, 1), 0));
    assert_eq!(service.pass(MINUTE).await, 1);
    assert_eq!((odd.holds(), cleared().await), ((0, 1), 0));
    assert_eq!(service.pass(MINUTE).await, 1);
    assert_eq!((odd.holds(), cleared().await), ((0, 0), 0));
    // Nothing is left; but a URL still works, so it is not closed.
    let until = limits::PRESIGNED_URL + limits::LATE_BYTES;
    assert_eq!(service.pass(until - 3 * MINUTE).await, 0);
    assert_eq!(service.pass(2 * MINUTE).await, 1);
    assert_eq!(cleared().await, 1);
    assert_eq!(service.pass(30 * 24 * 60 * MINUTE).await, 0);
}

async fn what_comes_after_an_abort_is_removed(database: Database) {
    let service = InProcess::start(database).await;
    let (ann, store) = (service.owner("ann"), &service.context.objects);
    let file = photo(1);
    let asset = ann.initiate(&[&file]).await.remove(0);
    let path = format!("/v1/uploads/{}", upload_id(&asset));
    ann.delete(&path).await.expect(200);
    assert_eq!(service.pass(Duration::ZERO).await, 1);
    // The URL was given out, and works.
    ann.send(&asset, &file).await;
    assert_eq!(objects(store, "o/").await.len(), 1);
    let until = limits::PRESIGNED_URL + limits::LATE_BYTES;
    assert_eq!(service.pass(until - MINUTE).await, 0);
    assert_eq!(service.pass(2 * MINUTE).await, 1);
    assert!(objects(store, "o/").await.is_empty());
    assert_eq!(state(&ann, &asset).await, "aborted");
}

/// Parts, and a photo whose URL goes on working.
async fn what_comes_for_one_that_began_anew_is_removed(database: Database) {
    let service = InProcess::start(database).await;
    let (ann, store) = (service.owner("ann"), &service.context.objects);
    let (small, large) = (photo(1), large_photo(2, PART_BYTES + 1000));
    let assets = ann.initiate(&[&small, &large]).await;
    ann.send_parts(upload_id(&assets[1]), &large, &[2]).await;
    let asked = json!({ "accept_transports": ["append"], "restart": true });
    for asset in &assets {
        let path = format!("/v1/uploads/{}/plan", upload_id(asset));
        let after = ann.post(&path, &asked).await.expect(200);
        assert_eq!(after["plan"]["transport"], "append");
    }
    assert_eq!(store.list_uploads(None, 9).await.unwrap().uploads.len(), 1);
    ann.send(&assets[0], &small).await;
    assert_eq!(objects(store, "o/").await.len(), 1);
    assert_eq!(service.pass(Duration::ZERO).await, 2);
    assert_eq!(objects(store, "o/").await, [""; 0]);
    assert!(
        store
            .list_uploads(None, 9)
            .await
            .unwrap()
            .uploads
            .is_empty()
    );
    // Its time is not over: it comes again.
    ann.send(&assets[0], &small).await;
    service
        .pass(limits::PRESIGNED_URL + limits::LATE_BYTES + MINUTE)
        .await;
    assert_eq!(objects(store, "o/").await, [""; 0]);
    for asset in &assets {
        assert_eq!(state(&ann, asset).await, "open", "it is still waited for");
    }
    let left = "SELECT COUNT(*) FROM uploads WHERE state = 'aborted' AND cleared_at IS NULL";
    assert_eq!(number(&service.context.catalog, left).await, 0);
}

async fn a_deletion_waits_for_what_was_left_behind(database: Database) {
    let service = InProcess::start(database).await;
    let (ann, store) = (service.owner("ann"), &service.context.objects);
    let file = photo(1);
    let made = ann.initiate(&[&file]).await.remove(0);
    let asked = json!({ "accept_transports": ["append"], "restart": true });
    let path = format!("/v1/uploads/{}/plan", upload_id(&made));
    ann.post(&path, &asked).await.expect(200);
    let asset = format!("/v1/assets/{}", asset_id(&made));
    ann.delete(&asset).await.expect(202);
    service.pass(MINUTE).await;
    let told = ann.delete(&asset).await.expect(202);
    assert!(
        told["completed_at"].is_null(),
        "its URL still works: {told}"
    );
    ann.send(&made, &file).await;
    assert_eq!(objects(store, "o/").await.len(), 1);
    service
        .pass(limits::PRESIGNED_URL + limits::LATE_BYTES)
        .await;
    let told = ann.delete(&asset).await.expect(202);
    assert!(told["completed_at"].is_string(), "{told}");
    assert_eq!(objects(store, "o/").await, [""; 0]);
}

/// The same photo twice: the second upload's object goes, and comes again through its URL.
async fn what_comes_after_a_merge_is_removed(database: Database) {
    let mut split = Split::start(database).await;
    let ann = split.owner("ann");
    let file = photo(1);
    // Both are on their way before the first is whole.
    let first = ann.initiate(&[&file]).await.remove(0);
    // What it is, is known only when it is looked at.
    let mut request = capture(&[&file]);
    request["assets"][0]["resources"][0]["sha256"] = Value::Null;
    let made = ann.post("/v1/captures", &request).await.expect(201);
    let second = made["assets"][0].clone();
    for asset in [&first, &second] {
        ann.send(asset, &file).await;
        ann.complete(upload_id(asset)).await.expect(200);
        ann.ready(asset_id(asset)).await;
    }
    let store = crate::http_rig::open_store(&split.store);
    let one = wait::until(PATIENCE, async || objects(&store, "o/").await.len() == 1);
    one.await.unwrap();
    put(&ann.http, &second["uploads"][0]["urls"][0], file.clone()).await;
    let twice = objects(&store, "o/").await.len();
    assert_eq!(twice, 2, "it came again");
    let catalog = open_catalog(&split.api).await;
    let doomed = "SELECT COUNT(*) FROM blobs WHERE state = 'doomed'";
    assert_eq!(
        number(&catalog, doomed).await,
        1,
        "which was to be expected"
    );
    // Time passes.
    change(&catalog, "UPDATE uploads SET signed_until = 0", vec![]).await;
    change(&catalog, "UPDATE jobs SET run_at = 0", vec![]).await;
    drop(catalog);
    assert!(split.api.terminate().await.unwrap().success());
    split.api.restart().await.unwrap();
    let one = wait::until(PATIENCE, async || objects(&store, "o/").await.len() == 1);
    one.await.unwrap();
    let catalog = open_catalog(&split.api).await;
    let gone = wait::until(PATIENCE, async || number(&catalog, doomed).await == 0);
    gone.await.unwrap();
    assert_eq!(ann.original(asset_id(&second)).await, file);
}
