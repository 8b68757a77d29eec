//! Reading captures and assets: pages, fields, order.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::http_rig::{Database, Rig, capture, on_both_databases, photo, text};

on_both_databases!(
    assets_are_listed_in_pages_the_newest_first,
    a_burst_keeps_its_order
);

async fn assets_are_listed_in_pages_the_newest_first(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let mut made = Vec::new();
    for i in 0..5 {
        let asset = ann.initiate(&[&photo(i)]).await.remove(0);
        made.push(text(&asset["asset_id"]).to_owned());
    }
    made.reverse();
    let mut listed: Vec<String> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = ann.get(&format!("/v1/assets?limit=2{cursor}")).await;
        let page = page.expect(200);
        let items = page["items"].as_array().unwrap();
        listed.extend(items.iter().map(|a| text(&a["asset_id"]).to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
        assert_eq!(items.len(), 2);
    }
    assert_eq!(listed, made);

    let whole = ann.get("/v1/assets").await.expect(200);
    let first = whole["items"][0].as_object().unwrap();
    let names: BTreeSet<&str> = first.keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["asset_id", "state"]), "{whole}");
    let fields = "thumbhash,capture,original,renditions,times";
    let path = format!("/v1/assets?limit=1&fields={fields}");
    let whole = ann.get(&path).await.expect(200);
    let first = whole["items"][0].as_object().unwrap();
    for name in ["capture_id", "original", "renditions", "times", "progress"] {
        assert!(first.contains_key(name), "{name}: {whole}");
    }

    for (query, field) in [
        ("limit=0", Some("limit")),
        ("limit=201", Some("limit")),
        ("limit=x", None),
        ("cursor=x", Some("cursor")),
        ("fields=secrets", Some("fields")),
    ] {
        let refused = ann.get(&format!("/v1/assets?{query}")).await;
        let problem = refused.problem(422, "validation_failed");
        assert_eq!(problem["field"].as_str(), field, "{problem}");
    }
    let one = ann.get(&format!("/v1/assets/{}?fields=x", made[0])).await;
    one.problem(422, "validation_failed");
}

async fn a_burst_keeps_its_order(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let files: Vec<Vec<u8>> = (0..3).map(photo).collect();
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let mut request = capture(&files);
    request["mode"] = json!("burst");
    request["purpose"] = json!("post");
    request["captured_at"] = json!("2026-11-23T08:00:00Z");
    request["device"] = json!({ "model": "Fake Camera 1", "os": "android" });
    request["network"] = json!({ "type": "cellular", "rtt_ms": 80 });
    request["battery"] = json!({ "level": 0.5, "charging": false });
    request["a_field_of_the_future"] = json!([1]);
    for (i, role) in ["frame", "frame", "key"].iter().enumerate() {
        request["assets"][i]["role"] = json!(role);
        request["assets"][i]["resources"][0]["preview"] = json!("1QcSHQRnh493V4dIh4eXh1h4kJUI");
    }
    let made = ann.post("/v1/captures", &request).await.expect(201);
    let order: Vec<&Value> = (0..3)
        .map(|i| &made["assets"][i]["uploads"][0]["plan"]["order"])
        .collect();
    assert_eq!(
        order,
        [&json!(1), &json!(2), &json!(0)],
        "the key frame first"
    );
    let path = format!("/v1/captures/{}", text(&made["capture_id"]));
    let shown = ann.get(&path).await.expect(200);
    assert_eq!(shown["mode"], "burst");
    for i in 0..3 {
        let asset = &shown["assets"][i];
        assert_eq!(asset["asset_id"], made["assets"][i]["asset_id"]);
        assert_eq!(asset["role"], request["assets"][i]["role"]);
        assert_eq!(asset["uploads"].as_array().unwrap().len(), 1);
    }
    let preview = ann.asset(text(&made["assets"][0]["asset_id"])).await;
    assert_eq!(preview["thumbhash"], "1QcSHQRnh493V4dIh4eXh1h4kJUI");
}
