//! Plans: what the answer says, how they change in the midst, and how uploads are found without a journal.

use std::process::Command;

use serde_json::{Value, json};

use crate::http_rig::{
    Caller, Database, PART_BYTES, Rig, capture, http, large_photo, on_both_databases, photo,
    sha256, text,
};

on_both_databases!(
    a_plan_follows_the_hints,
    a_plan_changes_in_the_midst_and_loses_nothing,
    before_it_begins_an_upload_changes_its_transport,
    an_upload_that_never_gets_through_begins_anew,
    a_plan_and_a_signature_at_once_agree,
    a_plan_and_an_append_at_once_lose_nothing,
    an_operator_changes_the_policy,
    a_client_without_its_journal_sends_what_is_missing,
);

async fn a_plan_follows_the_hints(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let (large, small) = (large_photo(1, 2 * PART_BYTES), photo(2));
    let mut asked = capture(&[&large, &small]);
    asked["purpose"] = json!("message");
    asked["network"] =
        json!({ "type": "4g", "uplink_kbps": 8_000, "rtt_ms": 200, "loss": 0.01, "metered": true });
    let made = ann.post_as("/v1/captures", "one", &asked).await.expect(201);
    // Six connections are what this link needs; the parts of the large file are three of them.
    assert_eq!(made["assets_at_once"], 2, "{made}");
    let plan = |i: usize| made["assets"][i]["uploads"][0]["plan"].clone();
    assert_eq!(
        plan(0),
        json!({
            "transport": "multipart", "part_size_bytes": 7_864_320, "concurrency": 3, "order": 1,
            "compress": { "format": "image/jpeg", "quality": 80, "max_edge_px": 2_048 },
            "why": ["large_file", "loss_bound"],
        })
    );
    assert_eq!(
        (&plan(1)["transport"], &plan(1)["order"]),
        (&json!("single"), &json!(0))
    );
    assert!(plan(1)["compress"].is_null(), "it is small already");
    // The same request is answered with the same plan, which stands in rows.
    let again = ann.post_as("/v1/captures", "one", &asked).await.expect(201);
    assert_eq!(again["assets"][0]["uploads"][0]["plan"], plan(0));
    assert_eq!(again["assets_at_once"], 2);
}

async fn multipart(ann: &Caller, file: &[u8]) -> (String, Value) {
    let asset = ann.initiate(&[file]).await.remove(0);
    let upload = &asset["uploads"][0];
    assert_eq!(upload["plan"]["transport"], "multipart");
    (
        text(&upload["upload_id"]).to_owned(),
        upload["plan"].clone(),
    )
}

async fn a_plan_changes_in_the_midst_and_loses_nothing(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(3, 3 * PART_BYTES);
    let (id, before) = multipart(&ann, &file).await;
    assert_eq!(before["concurrency"], 3);
    ann.send_parts(&id, &file, &[2]).await;
    let path = format!("/v1/uploads/{id}/plan");
    let thin = json!({
        "network": { "uplink_kbps": 500, "rtt_ms": 300 },
        "accept_transports": ["single", "multipart", "append"],
    });
    for _ in 0..2 {
        let after = ann.post(&path, &thin).await.expect(200);
        assert_eq!(after["plan"]["transport"], "multipart");
        assert_eq!(after["plan"]["part_size_bytes"], PART_BYTES);
        assert_eq!(after["plan"]["concurrency"], 1);
        assert_eq!(after["plan"]["why"][0], "already_begun");
        assert_eq!(
            (&after["would_be"], &after["assets_at_once"]),
            (&json!("append"), &json!(1))
        );
    }
    let truth = ann.get(&format!("/v1/uploads/{id}")).await.expect(200);
    assert_eq!(truth["plan"]["concurrency"], 1);
    assert_eq!(truth["parts"].as_array().unwrap().len(), 1, "{truth}");
    ann.send_parts(&id, &file, &[1, 3]).await;
    let asset = ann.complete(&id).await.expect(200);
    assert_eq!(
        ann.ready(text(&asset["asset_id"])).await["original"]["sha256"],
        sha256(&file)
    );
    let whole = ann.post(&path, &thin).await;
    whole.problem(422, "validation_failed");
    let other = rig.owner("bob").post(&path, &thin).await;
    other.problem(404, "not_found");
}

async fn before_it_begins_an_upload_changes_its_transport(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(4, 3 * PART_BYTES);
    let (id, _) = multipart(&ann, &file).await;
    let path = format!("/v1/uploads/{id}/plan");
    let all = json!(["single", "multipart", "append"]);
    let thin = json!({ "network": { "uplink_kbps": 500 }, "accept_transports": all });
    let after = ann.post(&path, &thin).await.expect(200);
    assert_eq!(after["plan"]["transport"], "append", "{after}");
    assert_eq!(after["urls"][0]["protocol"], "rufh");
    assert!(after["would_be"].is_null());
    let wide =
        json!({ "network": { "uplink_kbps": 4_000, "rtt_ms": 50 }, "accept_transports": all });
    let after = ann.post(&path, &wide).await.expect(200);
    assert_eq!(after["plan"]["transport"], "multipart");
    assert_eq!(after["plan"]["part_size_bytes"], 3_932_160);
    assert!(after["urls"].is_null());
    // A URL was signed: from then on it stays, although nothing has arrived.
    let urls = format!("/v1/uploads/{id}/urls");
    let part = json!({ "parts": [{ "number": 1, "sha256": sha256(&file[..3_932_160]) }] });
    assert_eq!(
        ann.post(&urls, &part).await.expect(200)["urls"][0]["size_bytes"],
        3_932_160
    );
    let after = ann.post(&path, &thin).await.expect(200);
    assert_eq!(after["plan"]["part_size_bytes"], 3_932_160);
    assert_eq!(after["would_be"], "append");
    ann.delete(&format!("/v1/uploads/{id}")).await.expect(200);
    ann.post(&path, &thin).await.problem(410, "upload_expired");
}

async fn an_upload_that_never_gets_through_begins_anew(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(5, 2 * PART_BYTES);
    let (id, _) = multipart(&ann, &file).await;
    ann.send_parts(&id, &file, &[2]).await;
    let path = format!("/v1/uploads/{id}/plan");
    let asked = json!({ "accept_transports": ["append"], "restart": true });
    let after = ann.post(&path, &asked).await.expect(200);
    assert_eq!(after["plan"]["transport"], "append", "{after}");
    assert!(after["would_be"].is_null());
    // It is the same upload of the same asset, and nothing of it has come.
    let truth = ann.get(&format!("/v1/uploads/{id}")).await.expect(200);
    assert_eq!(
        (&truth["state"], &truth["received_bytes"]),
        (&json!("open"), &json!(0))
    );
    // Asked again it stays as it is, since it can be appended to.
    let again = ann.post(&path, &asked).await.expect(200);
    assert_eq!(again["urls"], after["urls"]);
    let append = |from: usize, to: usize| {
        http()
            .patch(text(&after["urls"][0]["url"]))
            .header("upload-draft-interop-version", "8")
            .header("content-type", "application/partial-upload")
            .header("upload-offset", from.to_string())
            .header(
                "upload-complete",
                if to == file.len() { "?1" } else { "?0" },
            )
            .body(file[from..to].to_vec())
            .send()
    };
    assert_eq!(append(0, 300_000).await.unwrap().status(), 204);
    assert!(
        append(300_000, file.len())
            .await
            .unwrap()
            .status()
            .is_success()
    );
    let asset = ann.complete(&id).await.expect(200);
    let ready = ann.ready(text(&asset["asset_id"])).await;
    assert_eq!(ready["original"]["sha256"], sha256(&file));
    // One of which all is there does not begin anew, however little its client knows.
    let small = photo(6);
    let made = ann.initiate(&[&small]).await.remove(0);
    let upload = &made["uploads"][0];
    assert_eq!(upload["plan"]["transport"], "single");
    let id = text(&upload["upload_id"]);
    ann.send(&made, &small).await;
    let path = format!("/v1/uploads/{id}/plan");
    let kept = ann.post(&path, &asked).await.expect(200);
    assert_eq!(
        (&kept["plan"]["transport"], &kept["would_be"]),
        (&json!("single"), &json!("append"))
    );
    ann.complete(id).await.expect(200);
}

/// How often two requests are let loose at once.
const RACES: u64 = 6;

async fn a_plan_and_a_signature_at_once_agree(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let thin = json!({
        "network": { "uplink_kbps": 500 },
        "accept_transports": ["single", "multipart", "append"],
    });
    for seed in 0..RACES {
        let file = large_photo(100 + seed, 2 * PART_BYTES);
        let (id, _) = multipart(&ann, &file).await;
        let part = json!({ "parts": [{ "number": 1, "sha256": sha256(&file[..PART_BYTES]) }] });
        let (plan, urls) = (
            format!("/v1/uploads/{id}/plan"),
            format!("/v1/uploads/{id}/urls"),
        );
        let (planned, signed) = tokio::join!(ann.post(&plan, &thin), ann.post(&urls, &part));
        let planned = planned.expect(200);
        let truth = ann.get(&format!("/v1/uploads/{id}")).await.expect(200);
        assert_eq!(truth["plan"]["transport"], planned["plan"]["transport"]);
        if truth["plan"]["transport"] == "multipart" {
            assert_eq!(signed.expect(200)["urls"][0]["size_bytes"], PART_BYTES);
            assert_eq!(planned["would_be"], "append");
            ann.send_parts(&id, &file, &[1, 2]).await;
            ann.complete(&id).await.expect(200);
        } else if signed.status == 200 {
            // The plan came first: what was signed is the address to append to.
            assert_eq!(signed.expect(200)["urls"][0]["protocol"], "rufh");
        } else {
            signed.problem(422, "validation_failed");
        }
    }
}

async fn a_plan_and_an_append_at_once_lose_nothing(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let all = json!(["single", "multipart", "append"]);
    let wide = json!({ "network": { "uplink_kbps": 9_000 }, "accept_transports": all });
    for seed in 0..RACES {
        let file = large_photo(200 + seed, PART_BYTES + 300_000);
        let mut asked = capture(&[&file]);
        asked["network"] = json!({ "type": "2g" });
        asked["accept_transports"] = all.clone();
        let made = ann.post("/v1/captures", &asked).await.expect(201);
        let upload = &made["assets"][0]["uploads"][0];
        let id = text(&upload["upload_id"]).to_owned();
        let append = http()
            .patch(text(&upload["urls"][0]["url"]))
            .header("upload-draft-interop-version", "8")
            .header("content-type", "application/partial-upload")
            .header("upload-offset", "0")
            .header("upload-complete", "?0")
            .body(file[..300_000].to_vec());
        let plan = format!("/v1/uploads/{id}/plan");
        let (appended, planned) = tokio::join!(append.send(), ann.post(&plan, &wide));
        let (appended, planned) = (appended.unwrap(), planned.expect(200));
        let truth = ann.get(&format!("/v1/uploads/{id}")).await.expect(200);
        assert_eq!(truth["plan"]["transport"], planned["plan"]["transport"]);
        let is_appended_to = truth["plan"]["transport"] == "append";
        assert_eq!(appended.status().is_success(), is_appended_to, "{truth}");
        if is_appended_to {
            assert_eq!(
                truth["received_bytes"], 300_000,
                "what was acknowledged is there"
            );
        } else {
            assert_eq!(truth["received_bytes"], 0);
        }
    }
}

async fn an_operator_changes_the_policy(database: Database) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plan.toml");
    std::fs::write(&file, "connections = 2\npart_bytes = 5242880\n").unwrap();
    let policy = file.to_str().unwrap();
    let rig = Rig::start(database, &["--plan-policy", policy]).await;
    let plan = multipart(&rig.owner("ann"), &large_photo(5, 3 * PART_BYTES))
        .await
        .1;
    assert_eq!(
        (&plan["part_size_bytes"], &plan["concurrency"]),
        (&json!(5_242_880), &json!(2))
    );
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
        command.args(["serve", "--plan-policy", policy]).args(args);
        command.current_dir(dir.path()).output().unwrap()
    };
    let shown: Value = serde_json::from_slice(&run(&["--explain-plan", "--json"]).stdout).unwrap();
    let number = shown
        .as_array()
        .unwrap()
        .iter()
        .find(|n| n["name"] == "connections");
    assert_eq!(number.unwrap()["value"], 2);
    for (wrong, says) in [
        ("connections = 9", "connections must be 1 to 6, not 9"),
        (
            "conections = 2",
            "conections is not part of the plan policy",
        ),
        (
            "connections = \"two\"",
            "connections must be a whole number",
        ),
    ] {
        std::fs::write(&file, wrong).unwrap();
        let refused = run(&["--explain-plan"]);
        let err = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            !refused.status.success() && err.contains(says) && err.contains(policy),
            "{err}"
        );
    }
}

async fn a_client_without_its_journal_sends_what_is_missing(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(6, 2 * PART_BYTES + 1_000_000);
    let (id, _) = multipart(&ann, &file).await;
    ann.send_parts(&id, &file, &[1, 2]).await;
    let find = format!("/v1/uploads?sha256={}", sha256(&file));
    let found = ann.get(&find).await.expect(200);
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    let item = &found["items"][0];
    assert_eq!(item["upload"]["upload_id"], id.as_str());
    assert_eq!(item["upload"]["received_bytes"], 2 * PART_BYTES);
    assert_eq!(item["asset_ref"], "a0");
    let other = rig.owner("bob").get(&find).await.expect(200);
    assert_eq!(other["items"], json!([]));
    ann.get("/v1/uploads?sha256=x")
        .await
        .problem(422, "validation_failed");

    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("photo.jpg"), &file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
    command
        .args(["upload", "photo.jpg", "--journal", "fresh.db", "--json"])
        .env_clear()
        .env("HOME", dir.path())
        .env("SAFELIGHT_URL", rig.server.url())
        .env("SAFELIGHT_TOKEN", rig.server.admin_key().unwrap())
        .env("SAFELIGHT_OWNER", "ann")
        .current_dir(dir.path());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["files"][0]["sent_bytes"], 1_000_000, "{report}");
    let asset = ann.ready(text(&report["files"][0]["asset_id"])).await;
    assert_eq!(asset["original"]["sha256"], sha256(&file));
    assert_eq!(ann.get(&find).await.expect(200)["items"], json!([]));
}
