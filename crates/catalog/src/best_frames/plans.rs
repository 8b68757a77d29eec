//! Captures that hold a blob, and their frames, are found along indexes, however many there are.

use super::{FRAMES_SQL, HOLDING_SQL, RETOLD};
use crate::captures::{MEANT_FOR, OF_BURST, held_by};
use crate::connect::Catalog;
use crate::explain::{self, write};
use crate::values;

/// 20,000 captures with an asset each, and a blob of its own.
async fn fill(catalog: &Catalog) {
    let numbers = explain::numbers(20000);
    for (columns, values) in [
        (
            "captures (tenant_id, capture_id, owner_id, client_ref, mode, created_at)",
            "'ten', 'cap' || n, 'own', 'ref' || n, 'single', 0",
        ),
        (
            "capture_assets (tenant_id, capture_id, position, client_ref, role, asset_id)",
            "'ten', 'cap' || n, 0, 'a', 'still', 'ast' || n",
        ),
        (
            "assets (tenant_id, asset_id, owner_id, capture_id, public_id, state, version, created_at, updated_at)",
            "'ten', 'ast' || n, 'own', 'cap' || n, 'pub' || n, 'ready', 1, 0, 0",
        ),
        (
            "resources (tenant_id, resource_id, asset_id, kind, size_bytes, blob_id)",
            "'ten', 'res' || n, 'ast' || n, 'primary', 1, 'blb' || n",
        ),
        (
            "blobs (tenant_id, blob_id, scope, object_key, etag, size_bytes, state, verdict, created_at)",
            "'ten', 'blb' || n, 'own', 'o' || n, 'e', 1, 'live', 'clean', 0",
        ),
    ] {
        let sql = format!("INSERT INTO {columns} SELECT {values} FROM {numbers}");
        write(catalog, sql).await;
    }
}

async fn check(catalog: &Catalog) {
    let mut reader = catalog.reader().await.unwrap();
    let tx = &mut reader.tx();
    for (sql, values) in [
        (HOLDING_SQL.to_owned(), values!["ten", "blb7", RETOLD]),
        (held_by(MEANT_FOR), values!["ten", "blb7", "profile"]),
        (held_by(OF_BURST), values!["ten", "blb7"]),
    ] {
        let plan = explain::plan(tx, &sql, values).await.unwrap();
        for index in ["resources_by_blob", "capture_assets_by_asset"] {
            assert!(plan.contains(index), "{plan}");
        }
        assert!(
            !plan.contains("Seq Scan") && !plan.contains("SCAN"),
            "{plan}"
        );
    }
    let plan = explain::plan(tx, FRAMES_SQL, values!["ten", "cap7"])
        .await
        .unwrap();
    assert!(!plan.contains("capture_assets_by_asset"), "{plan}");
    assert!(
        !plan.contains("Seq Scan") && !plan.contains("SCAN"),
        "{plan}"
    );
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
    check(&catalog).await;
    write(&catalog, "ANALYZE").await;
    check(&catalog).await;
}
