//! The catalog's mark: who raises it, and what stands in the store.

use std::time::Duration;

use safelight_catalog::catalog_mark::{self, CatalogMark, HIGHEST, TO_STORE};
use safelight_model::clock::{Clock as _, Micros};

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::at_once;
use crate::sweeps::{begin, findings, orphan, report};

on_both!(
    a_catalog_is_named_once,
    the_mark_is_raised_by_one_and_never_in_doubt,
    one_nonce_is_on_its_way_at_a_time,
    doubt_is_of_what_was_read,
    an_operator_settles_a_doubt,
    two_operators_settle_it_once,
    a_mark_beyond_all_is_mended,
    a_clock_that_ran_ahead_does_not_stop_the_mark,
);

const MINUTE: Duration = Duration::from_secs(60);

async fn mark(f: &Fixture) -> CatalogMark {
    let mut reader = f.catalog.reader().await.unwrap();
    let found = catalog_mark::find(&mut reader.tx()).await.unwrap();
    found.unwrap()
}

async fn name(f: &Fixture, id: &'static str) {
    in_tx!(f.catalog, |tx| catalog_mark::name(tx, id).await).unwrap();
}

async fn raise(f: &Fixture, before: Micros, nonce: &'static str) -> Option<CatalogMark> {
    let now = f.clock.now();
    in_tx!(f.catalog, |tx| {
        catalog_mark::raise(tx, now, before, nonce).await
    })
    .unwrap()
}

async fn stored(f: &Fixture, nonce: &'static str) -> bool {
    in_tx!(f.catalog, |tx| catalog_mark::stored(tx, nonce).await).unwrap()
}

async fn doubt(f: &Fixture, as_read: &CatalogMark, why: &'static str) -> bool {
    let as_read = as_read.clone();
    in_tx!(f.catalog, |tx| {
        catalog_mark::doubt(tx, &as_read, why).await
    })
    .unwrap()
}

async fn confirm(f: &Fixture, to: i64, nonce: &'static str) -> CatalogMark {
    in_tx!(f.catalog, |tx| catalog_mark::confirm(tx, to, nonce).await)
        .unwrap()
        .unwrap()
}

async fn trust(f: &Fixture, nonce: &'static str) -> bool {
    let now = f.clock.now();
    in_tx!(f.catalog, |tx| catalog_mark::trust(tx, nonce, now).await).unwrap()
}

fn nonces(mark: &CatalogMark) -> (Option<&str>, Option<&str>) {
    (mark.nonce.as_deref(), mark.pending_nonce.as_deref())
}

async fn a_catalog_is_named_once(f: Fixture) {
    let mut reader = f.catalog.reader().await.unwrap();
    assert_eq!(catalog_mark::find(&mut reader.tx()).await.unwrap(), None);
    drop(reader);
    assert_eq!(
        raise(&f, f.clock.now(), "a").await,
        None,
        "it has no name yet"
    );
    for id in ["cat_1", "cat_2"] {
        name(&f, id).await;
    }
    assert_eq!(mark(&f).await.catalog_id, "cat_1");
}

async fn the_mark_is_raised_by_one_and_never_in_doubt(f: Fixture) {
    name(&f, "cat_1").await;
    let (now, earlier) = (f.clock.now(), f.clock.now().minus(MINUTE));
    let raised = at_once(8, |n| {
        let catalog = f.catalog.clone();
        async move {
            let nonce = n.to_string();
            in_tx!(catalog, |tx| {
                catalog_mark::raise(tx, now, earlier, &nonce).await
            })
            .unwrap()
        }
    })
    .await;
    let raised: Vec<CatalogMark> = raised.into_iter().flatten().collect();
    assert_eq!(raised.len(), 1, "{raised:?}");
    assert_eq!((raised[0].mark, raised[0].nonce_mark), (1, 1));
    assert_eq!(raise(&f, now.minus(MINUTE), "b").await, None);
    let nonce = raised[0].pending_nonce.clone().unwrap();
    assert!(in_tx!(f.catalog, |tx| catalog_mark::stored(tx, &nonce).await).unwrap());
    f.clock.advance(MINUTE);
    assert_eq!(raise(&f, now, "b").await.unwrap().mark, 2);
    assert!(stored(&f, "b").await);
    let as_read = mark(&f).await;
    for (why, first) in [("a", true), ("b", false)] {
        assert_eq!(doubt(&f, &as_read, why).await, first);
    }
    assert_eq!(mark(&f).await.doubt.as_deref(), Some("a"));
    f.clock.advance(MINUTE);
    assert_eq!(raise(&f, f.clock.now(), "c").await, None);
    // It was looked at all the same.
    let now = f.clock.now();
    in_tx!(f.catalog, |tx| catalog_mark::looked(tx, now).await).unwrap();
    assert!(!mark(&f).await.is_due(now, now.minus(MINUTE)));
}

async fn one_nonce_is_on_its_way_at_a_time(f: Fixture) {
    name(&f, "cat_1").await;
    let first = raise(&f, f.clock.now(), "a").await.unwrap();
    assert_eq!(nonces(&first), (None, Some("a")));
    // Whoever raised it may be storing it.
    f.clock.advance(MINUTE);
    assert_eq!(raise(&f, f.clock.now(), "b").await, None);
    // He has died: another stores the same, which may be there already.
    f.clock.advance(TO_STORE);
    let again = raise(&f, f.clock.now(), "b").await.unwrap();
    assert_eq!((nonces(&again), again.mark), ((None, Some("a")), 2));
    assert!(!stored(&f, "b").await);
    assert!(stored(&f, "a").await);
    assert!(!stored(&f, "a").await, "it was recorded");
    let next = raise(&f, f.clock.now(), "b").await.unwrap();
    assert_eq!(nonces(&next), (Some("a"), Some("b")));
    assert!(stored(&f, "b").await);
    assert_eq!(nonces(&mark(&f).await), (Some("b"), None));
}

async fn doubt_is_of_what_was_read(f: Fixture) {
    name(&f, "cat_1").await;
    let before = mark(&f).await;
    raise(&f, f.clock.now(), "a").await.unwrap();
    let raised = mark(&f).await;
    assert!(!doubt(&f, &before, "why").await, "it was raised since");
    assert!(stored(&f, "a").await);
    assert!(!doubt(&f, &raised, "why").await, "it was stored since");
    assert_eq!(mark(&f).await.doubt, None);
    let now = mark(&f).await;
    assert!(doubt(&f, &now, "why").await);
}

async fn an_operator_settles_a_doubt(f: Fixture) {
    let sweep = begin(&f).await;
    report(&f, &sweep, &orphan(&f, "a")).await;
    name(&f, "cat_1").await;
    let as_read = mark(&f).await;
    assert!(doubt(&f, &as_read, "why").await);
    f.clock.advance(MINUTE);
    let before = findings(&f).await[0].first_seen_at;
    for (to, then, nonce) in [(9, 9, "a"), (3, 9, "b")] {
        let confirmed = confirm(&f, to, nonce).await;
        assert_eq!(confirmed.doubt.is_some(), nonce == "a", "not yet");
        assert_eq!(
            (
                confirmed.mark,
                confirmed.nonce_mark,
                confirmed.pending_nonce.as_deref()
            ),
            (then, then, Some(nonce))
        );
        if nonce == "a" {
            assert_eq!(findings(&f).await[0].first_seen_at, before);
        } else {
            // Another process has seen it in the store meanwhile.
            assert!(stored(&f, "b").await);
        }
        assert!(trust(&f, nonce).await);
        let mark = mark(&f).await;
        assert_eq!(nonces(&mark), (Some(nonce), None));
        assert_eq!((mark.doubt, mark.marked_at), (None, f.clock.now()));
    }
    assert_eq!(
        findings(&f).await[0].first_seen_at,
        f.clock.now(),
        "the grace begins anew"
    );
}

async fn two_operators_settle_it_once(f: Fixture) {
    name(&f, "cat_1").await;
    confirm(&f, 2, "a").await;
    confirm(&f, 2, "b").await;
    assert!(!trust(&f, "a").await, "it was replaced");
    assert!(trust(&f, "b").await);
}

async fn a_mark_beyond_all_is_mended(f: Fixture) {
    name(&f, "cat_1").await;
    in_tx!(f.catalog, |tx| {
        let huge = format!("UPDATE catalog_mark SET mark = {}", i64::MAX);
        tx.exec(&huge, &[]).await
    })
    .unwrap();
    let raised = raise(&f, f.clock.now(), "a").await.unwrap();
    assert_eq!(raised.mark, i64::MAX, "it does not overflow");
    assert_eq!(confirm(&f, 1, "b").await.mark, 1);
    assert!(trust(&f, "b").await);
    assert_eq!(raise(&f, f.clock.now(), "c").await.unwrap().mark, 2);
    assert_eq!(confirm(&f, i64::MAX, "d").await.mark, HIGHEST);
    assert!(trust(&f, "d").await);
    let raised = raise(&f, f.clock.now(), "e").await.unwrap();
    assert_eq!(
        (raised.mark, raised.pending_nonce.as_deref()),
        (HIGHEST, Some("e"))
    );
}

async fn a_clock_that_ran_ahead_does_not_stop_the_mark(f: Fixture) {
    name(&f, "cat_1").await;
    let future = f.clock.now().plus(365 * 24 * 60 * MINUTE);
    in_tx!(f.catalog, |tx| {
        catalog_mark::raise(tx, future, future, "a").await
    })
    .unwrap()
    .unwrap();
    let earlier = f.clock.now().minus(10 * MINUTE);
    assert!(mark(&f).await.is_due(f.clock.now(), earlier));
    let raised = raise(&f, earlier, "b").await.unwrap();
    assert_eq!(nonces(&raised), (None, Some("a")));
    assert_eq!(raised.marked_at, f.clock.now());
}
