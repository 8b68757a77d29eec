//! An owner's albums are found along their index, and their contents are counted along theirs.

use safelight_testkit::postgres::Cluster;

use super::list_sql;
use crate::connect::{Catalog, CatalogSettings};
use crate::values;

async fn plan(catalog: &Catalog, explain: &str, column: usize) -> String {
    let mut reader = catalog.reader().await.unwrap();
    let on_postgres = reader.tx().is_postgres();
    let sql = format!("{explain} {}", list_sql(on_postgres));
    let rows = reader
        .tx()
        .rows(&sql, values!["ten", "own", "~", 51_i64])
        .await;
    let mut plan = String::new();
    for row in rows.unwrap() {
        plan.push_str(&row.text(column).unwrap());
        plan.push('\n');
    }
    plan
}

#[tokio::test]
async fn on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("catalog.db");
    let url = format!("sqlite://{}", path.display());
    let catalog = Catalog::open(CatalogSettings::for_url(&url)).await.unwrap();
    let plan = plan(&catalog, "EXPLAIN QUERY PLAN", 3).await;
    let index = "albums_by_owner (tenant_id=? AND owner_id=? AND album_id<?)";
    assert!(plan.contains(index), "{plan}");
    assert!(plan.contains("(tenant_id=? AND album_id=?)"), "{plan}");
    assert!(
        !plan.contains("SCAN g") && !plan.contains("TEMP B-TREE"),
        "{plan}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let url = tokio::task::block_in_place(|| Cluster::shared().unwrap().fresh_database().unwrap());
    let catalog = Catalog::open(CatalogSettings::for_url(&url)).await.unwrap();
    let plan = plan(&catalog, "EXPLAIN", 0).await;
    assert!(plan.contains("albums_by_owner"), "{plan}");
    assert!(!plan.contains("Seq Scan"), "{plan}");
}
