//! A server killed (SIGKILL) while what was deleted goes: what was answered stays deleted, and all of it goes once a server runs again.

use std::sync::Arc;

use safelight_testkit::server::Server;
use safelight_testkit::wait;
use serde_json::json;

use crate::http_deletion::{all_gone, is_deleted, stored};
use crate::http_rig::{
    Caller, Database, PART_BYTES, PATIENCE, Rig, answer, capture, large_photo, number,
    on_both_databases, options, photo, text,
};

on_both_databases!(a_killed_server_goes_on_where_it_was);

/// Captures of a small and a large picture, a file that is being sent in parts, and one that is appended to.
const CAPTURES: u64 = 6;
/// Each in its capture.
const FILES: usize = 4;

async fn make(rig: &Rig, ann: &Caller, n: u64) -> serde_json::Value {
    let files = [
        photo(n),
        large_photo(100 + n, PART_BYTES + 1000),
        large_photo(200 + n, 2 * PART_BYTES),
        large_photo(300 + n, PART_BYTES + 5000),
    ];
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let mut asked = capture(&files[..3]);
    let made = ann.post("/v1/captures", &asked).await.expect(201);
    let assets = made["assets"].as_array().unwrap();
    for (asset, file) in assets.iter().zip(&files).take(2) {
        ann.send(asset, file).await;
        let upload_id = text(&asset["uploads"][0]["upload_id"]);
        ann.complete(upload_id).await.expect(200);
        ann.ready(text(&asset["asset_id"])).await;
    }
    let half = text(&assets[2]["uploads"][0]["upload_id"]);
    ann.send_parts(half, files[2], &[1]).await;
    asked = capture(&files[3..]);
    asked["accept_transports"] = json!(["append"]);
    let appended = ann.post("/v1/captures", &asked).await.expect(201);
    let urls = appended["assets"][0]["uploads"][0]["urls"]
        .as_array()
        .unwrap();
    let tus = urls.iter().find(|u| u["protocol"] == "tus").unwrap();
    let request = rig
        .http
        .patch(text(&tus["url"]))
        .header("tus-resumable", "1.0.0");
    let request = request.header("content-type", "application/offset+octet-stream");
    let sent = request
        .header("upload-offset", "0")
        .body(files[3][..4000].to_vec());
    assert_eq!(answer(sent).await.status, 204);
    json!({ "captures": [made, appended] })
}

async fn a_killed_server_goes_on_where_it_was(database: Database) {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path().join("server"), database.fresh(), &[]);
    let mut rig = Rig::around(Server::start(options).await.unwrap(), dir);
    let mut all = Vec::new();
    for n in 0..CAPTURES {
        let made = make(&rig, &rig.owner("ann"), n).await;
        all.extend(made["captures"].as_array().unwrap().iter().cloned());
    }
    let all = Arc::new(all);
    let stays = rig.owner("ann").upload(&photo(999)).await;
    rig.owner("ann").ready(&stays).await;
    let deletions = (CAPTURES as usize * FILES) as i64;
    // Killed when so many are deleted, and when so much of what they left is gone.
    let done = [
        "SELECT COUNT(*) FROM deletions",
        "SELECT COUNT(*) FROM deletions",
        "SELECT COUNT(*) FROM blobs WHERE state = 'gone'",
        "SELECT COUNT(*) FROM uploads WHERE state = 'aborted' AND look_at > 1",
        "SELECT COUNT(*) FROM blobs WHERE state = 'gone'",
        "SELECT COUNT(*) FROM deletions WHERE completed_at IS NOT NULL",
    ];
    let mut kills = 0;
    for (n, done) in done.into_iter().enumerate() {
        let ann = rig.owner("ann");
        let catalog = rig.catalog().await;
        let before = number(&catalog, done).await;
        let asking = tokio::spawn({
            let (ann, all) = (ann.clone(), all.clone());
            async move {
                for made in all.iter().take(2 * (n + 1)) {
                    let path = format!("/v1/captures/{}", text(&made["capture_id"]));
                    let request = ann.request(reqwest::Method::DELETE, &path);
                    // It dies while it is asked, or before.
                    if let Ok(answered) = request.send().await {
                        assert_eq!(answered.status(), 202);
                    }
                }
            }
        });
        let more = wait::until(PATIENCE, async || number(&catalog, done).await > before);
        more.await.unwrap();
        rig.server.kill().await.unwrap();
        kills += 1;
        asking.await.unwrap();
        drop(catalog);
        rig.server.restart().await.unwrap();
    }
    assert_eq!(kills, 6);
    let ann = rig.owner("ann");
    for made in all.iter() {
        let path = format!("/v1/captures/{}", text(&made["capture_id"]));
        ann.delete(&path).await.expect(202);
        for asset in made["assets"].as_array().unwrap() {
            is_deleted(&ann, text(&asset["asset_id"])).await;
        }
    }
    let catalog = rig.catalog().await;
    all_gone(&catalog).await;
    let kept = stored(&rig).await;
    assert_eq!(kept.len(), 4, "{kept:?}");
    assert!(ann.original(&stays).await == photo(999));
    let left = "SELECT (SELECT COUNT(*) FROM renditions) - 3 + (SELECT COUNT(*) FROM blobs WHERE state <> 'gone') - 1
                     + (SELECT COUNT(*) FROM jobs WHERE kind <> 'sweep') + (SELECT COUNT(*) FROM deletion_blobs)
                     + (SELECT COUNT(*) FROM append_segments) + (SELECT COUNT(*) FROM append_parts)
                     + (SELECT COUNT(*) FROM uploads WHERE state = 'aborted' AND cleared_at IS NULL)";
    wait::until(PATIENCE, async || number(&catalog, left).await == 0)
        .await
        .unwrap();
    for (kind, expected) in [
        ("asset.deleted", deletions),
        ("deletion.completed", deletions),
        ("capture.deleted", all.len() as i64),
    ] {
        let told = format!("SELECT COUNT(*) FROM events WHERE kind = '{kind}'");
        assert_eq!(number(&catalog, &told).await, expected, "{kind}");
    }
}
