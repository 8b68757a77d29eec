//! Who asks what is due, and what stands for a key, reads the ends of indexes, however many uploads there are.

use super::SELECT;
use super::looks::{DUE_OF, DUE_TENANTS};
use super::unfinished::BY_HASH;
use crate::connect::Catalog;
use crate::explain::{self, write};
use crate::values;

/// 40,000 uploads of two tenants that are whole, and 10,000 of one that are open.
async fn fill(catalog: &Catalog) {
    let uploads = format!(
        "INSERT INTO uploads (tenant_id, upload_id, owner_id, asset_id, resource_id, object_key, transport, \
           part_size_bytes, concurrency, send_order, size_bytes, state, version, signed_until, expires_at, look_at, created_at, sha256) \
         SELECT CASE WHEN n % 2 = 0 THEN 'ten_a' ELSE 'ten_b' END, 'upl' || n, 'me', 'ast' || n, 'res' || n, 'o' || n, \
           'single', 1, 1, 0, 1, CASE WHEN n > 40000 THEN 'open' ELSE 'completed' END, 1, 0, 0, \
           CASE WHEN n > 40000 AND n % 2 = 0 THEN n END, 0, 'h' || (n % 1000) FROM {}",
        explain::numbers(50_000)
    );
    write(catalog, uploads).await;
    write(
        catalog,
        "INSERT INTO resources (tenant_id, resource_id, asset_id, kind, size_bytes) \
         SELECT tenant_id, resource_id, asset_id, 'primary', 1 FROM uploads",
    )
    .await;
}

async fn plans(catalog: &Catalog) -> String {
    let mut reader = catalog.reader().await.unwrap();
    let mut plans = String::new();
    let now = safelight_model::clock::Micros(1);
    for (sql, args) in [
        (DUE_TENANTS.to_owned(), values![now, "", 16_i64]),
        (format!("{SELECT} {DUE_OF}"), values!["ten_a", now, 16_i64]),
        (format!("{SELECT} WHERE u.object_key = $1"), values!["o1"]),
        (
            format!("{SELECT} {BY_HASH}"),
            values!["ten_a", "me", "h2", 16_i64],
        ),
    ] {
        let plan = explain::plan(&mut reader.tx(), &sql, args).await;
        plans.push_str(&plan.unwrap());
    }
    plans
}

#[tokio::test]
async fn on_sqlite() {
    let (catalog, _directory) = explain::sqlite().await;
    for filled in [false, true] {
        if filled {
            fill(&catalog).await;
        }
        let plans = plans(&catalog).await;
        for expected in [
            "uploads_due (tenant_id>?)",
            "uploads_due (tenant_id=? AND look_at>?)",
            "uploads_due (tenant_id=? AND look_at>? AND look_at<?)",
            "uploads_by_key (object_key=?)",
            "uploads_unfinished_by_hash (sha256=? AND owner_id=?)",
        ] {
            assert!(plans.contains(expected), "{expected} is not in\n{plans}");
        }
        assert!(
            !plans.contains("SCAN uploads") && !plans.contains("SCAN u"),
            "{plans}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let catalog = explain::postgres().await;
    for (filled, analyzed) in [(false, false), (true, false), (true, true)] {
        if filled && !analyzed {
            fill(&catalog).await;
        }
        if analyzed {
            write(&catalog, "ANALYZE").await;
        }
        let plans = plans(&catalog).await;
        assert!(plans.matches("uploads_due").count() >= 3, "{plans}");
        assert!(plans.contains("uploads_by_key"), "{plans}");
        assert!(plans.contains("uploads_unfinished_by_hash"), "{plans}");
        assert!(!plans.contains("Seq Scan on uploads"), "{plans}");
        assert!(!plans.contains("uploads_pkey"), "{plans}");
    }
}
