//! Clocks that run ahead make nothing old enough to be removed.

use std::sync::Arc;
use std::time::Duration;

use safelight_model::clock::{ManualClock, Micros};
use safelight_model::limits;
use safelight_objects::{ObjectKey, ownership};
use safelight_service::context::{Context, ServiceSettings};
use safelight_service::look_after;
use safelight_service::retention::hear_others::LISTENED_FOR;
use safelight_service::retention::{catalog_mark, sweep};

use crate::http_rig::{Database, change, objects, on_both_databases, photo, text};
use crate::in_process::{InProcess, TENANT, context as process};
use crate::sweep::{DAY, ended, found, put};

on_both_databases!(
    a_clock_that_ran_ahead_removes_nothing,
    what_a_clock_that_was_far_ahead_left_holds_nothing_back,
    nodes_whose_clocks_differ_do_not_ask_for_sweeps_in_turn,
    a_clock_that_is_set_makes_no_time_of_waiting,
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

/// Right after its start a machine's clock is corrected, by years perhaps; others have as long to be heard all the same.
async fn a_clock_that_is_set_makes_no_time_of_waiting(database: Database) {
    for days in [400, -400, 0] {
        let service = InProcess::start(database).await;
        let ann = service.owner("ann");
        let file = photo(1);
        let asset = ann.initiate(&[&file]).await.remove(0);
        ann.send(&asset, &file).await;
        let upload_id = text(&asset["uploads"][0]["upload_id"]);
        ann.delete(&format!("/v1/uploads/{upload_id}"))
            .await
            .expect(200);
        let context = &Context {
            settings: Arc::new(ServiceSettings {
                removal_wait: LISTENED_FOR,
                ..service.context.settings.as_ref().clone()
            }),
            ..service.context.clone()
        };
        let store = &context.objects;
        let is_removed = async || {
            let due = "UPDATE uploads SET look_at = -9000000000000000 WHERE cleared_at IS NULL";
            change(&context.catalog, due, vec![]).await;
            look_after::round(context).await.unwrap();
            objects(store, "o/").await.is_empty()
        };
        assert!(!is_removed().await, "its mark is left");
        let to = context.now().0 + days * 86_400_000_000;
        service.clock.set(Micros(to));
        for _ in 0..3 {
            assert!(!is_removed().await, "{days} days");
        }
        service.clock.advance(LISTENED_FOR - Duration::from_secs(1));
        assert!(!is_removed().await, "{days} days");
        service.clock.advance(Duration::from_secs(1));
        assert!(is_removed().await, "{days} days");
    }
}
