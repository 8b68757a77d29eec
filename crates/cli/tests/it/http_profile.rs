//! Profile pictures have a square, made with the cover, or when bytes that are there become one.

use safelight_testkit::wait;
use serde_json::{Value, json};

use crate::http_rig::{
    Caller, Database, PATIENCE, Rig, capture, fetch, number, on_both_databases, photo, rows, text,
};

on_both_databases!(
    a_profile_picture_has_a_square_with_its_cover,
    bytes_that_are_there_get_one_when_they_are_for_a_profile,
    copies_that_are_kept_and_bytes_sent_unhashed_get_one,
    what_cannot_be_decoded_any_more_says_why,
    a_profile_picture_is_looked_at_before_all_else,
);

async fn initiate(ann: &Caller, purpose: &str, file: &[u8], more: &[(&str, Value)]) -> Value {
    let mut request = capture(&[file]);
    request["purpose"] = json!(purpose);
    for (name, value) in more {
        request[*name] = value.clone();
    }
    let made = ann.post("/v1/captures", &request).await.expect(201);
    made["assets"][0].clone()
}

async fn send(ann: &Caller, asset: &Value, file: &[u8]) -> String {
    ann.send(asset, file).await;
    let upload_id = text(&asset["uploads"][0]["upload_id"]);
    ann.complete(upload_id).await.expect(200);
    text(&asset["asset_id"]).to_owned()
}

/// The square of a ready asset, checked to be one.
async fn square(rig: &Rig, ann: &Caller, asset_id: &str, side: u64) -> Value {
    let ready = ann.ready(asset_id).await;
    let square = ready["renditions"]["square"].clone();
    assert_eq!(square["state"], "ready", "{ready}");
    assert_eq!(
        (&square["width"], &square["height"]),
        (&json!(side), &json!(side))
    );
    assert_eq!(ready["progress"]["renditions_total"], 4);
    assert_eq!(ready["progress"]["renditions_ready"], 4);
    let url = text(&square["url"]);
    assert!(url.contains("/square@1.webp?"), "{url}");
    let shown = fetch(&rig.http, url).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    assert_eq!(shown.header("content-type"), "image/webp");
    let head = safelight_imaging::header(&shown.body, &Default::default()).unwrap();
    assert_eq!(
        (u64::from(head.width), u64::from(head.height)),
        (side, side)
    );
    ready
}

async fn a_profile_picture_has_a_square_with_its_cover(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(1);
    let asset = initiate(&ann, "profile", &file, &[]).await;
    let face = send(&ann, &asset, &file).await;
    square(&rig, &ann, &face, 240).await;
    // Made by the inspection itself: no job was asked for, and it is told before the asset is ready.
    let catalog = rig.catalog().await;
    assert_eq!(
        number(&catalog, "SELECT COUNT(*) FROM jobs WHERE kind = 'crop'").await,
        0
    );
    let events = "SELECT kind, detail FROM events ORDER BY arrival";
    let told: Vec<String> = rows(&catalog, events)
        .await
        .iter()
        .map(|r| {
            format!(
                "{} {}",
                r.text(0).unwrap(),
                r.maybe_text(1).unwrap().unwrap_or_default()
            )
        })
        .collect();
    let at = |what: &str| {
        told.iter()
            .position(|t| t.contains(what))
            .unwrap_or_else(|| panic!("{what}: {told:?}"))
    };
    assert!(at("\"square\"") < at("\"to\":\"ready\""), "{told:?}");
    assert!(at("\"square\"") < at("\"display\""), "{told:?}");

    let other = photo(2);
    let asset = initiate(&ann, "post", &other, &[]).await;
    let post = send(&ann, &asset, &other).await;
    let ready = ann.ready(&post).await;
    assert!(ready["renditions"]["square"].is_null(), "{ready}");
    assert_eq!(ready["progress"]["renditions_total"], 3);
}

async fn a_profile_picture_is_looked_at_before_all_else(database: Database) {
    // Nobody works here: what waits stays where it is.
    let rig = Rig::start(database, &["--roles", "api,store,delivery,janitor"]).await;
    let (ann, ben) = (rig.owner("ann"), rig.owner("ben"));
    let sent = [
        (&ben, "post"),
        (&ben, "post"),
        (&ann, "post"),
        (&ann, "profile"),
        (&ann, "profile"),
    ];
    for (number, (owner, purpose)) in (1..).zip(sent) {
        let file = photo(number);
        let asset = initiate(owner, purpose, &file, &[]).await;
        send(owner, &asset, &file).await;
    }
    let catalog = rig.catalog().await;
    let order =
        "SELECT owner_id, job_id, turn FROM jobs WHERE kind = 'inspect' ORDER BY turn, job_id";
    let order = rows(&catalog, order).await;
    let owners: Vec<String> = order.iter().map(|r| r.text(0).unwrap()).collect();
    // The second one stands behind her other, so that nobody passes others by calling everything so.
    assert_eq!(owners, ["ann", "ben", "ann", "ben", "ann"]);
    assert!(order[0].int(2).unwrap() < 0 && order[1].int(2).unwrap() > 0);
    assert!(order[0].text(1).unwrap() > order[2].text(1).unwrap());
}

async fn bytes_that_are_there_get_one_when_they_are_for_a_profile(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(1);
    let asset = initiate(&ann, "post", &file, &[]).await;
    let post = send(&ann, &asset, &file).await;
    let before = ann.ready(&post).await;
    assert!(before["renditions"]["square"].is_null());
    let again = initiate(&ann, "profile", &file, &[]).await;
    assert_eq!(text(&again["asset_id"]), post);
    let after = square(&rig, &ann, &post, 240).await;
    // The others are as they were.
    for preset in ["cover", "display", "large"] {
        let shown = |asset: &Value| asset["renditions"][preset]["size_bytes"].clone();
        assert_eq!(shown(&after), shown(&before));
    }
    // Asked for once.
    initiate(&ann, "profile", &file, &[]).await;
    let catalog = rig.catalog().await;
    assert_eq!(
        number(&catalog, "SELECT COUNT(*) FROM jobs WHERE kind = 'crop'").await,
        0
    );
}

async fn copies_that_are_kept_and_bytes_sent_unhashed_get_one(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let (first, second) = (photo(1), photo(2));
    for file in [&first, &second] {
        let asset = initiate(&ann, "post", file, &[]).await;
        let post = send(&ann, &asset, file).await;
        ann.ready(&post).await;
    }
    let keep = [("duplicates", json!("keep"))];
    let kept = initiate(&ann, "profile", &first, &keep).await;
    square(&rig, &ann, text(&kept["asset_id"]), 240).await;
    let mut request = capture(&[&second]);
    request["purpose"] = json!("profile");
    request["assets"][0]["resources"][0]["sha256"] = Value::Null;
    let made = ann.post("/v1/captures", &request).await.expect(201);
    let sent = send(&ann, &made["assets"][0], &second).await;
    square(&rig, &ann, &sent, 240).await;
}

async fn what_cannot_be_decoded_any_more_says_why(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(1);
    let asset = initiate(&ann, "post", &file, &[]).await;
    let post = send(&ann, &asset, &file).await;
    ann.ready(&post).await;
    let catalog = rig.catalog().await;
    let changed = "UPDATE blobs SET etag = 'another'";
    assert_eq!(crate::http_rig::change(&catalog, changed, vec![]).await, 1);
    initiate(&ann, "profile", &file, &[]).await;
    wait::until(PATIENCE, async || {
        let failed = "SELECT COUNT(*) FROM renditions WHERE preset = 'square' AND state = 'failed'";
        number(&catalog, failed).await == 1
    })
    .await
    .unwrap();
    let asset = ann.ready(&post).await;
    assert!(
        !text(&asset["renditions"]["square"]["reason"]["code"]).is_empty(),
        "{asset}"
    );
    assert_eq!(asset["renditions"]["display"]["state"], "ready");
}
