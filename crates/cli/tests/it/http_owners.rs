//! Whose things are whose, and bytes that come more than once.

use safelight_catalog::keys::{self, ApiKey};
use safelight_model::clock::Micros;
use safelight_objects::ObjectKey;
use safelight_service::governance::api_keys::secret_hash;
use safelight_testkit::wait;
use serde_json::{Value, json};

use crate::http_rig::{
    Caller, Database, PATIENCE, Rig, capture, change, fetch, number, objects, on_both_databases,
    photo, sha256, text,
};

on_both_databases!(
    what_is_not_yours_is_not_there,
    the_same_bytes_of_one_owner_are_not_sent_again,
    twins_that_arrive_at_once_become_one,
    what_came_again_is_kept_where_the_store_lost_its_twin,
);

/// A caller of another tenant.
pub async fn stranger(rig: &Rig, owner: &str) -> Caller {
    let secret = "sk_00000000000000000000000000000002";
    let key = ApiKey {
        tenant_id: "ten_00000000000000000000000002".to_owned(),
        key_id: "key_00000000000000000000000002".to_owned(),
        label: "another tenant".to_owned(),
        scopes: "admin".to_owned(),
        created_at: Micros(1),
        revoked_at: None,
    };
    let hash = secret_hash(secret);
    let catalog = rig.catalog().await;
    let made = catalog.write(move |tx| {
        Box::pin(async move {
            keys::ensure_tenant(tx, &key.tenant_id, "other", Micros(1)).await?;
            keys::insert(tx, &key, &hash).await
        })
    });
    made.await.unwrap();
    rig.caller(Some(secret), Some(owner))
}

async fn what_is_not_yours_is_not_there(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(1);
    let made = ann.post("/v1/captures", &capture(&[&file])).await;
    let made = made.expect(201);
    let (capture_id, asset) = (text(&made["capture_id"]), &made["assets"][0]);
    ann.send(asset, &file).await;
    let upload_id = text(&asset["uploads"][0]["upload_id"]);
    let asset_id = text(&asset["asset_id"]);
    for caller in [rig.owner("bob"), stranger(&rig, "ann").await] {
        for path in [
            format!("/v1/captures/{capture_id}"),
            format!("/v1/uploads/{upload_id}"),
            format!("/v1/assets/{asset_id}"),
        ] {
            caller.get(&path).await.problem(404, "not_found");
        }
        for path in [
            format!("/v1/uploads/{upload_id}/urls"),
            format!("/v1/uploads/{upload_id}/complete"),
            format!("/v1/assets/{asset_id}/grants"),
        ] {
            let refused = caller.post(&path, &json!({})).await;
            refused.problem(404, "not_found");
        }
        let refused = caller.delete(&format!("/v1/uploads/{upload_id}")).await;
        refused.problem(404, "not_found");
        let list = caller.get("/v1/assets").await.expect(200);
        assert_eq!(list["items"], json!([]));
        let list = caller.get(&format!("/v1/assets?cursor={asset_id}")).await;
        list.problem(422, "validation_failed");
    }
    ann.complete(upload_id).await.expect(200);
    ann.ready(asset_id).await;
    let shown = ann.get(&format!("/v1/captures/{capture_id}")).await;
    assert_eq!(shown.expect(200)["assets"][0]["state"], "ready");
}

async fn the_same_bytes_of_one_owner_are_not_sent_again(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(1);
    let asset_id = ann.upload(&file).await;
    ann.ready(&asset_id).await;
    let (fresh, known) = (photo(2), file.as_slice());
    let made = ann.initiate(&[&fresh, known]).await;
    assert_ne!(made[0]["asset_id"], asset_id);
    assert_eq!(made[0]["uploads"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&made[1]["asset_id"], &made[1]["state"]),
        (&json!(asset_id), &json!("ready"))
    );
    assert!(made[1]["uploads"].is_null(), "nothing is to be sent");

    // Others send their own, and learn nothing.
    for other in [rig.owner("bob"), stranger(&rig, "ann").await] {
        let made = other.initiate(&[&file]).await;
        assert_eq!(made[0]["state"], "uploading");
        assert_ne!(made[0]["asset_id"], asset_id);
        let theirs = other.upload(&file).await;
        other.ready(&theirs).await;
    }
    let catalog = rig.catalog().await;
    let hash = sha256(&file);
    let live = format!("SELECT COUNT(*) FROM blobs WHERE state = 'live' AND sha256 = '{hash}'");
    assert_eq!(number(&catalog, &live).await, 3);
}

async fn twins_that_arrive_at_once_become_one(database: Database) {
    const TWINS: usize = 4;
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(1);
    let mut asked = tokio::task::JoinSet::new();
    let mut twins: Vec<Value> = Vec::new();
    for i in 0..TWINS {
        let asset = if i % 2 == 0 {
            ann.initiate(&[&file]).await.remove(0)
        } else {
            // One that does not say what it is.
            let mut request = capture(&[&file]);
            request["assets"][0]["resources"][0]["sha256"] = Value::Null;
            let made = ann.post("/v1/captures", &request).await.expect(201);
            made["assets"][0].clone()
        };
        ann.send(&asset, &file).await;
        twins.push(asset);
    }
    for asset in &twins {
        let (ann, id) = (
            ann.clone(),
            text(&asset["uploads"][0]["upload_id"]).to_owned(),
        );
        asked.spawn(async move { ann.complete(&id).await.expect(200) });
    }
    asked.join_all().await;
    for asset in &twins {
        let ready = ann.ready(text(&asset["asset_id"])).await;
        let cover = fetch(&rig.http, text(&ready["cover_url"])).await;
        assert_eq!(cover.status, 200, "{cover:?}");
        assert_eq!(ready["original"]["sha256"], sha256(&file));
        assert_eq!(ann.original(text(&asset["asset_id"])).await, file);
    }
    let (catalog, store) = (rig.catalog().await, rig.store());
    let live = "SELECT COUNT(*) FROM blobs WHERE state = 'live'";
    let gone = "SELECT COUNT(*) FROM blobs WHERE state = 'gone'";
    assert_eq!(number(&catalog, live).await, 1);
    // Their bytes go at once, and are forgotten when none can come again.
    let removed = wait::until(PATIENCE, async || objects(&store, "o/").await.len() == 1);
    removed.await.unwrap();
    let purged = wait::until(PATIENCE, async || {
        for sql in [
            "UPDATE uploads SET signed_until = 1 WHERE signed_until > 1",
            "UPDATE jobs SET run_at = 1 WHERE kind = 'purge' AND run_at > 1",
        ] {
            change(&catalog, sql, vec![]).await;
        }
        number(&catalog, gone).await == TWINS as i64 - 1
    });
    purged.await.unwrap();
    assert_eq!(objects(&store, "o/").await.len(), 1);
    assert_eq!(objects(&store, "r/").await.len(), 3);
    let dead = "SELECT COUNT(*) FROM jobs WHERE state = 'dead'";
    assert_eq!(number(&catalog, dead).await, 0);
    // Whoever asks later is told of one that is there.
    let again = ann.initiate(&[&file]).await.remove(0);
    assert_eq!(again["state"], "ready");
    assert!(again["uploads"].is_null());
}

async fn what_came_again_is_kept_where_the_store_lost_its_twin(database: Database) {
    let rig = Rig::start(database, &["--sweep-hours", "0"]).await;
    let ann = rig.owner("ann");
    let (file, other) = (photo(1), photo(2));
    let first = ann.upload(&file).await;
    let there = ann.upload(&other).await;
    for asset_id in [&first, &there] {
        ann.ready(asset_id).await;
    }
    let (store, catalog) = (rig.store(), rig.catalog().await);
    let key_of = async |asset_id: &str| {
        let sql = format!(
            "SELECT b.object_key FROM blobs b JOIN resources r ON r.blob_id = b.blob_id WHERE r.asset_id = '{asset_id}'"
        );
        let rows = crate::http_rig::rows(&catalog, &sql).await;
        rows[0].text(0).unwrap()
    };
    // Twice: by somebody who does not say what it is, and by one who does and asks whether it is there.
    for declares in [false, true] {
        let lost = key_of(&first).await;
        store
            .delete(&ObjectKey::parse(&lost).unwrap())
            .await
            .unwrap();
        let missing = "SELECT COUNT(*) FROM sweep_findings WHERE kind = 'missing_original'";
        if declares {
            // Until a sweep finds out, it counts as held.
            let held = ann.initiate(&[&file]).await.remove(0);
            assert!(held["uploads"].is_null(), "{held}");
            crate::sweep::swept(&rig.server, &["sweep", "--remove"]).await;
            assert_eq!(number(&catalog, missing).await, 1);
        }
        let mut request = capture(&[&file, &other]);
        if !declares {
            request["assets"][0]["resources"][0]["sha256"] = Value::Null;
        }
        let made = ann.post("/v1/captures", &request).await.expect(201);
        let asset = &made["assets"][0];
        assert!(
            made["assets"][1]["uploads"].is_null(),
            "what is there is held"
        );
        ann.send(asset, &file).await;
        ann.complete(text(&asset["uploads"][0]["upload_id"]))
            .await
            .expect(200);
        // It becomes the asset that has lost its bytes, which has them again.
        let again = text(&asset["asset_id"]);
        assert_ne!(again, first);
        assert_eq!(ann.ready(again).await["asset_id"], first);
        let made_again = wait::until(PATIENCE, async || {
            let asset = ann.ready(&first).await;
            let all = asset["renditions"].as_object().unwrap();
            all.len() == 3 && all.values().all(|r| r["state"] == "ready")
        });
        made_again.await.unwrap();
        let ready = ann.ready(&first).await;
        let cover = fetch(&rig.http, text(&ready["cover_url"])).await;
        assert_eq!(cover.status, 200, "{cover:?}");
        assert_eq!(ready["original"]["sha256"], sha256(&file));
        assert_eq!(ann.original(&first).await, file);
        assert_ne!(key_of(&first).await, lost);
        assert_eq!(number(&catalog, missing).await, 0);
        let live = "SELECT COUNT(*) FROM blobs WHERE state = 'live'";
        assert_eq!(number(&catalog, live).await, 2);
        // What was made of the lost one goes.
        let gone = wait::until(PATIENCE, async || {
            objects(&store, "r/").await.len() == 6 && objects(&store, "o/").await.len() == 2
        });
        gone.await.unwrap();
        let held = ann.initiate(&[&file]).await.remove(0);
        assert_eq!(held["asset_id"], first);
        assert!(held["uploads"].is_null(), "{held}");
    }
}
