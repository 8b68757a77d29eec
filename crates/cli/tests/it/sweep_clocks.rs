//! Clocks that run ahead make nothing old enough to be removed.

use std::sync::Arc;

use safelight_model::clock::ManualClock;
use safelight_model::limits;
use safelight_objects::{ObjectKey, ownership};
use safelight_service::context::Context;
use safelight_service::retention::{catalog_mark, sweep};

use crate::http_rig::{Database, on_both_databases};
use crate::in_process::{InProcess, TENANT};
use crate::sweep::{DAY, ended, found, put};

on_both_databases!(a_clock_that_ran_ahead_removes_nothing);

async fn a_clock_that_ran_ahead_removes_nothing(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store) = (&service.context, &service.context.objects);
    catalog_mark::raise(context, context.now()).await.unwrap();
    let key = ObjectKey::original(TENANT, context.now(), context.entropy.as_ref()).unwrap();
    let own = ownership(&context.catalog_id, TENANT, "ast_1");
    put(store, &key, Some(&own)).await;
    ended(context, &key).await;
    sweep::sweep_all(context, true).await.unwrap();
    assert_eq!(found(context).await.len(), 1);
    // The machine of the next sweeps believes that it is next month. The store does not.
    let clock = ManualClock::at(context.now().plus(30 * DAY));
    let ahead = Context {
        clock: Arc::new(clock),
        ..context.clone()
    };
    for _ in 0..3 {
        sweep::sweep_all(&ahead, true).await.unwrap();
    }
    assert!(store.head(&key).await.unwrap().is_some());
    // What a clock that ran behind found is no older either.
    let fresh = ObjectKey::original(TENANT, context.now(), context.entropy.as_ref()).unwrap();
    put(store, &fresh, Some(&own)).await;
    ended(context, &fresh).await;
    let behind = Context {
        clock: Arc::new(ManualClock::at(context.now().minus(30 * DAY))),
        ..context.clone()
    };
    sweep::sweep_all(&behind, true).await.unwrap();
    let first_seen = found(context).await.into_iter().map(|f| f.first_seen_at);
    assert!(first_seen.min().unwrap() >= context.now().minus(DAY));
    // When it is so late for both, they go.
    service.clock.advance(limits::ORPHAN_GRACE + DAY);
    for _ in 0..2 {
        sweep::sweep_all(context, true).await.unwrap();
    }
    assert_eq!(found(context).await, []);
    assert!(store.head(&key).await.unwrap().is_none());
}
