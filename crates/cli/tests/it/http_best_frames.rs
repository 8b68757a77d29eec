//! A burst names its best frame, with what its frames measure, and says so whenever it is another one.

use safelight_imaging::encode_jpeg;
use safelight_testkit::{media, wait};
use serde_json::{Value, json};

use crate::http_rig::{
    Caller, Database, PATIENCE, Rig, capture, change, number, on_both_databases, text,
};
use crate::media::tool;

on_both_databases!(
    a_burst_names_its_best_frame_as_frames_arrive,
    frames_from_before_the_upgrade_are_measured_after_it,
    bytes_that_are_there_have_their_scores,
    who_looks_at_the_camera_makes_a_frame_better,
);

/// A scene of edges, blurred by a box of so many pixels along both sides, its light times a factor.
fn shot(blur: usize, light: f64) -> Vec<u8> {
    let (width, height) = (600_usize, 400_usize);
    let mut rows: Vec<Vec<f64>> = (0..height)
        .map(|y| {
            let lightness = |x: usize| {
                let squares = ((x / 30 + y / 25) % 2) as f64 * 90.0;
                80.0 + squares + if (x + 2 * y) % 17 < 2 { 50.0 } else { 0.0 }
            };
            (0..width).map(lightness).collect()
        })
        .collect();
    for _ in 0..2 {
        rows = rows
            .iter()
            .map(|row| {
                let mean = |at: usize| {
                    let part = &row[at.saturating_sub(blur)..row.len().min(at + blur + 1)];
                    part.iter().sum::<f64>() / part.len() as f64
                };
                (0..row.len()).map(mean).collect()
            })
            .collect();
        rows = (0..rows[0].len())
            .map(|x| rows.iter().map(|row| row[x]).collect())
            .collect();
    }
    let gray = |v: &f64| [(v * light).clamp(0.0, 255.0) as u8; 3];
    let rgb: Vec<u8> = rows.iter().flatten().flat_map(gray).collect();
    encode_jpeg(width as u32, height as u32, &rgb, 92).unwrap()
}

/// Initiates a burst whose first frame is the key; the capture and its assets.
async fn burst(ann: &Caller, frames: &[&[u8]]) -> (String, Vec<Value>) {
    let mut request = capture(frames);
    request["mode"] = json!("burst");
    for (n, asset) in request["assets"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .enumerate()
    {
        asset["role"] = json!(if n == 0 { "key" } else { "frame" });
    }
    let made = ann.post("/v1/captures", &request).await.expect(201);
    let assets = made["assets"].as_array().unwrap().clone();
    (text(&made["capture_id"]).to_owned(), assets)
}

async fn send(ann: &Caller, asset: &Value, file: &[u8]) {
    ann.send(asset, file).await;
    let upload_id = text(&asset["uploads"][0]["upload_id"]);
    ann.complete(upload_id).await.expect(200);
    ann.ready(text(&asset["asset_id"])).await;
}

async fn read(ann: &Caller, capture_id: &str) -> Value {
    ann.get(&format!("/v1/captures/{capture_id}"))
        .await
        .expect(200)
}

/// What was told of best frames, in order.
async fn told(rig: &Rig) -> Vec<String> {
    let catalog = rig.catalog().await;
    let sql = "SELECT detail FROM events WHERE kind = 'capture.updated' ORDER BY arrival";
    let rows = crate::http_rig::rows(&catalog, sql).await;
    let best = |detail: String| {
        let facts: Value = serde_json::from_str(&detail).unwrap();
        text(&facts["best_asset_id"]).to_owned()
    };
    rows.iter().map(|r| best(r.text(0).unwrap())).collect()
}

async fn a_burst_names_its_best_frame_as_frames_arrive(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let files = [shot(4, 1.0), shot(0, 1.0), shot(2, 1.0), shot(0, 0.2)];
    let frames: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let (capture_id, assets) = burst(&ann, &frames).await;
    let id = |n: usize| text(&assets[n]["asset_id"]).to_owned();
    assert!(read(&ann, &capture_id).await["best_asset_id"].is_null());
    // The blurred key is sent first, then a sharp one, although it is dark; then a blurred one, which is worse; then what is sharp and
    // well exposed.
    for (n, best) in [(0, 0), (3, 3), (2, 3), (1, 1)] {
        send(&ann, &assets[n], frames[n]).await;
        let read = read(&ann, &capture_id).await;
        assert_eq!(read["best_asset_id"], json!(id(best)), "{n}: {read}");
    }
    let read = read(&ann, &capture_id).await;
    // What the client said stays.
    let roles: Vec<&str> = (0..4).map(|n| text(&read["assets"][n]["role"])).collect();
    assert_eq!(roles, ["key", "frame", "frame", "frame"]);
    let scores: Vec<Value> = (0..4)
        .map(|n| read["assets"][n]["scores"].clone())
        .collect();
    let sharpness = |n: usize| scores[n]["sharpness"].as_u64().unwrap();
    assert!(
        sharpness(1) > 2 * sharpness(2) && sharpness(2) > 2 * sharpness(0),
        "{scores:?}"
    );
    assert!(sharpness(3) * 4 > sharpness(1) * 3, "{scores:?}");
    assert!(scores[3]["mean_luma"].as_u64().unwrap() < 40, "{scores:?}");
    assert_eq!(told(&rig).await, [id(0), id(3), id(1)]);
    // Lists show them if they are asked to.
    let listed = ann
        .get(&format!("/v1/assets?capture={capture_id}&fields=scores"))
        .await;
    for item in listed.expect(200)["items"].as_array().unwrap() {
        let n = (0..4).find(|n| id(*n) == text(&item["asset_id"])).unwrap();
        assert_eq!(item["scores"], scores[n]);
    }
    let small = ann.get(&format!("/v1/assets/{}", id(1))).await.expect(200);
    assert!(small["scores"].is_null());
    // Without the best one it is the next: the dark one, before those that are blurred.
    ann.delete(&format!("/v1/assets/{}", id(1)))
        .await
        .expect(202);
    let left = self::read(&ann, &capture_id).await;
    assert_eq!(left["best_asset_id"], json!(id(3)), "{left}");
}

async fn frames_from_before_the_upgrade_are_measured_after_it(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let files = [shot(3, 1.0), shot(0, 1.0)];
    let frames: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let (capture_id, assets) = burst(&ann, &frames).await;
    for (asset, file) in assets.iter().zip(&frames) {
        send(&ann, asset, file).await;
    }
    let measured = read(&ann, &capture_id).await;
    let catalog = rig.catalog().await;
    // As an older version left them. What was told first, since they may be measured as soon as they are not.
    let untold = "UPDATE captures SET best_asset_id = NULL";
    change(&catalog, untold, vec![]).await;
    let before = told(&rig).await.len();
    let forget = "UPDATE blobs SET sharpness = NULL, mean_luma = NULL, dark_permille = NULL, bright_permille = NULL,
                                   scores_sought_at = NULL";
    assert_eq!(change(&catalog, forget, vec![]).await, 2);
    let left = "SELECT COUNT(*) FROM blobs WHERE scores_sought_at IS NULL";
    wait::until(PATIENCE, async || number(&catalog, left).await == 0)
        .await
        .unwrap();
    let again = read(&ann, &capture_id).await;
    assert_eq!(again["best_asset_id"], assets[1]["asset_id"]);
    assert_eq!(again, measured);
    let told = told(&rig).await;
    assert!(told.len() > before);
    assert_eq!(
        told.last().map(String::as_str),
        assets[1]["asset_id"].as_str()
    );
}

async fn bytes_that_are_there_have_their_scores(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let (sharp, blurred) = (shot(0, 1.0), shot(3, 1.0));
    let known = ann.upload(&sharp).await;
    ann.ready(&known).await;
    let (capture_id, assets) = burst(&ann, &[&blurred, &sharp]).await;
    assert_eq!(text(&assets[1]["asset_id"]), known);
    assert_eq!(read(&ann, &capture_id).await["best_asset_id"], json!(known));
    send(&ann, &assets[0], &blurred).await;
    assert_eq!(read(&ann, &capture_id).await["best_asset_id"], json!(known));
    assert_eq!(told(&rig).await, [known]);
}

/// Of a real burst one frame, which is not the key, is left as it is, and the others are blurred.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_real_burst_the_frame_that_is_not_blurred() {
    const SHARP: usize = 1;
    let Some(folder) = media::require("burst") else {
        return;
    };
    let rig = Rig::start(Database::Sqlite, &[]).await;
    let ann = rig.owner("ann");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let scratch = tempfile::tempdir().unwrap();
    let files: Vec<Vec<u8>> = paths
        .iter()
        .enumerate()
        .map(|(n, path)| {
            if n == SHARP {
                return std::fs::read(path).unwrap();
            }
            let blurred = scratch.path().join(format!("{n}.jpg"));
            let (from, to) = (path.as_os_str(), blurred.as_os_str());
            tool("vips", &["gaussblur".as_ref(), from, to, "2".as_ref()]);
            std::fs::read(blurred).unwrap()
        })
        .collect();
    let frames: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let (capture_id, assets) = burst(&ann, &frames).await;
    for (asset, file) in assets.iter().zip(&frames) {
        send(&ann, asset, file).await;
    }
    let read = read(&ann, &capture_id).await;
    assert_eq!(read["best_asset_id"], assets[SHARP]["asset_id"], "{read}");
    let sharpness = |n: usize| read["assets"][n]["scores"]["sharpness"].as_u64().unwrap();
    for n in (0..frames.len()).filter(|n| *n != SHARP) {
        assert!(sharpness(n) * 2 < sharpness(SHARP), "{n}: {read}");
    }
}

/// A frame of someone, as sharp as that of someone who stands on his head, whom no detector finds.
fn frame_of_someone(stands: bool) -> Vec<u8> {
    const FACE: &[u8] = include_bytes!("../../../imaging/tests/fixtures/face-160x190.gray");
    let (wide, high, mut lights) = (160, 190, FACE.to_vec());
    if !stands {
        lights.reverse();
    }
    let (width, height) = (400, 300);
    let mut rgb = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (column, row) = (x - 120, y - 50);
            let is_in = (0..wide).contains(&column) && (0..high).contains(&row);
            let light = match is_in {
                true => lights[(row * wide + column) as usize],
                false => 110 + ((x * 7 + y * 13) % 9) as u8,
            };
            rgb.extend([light; 3]);
        }
    }
    encode_jpeg(width as u32, height as u32, &rgb, 92).unwrap()
}

async fn who_looks_at_the_camera_makes_a_frame_better(database: Database) {
    for (setting, best, faces) in [
        ("yes", 1, [json!(0), json!(1)]),
        ("no", 0, [json!(null), json!(null)]),
    ] {
        let rig = Rig::start(database, &["--face-detector", setting]).await;
        let ann = rig.owner("ann");
        let files = [frame_of_someone(false), frame_of_someone(true)];
        let frames: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let (capture_id, assets) = burst(&ann, &frames).await;
        for (asset, frame) in assets.iter().zip(&frames) {
            send(&ann, asset, frame).await;
        }
        let measured = wait::until_some(PATIENCE, async || {
            let read = read(&ann, &capture_id).await;
            let all = read["assets"].as_array().unwrap();
            all.iter().all(|a| a["scores"].is_object()).then_some(read)
        });
        let measured = measured.await.unwrap();
        assert_eq!(measured["best_asset_id"], assets[best]["asset_id"]);
        for (n, faces) in faces.iter().enumerate() {
            assert_eq!(
                measured["assets"][n]["scores"]["faces"], *faces,
                "{measured}"
            );
        }
        // What is no burst is not looked at.
        let alone = ann.upload(&shot(1, 0.9)).await;
        let scores = wait::until_some(PATIENCE, async || {
            let path = format!("/v1/assets/{alone}?fields=scores");
            let read = ann.get(&path).await.expect(200);
            read["scores"].is_object().then(|| read["scores"].clone())
        });
        assert!(scores.await.unwrap()["faces"].is_null());
    }
}
