//! However many events are kept, sequencing and reading them go by the ends of indexes.

use super::read::{after_sql, of_owner_after_sql};
use super::sequence::{ANY_SQL, WAITING_SQL, assign_sql, lock};
use super::{any_waiting, sequence};
use crate::connect::Catalog;
use crate::error::CatalogError;
use crate::explain::{self, write};
use crate::value::Value;
use crate::values;

/// 20,000 events of two tenants, most of them with their places.
async fn fill(catalog: &Catalog) {
    let numbers = explain::numbers(20000);
    write(
        catalog,
        format!(
            "INSERT INTO events (tenant_id, event_id, kind, owner_id, asset_id, at) \
             SELECT 'ten_' || (n % 2), 'evt_' || n, 'asset.updated', 'owner_' || (n % 100), 'a', n FROM {numbers}"
        ),
    )
    .await;
    // And many other tenants.
    write(
        catalog,
        format!(
            "INSERT INTO event_heads (tenant_id, position, pruned) SELECT 'other_' || n, 0, 0 FROM {numbers}"
        ),
    )
    .await;
    for _ in 0..30 {
        let placed = catalog
            .write::<_, CatalogError, _>(|tx| Box::pin(async move { sequence(tx, 600).await }))
            .await;
        assert_eq!(placed.unwrap(), Some(600));
    }
    let mut reader = catalog.reader().await.unwrap();
    assert!(any_waiting(&mut reader.tx()).await.unwrap());
}

/// What the planner says to each question.
async fn plans(catalog: &Catalog) -> [String; 5] {
    let asked: [(String, Vec<Value>); 5] = [
        (after_sql(), values!["ten_1", 7_i64, 500_i64].to_vec()),
        (
            of_owner_after_sql(),
            values!["ten_1", "owner_7", 7_i64, 500_i64].to_vec(),
        ),
        (ANY_SQL.to_owned(), Vec::new()),
        (WAITING_SQL.to_owned(), values![500_i64].to_vec()),
        (assign_sql(), values![500_i64].to_vec()),
    ];
    catalog
        .write::<_, CatalogError, _>(move |tx| {
            Box::pin(async move {
                let mut plans: [String; 5] = Default::default();
                for (plan, (sql, args)) in plans.iter_mut().zip(&asked) {
                    // What only the sequencer asks, it asks under its lock.
                    if sql == WAITING_SQL && tx.is_postgres() {
                        assert!(lock(tx).await?);
                    }
                    *plan = explain::plan(tx, sql, args).await?;
                }
                Ok(plans)
            })
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn on_sqlite() {
    let (catalog, _directory) = explain::sqlite().await;
    fill(&catalog).await;
    let [after, of_owner, any, waiting, assign] = plans(&catalog).await;
    for plan in [&any, &waiting, &assign] {
        assert!(plan.contains("INDEX events_unsequenced"), "{plan}");
    }
    assert!(!waiting.contains("TEMP B-TREE"), "{waiting}");
    assert!(assign.contains("(tenant_id=? AND event_id=?)"), "{assign}");
    assert!(
        after.contains("INDEX events_by_position (tenant_id=? AND position>?)"),
        "{after}"
    );
    assert!(
        of_owner.contains("INDEX events_by_owner (tenant_id=? AND owner_id=? AND position>?)"),
        "{of_owner}"
    );
    let reads = after + &of_owner;
    assert!(!reads.contains("TEMP B-TREE"), "{reads}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let catalog = explain::postgres().await;
    fill(&catalog).await;
    // Without statistics as well as with them.
    for analyze in [false, true] {
        if analyze {
            write(&catalog, "ANALYZE events").await;
        }
        let [after, of_owner, any, waiting, assign] = plans(&catalog).await;
        for plan in [&any, &waiting, &assign] {
            assert!(plan.contains("using events_unsequenced"), "{plan}");
            assert!(!plan.contains("Seq Scan"), "{plan}");
        }
        assert!(assign.contains("using events_pkey"), "{assign}");
        assert!(
            assign.contains("Index Cond: (tenant_id = events"),
            "{assign}"
        );
        assert!(!waiting.contains("Sort"), "{waiting}");
        assert!(after.contains("events_by_position"), "{after}");
        assert!(of_owner.contains("events_by_owner"), "{of_owner}");
        if analyze {
            // Fewer than are asked for may be sorted: an owner's, and any where nothing is known of them.
            assert!(!after.contains("Sort"), "{after}");
        }
    }
}
