//! Who only looks at a catalog leaves its schema as it is.

use safelight_catalog::{Catalog, CatalogError, CatalogSettings, SCHEMA_VERSION, Schema};
use safelight_testkit::postgres::Cluster;

async fn open(url: &str, schema: Schema) -> Result<Catalog, CatalogError> {
    Catalog::open(CatalogSettings {
        schema,
        ..CatalogSettings::for_url(url)
    })
    .await
}

/// Looks, brings up to date, and looks again.
async fn look_twice(url: &str) {
    for (schema, version) in [
        (Schema::LeaveAsItIs, 0),
        (Schema::LeaveAsItIs, 0),
        (Schema::BringUpToDate, SCHEMA_VERSION),
        (Schema::LeaveAsItIs, SCHEMA_VERSION),
    ] {
        let catalog = open(url, schema).await.unwrap();
        catalog.ping().await.unwrap();
        assert_eq!(catalog.schema_version().await.unwrap(), version);
        catalog.close().await;
    }
}

#[tokio::test]
async fn on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("catalog.db");
    let url = format!("sqlite://{}", path.display());
    assert!(open(&url, Schema::LeaveAsItIs).await.is_err());
    assert!(!path.exists(), "looking made a catalog");
    std::fs::write(&path, "").unwrap();
    look_twice(&url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let url = tokio::task::block_in_place(|| Cluster::shared().unwrap().fresh_database().unwrap());
    look_twice(&url).await;
}
