//! A key stands for one request, and one carries it out.

use std::time::Duration;

use safelight_catalog::Catalog;
use safelight_catalog::idempotency::{self, Claim, Found};
use safelight_model::clock::{Clock as _, Micros};
use safelight_model::codes::Code;

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::*;

on_both!(
    a_key_is_in_flight_until_it_is_done,
    an_outcome_with_an_error_is_kept,
    another_request_is_a_mismatch,
    keys_belong_to_tenant_and_caller,
    an_operation_is_taken_over_after_its_lease,
    a_lease_that_is_kept_is_not_taken_over,
    a_forgotten_key_can_be_used_again,
    who_comes_back_after_being_overtaken_changes_nothing,
    what_is_done_stays_done,
    old_records_are_pruned,
    one_of_many_begins,
    one_of_many_takes_over,
);

fn claim(f: &Fixture, key: &str) -> Claim {
    let now = f.clock.now();
    Claim {
        tenant_id: TENANT.into(),
        caller: "owner anna".into(),
        key: key.into(),
        operation: "complete",
        fingerprint: "f1".into(),
        now,
        lease_until: now.plus(Duration::from_secs(60)),
        expires_at: now.plus(Duration::from_secs(3600)),
    }
}

async fn begin(catalog: &Catalog, claim: &Claim) -> Found {
    let claim = claim.clone();
    in_tx!(catalog, |tx| idempotency::begin(tx, &claim).await).unwrap()
}

/// Begins, and must.
async fn take(catalog: &Catalog, claim: &Claim) -> i64 {
    match begin(catalog, claim).await {
        Found::Begin(fence) => fence,
        other => panic!("{other:?}"),
    }
}

async fn done(
    f: &Fixture,
    claim: &Claim,
    fence: i64,
    subject: Option<&'static str>,
    error: Option<Code>,
) -> bool {
    let claim = claim.clone();
    in_tx!(f.catalog, |tx| {
        idempotency::done(tx, &claim, fence, subject, error).await
    })
    .unwrap()
}

async fn keep(f: &Fixture, claim: &Claim, fence: i64, until: Micros) -> bool {
    let claim = claim.clone();
    in_tx!(f.catalog, |tx| {
        idempotency::keep(tx, &claim, fence, until).await
    })
    .unwrap()
}

async fn forget(f: &Fixture, claim: &Claim, fence: i64) -> bool {
    let claim = claim.clone();
    in_tx!(f.catalog, |tx| {
        idempotency::forget(tx, &claim, fence).await
    })
    .unwrap()
}

async fn a_key_is_in_flight_until_it_is_done(f: Fixture) {
    let first = claim(&f, "k");
    let fence = take(&f.catalog, &first).await;
    assert_eq!(begin(&f.catalog, &first).await, Found::InFlight);
    assert!(done(&f, &first, fence, Some("upl_1"), None).await);
    for _ in 0..2 {
        assert_eq!(
            begin(&f.catalog, &first).await,
            Found::Done(Some("upl_1".into()), None)
        );
    }
}

async fn an_outcome_with_an_error_is_kept(f: Fixture) {
    let first = claim(&f, "k");
    let fence = take(&f.catalog, &first).await;
    assert!(done(&f, &first, fence, None, Some(Code::SizeMismatch)).await);
    assert_eq!(
        begin(&f.catalog, &first).await,
        Found::Done(None, Some(Code::SizeMismatch))
    );
}

async fn another_request_is_a_mismatch(f: Fixture) {
    let first = claim(&f, "k");
    let fence = take(&f.catalog, &first).await;
    let mut body = first.clone();
    body.fingerprint = "f2".into();
    let mut operation = first.clone();
    operation.operation = "abort";
    // In flight, long after the lease, and when it is done.
    for round in 0..3 {
        assert_eq!(begin(&f.catalog, &body).await, Found::Mismatch);
        assert_eq!(begin(&f.catalog, &operation).await, Found::Mismatch);
        match round {
            0 => {
                body.now = body.now.plus(Duration::from_secs(600));
                operation.now = body.now;
            }
            1 => assert!(done(&f, &first, fence, None, None).await),
            _ => {}
        }
    }
}

async fn keys_belong_to_tenant_and_caller(f: Fixture) {
    let first = claim(&f, "k");
    begin(&f.catalog, &first).await;
    let mut caller = first.clone();
    caller.caller = "owner ben".into();
    let mut tenant = first.clone();
    tenant.tenant_id = "ten_2".into();
    let fence = take(&f.catalog, &caller).await;
    take(&f.catalog, &tenant).await;
    assert!(done(&f, &caller, fence, None, None).await);
    assert_eq!(begin(&f.catalog, &first).await, Found::InFlight);
    assert_eq!(begin(&f.catalog, &tenant).await, Found::InFlight);
}

async fn an_operation_is_taken_over_after_its_lease(f: Fixture) {
    begin(&f.catalog, &claim(&f, "k")).await;
    f.clock.advance(Duration::from_secs(60));
    assert_eq!(
        begin(&f.catalog, &claim(&f, "k")).await,
        Found::InFlight,
        "the lease lasts to its last microsecond"
    );
    f.clock.advance(Duration::from_micros(1));
    take(&f.catalog, &claim(&f, "k")).await;
    // Whoever took it over has a lease of his own.
    f.clock.advance(Duration::from_secs(60));
    assert_eq!(begin(&f.catalog, &claim(&f, "k")).await, Found::InFlight);
}

async fn a_lease_that_is_kept_is_not_taken_over(f: Fixture) {
    let first = claim(&f, "k");
    let fence = take(&f.catalog, &first).await;
    f.clock.advance(Duration::from_secs(50));
    let until = f.clock.now().plus(Duration::from_secs(60));
    assert!(keep(&f, &first, fence, until).await);
    f.clock.advance(Duration::from_secs(55));
    assert_eq!(begin(&f.catalog, &claim(&f, "k")).await, Found::InFlight);
    // What is done is not touched by a late sign of life.
    assert!(done(&f, &first, fence, Some("s"), None).await);
    assert!(!keep(&f, &first, fence, until).await);
    assert_eq!(
        begin(&f.catalog, &claim(&f, "k")).await,
        Found::Done(Some("s".into()), None)
    );
}

async fn a_forgotten_key_can_be_used_again(f: Fixture) {
    let first = claim(&f, "k");
    let fence = take(&f.catalog, &first).await;
    assert!(forget(&f, &first, fence).await);
    assert!(!forget(&f, &first, fence).await);
    let mut other = claim(&f, "k");
    other.fingerprint = "f2".into();
    take(&f.catalog, &other).await;
}

async fn who_comes_back_after_being_overtaken_changes_nothing(f: Fixture) {
    let first = claim(&f, "k");
    let late = take(&f.catalog, &first).await;
    f.clock.advance(Duration::from_secs(61));
    let second = claim(&f, "k");
    let fence = take(&f.catalog, &second).await;
    assert!(fence > late);
    let until = f.clock.now().plus(Duration::from_secs(3600));
    assert!(!keep(&f, &first, late, until).await);
    assert!(!forget(&f, &first, late).await);
    assert!(!done(&f, &first, late, Some("late"), None).await);
    assert_eq!(begin(&f.catalog, &claim(&f, "k")).await, Found::InFlight);
    // What it left alone is still the other's: its lease ends, and its outcome counts.
    f.clock.advance(Duration::from_secs(61));
    let third = take(&f.catalog, &claim(&f, "k")).await;
    assert!(!done(&f, &second, fence, Some("second"), None).await);
    assert!(done(&f, &claim(&f, "k"), third, Some("third"), None).await);
    assert_eq!(
        begin(&f.catalog, &first).await,
        Found::Done(Some("third".into()), None)
    );
}

async fn what_is_done_stays_done(f: Fixture) {
    let first = claim(&f, "k");
    let fence = take(&f.catalog, &first).await;
    assert!(done(&f, &first, fence, Some("s1"), None).await);
    assert!(!forget(&f, &first, fence).await);
    assert!(!done(&f, &first, fence, Some("s2"), Some(Code::Internal)).await);
    f.clock.advance(Duration::from_secs(600));
    assert_eq!(
        begin(&f.catalog, &claim(&f, "k")).await,
        Found::Done(Some("s1".into()), None)
    );
}

async fn old_records_are_pruned(f: Fixture) {
    for n in 0..10 {
        begin(&f.catalog, &claim(&f, &format!("old{n}"))).await;
    }
    f.clock.advance(Duration::from_secs(1));
    begin(&f.catalog, &claim(&f, "young")).await;
    // A capture's record counts too.
    make_one(&f.catalog, &capture(&f, OWNER, "IMG_1", 1)).await;
    f.clock.advance(Duration::from_secs(3599));
    let prune = async |limit| {
        let now = f.clock.now();
        in_tx!(f.catalog, |tx| idempotency::prune(tx, now, limit).await).unwrap()
    };
    assert_eq!(prune(100).await, 0, "nothing is over yet");
    f.clock.advance(Duration::from_micros(1));
    assert_eq!(prune(4).await, 4);
    assert_eq!(prune(100).await, 6);
    assert_eq!(prune(100).await, 0);
    assert_eq!(count(&f.catalog, "idempotency").await, 2);
    f.clock.advance(Duration::from_secs(1));
    assert_eq!(prune(100).await, 2);
}

async fn one_of_many_begins(f: Fixture) {
    for round in 0..20 {
        let found = at_once(16, |_| {
            let (catalog, claim) = (f.catalog.clone(), claim(&f, &format!("k{round}")));
            async move { begin(&catalog, &claim).await }
        })
        .await;
        let begun = found
            .iter()
            .filter(|x| matches!(x, Found::Begin(_)))
            .count();
        let waiting = found.iter().filter(|x| **x == Found::InFlight).count();
        assert_eq!((begun, waiting), (1, 15), "{found:?}");
    }
}

async fn one_of_many_takes_over(f: Fixture) {
    begin(&f.catalog, &claim(&f, "k")).await;
    for _ in 0..20 {
        f.clock.advance(Duration::from_secs(61));
        let found = at_once(16, |_| {
            let (catalog, claim) = (f.catalog.clone(), claim(&f, "k"));
            async move { begin(&catalog, &claim).await }
        })
        .await;
        let begun = found
            .iter()
            .filter(|x| matches!(x, Found::Begin(_)))
            .count();
        let waiting = found.iter().filter(|x| **x == Found::InFlight).count();
        assert_eq!((begun, waiting), (1, 15), "{found:?}");
    }
}
