//! Live Photos: a still and a clip that say that they belong together, in whatever order they come.

use safelight_testkit::{media, wait};
use serde_json::{Value, json};

use crate::http_rig::{Caller, Database, PATIENCE, Rig, number, on_both_databases, text};

on_both_databases!(
    halves_find_each_other_in_either_order,
    halves_of_one_capture_find_each_other,
);

/// The two files of a Live Photo, as a phone writes them.
fn halves() -> Option<(Vec<u8>, Vec<u8>)> {
    let still = media::require("heic/iphone11pro_live_still_gps.heic")?;
    let motion = media::require("live/iphone11pro_live.mov")?;
    Some((
        std::fs::read(still).unwrap(),
        std::fs::read(motion).unwrap(),
    ))
}

/// What both say.
const SAID: &str = "1745E022-9712-43C7-B024-F308EC6413CB";

async fn live(caller: &Caller, id: &str) -> Value {
    let path = format!("/v1/assets/{id}?fields=live");
    caller.get(&path).await.expect(200)["live"].clone()
}

/// How often it was told that something of this asset has changed.
async fn updates(rig: &Rig, id: &str) -> i64 {
    let sql =
        format!("SELECT COUNT(*) FROM events WHERE kind = 'asset.updated' AND asset_id = '{id}'");
    number(&rig.catalog().await, &sql).await
}

async fn halves_find_each_other_in_either_order(database: Database) {
    let Some((still, motion)) = halves() else {
        return;
    };
    let rig = Rig::start(database, &[]).await;
    for (name, still_first) in [("ann", true), ("ben", false)] {
        let caller = rig.owner(name);
        let files = match still_first {
            true => [&still, &motion],
            false => [&motion, &still],
        };
        let first = caller.upload(files[0]).await;
        caller.ready(&first).await;
        assert_eq!(live(&caller, &first).await, Value::Null);
        assert_eq!(updates(&rig, &first).await, 0);
        let second = caller.upload(files[1]).await;
        caller.ready(&second).await;
        assert_eq!(updates(&rig, &first).await, 1);
        let (of_still, of_motion) = match still_first {
            true => (&first, &second),
            false => (&second, &first),
        };
        let both = json!({ "still": of_still, "motion": of_motion });
        assert_eq!(live(&caller, &first).await, both);
        assert_eq!(live(&caller, &second).await, both);
        let list = caller.get("/v1/assets?fields=live").await.expect(200);
        for item in list["items"].as_array().unwrap() {
            assert_eq!(item["live"], both);
        }
        // Small by default.
        let plain = caller.get(&format!("/v1/assets/{first}")).await.expect(200);
        assert_eq!(plain["live"], Value::Null);

        // Without the clip the still is alone, and hears of it; the clip that comes again is joined.
        let path = format!("/v1/assets/{of_motion}");
        caller.delete(&path).await.expect(202);
        assert_eq!(live(&caller, of_still).await, Value::Null);
        let told = updates(&rig, of_still).await;
        assert_eq!(told, if still_first { 2 } else { 1 });
        let again = wait::until_some(PATIENCE, async || {
            // Its bytes are being removed, and may be found to be so.
            let id = caller.upload(&motion).await;
            let asset = caller.settled(&id).await;
            (asset["state"] == "ready").then_some(id)
        });
        let again = again.await.unwrap();
        let both = json!({ "still": of_still, "motion": again });
        assert_eq!(live(&caller, of_still).await, both);
    }
    // By default what they say is not kept.
    let catalog = rig.catalog().await;
    let sql = format!(
        "SELECT (SELECT COUNT(*) FROM blobs WHERE live_key LIKE '%{SAID}%')
              + (SELECT COUNT(*) FROM blob_metadata WHERE private IS NOT NULL OR harmless LIKE '%{SAID}%')"
    );
    assert_eq!(number(&catalog, &sql).await, 0);
    let sql = "SELECT COUNT(*) FROM live_halves";
    assert_eq!(number(&catalog, sql).await, 4);
}

async fn halves_of_one_capture_find_each_other(database: Database) {
    let Some((still, motion)) = halves() else {
        return;
    };
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let assets = ann.initiate(&[&still, &motion]).await;
    let ids: Vec<&str> = assets.iter().map(|a| text(&a["asset_id"])).collect();
    for (asset, file) in assets.iter().zip([&still, &motion]) {
        ann.send(asset, file).await;
    }
    // Both are inspected at once, where there are workers for both.
    let complete = async |n: usize| {
        let upload_id = text(&assets[n]["uploads"][0]["upload_id"]);
        ann.complete(upload_id).await.expect(200);
        ann.ready(ids[n]).await
    };
    tokio::join!(complete(0), complete(1));
    let both = json!({ "still": ids[0], "motion": ids[1] });
    for id in &ids {
        assert_eq!(live(&ann, id).await, both);
    }
    // Who was first was told of the other.
    let told = updates(&rig, ids[0]).await + updates(&rig, ids[1]).await;
    assert_eq!(told, 1);
}
