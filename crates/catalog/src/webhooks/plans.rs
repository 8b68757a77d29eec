//! Who asks for which endpoint something is due goes by an index that is in the order of the answer: nothing is sorted, and those
//! that others work for, or that rest, are not read.

use super::COLUMNS;
use super::turns::DUE;
use crate::connect::Catalog;
use crate::explain::{self, write};
use crate::values;

/// 5,000 endpoints, of which half rest.
async fn fill(catalog: &Catalog) {
    let webhooks = format!(
        "INSERT INTO webhooks (tenant_id, webhook_id, url, salt, state, created_at, position, free_at, fence, failures) \
         SELECT 'ten_' || (n % 500), 'whk_' || n, 'u', 's', CASE WHEN n % 10 = 0 THEN 'disabled' ELSE 'enabled' END, 0, 0, \
           CASE WHEN n % 2 = 0 THEN 9000000000000000 ELSE n END, 0, 0 FROM {}",
        explain::numbers(5_000)
    );
    write(catalog, webhooks).await;
}

async fn plan(catalog: &Catalog) -> String {
    let mut reader = catalog.reader().await.unwrap();
    let (sql, now) = (
        format!("SELECT {COLUMNS} {DUE}"),
        safelight_model::clock::Micros(1),
    );
    let plan = explain::plan(&mut reader.tx(), &sql, values![now, 16_i64]).await;
    plan.unwrap()
}

#[tokio::test]
async fn on_sqlite() {
    let (catalog, _directory) = explain::sqlite().await;
    for filled in [false, true] {
        if filled {
            fill(&catalog).await;
        }
        let plan = plan(&catalog).await;
        assert!(plan.contains("webhooks_free (free_at<?)"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let catalog = explain::postgres().await;
    for filled in [false, true] {
        if filled {
            fill(&catalog).await;
            write(&catalog, "ANALYZE").await;
        }
        let plan = plan(&catalog).await;
        assert!(plan.contains("webhooks_free"), "{plan}");
        assert!(!plan.contains("Sort"), "{plan}");
    }
}
