//! Clocks that run ahead make nothing old enough to be removed.

use std::sync::Arc;

use safelight_model::clock::ManualClock;
use safelight_model::limits;
use safelight_objects::{ObjectKey, ownership};
use safelight_service::context::{Context, ServiceSettings};
use safelight_service::retention::{catalog_mark, sweep};

use crate::http_rig::{Database, on_both_databases};
use crate::in_process::{InProcess, TENANT, context as process};
use crate::sweep::{DAY, ended, found, put};

on_both_databases!(
    a_clock_that_ran_ahead_removes_nothing,
    what_a_clock_that_was_far_ahead_left_holds_nothing_back,
    nodes_whose_clocks_differ_do_not_ask_for_sweeps_in_turn,
);

fn daily(context: &Context) -> Context {
    Context {
        settings: Arc::new(ServiceSettings {
            sweep_every: Some(DAY),
            ..context.settings.as_ref().clone()
        }),
        ..context.clone()
    }
}

/// All clocks were ahead by a year, the store's and the database's too, and are right again.
async fn what_a_clock_that_was_far_ahead_left_holds_nothing_back(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store) = (&service.context, &service.context.objects);
    catalog_mark::raise(context, context.now()).await.unwrap();
    let key = ObjectKey::original(TENANT, context.now(), context.entropy.as_ref()).unwrap();
    let own = ownership(&context.catalog_id, TENANT, "ast_1");
    put(store, &key, Some(&own)).await;
    ended(context, &key).await;
    let year = Arc::new(ManualClock::at(context.now().plus(365 * DAY)));
    let ahead = process(store.clone(), &service.catalog_url, &year).await;
    sweep::sweep_all(&ahead, true).await.unwrap();
    assert!(found(context).await[0].first_seen_at > context.now().plus(300 * DAY));
    // The next sweep is not put off by that, and the grace begins when it finds it.
    assert!(sweep::schedule(&daily(context)).await.unwrap());
    let before = context.now();
    sweep::sweep_all(context, true).await.unwrap();
    let first_seen = found(context).await[0].first_seen_at;
    assert!(before <= first_seen && first_seen <= context.now().plus(DAY));
    assert!(store.head(&key).await.unwrap().is_some());
    service.clock.advance(limits::ORPHAN_GRACE + DAY);
    for _ in 0..2 {
        sweep::sweep_all(context, true).await.unwrap();
    }
    assert!(store.head(&key).await.unwrap().is_none());
}

/// Each by its own clock would hold the other's to have ended long ago, or yet to come.
async fn nodes_whose_clocks_differ_do_not_ask_for_sweeps_in_turn(database: Database) {
    let service = InProcess::start(database).await;
    let right = daily(&service.context);
    let ahead = Context {
        clock: Arc::new(ManualClock::at(right.now().plus(10 * DAY))),
        ..right.clone()
    };
    for (one, other) in [(&right, &ahead), (&ahead, &right)] {
        sweep::sweep_all(one, true).await.unwrap();
        for node in [one, other] {
            assert!(!sweep::schedule(node).await.unwrap());
        }
    }
    service.clock.advance(DAY);
    assert!(sweep::schedule(&ahead).await.unwrap());
}

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
