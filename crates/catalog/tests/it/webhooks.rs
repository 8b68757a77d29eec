//! Webhooks: from committed events to deliveries, and who works for an endpoint.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use safelight_catalog::events::{self, FreshEvent, Until};
use safelight_catalog::webhooks::{
    self, Change, Delivery, DeliveryState, Disabled, Endpoint, EndpointState, FreshEndpoint,
    Outcome, Settled,
};
use safelight_catalog::{Backend, Catalog, CatalogError};
use safelight_model::clock::{Clock as _, Micros};
use safelight_testkit::wait;

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::{OWNER, TENANT};

on_both!(
    what_comes_after_an_endpoint_is_sent_to_it_in_order,
    an_endpoint_gets_the_types_it_asked_for,
    one_works_for_an_endpoint_at_a_time,
    an_old_fence_changes_nothing,
    failures_are_counted_until_a_success,
    an_endpoint_that_is_gone_is_sent_nothing_more,
    changes_at_once_are_all_kept,
    what_was_sent_is_sent_again_from_a_time_on,
    events_are_kept_until_they_are_delivered,
    old_deliveries_and_removed_endpoints_go,
    every_committed_event_becomes_one_delivery_while_many_write,
);

const PATIENCE: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_secs(60);

async fn told(f: &Fixture, id: &str, kind: &'static str) {
    told_at(f, id, kind, f.clock.now()).await;
}

async fn told_at(f: &Fixture, id: &str, kind: &'static str, at: Micros) {
    let id = id.to_owned();
    in_tx!(f.catalog, |tx| {
        let event = FreshEvent {
            tenant_id: TENANT,
            event_id: &id,
            kind,
            owner_id: OWNER,
            asset_id: None,
            detail: None,
            at,
        };
        events::record(tx, &event).await
    })
    .unwrap();
}

async fn sequence(f: &Fixture) {
    while in_tx!(f.catalog, |tx| events::sequence(tx, 100).await).unwrap() != Some(0) {}
}

async fn endpoint(f: &Fixture, id: &'static str, kinds: Option<&str>) {
    let fresh = FreshEndpoint {
        tenant_id: TENANT.into(),
        webhook_id: id.into(),
        url: format!("https://{id}.example/"),
        kinds: kinds.map(str::to_owned),
        description: None,
        salt: "first".into(),
        at: f.clock.now(),
    };
    in_tx!(f.catalog, |tx| webhooks::insert(tx, &fresh).await).unwrap();
}

async fn due(catalog: &Catalog) -> Vec<Endpoint> {
    let mut reader = catalog.reader().await.unwrap();
    webhooks::due(&mut reader.tx(), 100).await.unwrap()
}

async fn take(catalog: &Catalog, seen: &Endpoint) -> Option<Endpoint> {
    let seen = seen.clone();
    in_tx!(catalog, |tx| webhooks::take(tx, &seen, LEASE).await).unwrap()
}

/// Takes the one endpoint that is due.
async fn take_due(f: &Fixture) -> Endpoint {
    let mut found = due(&f.catalog).await;
    assert_eq!(found.len(), 1, "{found:?}");
    take(&f.catalog, &found.remove(0)).await.unwrap()
}

async fn fan_out(
    catalog: &Catalog,
    taken: &Endpoint,
    limit: i64,
) -> Result<Option<i64>, CatalogError> {
    let taken = taken.clone();
    in_tx!(catalog, |tx| webhooks::fan_out(tx, &taken, limit).await)
}

/// All that there is, into deliveries.
async fn fan_out_all(f: &Fixture, taken: &mut Endpoint) {
    loop {
        let to = fan_out(&f.catalog, taken, 2).await.unwrap().unwrap();
        if to == taken.position {
            return;
        }
        taken.position = to;
    }
}

async fn pending(f: &Fixture, taken: &Endpoint) -> Vec<Delivery> {
    let mut reader = f.catalog.reader().await.unwrap();
    let found = webhooks::pending(&mut reader.tx(), taken, 100).await;
    found.unwrap().into_iter().map(|(d, _)| d).collect()
}

async fn settle(
    f: &Fixture,
    taken: &Endpoint,
    delivery: &Delivery,
    outcome: Outcome,
) -> Option<i64> {
    let settled = Settled {
        disable: None,
        status: Some(if outcome == Outcome::Delivered {
            204
        } else {
            500
        }),
        reason: (outcome != Outcome::Delivered).then_some("webhook_rejected"),
        outcome,
    };
    let (taken, delivery) = (taken.clone(), delivery.clone());
    in_tx!(f.catalog, |tx| webhooks::settle(
        tx, &taken, &delivery, &settled
    )
    .await)
    .unwrap()
}

async fn release(f: &Fixture, taken: &Endpoint, rest: Duration) -> bool {
    let taken = taken.clone();
    in_tx!(f.catalog, |tx| webhooks::release(tx, &taken, rest).await).unwrap()
}

async fn find(f: &Fixture, id: &str) -> Option<Endpoint> {
    let mut reader = f.catalog.reader().await.unwrap();
    webhooks::find(&mut reader.tx(), TENANT, id).await.unwrap()
}

async fn deliveries(f: &Fixture, id: &str) -> Vec<Delivery> {
    let mut reader = f.catalog.reader().await.unwrap();
    let listed =
        webhooks::list_deliveries(&mut reader.tx(), TENANT, id, None, i64::MAX, 1_000).await;
    let mut listed = listed.unwrap();
    listed.reverse();
    listed
}

async fn change(f: &Fixture, id: &'static str, change: Change) -> bool {
    let at = f.clock.now();
    in_tx!(f.catalog, |tx| webhooks::change(
        tx, TENANT, id, &change, at
    )
    .await)
    .unwrap()
}

fn ids(found: &[Delivery]) -> Vec<&str> {
    found.iter().map(|d| d.event_id.as_str()).collect()
}

async fn what_comes_after_an_endpoint_is_sent_to_it_in_order(f: Fixture) {
    told(&f, "before", "a").await;
    sequence(&f).await;
    endpoint(&f, "whk_1", None).await;
    assert!(due(&f.catalog).await.is_empty());
    for id in ["e", "d", "c"] {
        told(&f, id, "a").await;
    }
    assert!(due(&f.catalog).await.is_empty(), "they have no places yet");
    sequence(&f).await;
    let mut taken = take_due(&f).await;
    fan_out_all(&f, &mut taken).await;
    let found = pending(&f, &taken).await;
    assert_eq!(ids(&found), ["e", "d", "c"]);
    for delivery in &found {
        assert_eq!(
            settle(&f, &taken, delivery, Outcome::Delivered).await,
            Some(0)
        );
    }
    assert!(pending(&f, &taken).await.is_empty());
    assert!(release(&f, &taken, Duration::ZERO).await);
    assert!(due(&f.catalog).await.is_empty());
    let all = deliveries(&f, "whk_1").await;
    let states = all.iter().map(|d| (d.state, d.attempts, d.status));
    assert!(
        states
            .clone()
            .all(|s| s == (DeliveryState::Delivered, 1, Some(204))),
        "{all:?}"
    );
    assert_eq!(all.len(), 3);
}

async fn an_endpoint_gets_the_types_it_asked_for(f: Fixture) {
    endpoint(&f, "whk_1", Some("a c")).await;
    for (id, kind) in [("1", "a"), ("2", "b"), ("3", "c"), ("4", "b")] {
        told(&f, id, kind).await;
    }
    sequence(&f).await;
    let mut taken = take_due(&f).await;
    fan_out_all(&f, &mut taken).await;
    assert_eq!(ids(&pending(&f, &taken).await), ["1", "3"]);
    assert_eq!(taken.position, 4);
}

async fn one_works_for_an_endpoint_at_a_time(f: Fixture) {
    endpoint(&f, "whk_1", None).await;
    told(&f, "1", "a").await;
    sequence(&f).await;
    let other = f.second().await;
    let seen = due(&f.catalog).await.remove(0);
    let (a, b) = tokio::join!(take(&f.catalog, &seen), take(&other, &seen));
    assert!(a.is_some() != b.is_some(), "{a:?} {b:?}");
    assert!(due(&f.catalog).await.is_empty(), "its lease runs");
    f.clock.advance(LEASE);
    let again = take_due(&f).await;
    assert_eq!(again.fence, seen.fence + 2);
}

async fn an_old_fence_changes_nothing(f: Fixture) {
    endpoint(&f, "whk_1", None).await;
    told(&f, "1", "a").await;
    sequence(&f).await;
    let mut slow = take_due(&f).await;
    fan_out_all(&f, &mut slow).await;
    let delivery = pending(&f, &slow).await.remove(0);
    f.clock.advance(LEASE);
    let quick = take_due(&f).await;
    assert_eq!(settle(&f, &slow, &delivery, Outcome::GivenUp).await, None);
    assert!(!release(&f, &slow, Duration::from_secs(9)).await);
    told(&f, "2", "a").await;
    sequence(&f).await;
    assert_eq!(fan_out(&f.catalog, &slow, 9).await.unwrap(), None);
    assert_eq!(ids(&deliveries(&f, "whk_1").await), ["1"]);
    assert_eq!(
        deliveries(&f, "whk_1").await[0].state,
        DeliveryState::Pending
    );
    assert_eq!(
        settle(&f, &quick, &delivery, Outcome::Delivered).await,
        Some(0)
    );
}

async fn failures_are_counted_until_a_success(f: Fixture) {
    endpoint(&f, "whk_1", None).await;
    told(&f, "1", "a").await;
    told(&f, "2", "a").await;
    sequence(&f).await;
    let mut taken = take_due(&f).await;
    fan_out_all(&f, &mut taken).await;
    let found = pending(&f, &taken).await;
    let first = f.clock.now();
    let again = Outcome::Again(Duration::from_secs(5));
    assert_eq!(settle(&f, &taken, &found[0], again.clone()).await, Some(1));
    f.clock.advance(Duration::from_secs(1));
    assert_eq!(settle(&f, &taken, &found[1], again).await, Some(2));
    assert!(pending(&f, &taken).await.is_empty());
    assert_eq!(find(&f, "whk_1").await.unwrap().failing_since, Some(first));
    release(&f, &taken, Duration::ZERO).await;
    assert!(due(&f.catalog).await.is_empty(), "nothing is due yet");
    f.clock.advance(Duration::from_secs(4));
    let taken = take_due(&f).await;
    assert_eq!((taken.failures, taken.failing_since), (2, Some(first)));
    let found = pending(&f, &taken).await;
    assert_eq!(ids(&found), ["1"], "the second is due a second later");
    assert_eq!((found[0].attempts, found[0].status), (1, Some(500)));
    assert_eq!(
        settle(&f, &taken, &found[0], Outcome::Delivered).await,
        Some(0)
    );
    let now = find(&f, "whk_1").await.unwrap();
    assert_eq!((now.failures, now.failing_since), (0, None));
    // That an event is no more says nothing about the endpoint.
    f.clock.advance(Duration::from_secs(1));
    let second = pending(&f, &taken).await.remove(0);
    assert_eq!(
        settle(&f, &taken, &second, Outcome::Forgotten).await,
        Some(0)
    );
    let now = find(&f, "whk_1").await.unwrap();
    assert_eq!((now.failures, now.failing_since), (0, None));
    assert_eq!(
        deliveries(&f, "whk_1").await[1].state,
        DeliveryState::Failed
    );
}

async fn an_endpoint_that_is_gone_is_sent_nothing_more(f: Fixture) {
    endpoint(&f, "whk_1", None).await;
    told(&f, "1", "a").await;
    told(&f, "2", "a").await;
    sequence(&f).await;
    let mut taken = take_due(&f).await;
    fan_out_all(&f, &mut taken).await;
    let found = pending(&f, &taken).await;
    let settled = Settled {
        outcome: Outcome::GivenUp,
        status: Some(410),
        reason: Some("webhook_rejected"),
        disable: Some(Disabled::Gone),
    };
    let (t, d) = (taken.clone(), found[0].clone());
    in_tx!(f.catalog, |tx| webhooks::settle(tx, &t, &d, &settled).await).unwrap();
    release(&f, &taken, Duration::ZERO).await;
    assert!(due(&f.catalog).await.is_empty());
    let now = find(&f, "whk_1").await.unwrap();
    assert_eq!(
        (now.state, now.reason.as_deref()),
        (EndpointState::Disabled, Some("gone"))
    );
    assert!(now.disabled_at.is_some());
    let mut reader = f.catalog.reader().await.unwrap();
    assert_eq!(webhooks::count(&mut reader.tx()).await.unwrap(), (0, 0, 1));
    drop(reader);
    // What was waiting is sent once it is enabled; what was given up is not.
    let enable = Change {
        enabled: Some(true),
        ..Change::default()
    };
    assert!(change(&f, "whk_1", enable).await);
    let taken = take_due(&f).await;
    assert_eq!((taken.reason.as_deref(), taken.failures), (None, 0));
    assert_eq!(ids(&pending(&f, &taken).await), ["2"]);
}

async fn changes_at_once_are_all_kept(f: Fixture) {
    endpoint(&f, "whk_1", None).await;
    let f = Arc::new(f);
    let changes = [
        Change {
            url: Some("https://other.example/".into()),
            ..Change::default()
        },
        Change {
            kinds: Some(Some("a".into())),
            ..Change::default()
        },
        Change {
            description: Some(Some("said".into())),
            ..Change::default()
        },
        Change {
            enabled: Some(false),
            ..Change::default()
        },
    ];
    let at_once: Vec<_> = changes
        .into_iter()
        .map(|c| {
            let f = f.clone();
            tokio::spawn(async move { change(&f, "whk_1", c).await })
        })
        .collect();
    for changed in at_once {
        assert!(changed.await.unwrap());
    }
    let now = find(&f, "whk_1").await.unwrap();
    assert_eq!(now.url, "https://other.example/");
    assert_eq!(
        (now.kinds.as_deref(), now.description.as_deref()),
        (Some("a"), Some("said"))
    );
    assert_eq!(
        (now.state, now.reason.as_deref()),
        (EndpointState::Disabled, Some("asked"))
    );
    assert!(!change(&f, "whk_2", Change::default()).await);
    // A secret takes the place of another, and whoever knows only that one is stopped.
    let until = f.clock.now().plus(LEASE);
    let rotated = in_tx!(f.catalog, |tx| webhooks::rotate(
        tx, TENANT, "whk_1", "second", until
    )
    .await);
    assert!(rotated.unwrap());
    let then = find(&f, "whk_1").await.unwrap();
    assert_eq!((then.salt.as_str(), then.fence), ("second", now.fence + 1));
    assert_eq!(then.old, Some(("first".to_owned(), until)));
    // What still signs along goes on doing so, and no longer than that.
    for (wait, salt, old) in [
        (Duration::ZERO, "third", "second first"),
        (LEASE, "fourth", "third"),
    ] {
        f.clock.advance(wait);
        let until = f.clock.now().plus(LEASE);
        let rotated = in_tx!(f.catalog, |tx| webhooks::rotate(
            tx, TENANT, "whk_1", salt, until
        )
        .await);
        assert!(rotated.unwrap());
        let then = find(&f, "whk_1").await.unwrap();
        assert_eq!(then.old, Some((old.to_owned(), until)));
    }
}

async fn what_was_sent_is_sent_again_from_a_time_on(f: Fixture) {
    endpoint(&f, "whk_1", None).await;
    let start = f.clock.now();
    for n in 0..40 {
        let at = start.plus(Duration::from_secs(100 * n));
        told_at(&f, &format!("e{n:02}"), "a", at).await;
    }
    sequence(&f).await;
    let mut taken = take_due(&f).await;
    fan_out_all(&f, &mut taken).await;
    for delivery in pending(&f, &taken).await {
        settle(&f, &taken, &delivery, Outcome::Delivered).await;
    }
    release(&f, &taken, Duration::ZERO).await;
    let mut reader = f.catalog.reader().await.unwrap();
    for (after_s, position) in [
        (0, 0),
        (1, 1),
        (100, 1),
        (3_650, 37),
        (3_900, 39),
        (9_999, 40),
    ] {
        let since = start.plus(Duration::from_secs(after_s));
        let found = webhooks::replay_from(&mut reader.tx(), TENANT, since).await;
        assert_eq!(found.unwrap(), position, "{after_s}");
    }
    drop(reader);
    let moved = in_tx!(f.catalog, |tx| webhooks::replay(tx, TENANT, "whk_1", 37)
        .await);
    assert!(moved.unwrap());
    let old = taken;
    let mut taken = take_due(&f).await;
    fan_out_all(&f, &mut taken).await;
    let found = pending(&f, &taken).await;
    assert_eq!(ids(&found), ["e37", "e38", "e39"]);
    assert!(found.iter().all(|d| d.fence == 1 && d.attempts == 0));
    // What is said of the first time changes nothing.
    let first = Delivery {
        fence: 0,
        ..found[0].clone()
    };
    settle(&f, &taken, &first, Outcome::GivenUp).await;
    assert_eq!(settle(&f, &old, &found[0], Outcome::GivenUp).await, None);
    assert_eq!(pending(&f, &taken).await.len(), 3);
    assert_eq!(deliveries(&f, "whk_1").await.len(), 40);
    let forward = in_tx!(f.catalog, |tx| webhooks::replay(tx, TENANT, "whk_1", 50)
        .await);
    assert!(!forward.unwrap(), "nothing is passed over");
    // One that rests after a failure is not left to rest.
    let found = pending(&f, &taken).await;
    settle(&f, &taken, &found[0], Outcome::GivenUp).await;
    release(&f, &taken, Duration::from_secs(300)).await;
    assert!(due(&f.catalog).await.is_empty());
    let moved = in_tx!(f.catalog, |tx| webhooks::replay(tx, TENANT, "whk_1", 37)
        .await);
    assert!(moved.unwrap());
    let taken = take_due(&f).await;
    assert_eq!(taken.position, 37);
    assert!(taken.failures > 0 && taken.failing_since.is_some());
}

async fn events_are_kept_until_they_are_delivered(f: Fixture) {
    endpoint(&f, "whk_1", None).await;
    let start = f.clock.now();
    for id in ["1", "2", "3"] {
        told(&f, id, "a").await;
    }
    sequence(&f).await;
    let prune = async |sent_s, all_s| {
        let until = Until {
            sent: start.plus(Duration::from_secs(sent_s)),
            all: start.plus(Duration::from_secs(all_s)),
        };
        let mut reader = f.catalog.reader().await.unwrap();
        let head = events::head(&mut reader.tx(), TENANT).await.unwrap();
        drop(reader);
        in_tx!(f.catalog, |tx| events::prune(tx, &head, until, 100).await).unwrap()
    };
    assert_eq!(prune(10, 0).await, 0, "they are not deliveries yet");
    let mut taken = take_due(&f).await;
    fan_out_all(&f, &mut taken).await;
    assert_eq!(prune(10, 0).await, 0, "they are not delivered yet");
    let found = pending(&f, &taken).await;
    settle(&f, &taken, &found[1], Outcome::Delivered).await;
    assert_eq!(prune(10, 0).await, 0, "the eldest is not");
    settle(&f, &taken, &found[0], Outcome::Delivered).await;
    assert_eq!(prune(10, 0).await, 2);
    // What nobody takes is not kept for ever.
    assert_eq!(prune(10, 10).await, 1);
    let mut reader = f.catalog.reader().await.unwrap();
    let left = webhooks::pending(&mut reader.tx(), &taken, 9)
        .await
        .unwrap();
    assert_eq!(left.len(), 1);
    assert!(left[0].1.is_none(), "its event was forgotten: {left:?}");
    drop(reader);
    // And who is sent nothing holds nothing.
    told(&f, "4", "a").await;
    sequence(&f).await;
    let disable = Change {
        enabled: Some(false),
        ..Change::default()
    };
    change(&f, "whk_1", disable).await;
    assert_eq!(prune(10, 0).await, 1);
    let enable = Change {
        enabled: Some(true),
        ..Change::default()
    };
    change(&f, "whk_1", enable).await;
    let mut taken = take_due(&f).await;
    fan_out_all(&f, &mut taken).await;
    assert_eq!((taken.position, pending(&f, &taken).await.len()), (4, 1));
}

async fn old_deliveries_and_removed_endpoints_go(f: Fixture) {
    endpoint(&f, "whk_1", None).await;
    for id in ["1", "2", "3"] {
        told(&f, id, "a").await;
    }
    sequence(&f).await;
    let mut taken = take_due(&f).await;
    fan_out_all(&f, &mut taken).await;
    let found = pending(&f, &taken).await;
    settle(&f, &taken, &found[0], Outcome::Delivered).await;
    f.clock.advance(Duration::from_secs(10));
    settle(&f, &taken, &found[1], Outcome::GivenUp).await;
    let before = f.clock.now();
    let prune = async || {
        in_tx!(f.catalog, |tx| webhooks::prune_deliveries(tx, before, 2)
            .await)
        .unwrap()
    };
    assert!(prune().await);
    assert_eq!(ids(&deliveries(&f, "whk_1").await), ["2", "3"]);
    let delete =
        async || in_tx!(f.catalog, |tx| webhooks::delete(tx, TENANT, "whk_1").await).unwrap();
    assert!(delete().await && !delete().await);
    assert!(find(&f, "whk_1").await.is_none());
    assert_eq!(
        settle(&f, &taken, &found[2], Outcome::Delivered).await,
        None
    );
    let mut reader = f.catalog.reader().await.unwrap();
    assert!(
        webhooks::list(&mut reader.tx(), TENANT)
            .await
            .unwrap()
            .is_empty()
    );
    drop(reader);
    let mut rounds = 0;
    while !prune().await {
        rounds += 1;
    }
    assert_eq!(rounds, 2, "two deliveries, then none and the endpoint");
    let mut reader = f.catalog.reader().await.unwrap();
    let row = reader
        .tx()
        .row("SELECT COUNT(*) FROM webhooks", &[])
        .await
        .unwrap();
    assert_eq!(row.unwrap().int(0).unwrap(), 0);
    drop(reader);
    assert!(deliveries(&f, "whk_1").await.is_empty());
}

const WRITERS: usize = 12;
const ROUNDS: usize = 20;

/// Writes events in transactions that overtake one another, of which some are taken back; what was committed.
async fn write_much(catalog: Catalog, at: Micros, writer: usize) -> Vec<String> {
    let mut committed = Vec::new();
    for round in 0..ROUNDS {
        let id = format!("{writer:02}-{round:02}");
        let (given, seed) = (id.clone(), writer * 7 + round * 3);
        let outcome = in_tx!(catalog, |tx| {
            let event = FreshEvent {
                tenant_id: TENANT,
                event_id: &given,
                kind: "a",
                owner_id: OWNER,
                asset_id: None,
                detail: None,
                at,
            };
            events::record(tx, &event).await?;
            if tx.is_postgres() {
                let pause = format!("SELECT 1 FROM pg_sleep({})", (seed % 9) as f64 / 1_000.0);
                tx.row(&pause, &[]).await?;
            }
            if seed.is_multiple_of(5) {
                Err(CatalogError::Nul)
            } else {
                Ok(())
            }
        });
        if outcome.is_ok() {
            committed.push(id);
        }
    }
    committed
}

/// One process: sequences, takes what is due, makes deliveries and lets go; now and then it dies in the midst of it.
async fn work(f: Arc<Fixture>, catalog: Catalog, process: usize, over: Arc<AtomicBool>) {
    let mut turns = 0;
    while !over.load(Ordering::SeqCst) {
        let turn = async {
            if let Err(error) = in_tx!(catalog, |tx| events::sequence(tx, 5).await) {
                assert!(error.is_contended(), "{error}");
            }
            for seen in due(&catalog).await {
                let Some(mut taken) = take(&catalog, &seen).await else {
                    continue;
                };
                for _ in 0..3 {
                    match fan_out(&catalog, &taken, 4).await {
                        Ok(Some(to)) => taken.position = to,
                        Ok(None) => break,
                        Err(error) => assert!(error.is_contended(), "{error}"),
                    }
                }
                in_tx!(catalog, |tx| webhooks::release(tx, &taken, Duration::ZERO)
                    .await)
                .unwrap();
            }
        };
        turns += 1;
        if process == 0 && turns % 2 == 0 {
            let _ = tokio::time::timeout(Duration::from_millis(2), turn).await;
            // So that what it had taken is free again.
            f.clock.advance(LEASE);
        } else {
            turn.await;
        }
        tokio::task::yield_now().await;
    }
}

async fn every_committed_event_becomes_one_delivery_while_many_write(f: Fixture) {
    endpoint(&f, "whk_1", None).await;
    endpoint(&f, "whk_2", None).await;
    let f = Arc::new(f);
    let mut processes = vec![f.catalog.clone()];
    if f.catalog.backend() == Backend::Postgres {
        processes.push(f.second().await);
        processes.push(f.second().await);
    }
    let process = |n: usize| processes[n % processes.len()].clone();
    let over = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..3)
        .map(|n| tokio::spawn(work(f.clone(), process(n), n, over.clone())))
        .collect();
    let at = f.clock.now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| tokio::spawn(write_much(process(n), at, n)))
        .collect();
    let mut committed = BTreeSet::new();
    for writer in writers {
        committed.extend(writer.await.unwrap());
    }
    assert!(committed.len() > 100, "{}", committed.len());
    let all = i64::try_from(committed.len()).unwrap();
    let reached = wait::until(PATIENCE, async || {
        let mut reader = f.catalog.reader().await.unwrap();
        let found = webhooks::list(&mut reader.tx(), TENANT).await.unwrap();
        found.iter().all(|e| e.position == all)
    });
    reached.await.unwrap();
    over.store(true, Ordering::SeqCst);
    for worker in workers {
        worker.await.unwrap();
    }
    let mut reader = f.catalog.reader().await.unwrap();
    let order = events::after(&mut reader.tx(), TENANT, 0, 10_000)
        .await
        .unwrap();
    drop(reader);
    let order: Vec<&str> = order.iter().map(|e| e.event_id.as_str()).collect();
    for id in ["whk_1", "whk_2"] {
        let made = deliveries(&f, id).await;
        let set: BTreeSet<String> = made.iter().map(|d| d.event_id.clone()).collect();
        assert_eq!(set, committed, "{id}");
        assert_eq!(ids(&made), order, "{id}");
        let places: Vec<i64> = made.iter().map(|d| d.position).collect();
        assert_eq!(places, (1..=all).collect::<Vec<_>>(), "{id}");
        assert!(
            made.iter().all(|d| d.fence == 0),
            "none was made twice: {made:?}"
        );
    }
}
