//! Blobs that nobody has read, and what a policy no longer keeps, are found along indexes that hold nothing else.

use super::{Whose, forgotten, question};
use crate::connect::{Backend, Catalog};
use crate::explain::{self, write};
use crate::values;

/// 20,000 blobs, of which few are still to be read, and few have something private.
async fn fill(catalog: &Catalog) {
    let numbers = explain::numbers(20000);
    for (columns, values) in [
        (
            "blobs (tenant_id, blob_id, scope, object_key, etag, size_bytes, state, verdict, mime, metadata_sought_at, created_at)",
            "'ten', 'blb' || n, 'own', 'o' || n, 'e', 1, 'live', 'clean', 'image/jpeg', CASE WHEN n % 50 = 0 THEN NULL ELSE 1 END, 0",
        ),
        (
            "blob_metadata (tenant_id, blob_id, harmless, private, read_at)",
            "'ten', 'blb' || n, '{}', CASE WHEN n % 50 = 0 THEN '{}' END, 0",
        ),
    ] {
        write(
            catalog,
            format!("INSERT INTO {columns} SELECT {values} FROM {numbers}"),
        )
        .await;
    }
    if catalog.backend() == Backend::Postgres {
        write(catalog, "ANALYZE").await;
    }
}

async fn check(catalog: &Catalog) {
    let on_postgres = catalog.backend() == Backend::Postgres;
    let mut reader = catalog.reader().await.unwrap();
    let tx = &mut reader.tx();
    let plan = explain::plan(tx, &question(on_postgres), values![100_i64])
        .await
        .unwrap();
    assert!(plan.contains("blobs_unread"), "{plan}");
    for whose in [Whose::Of(&["ten", "other"]), Whose::OfAllBut(&["other"])] {
        let (sql, mut values) = forgotten(whose, on_postgres);
        values.push(100_i64.into());
        let plan = explain::plan(tx, &sql, &values).await.unwrap();
        assert!(plan.contains("blob_metadata_private"), "{plan}");
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
    check(&catalog).await;
}
