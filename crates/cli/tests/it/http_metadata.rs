//! What owners say of their assets, and lists by it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::http_owners::stranger;
use crate::http_rig::{
    Caller, Database, Rig, capture, fresh_key, number, on_both_databases, photo, text,
};

on_both_databases!(
    what_is_said_is_merged_and_told,
    what_is_wrong_with_a_patch_is_named,
    a_patch_happens_once,
    of_two_patches_one_wins,
    lists_are_filtered_and_ordered,
    a_cursor_belongs_to_its_list,
    an_asset_in_a_list_is_small,
);

const SAID: &str = "title,captured_at,location,visibility,tags,revision";

/// An asset of which nothing was sent yet.
pub async fn one(ann: &Caller, seed: u64) -> String {
    let asset = ann.initiate(&[&photo(seed)]).await.remove(0);
    text(&asset["asset_id"]).to_owned()
}

/// The events of an owner's so far.
async fn details(rig: &Rig, kind: &str) -> Vec<String> {
    let catalog = rig.catalog().await;
    let sql = format!("SELECT detail FROM events WHERE kind = '{kind}' ORDER BY arrival");
    let rows = crate::http_rig::rows(&catalog, &sql).await;
    rows.iter()
        .filter_map(|r| r.maybe_text(0).unwrap())
        .collect()
}

async fn what_is_said_is_merged_and_told(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let mut request = capture(&[&photo(1)]);
    request["captured_at"] = json!("2026-07-01T20:15:00+02:00");
    let made = ann.post("/v1/captures", &request).await.expect(201);
    let id = text(&made["assets"][0]["asset_id"]).to_owned();
    let path = format!("/v1/assets/{id}");
    let fresh = ann.get(&format!("{path}?fields={SAID}")).await.expect(200);
    assert_eq!(fresh["captured_at"], "2026-07-01T20:15:00+02:00");
    assert_eq!(
        (&fresh["visibility"], &fresh["revision"], &fresh["tags"]),
        (&json!("private"), &json!(1), &json!([]))
    );
    assert!(fresh["title"].is_null() && fresh["location"].is_null());

    let body = json!({
        "title": "Harbour at dusk", "captured_at": "2026-07-01T21:15:00.25+02:00",
        "location": { "latitude": 54.323_292_5, "longitude": 10.122_765, "altitude_m": 4.5 },
        "tags": ["Sea ", "cafe\u{301}", "sea"], "visibility": "public", "of_the_future": 1,
    });
    let changed = ann.patch(&path, &[], &body).await;
    assert_eq!(changed.header("etag"), "\"2\"");
    let changed = changed.expect(200);
    assert_eq!(changed["title"], "Harbour at dusk");
    assert_eq!(changed["captured_at"], "2026-07-01T21:15:00.25+02:00");
    assert_eq!(changed["location"], body["location"]);
    assert_eq!(changed["tags"], json!(["café", "sea"]));
    assert_eq!(changed["visibility"], "public");
    assert_eq!(changed["revision"], 2);
    // What is the same is no change, and what is not named stays.
    let same = ann.patch(&path, &[], &body).await.expect(200);
    assert_eq!(same["revision"], 2);
    assert_eq!(ann.patch(&path, &[], &json!({})).await.expect(200), same);
    let less = json!({ "title": null, "location": { "altitude_m": null }, "tags": null });
    let less = ann.patch(&path, &[], &less).await.expect(200);
    assert!(less["title"].is_null());
    assert_eq!(
        less["location"],
        json!({ "latitude": 54.323_292_5, "longitude": 10.122_765 })
    );
    assert_eq!(less["tags"], json!([]));
    assert_eq!(less["captured_at"], changed["captured_at"]);
    let none = json!({ "captured_at": null, "location": null, "visibility": null });
    let none = ann.patch(&path, &[], &none).await.expect(200);
    assert!(none["captured_at"].is_null() && none["location"].is_null());
    assert_eq!(none["visibility"], "private");

    // Told are the names of what changed, and nothing of what it is.
    let told = details(&rig, "asset.updated").await;
    let expected = [
        json!({ "changed": ["title", "captured_at", "location", "visibility", "tags"] }),
        json!({ "changed": ["title", "location", "tags"] }),
        json!({ "changed": ["captured_at", "location", "visibility"] }),
    ];
    let told: Vec<Value> = told
        .iter()
        .map(|d| serde_json::from_str(d).unwrap())
        .collect();
    assert_eq!(told, expected);
    // Nobody else can see or say anything.
    for caller in [rig.owner("bob"), stranger(&rig, "ann").await] {
        let refused = caller.patch(&path, &[], &json!({ "title": "mine" })).await;
        refused.problem(404, "not_found");
    }
    let nowhere = ann.patch("/v1/assets/ast_0", &[], &json!({})).await;
    nowhere.problem(404, "not_found");
}

async fn what_is_wrong_with_a_patch_is_named(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let path = format!("/v1/assets/{}", one(&ann, 1).await);
    let many: Vec<String> = (0..51).map(|n| n.to_string()).collect();
    for (body, field) in [
        (json!({ "title": "" }), "title"),
        (json!({ "title": "a\u{0}b" }), "title"),
        (json!({ "title": "x".repeat(257) }), "title"),
        (json!({ "captured_at": "yesterday" }), "captured_at"),
        (
            json!({ "captured_at": "2026-07-01T20:15:00" }),
            "captured_at",
        ),
        (
            json!({ "location": { "latitude": 91, "longitude": 0 } }),
            "location.latitude",
        ),
        (
            json!({ "location": { "latitude": 1 } }),
            "location.longitude",
        ),
        (
            json!({ "location": { "altitude_m": 1 } }),
            "location.latitude",
        ),
        (
            json!({ "location": { "latitude": 1, "longitude": 1, "altitude_m": 1e9 } }),
            "location.altitude_m",
        ),
        (json!({ "tags": ["a", " "] }), "tags[1]"),
        (json!({ "tags": ["x".repeat(65)] }), "tags[0]"),
        (json!({ "tags": many }), "tags"),
        (json!({ "visibility": "friends" }), "visibility"),
    ] {
        let refused = ann.patch(&path, &[], &body).await;
        let problem = refused.problem(422, "validation_failed");
        assert_eq!(problem["field"], field, "{body}: {problem}");
    }
    for body in [json!({ "title": 1 }), json!({ "tags": "sea" })] {
        let refused = ann.patch(&path, &[], &body).await;
        refused.problem(422, "validation_failed");
    }
    let untouched = ann
        .get(&format!("{path}?fields=revision"))
        .await
        .expect(200);
    assert_eq!(untouched["revision"], 1);
    assert!(details(&rig, "asset.updated").await.is_empty());
}

async fn a_patch_happens_once(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let path = format!("/v1/assets/{}", one(&ann, 1).await);
    let (key, first) = (fresh_key(), json!({ "title": "first" }));
    let headers = [("idempotency-key", key.as_str()), ("if-match", "\"1\"")];
    let done = ann.patch(&path, &headers, &first).await;
    assert_eq!(done.header("idempotency-replayed"), "");
    done.expect(200);
    let second = json!({ "title": "second" });
    ann.patch(&path, &[], &second).await.expect(200);
    // A repetition does not undo what came after it, and tells how things are now.
    let again = ann.patch(&path, &headers, &first).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.header("etag"), "\"3\"");
    assert_eq!(again.expect(200)["title"], "second");
    let other = ann.patch(&path, &headers, &second).await;
    other.problem(422, "idempotency_key_mismatch");
    let long = "k".repeat(256);
    let bad = ann
        .patch(&path, &[("idempotency-key", &long)], &first)
        .await;
    bad.problem(400, "idempotency_key_missing");
    // What was refused may be asked again under its key.
    let key = fresh_key();
    let refused = [("idempotency-key", key.as_str()), ("if-match", "\"1\"")];
    let late = ann.patch(&path, &refused, &first).await;
    late.problem(412, "revision_mismatch");
    let now = [("idempotency-key", key.as_str()), ("if-match", "\"3\"")];
    assert_eq!(
        ann.patch(&path, &now, &first).await.expect(200)["revision"],
        4
    );

    // Many at once under one key change it once.
    let key = fresh_key();
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (ann, path, key) = (ann.clone(), path.clone(), key.clone());
        asked.spawn(async move {
            let headers = [("idempotency-key", key.as_str())];
            ann.patch(&path, &headers, &json!({ "title": "at once" }))
                .await
        });
    }
    for answer in asked.join_all().await {
        assert_eq!(answer.expect(200)["revision"], 5);
    }
    assert_eq!(details(&rig, "asset.updated").await.len(), 4);
}

async fn of_two_patches_one_wins(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let id = one(&ann, 1).await;
    let path = format!("/v1/assets/{id}");
    for revision in 1..=6 {
        let read = ann.get(&path).await;
        let etag = read.header("etag").to_owned();
        assert!(etag.starts_with(&format!("\"{revision}.")), "{etag}");
        let mut asked = tokio::task::JoinSet::new();
        for n in 0..4 {
            let (ann, path, etag) = (ann.clone(), path.clone(), etag.clone());
            asked.spawn(async move {
                let body = json!({ "title": format!("{revision} {n}"), "tags": [n.to_string()] });
                ann.patch(&path, &[("if-match", &etag)], &body).await
            });
        }
        let (mut won, mut lost) = (Vec::new(), 0);
        for answer in asked.join_all().await {
            if answer.status == 200 {
                won.push(answer.json());
            } else {
                let problem = answer.problem(412, "revision_mismatch");
                let detail = text(&problem["detail"]);
                assert!(detail.contains(&(revision + 1).to_string()), "{problem}");
                lost += 1;
            }
        }
        assert_eq!((won.len(), lost), (1, 3));
        let now = ann.get(&format!("{path}?fields={SAID}")).await.expect(200);
        for name in ["title", "tags", "revision"] {
            assert_eq!(now[name], won[0][name]);
        }
    }
    // Whoever does not say what he expects is not refused; `*` expects that it is there.
    let anyway = ann
        .patch(&path, &[("if-match", "*")], &json!({ "title": "x" }))
        .await;
    anyway.expect(200);
    // What changes by itself (a link, a state) does not make an ETag too old for a change.
    let before = ann.get(&path).await;
    let catalog = rig.catalog().await;
    let moved = "UPDATE assets SET state = 'expired', version = version + 1";
    crate::http_rig::change(&catalog, moved, Vec::new()).await;
    let after = ann.get(&path).await;
    assert_ne!(before.header("etag"), after.header("etag"));
    let headers = [("if-match", before.header("etag"))];
    ann.patch(&path, &headers, &json!({ "title": "y" }))
        .await
        .expect(200);
}

async fn ids(ann: &Caller, query: &str) -> Vec<String> {
    let list = ann.get(&format!("/v1/assets?{query}")).await.expect(200);
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|a| text(&a["asset_id"]).to_owned())
        .collect()
}

async fn lists_are_filtered_and_ordered(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let mut made = Vec::new();
    for seed in 0..4 {
        made.push(one(&ann, seed).await);
    }
    // Taken in another order than they were initiated in; of the last it is not known.
    for (n, at) in [
        "2026-03-01T12:00:00Z",
        "2026-01-01T00:30:00+01:00",
        "2026-02-01T12:00:00Z",
    ]
    .iter()
    .enumerate()
    {
        let visibility = if n == 1 { "public" } else { "private" };
        let body = json!({ "captured_at": at, "tags": ["trip", format!("n{n}")], "visibility": visibility });
        let path = format!("/v1/assets/{}", made[n]);
        ann.patch(&path, &[], &body).await.expect(200);
    }
    let of = |which: &[usize]| which.iter().map(|n| made[*n].clone()).collect::<Vec<_>>();
    for (query, expected) in [
        ("", &[3, 2, 1, 0][..]),
        ("order=created", &[3, 2, 1, 0]),
        ("order=captured", &[3, 0, 2, 1]),
        ("order=captured&tag=trip", &[0, 2, 1]),
        ("tag=%20Trip", &[2, 1, 0]),
        ("tag=n2", &[2]),
        ("tag=nothing", &[]),
        ("visibility=public", &[1]),
        ("visibility=private&tag=trip", &[2, 0]),
        (
            "order=captured&captured_after=2026-02-01T12:00:00Z&tag=trip",
            &[0, 2],
        ),
        ("captured_before=2026-01-01T00:00:00Z", &[1]),
        ("captured_before=2025-12-31T23:30:00Z", &[]),
        (
            "created_after=2026-11-01T00:00:00Z&created_before=2200-01-01T00:00:00Z",
            &[3, 2, 1, 0],
        ),
        ("created_before=2026-01-01T00:00:00Z", &[]),
        ("state=uploading", &[3, 2, 1, 0]),
        ("state=ready", &[]),
        ("type=image", &[3, 2, 1, 0]),
        ("type=image/png", &[]),
    ] {
        assert_eq!(ids(&ann, query).await, of(expected), "{query}");
    }
    let asset = ann
        .get(&format!("/v1/assets/{}?fields=capture", made[2]))
        .await
        .expect(200);
    let query = format!("capture={}", text(&asset["capture_id"]));
    assert_eq!(ids(&ann, &query).await, of(&[2]));
    let list = ann
        .get("/v1/assets?tag=n1&fields=tags,captured_at,visibility,revision")
        .await;
    let first = list.expect(200)["items"][0].clone();
    assert_eq!(first["captured_at"], "2026-01-01T00:30:00+01:00");
    assert_eq!(first["tags"], json!(["n1", "trip"]));
    assert_eq!(
        (&first["visibility"], &first["revision"]),
        (&json!("public"), &json!(2))
    );

    for (query, field) in [
        ("order=size", "order"),
        ("state=deleted", "state"),
        ("state=lost", "state"),
        ("tag=%20", "tag"),
        ("type=image/%25", "type"),
        ("visibility=friends", "visibility"),
        ("captured_after=yesterday", "captured_after"),
        ("created_before=2026", "created_before"),
        ("fields=title,secrets", "fields"),
    ] {
        let refused = ann.get(&format!("/v1/assets?{query}")).await;
        let problem = refused.problem(422, "validation_failed");
        assert_eq!(problem["field"], field, "{problem}");
    }
    for query in ["album=alb_0", "capture=cap_0"] {
        let refused = ann.get(&format!("/v1/assets?{query}")).await;
        refused.problem(404, "not_found");
    }
    let bob = rig.owner("bob");
    bob.get(&format!("/v1/assets?{query}"))
        .await
        .problem(404, "not_found");
    assert!(ids(&bob, "tag=trip").await.is_empty());
}

async fn a_cursor_belongs_to_its_list(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let mut made = Vec::new();
    for seed in 0..5 {
        made.push(one(&ann, seed).await);
        let path = format!("/v1/assets/{}", made[seed as usize]);
        ann.patch(&path, &[], &json!({ "tags": ["t"] }))
            .await
            .expect(200);
    }
    let first = ann
        .get("/v1/assets?limit=2&tag=t&order=captured")
        .await
        .expect(200);
    let cursor = text(&first["next_cursor"]).to_owned();
    // Another size of pages and other fields are the same list.
    let next = format!("/v1/assets?limit=3&fields=tags&tag=T&order=captured&cursor={cursor}");
    let next = ann.get(&next).await.expect(200);
    assert_eq!(next["items"].as_array().unwrap().len(), 3);
    assert!(next["next_cursor"].is_null());
    for query in ["", "tag=t", "order=captured", "tag=u&order=captured"] {
        let refused = ann
            .get(&format!("/v1/assets?{query}&cursor={cursor}"))
            .await;
        let problem = refused.problem(422, "validation_failed");
        assert_eq!(problem["field"], "cursor", "{problem}");
    }
    let theirs = format!("/v1/assets?tag=t&order=captured&cursor={cursor}");
    rig.owner("bob")
        .get(&theirs)
        .await
        .problem(422, "validation_failed");
}

async fn an_asset_in_a_list_is_small(database: Database) {
    // Links are as long as a real deployment's.
    let url = ["--public-url", "https://media.photos.example.com"];
    let rig = Rig::start(database, &url).await;
    let ann = rig.owner("a-user-of-the-app-0001");
    let id = ann.upload(&photo(1)).await;
    ann.ready(&id).await;
    let failed = ann.upload(b"this is no picture at all").await;
    let failed = ann.settled(&failed).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    let long = json!({
        "title": "x".repeat(256), "tags": ["a".repeat(64)], "captured_at": "2026-07-01T21:15:00.25+02:00",
        "location": { "latitude": 54.323_292_5, "longitude": 10.122_765 },
    });
    ann.patch(&format!("/v1/assets/{id}"), &[], &long)
        .await
        .expect(200);
    let list = ann.get("/v1/assets").await;
    let (bytes, list) = (list.body.len(), list.json());
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    for item in items {
        let size = serde_json::to_vec(item).unwrap().len();
        assert!(size < 300, "{size} bytes: {item}");
    }
    assert!(bytes < 2 * 300 + 40, "{bytes}");
    let ready = items.iter().find(|a| a["state"] == "ready").unwrap();
    let names: BTreeSet<&str> = ready
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(names, BTreeSet::from(["asset_id", "state", "cover_url"]));
    let catalog = rig.catalog().await;
    assert_eq!(number(&catalog, "SELECT COUNT(*) FROM asset_tags").await, 1);
}
