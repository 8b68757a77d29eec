//! Which captures hold an asset is found along its index, and a capture's members are not, however many there are.

use super::captures::OTHERS;
use crate::connect::Catalog;
use crate::explain::{self, write};
use crate::values;

/// 20,000 captures with an asset each.
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
    ] {
        let sql = format!("INSERT INTO {columns} SELECT {values} FROM {numbers}");
        write(catalog, sql).await;
    }
}

async fn check(catalog: &Catalog) {
    let mut reader = catalog.reader().await.unwrap();
    let tx = &mut reader.tx();
    let plan = explain::plan(tx, OTHERS, values!["ten", "ast7", "cap7"])
        .await
        .unwrap();
    let along = match tx.is_postgres() {
        true => "capture_assets_by_asset",
        false => "capture_assets_by_asset (tenant_id=? AND asset_id=?",
    };
    assert!(plan.contains(along), "{plan}");
    assert!(!plan.contains("Seq Scan"), "{plan}");
    let members = "SELECT a.state FROM capture_assets m JOIN assets a ON a.tenant_id = m.tenant_id AND a.asset_id = m.asset_id
                    WHERE m.tenant_id = $1 AND m.capture_id = $2 ORDER BY m.position";
    let plan = explain::plan(tx, members, values!["ten", "cap7"])
        .await
        .unwrap();
    assert!(!plan.contains("capture_assets_by_asset"), "{plan}");
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
