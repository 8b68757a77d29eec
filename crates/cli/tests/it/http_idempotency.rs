//! Requests that come more than once.

use reqwest::Method;
use safelight_testkit::wait;
use serde_json::json;

use crate::http_rig::{
    Answer, Caller, Database, PATIENCE, Rig, Split, answer, capture, fresh_key, on_both_databases,
    photo, text,
};

on_both_databases!(
    an_initiation_is_made_once,
    initiations_that_come_at_once_make_one_capture,
    a_completion_is_replayed_and_a_passing_failure_is_not,
    one_that_runs_is_waited_for,
    a_write_whose_caller_went_away_is_carried_to_its_end,
);

fn is_replay(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == "true"
}

async fn an_initiation_is_made_once(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let request = capture(&[&photo(1)]);
    let key = fresh_key();
    let first = ann.post_as("/v1/captures", &key, &request).await;
    assert!(!is_replay(&first));
    let first = first.expect(201);
    // Bare or quoted, it is the same key; the answer has URLs that work.
    for key in [key.clone(), format!("\"{key}\"")] {
        let again = ann.post_as("/v1/captures", &key, &request).await;
        assert!(is_replay(&again));
        let again = again.expect(201);
        assert_eq!(again["capture_id"], first["capture_id"]);
        assert_eq!(
            again["assets"][0]["asset_id"],
            first["assets"][0]["asset_id"]
        );
        assert!(text(&again["assets"][0]["uploads"][0]["urls"][0]["url"]).starts_with("http"));
    }
    let mut other = request.clone();
    other["mode"] = json!("hdr");
    let refused = ann.post_as("/v1/captures", &key, &other).await;
    refused.problem(422, "idempotency_key_mismatch");
    let refused = answer(ann.request(Method::POST, "/v1/captures").json(&request)).await;
    refused.problem(400, "idempotency_key_missing");
    let long = "k".repeat(256);
    let refused = ann.post_as("/v1/captures", &long, &request).await;
    refused.problem(400, "idempotency_key_missing");

    // The client's reference alone names the capture too, after its key was lost.
    let again = ann.post("/v1/captures", &request).await;
    assert!(is_replay(&again));
    assert_eq!(again.expect(201)["capture_id"], first["capture_id"]);
    // What it was not initiated with is not dropped without a word.
    let mut more = capture(&[&photo(1), &photo(2)]);
    more["client_ref"] = request["client_ref"].clone();
    more["assets"][0]["client_ref"] = request["assets"][0]["client_ref"].clone();
    more["assets"][1]["client_ref"] = json!("another");
    let refused = ann.post("/v1/captures", &more).await;
    let problem = refused.problem(422, "validation_failed");
    assert!(
        text(&problem["detail"]).contains("new client_ref"),
        "{problem}"
    );
    // Another owner's key and reference are his own.
    let bob = rig.owner("bob");
    let theirs = bob.post_as("/v1/captures", &key, &request).await;
    assert!(!is_replay(&theirs));
    assert_ne!(theirs.expect(201)["capture_id"], first["capture_id"]);
}

async fn initiations_that_come_at_once_make_one_capture(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let request = capture(&[&photo(1), &photo(2)]);
    let key = fresh_key();
    let mut asked = tokio::task::JoinSet::new();
    for i in 0..16 {
        let (ann, request) = (ann.clone(), request.clone());
        // Half of them repeat the key, half only the client's reference.
        let key = if i % 2 == 0 { key.clone() } else { fresh_key() };
        asked.spawn(async move { ann.post_as("/v1/captures", &key, &request).await });
    }
    let mut made = 0;
    let mut captures = std::collections::BTreeSet::new();
    for answer in asked.join_all().await {
        made += usize::from(!is_replay(&answer));
        captures.insert(text(&answer.expect(201)["capture_id"]).to_owned());
    }
    assert_eq!((made, captures.len()), (1, 1));
    let list = ann.get("/v1/assets").await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
}

async fn a_completion_is_replayed_and_a_passing_failure_is_not(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(1);
    let asset = ann.initiate(&[&file]).await.remove(0);
    let upload_id = text(&asset["uploads"][0]["upload_id"]);
    let path = format!("/v1/uploads/{upload_id}/complete");
    let key = fresh_key();
    for _ in 0..2 {
        let early = ann.post_as(&path, &key, &json!({})).await;
        early.problem(409, "upload_incomplete");
    }
    ann.send(&asset, &file).await;
    let done = ann.post_as(&path, &key, &json!({})).await;
    assert!(!is_replay(&done));
    done.expect(200);
    ann.ready(text(&asset["asset_id"])).await;
    let again = ann.post_as(&path, &key, &json!({})).await;
    assert!(is_replay(&again));
    assert_eq!(again.expect(200)["state"], "ready", "rendered anew");
    let other = ann.post_as(&path, &key, &json!({ "more": 1 })).await;
    other.problem(422, "idempotency_key_mismatch");
    let missing = answer(ann.request(Method::POST, &path).json(&json!({}))).await;
    missing.problem(400, "idempotency_key_missing");
    // The same key for another operation is a mismatch as well.
    let grant = format!("/v1/assets/{}/grants", text(&asset["asset_id"]));
    let other = ann.post_as(&grant, &key, &json!({})).await;
    other.problem(422, "idempotency_key_mismatch");
}

/// An upload whose bytes are there; its id and its asset's.
async fn sent(ann: &Caller, seed: u64) -> (String, String) {
    let file = photo(seed);
    let asset = ann.initiate(&[&file]).await.remove(0);
    ann.send(&asset, &file).await;
    (
        text(&asset["uploads"][0]["upload_id"]).to_owned(),
        text(&asset["asset_id"]).to_owned(),
    )
}

async fn one_that_runs_is_waited_for(database: Database) {
    let split = Split::start(database).await;
    let ann = split.owner("ann");
    let (upload_id, asset_id) = sent(&ann, 1).await;
    let path = format!("/v1/uploads/{upload_id}/complete");
    split.proxy.hold("HEAD /safelight/o/");
    let (asking, asked) = (ann.clone(), path.clone());
    let first = tokio::spawn(async move { asking.post_as(&asked, "once", &json!({})).await });
    split.proxy.holds().await;
    let second = ann.post_as(&path, "once", &json!({})).await;
    second.problem(409, "idempotency_key_in_flight");
    assert_eq!(second.header("retry-after"), "1");
    split.proxy.release();
    first.await.unwrap().expect(200);
    let third = ann.post_as(&path, "once", &json!({})).await;
    assert!(is_replay(&third));
    third.expect(200);
    ann.ready(&asset_id).await;
}

async fn a_write_whose_caller_went_away_is_carried_to_its_end(database: Database) {
    let split = Split::start(database).await;
    let ann = split.owner("ann");
    let (upload_id, asset_id) = sent(&ann, 1).await;
    let path = format!("/v1/uploads/{upload_id}/complete");
    split.proxy.hold("HEAD /safelight/o/");
    let (asking, asked) = (ann.clone(), path.clone());
    let first = tokio::spawn(async move { asking.post_as(&asked, "gone", &json!({})).await });
    split.proxy.holds().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    split.proxy.release();
    ann.ready(&asset_id).await;
    // Its outcome is recorded; nobody waits for a lease to end.
    let replayed = wait::until_some(PATIENCE, async || {
        let again = ann.post_as(&path, "gone", &json!({})).await;
        (again.status == 200).then(|| is_replay(&again))
    });
    assert!(replayed.await.unwrap());
}
