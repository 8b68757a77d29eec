//! Deletions where something else is amiss.

use std::time::Duration;

use safelight_objects::ObjectKey;
use safelight_service::retention::complete_deletions::complete_deletions;
use serde_json::json;

use crate::http_rig::{
    Database, capture, change, number, on_both_databases, photo, rows, sha256, text,
};
use crate::in_process::{InProcess, TENANT};
use crate::sweep::put;

on_both_databases!(
    what_may_be_all_that_is_left_of_another_s_bytes_stays,
    a_deletion_that_fails_holds_up_no_other,
);

/// Longer than any URL works, and bytes may come by it.
const LONG: Duration = Duration::from_secs(3 * 3600);

/// Two devices sent the same picture, and bytes of the slower one came after all. Another asset was kept of it, whose bytes the store
/// has lost, when the first one is deleted.
async fn what_may_be_all_that_is_left_of_another_s_bytes_stays(database: Database) {
    for is_found_again in [true, false] {
        let service = InProcess::start(database).await;
        let (context, store) = (&service.context, &service.context.objects);
        let ann = service.owner("ann");
        let file = photo(1);
        let [first, second] = [
            ann.initiate(&[&file]).await.remove(0),
            ann.initiate(&[&file]).await.remove(0),
        ];
        ann.send(&first, &file).await;
        let upload_id = text(&first["uploads"][0]["upload_id"]);
        ann.complete(upload_id).await.expect(200);
        // As it is inspected.
        let hash = sha256(&file);
        let inspected = "UPDATE blobs SET sha256 = $1, verdict = 'clean', inspected_at = 1";
        assert_eq!(
            change(&context.catalog, inspected, vec![hash.as_str().into()]).await,
            1
        );
        let ready = "UPDATE assets SET state = 'ready', version = version + 1 WHERE asset_id = $1";
        let first_id = text(&first["asset_id"]);
        change(&context.catalog, ready, vec![first_id.into()]).await;
        let slower = text(&second["uploads"][0]["upload_id"]);
        let merged = ann.get(&format!("/v1/uploads/{slower}")).await.expect(200);
        assert_eq!(
            (&merged["state"], text(&merged["asset_id"])),
            (&json!("merged"), first_id)
        );
        service.pass(Duration::from_secs(1)).await;
        ann.send(&second, &file).await;
        let mut kept = capture(&[&file]);
        kept["duplicates"] = json!("keep");
        let kept = ann.post("/v1/captures", &kept).await.expect(201);
        let kept_id = text(&kept["assets"][0]["asset_id"]).to_owned();
        assert_ne!(kept_id, first_id);
        let key = async |sql: &str| {
            let key = rows(&context.catalog, sql).await[0].text(0).unwrap();
            ObjectKey::parse(&key).unwrap()
        };
        let lost = key("SELECT object_key FROM blobs").await;
        let late = key("SELECT object_key FROM uploads WHERE merged_into IS NOT NULL").await;
        store.delete(&lost).await.unwrap();
        assert!(store.head(&late).await.unwrap().is_some());

        ann.delete(&format!("/v1/assets/{first_id}"))
            .await
            .expect(202);
        for _ in 0..2 {
            service.pass(LONG).await;
            assert!(store.head(&late).await.unwrap().is_some());
            complete_deletions(context).await.unwrap();
            let deleted = ann
                .delete(&format!("/v1/assets/{first_id}"))
                .await
                .expect(202);
            assert!(deleted["completed_at"].is_null(), "{deleted}");
        }
        if is_found_again {
            put(store, &lost, None).await;
        } else {
            // Nobody wants these bytes any more.
            ann.delete(&format!("/v1/assets/{kept_id}"))
                .await
                .expect(202);
        }
        service.pass(LONG).await;
        assert!(store.head(&late).await.unwrap().is_none());
        complete_deletions(context).await.unwrap();
        let deleted = ann
            .delete(&format!("/v1/assets/{first_id}"))
            .await
            .expect(202);
        assert!(deleted["completed_at"].is_string(), "{deleted}");
        let known =
            "SELECT COUNT(*) FROM uploads WHERE merged_into IS NOT NULL AND sha256 IS NOT NULL";
        assert_eq!(number(&context.catalog, known).await, 0);
    }
}

/// More than are read at once.
const BAD: i64 = 150;

async fn a_deletion_that_fails_holds_up_no_other(database: Database) {
    let service = InProcess::start(database).await;
    let context = &service.context;
    let now = context.now();
    for (ids, count, look_at) in [("ast_bad", BAD, 1_i64), ("ast_good", 3, 2)] {
        for n in 0..count {
            let asset_id = format!("{ids}{n}");
            change(
                &context.catalog,
                "INSERT INTO deletions (tenant_id, asset_id, owner_id, deleted_at, look_at) VALUES ($1, $2, 'ann', $3, $4)",
                vec![TENANT.into(), asset_id.as_str().into(), now.into(), look_at.into()],
            )
            .await;
        }
    }
    // As a row would that the database refuses.
    let faults: &[&'static str] = match database {
        Database::Sqlite => &["CREATE TRIGGER fault BEFORE UPDATE ON deletions
              WHEN NEW.completed_at IS NOT NULL AND NEW.asset_id LIKE 'ast_bad%'
              BEGIN SELECT RAISE(ABORT, 'injected'); END"],
        Database::Postgres => &[
            "CREATE FUNCTION fault() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'injected'; END $$ LANGUAGE plpgsql",
            "CREATE TRIGGER fault BEFORE UPDATE ON deletions FOR EACH ROW
             WHEN (NEW.completed_at IS NOT NULL AND NEW.asset_id LIKE 'ast_bad%') EXECUTE FUNCTION fault()",
        ],
    };
    for fault in faults {
        change(&context.catalog, fault, vec![]).await;
    }
    assert_eq!(complete_deletions(context).await.unwrap(), 3);
    let complete = "SELECT COUNT(*) FROM deletions WHERE completed_at IS NOT NULL";
    assert_eq!(number(&context.catalog, complete).await, 3);
    let told = "SELECT COUNT(*) FROM events WHERE kind = 'deletion.completed'";
    assert_eq!(number(&context.catalog, told).await, 3);
    // Not at once, and not never.
    assert_eq!(complete_deletions(context).await.unwrap(), 0);
    let mend = match database {
        Database::Sqlite => "DROP TRIGGER fault",
        Database::Postgres => "DROP TRIGGER fault ON deletions",
    };
    change(&context.catalog, mend, vec![]).await;
    service.clock.advance(Duration::from_secs(120));
    assert_eq!(complete_deletions(context).await.unwrap(), BAD as usize);
}
