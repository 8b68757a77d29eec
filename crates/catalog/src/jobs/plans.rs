//! However long the backlog, the queue's everyday queries read the ends of indexes.

use std::time::Duration;

use safelight_model::cost_class::CostClass;
use safelight_model::lane::Lane;

use super::claim::{claim, claim_sql, promote};
use super::enqueue::{FIRST_SQL, TURN_SQL};
use super::look::{outlook, outlook_sql};
use super::skip_locked;
use crate::connect::Catalog;
use crate::error::CatalogError;
use crate::explain::{self, write};
use crate::value::Value;
use crate::values;

const BACKLOG: usize = 100_000;

/// Half of the jobs are due, in two lanes; half are for later.
async fn fill(catalog: &Catalog) {
    let fill = format!(
        "INSERT INTO jobs (tenant_id, job_id, kind, lane, owner_id, subject_id, unique_key, state, \
         turn, run_at, attempts, fence, enqueued_at, updated_at) \
         SELECT 'ten_1', 'job_' || n, 'derive', CASE n % 4 WHEN 0 THEN 'bulk' ELSE 'standard' END, \
         'owner_' || (n % 100), 's', 'k' || n, CASE n % 2 WHEN 0 THEN 'queued' ELSE 'scheduled' END, \
         CASE n % 2 WHEN 0 THEN n * 1000 ELSE 0 END, \
         CASE n % 2 WHEN 0 THEN n ELSE 4000000000000000 + n END, 0, 0, 0, 0 FROM {}",
        explain::numbers(BACKLOG)
    );
    write(catalog, fill).await;
}

/// Takes from the head of the line until it has moved on a good deal.
async fn take_many(catalog: &Catalog) {
    for _ in 0..50 {
        let taken = catalog
            .write::<_, CatalogError, _>(|tx| {
                Box::pin(async move {
                    promote(tx).await?;
                    outlook(tx, CostClass::Light).await?;
                    claim(
                        tx,
                        Lane::Standard,
                        CostClass::Light,
                        "wrk_1",
                        10,
                        Duration::from_secs(30),
                    )
                    .await
                })
            })
            .await
            .unwrap();
        assert_eq!(taken.len(), 10);
    }
}

/// What the planner says to the claim, to the turn of a new job, to the outlook, and to what goes first.
async fn plans(catalog: &Catalog) -> [String; 4] {
    catalog
        .write::<_, CatalogError, _>(move |tx| {
            Box::pin(async move {
                let claim: Vec<Value> = values!["standard", "wrk_1", 1, 1, "light"].to_vec();
                let turn: Vec<Value> = values!["standard", "ten_1", "owner_7", "light"].to_vec();
                let first: Vec<Value> = values!["standard", "light", "ten_1", -1].to_vec();
                let asked = [
                    (claim_sql(2, skip_locked(tx)), claim),
                    (TURN_SQL.to_owned(), turn),
                    (outlook_sql(CostClass::Light), Vec::new()),
                    (FIRST_SQL.to_owned(), first),
                ];
                let mut plans = [const { String::new() }; 4];
                for (plan, (sql, args)) in plans.iter_mut().zip(&asked) {
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
    take_many(&catalog).await;
    let [claim, turn, outlook, first] = plans(&catalog).await;
    assert!(
        claim.contains("INDEX jobs_waiting (lane=? AND class=?)"),
        "{claim}"
    );
    assert!(
        turn.contains("INDEX jobs_waiting (lane=? AND class=? AND turn>?)"),
        "{turn}"
    );
    assert!(
        turn.contains("INDEX jobs_by_owner (lane=? AND class=? AND tenant_id=? AND owner_id=?)"),
        "{turn}"
    );
    assert_eq!(
        outlook
            .matches("INDEX jobs_due (lane=? AND class=?")
            .count(),
        3,
        "{outlook}"
    );
    assert!(outlook.contains("INDEX jobs_scheduled"), "{outlook}");
    assert!(
        first.contains("INDEX jobs_waiting (lane=? AND class=? AND turn=?)")
            && first.contains("INDEX jobs_leased"),
        "{first}"
    );
    let all = claim + &turn + &outlook + &first;
    assert!(!all.contains("TEMP B-TREE FOR ORDER"), "{all}");
    let scans = all
        .lines()
        .filter(|l| l.contains("SCAN jobs") && !l.contains("jobs_scheduled"));
    assert_eq!(scans.count(), 0, "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let catalog = explain::postgres().await;
    fill(&catalog).await;
    take_many(&catalog).await;
    // Without statistics as well as with them.
    for analyze in [false, true] {
        if analyze {
            write(&catalog, "ANALYZE jobs").await;
        }
        let [claim, turn, outlook, first] = plans(&catalog).await;
        assert!(claim.contains("Index Scan using jobs_waiting"), "{claim}");
        assert!(turn.contains("using jobs_waiting"), "{turn}");
        assert!(turn.contains("using jobs_by_owner"), "{turn}");
        assert_eq!(outlook.matches("using jobs_due").count(), 3, "{outlook}");
        assert!(outlook.contains("using jobs_scheduled"), "{outlook}");
        assert!(first.contains("using jobs_waiting"), "{first}");
        assert!(first.contains("jobs_leased"), "{first}");
        let all = claim + &turn + &outlook + &first;
        assert!(!all.contains("Seq Scan") && !all.contains("Sort"), "{all}");
        // Every one of them stops after the first rows it finds.
        let limits = all.matches("->  Limit").count();
        assert_eq!(limits, 7, "{all}");
    }
}
