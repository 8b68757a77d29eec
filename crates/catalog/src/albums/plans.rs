//! An owner's albums are found along their index, and their contents are counted along theirs.

use super::list_sql;
use crate::connect::Catalog;
use crate::explain;
use crate::values;

async fn plan(catalog: &Catalog) -> String {
    let mut reader = catalog.reader().await.unwrap();
    let mut tx = reader.tx();
    let sql = list_sql(tx.is_postgres());
    let asked = values!["ten", "own", "~", 51_i64];
    explain::plan(&mut tx, &sql, asked).await.unwrap()
}

#[tokio::test]
async fn on_sqlite() {
    let (catalog, _directory) = explain::sqlite().await;
    let plan = plan(&catalog).await;
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
    let catalog = explain::postgres().await;
    let plan = plan(&catalog).await;
    assert!(plan.contains("albums_by_owner"), "{plan}");
    assert!(!plan.contains("Seq Scan"), "{plan}");
}
