//! What a job is expected to cost decides which workers do it.

use serde_json::json;

use crate::http_rig::{
    Caller, Database, Rig, capture, large_photo, on_both_databases, photo, rows, text,
};

on_both_databases!(
    a_declared_kind_and_size_decide,
    without_lanes_there_is_one_queue,
    what_its_header_says_is_large_is_left_to_others,
);

/// Takes a file of this declared kind into the store.
async fn upload(ann: &Caller, file: &[u8], mime: &str) {
    let mut request = capture(&[file]);
    request["assets"][0]["resources"][0]["mime"] = json!(mime);
    let made = ann.post("/v1/captures", &request).await.expect(201);
    let asset = &made["assets"][0];
    ann.send(asset, file).await;
    let upload_id = text(&asset["uploads"][0]["upload_id"]);
    ann.complete(upload_id).await.expect(200);
}

/// Uploads files of every class where nobody does the work: lane and class of each job, in that order.
async fn queued(database: Database, more: &[&str]) -> Vec<(String, String)> {
    let args = [&["--roles", "api,store,delivery,janitor"], more].concat();
    let rig = Rig::start(database, &args).await;
    let ann = rig.owner("ann");
    for (number, size, mime) in [
        (1, 100_000, "image/jpeg"),
        (2, 12_500_000, "image/jpeg"),
        (3, 5_500_000, "image/heic"),
        (4, 100_000, "video/mp4"),
        (5, 5_500_000, "image/jpeg"),
    ] {
        upload(&ann, &large_photo(number, size), mime).await;
    }
    let sql = "SELECT lane, class FROM jobs WHERE kind = 'inspect' ORDER BY job_id";
    let found = rows(&rig.catalog().await, sql).await;
    let text = |row: &safelight_catalog::Row, i| row.text(i).unwrap();
    found.iter().map(|r| (text(r, 0), text(r, 1))).collect()
}

fn all_interactive(classes: [&str; 5]) -> Vec<(String, String)> {
    let lane = || "interactive".to_owned();
    classes.map(|class| (lane(), class.to_owned())).to_vec()
}

async fn a_declared_kind_and_size_decide(database: Database) {
    let classes = ["light", "heavy", "heavy", "video", "light"];
    assert_eq!(queued(database, &[]).await, all_interactive(classes));
}

async fn without_lanes_there_is_one_queue(database: Database) {
    let queued = queued(database, &["--lanes", "no"]).await;
    assert_eq!(queued, all_interactive(["light"; 5]));
    // All work is done there, too.
    let rig = Rig::start(database, &["--lanes", "no", "--workers", "1"]).await;
    let ann = rig.owner("ann");
    let ready = ann.ready(&ann.upload(&photo(1)).await).await;
    assert_eq!(ready["renditions"]["large"]["state"], "ready");
}

/// A picture of 56 megapixels in a small file.
async fn what_its_header_says_is_large_is_left_to_others(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.png");
    let mut vips = tokio::process::Command::new("vips");
    let made = vips.arg("black").arg(&path).args(["8000", "7000"]).status();
    assert!(made.await.unwrap().success());
    let file = std::fs::read(&path).unwrap();
    assert!(file.len() < 1_000_000);
    upload(&ann, &file, "image/png").await;
    let list = ann.get("/v1/assets").await.expect(200);
    let ready = ann.ready(text(&list["items"][0]["asset_id"])).await;
    assert_eq!(ready["original"]["width"], 8000);
    let metrics = ann.get("/metrics").await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    let counted = |what: &str| {
        let line = metrics
            .lines()
            .find(|l| l.starts_with("safelight_jobs_total") && l.contains(what));
        line.unwrap_or_else(|| panic!("{what}: {metrics}"))
            .to_owned()
    };
    assert!(counted("reclassed").contains("inspect"));
}
