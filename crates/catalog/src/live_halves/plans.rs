//! The other half is found along an index, however many assets there are.

use super::{OTHERS_SQL, TOLD, holders, pairs};
use crate::connect::Catalog;
use crate::explain::{self, write};
use crate::values;

/// 20,000 assets of one owner, half of them halves of Live Photos.
async fn fill(catalog: &Catalog) {
    let numbers = explain::numbers(20000);
    for (columns, values) in [
        (
            "assets (tenant_id, asset_id, owner_id, capture_id, public_id, state, version, created_at, updated_at)",
            "'ten', 'ast' || n, 'own', 'cap' || n, 'pub' || n, 'ready', 1, 0, 0",
        ),
        (
            "resources (tenant_id, resource_id, asset_id, kind, size_bytes, blob_id)",
            "'ten', 'res' || n, 'ast' || n, 'primary', 1, 'blb' || n",
        ),
        (
            "blobs (tenant_id, blob_id, scope, object_key, etag, size_bytes, state, verdict, created_at, live_key)",
            "'ten', 'blb' || n, 'own', 'o' || n, 'e', 1, 'live', 'clean', 0, 'key'",
        ),
        (
            "live_halves (tenant_id, asset_id, owner_id, live_key, half)",
            "'ten', 'ast' || n, 'own', 'key' || (n / 2), CASE n % 2 WHEN 0 THEN 'still' ELSE 'motion' END",
        ),
    ] {
        let sql = format!("INSERT INTO {columns} SELECT {values} FROM {numbers}");
        write(catalog, sql).await;
    }
}

async fn check(catalog: &Catalog) {
    let mut reader = catalog.reader().await.unwrap();
    let tx = &mut reader.tx();
    let held = format!("SELECT a.owner_id {}", holders(tx.is_postgres()));
    let plan = explain::plan(tx, &held, values!["ten", "blb7", "blb7"])
        .await
        .unwrap();
    assert!(plan.contains("resources_by_blob"), "{plan}");
    assert!(
        !plan.contains("Seq Scan") && !plan.contains("SCAN"),
        "{plan}"
    );
    let two = pairs(&["$2".to_owned(), "$3".to_owned()]);
    for (sql, values) in [
        (OTHERS_SQL, values!["ten", "ast7", TOLD]),
        (two.as_str(), values!["ten", "ast7", "ast9"]),
    ] {
        let plan = explain::plan(tx, sql, values).await.unwrap();
        assert!(plan.contains("live_halves_by_key"), "{plan}");
        assert!(
            !plan.contains("Seq Scan") && !plan.contains("SCAN"),
            "{plan}"
        );
    }
}

#[tokio::test]
async fn on_sqlite() {
    let (catalog, _directory) = explain::sqlite().await;
    fill(&catalog).await;
    check(&catalog).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let catalog = explain::postgres().await;
    fill(&catalog).await;
    write(&catalog, "ANALYZE").await;
    check(&catalog).await;
}
