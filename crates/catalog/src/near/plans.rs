//! What is near is found along indexes, however many assets there are and whatever the planner knows.

use safelight_model::near::PictureHash;

use super::{Side, alike, neighbours};
use crate::assets;
use crate::connect::Catalog;
use crate::explain::{self, write};

/// One owner with 20,000 pictures and their hashes, among others of the tenant.
async fn fill(catalog: &Catalog) {
    let numbers = explain::numbers(20000);
    for (columns, values) in [
        (
            "assets (tenant_id, asset_id, owner_id, capture_id, public_id, state, version, created_at, updated_at)",
            "'ten', 'ast' || n, CASE n % 2 WHEN 0 THEN 'own' ELSE 'own' || (n % 100) END, 'cap', 'pub' || n, 'ready', 1, CAST(n AS BIGINT) * 60000000, 0",
        ),
        (
            "resources (tenant_id, resource_id, asset_id, kind, size_bytes)",
            "'ten', 'res' || n, 'ast' || n, 'primary', 1",
        ),
        (
            "asset_hashes (tenant_id, asset_id, owner_id, picture_hash)",
            "'ten', 'ast' || n, CASE n % 2 WHEN 0 THEN 'own' ELSE 'own' || (n % 100) END, CAST(n AS BIGINT) * 461168601842738",
        ),
    ] {
        let sql = format!("INSERT INTO {columns} SELECT {values} FROM {numbers}");
        write(catalog, sql).await;
    }
}

async fn check(catalog: &Catalog) {
    let mut reader = catalog.reader().await.unwrap();
    let tx = &mut reader.tx();
    let on_postgres = tx.is_postgres();
    let asset = assets::find(tx, "ten", "ast5000").await.unwrap().unwrap();
    let (sql, values) = alike(&asset, PictureHash(0x1234_5678_9abc_def0));
    let plan = explain::plan(tx, &sql, &values).await.unwrap();
    for index in 0..4 {
        let along = match on_postgres {
            true => format!("asset_hashes_by_{index} "),
            false => format!(
                "asset_hashes_by_{index} (tenant_id=? AND owner_id=? AND quarter_{index}=?)"
            ),
        };
        assert_eq!(plan.matches(&along).count(), 17, "{plan}");
    }
    for side in [Side::Before, Side::After] {
        let (sql, values) = neighbours(&asset, side, on_postgres);
        let plan = explain::plan(tx, &sql, &values).await.unwrap();
        assert!(plan.contains("assets_by_time"), "{plan}");
        let by_key = match on_postgres {
            true => "asset_hashes_pkey",
            false => "h USING PRIMARY KEY (tenant_id=? AND asset_id=?)",
        };
        assert!(plan.contains(by_key), "{plan}");
        assert!(!plan.contains("Seq Scan"), "{plan}");
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
