//! The queue's promises.

use std::collections::HashSet;
use std::time::Duration;

use safelight_catalog::jobs::{self, Job, NewJob, Rescue};
use safelight_catalog::{Catalog, CatalogError};
use safelight_model::clock::{Clock as _, Micros};
use safelight_model::codes::Code;
use safelight_model::cost_class::CostClass;
use safelight_model::ids;
use safelight_model::job::{JobKind, JobState};
use safelight_model::lane::{LEASE, Lane, MAX_ATTEMPTS};

use crate::fixture::{Fixture, in_tx, on_both};

on_both!(
    every_job_is_given_to_one_claimer,
    an_expired_lease_is_rescued_and_its_old_holder_changes_nothing,
    a_heartbeat_keeps_a_lease,
    one_living_job_for_a_unique_key,
    a_single_job_passes_another_owners_backlog,
    jobs_that_come_back_together_do_not_pass_others,
    what_goes_first_does_so_again_and_one_of_a_tenant,
    one_goes_on_with_the_same_subject,
    a_later_job_waits_for_its_time,
    a_retry_waits_and_a_snooze_does_not_count,
    a_job_dies_after_its_last_attempt_and_can_be_revived,
    an_enqueue_is_part_of_its_transaction,
    a_newer_versions_kinds_are_left_alone,
    the_databases_own_time_works,
);

const TENANT: &str = "ten_1";

/// A job of the standard lane, due now, of which there is one with this key.
fn due_job<'a>(job_id: &'a str, owner_id: &'a str, key: &'a str, now: Micros) -> NewJob<'a> {
    NewJob {
        tenant_id: TENANT,
        job_id,
        kind: JobKind::Derive,
        lane: Lane::Standard,
        class: CostClass::Light,
        owner_id,
        subject_id: key,
        unique_key: key,
        goes_first: false,
        run_at: now,
        now,
    }
}

/// Adds a job now, or `delay` later.
async fn add(f: &Fixture, lane: Lane, owner: &str, key: &str, delay: Duration) -> bool {
    add_to(&f.catalog, f.id(ids::JOB), lane, owner, key, delay)
        .await
        .unwrap()
}

async fn add_to(
    catalog: &Catalog,
    job_id: String,
    lane: Lane,
    owner: &str,
    key: &str,
    delay: Duration,
) -> Result<bool, CatalogError> {
    let (owner, key) = (owner.to_owned(), key.to_owned());
    in_tx!(catalog, |tx| {
        let now = tx.now().await?;
        let job = NewJob {
            lane,
            run_at: now.plus(delay),
            ..due_job(&job_id, &owner, &key, now)
        };
        jobs::enqueue(tx, &job).await
    })
}

async fn claim(catalog: &Catalog, lane: Lane, limit: usize) -> Vec<Job> {
    in_tx!(catalog, |tx| {
        jobs::promote(tx).await?;
        jobs::claim(tx, lane, CostClass::Light, "wrk_1", limit, LEASE).await
    })
    .unwrap()
}

async fn finish(catalog: &Catalog, job: &Job) -> bool {
    let job = job.clone();
    in_tx!(catalog, |tx| jobs::finish(tx, &job).await).unwrap()
}

async fn rescue_all(catalog: &Catalog) -> Vec<Rescue> {
    let found = in_tx!(catalog, |tx| jobs::expired(tx, 100).await).unwrap();
    let mut out = Vec::new();
    for job in found {
        out.push(in_tx!(catalog, |tx| jobs::rescue(tx, &job).await).unwrap());
    }
    out
}

async fn state(catalog: &Catalog, job: &Job) -> Option<JobState> {
    let job = job.clone();
    let found = in_tx!(catalog, |tx| jobs::find(tx, &job.tenant_id, &job.job_id)
        .await)
    .unwrap();
    found.map(|(_, state)| state)
}

async fn every_job_is_given_to_one_claimer(f: Fixture) {
    for n in 0..500 {
        assert!(
            add(
                &f,
                Lane::Standard,
                &format!("owner{}", n % 7),
                &format!("k{n}"),
                Duration::ZERO
            )
            .await
        );
    }
    let claimers: Vec<_> = (0..8)
        .map(|n| {
            let catalog = f.catalog.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let got = claim(&catalog, Lane::Standard, 1 + n % 3).await;
                    for job in &got {
                        assert!(finish(&catalog, job).await);
                        assert!(!finish(&catalog, job).await, "a job was finished twice");
                    }
                    // Empty-handed once may mean that others held the head of the line.
                    let outlook =
                        jobs::outlook(&mut catalog.reader().await.unwrap().tx(), CostClass::Light)
                            .await
                            .unwrap();
                    if got.is_empty() && !outlook.has_work() {
                        return mine;
                    }
                    mine.extend(got);
                }
            })
        })
        .collect();
    let mut seen = HashSet::new();
    for claimer in claimers {
        for job in claimer.await.unwrap() {
            assert_eq!((job.fence, job.attempts), (1, 1));
            assert!(seen.insert(job.job_id), "a job was given twice");
        }
    }
    assert_eq!(seen.len(), 500);
}

async fn an_expired_lease_is_rescued_and_its_old_holder_changes_nothing(f: Fixture) {
    add(&f, Lane::Standard, "a", "k", Duration::ZERO).await;
    let old = claim(&f.catalog, Lane::Standard, 1).await.remove(0);
    assert!(
        rescue_all(&f.catalog).await.is_empty(),
        "the lease is not over yet"
    );
    assert!(claim(&f.catalog, Lane::Standard, 1).await.is_empty());

    f.clock.advance(LEASE);
    // Many see it; one rescues it.
    let racers: Vec<_> = (0..6)
        .map(|_| {
            let catalog = f.catalog.clone();
            tokio::spawn(async move { rescue_all(&catalog).await })
        })
        .collect();
    let mut rescued = 0;
    for racer in racers {
        rescued += racer
            .await
            .unwrap()
            .iter()
            .filter(|r| **r == Rescue::Requeued)
            .count();
    }
    assert_eq!(rescued, 1);

    let new = claim(&f.catalog, Lane::Standard, 1).await.remove(0);
    assert_eq!((new.fence, new.attempts), (2, 2));
    assert_eq!(new.error_code.as_deref(), Some(Code::Internal.as_str()));
    // Whatever the old holder reports now.
    let stale = old.clone();
    in_tx!(f.catalog, |tx| {
        assert!(!jobs::heartbeat(tx, &stale, LEASE).await?);
        assert!(!jobs::hold(tx, &stale).await?);
        assert!(!jobs::retry(tx, &stale, Duration::ZERO, Code::Internal, "").await?);
        assert!(!jobs::snooze(tx, &stale, Duration::ZERO).await?);
        assert!(!jobs::bury(tx, &stale, Code::Internal, "").await?);
        assert!(!jobs::finish(tx, &stale).await?);
        assert_eq!(jobs::rescue(tx, &stale).await?, Rescue::Untouched);
        Ok(())
    })
    .unwrap();
    assert_eq!(state(&f.catalog, &new).await, Some(JobState::Leased));
    assert!(finish(&f.catalog, &new).await);
    assert_eq!(state(&f.catalog, &new).await, None);
}

async fn a_heartbeat_keeps_a_lease(f: Fixture) {
    add(&f, Lane::Standard, "a", "k", Duration::ZERO).await;
    let job = claim(&f.catalog, Lane::Standard, 1).await.remove(0);
    for _ in 0..10 {
        f.clock.advance(LEASE - Duration::from_secs(1));
        assert!(rescue_all(&f.catalog).await.is_empty());
        let ours = job.clone();
        assert!(in_tx!(f.catalog, |tx| jobs::heartbeat(tx, &ours, LEASE).await).unwrap());
    }
    // Seen as expired, but renewed before the rescue came.
    f.clock.advance(LEASE);
    let ours = job.clone();
    let outcome = in_tx!(f.catalog, |tx| {
        let seen = jobs::expired(tx, 10).await?;
        assert!(jobs::heartbeat(tx, &ours, LEASE).await?);
        assert!(jobs::hold(tx, &ours).await?);
        jobs::rescue(tx, &seen[0]).await
    });
    assert_eq!(outcome.unwrap(), Rescue::Untouched);
    assert!(finish(&f.catalog, &job).await);
}

async fn one_living_job_for_a_unique_key(f: Fixture) {
    let racers: Vec<_> = (0..16)
        .map(|n| {
            let (catalog, id) = (f.catalog.clone(), f.id(ids::JOB));
            let delay = Duration::from_secs(n % 2);
            tokio::spawn(async move {
                add_to(&catalog, id, Lane::Standard, "a", "same", delay)
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut added = 0;
    for racer in racers {
        added += usize::from(racer.await.unwrap());
    }
    assert_eq!(added, 1);

    f.clock.advance(Duration::from_secs(1));
    let job = claim(&f.catalog, Lane::Standard, 9).await.remove(0);
    assert!(
        !add(&f, Lane::Bulk, "a", "same", Duration::ZERO).await,
        "a leased job lives"
    );
    assert!(finish(&f.catalog, &job).await);
    assert!(
        add(&f, Lane::Standard, "a", "same", Duration::ZERO).await,
        "a done one does not"
    );
    let job = claim(&f.catalog, Lane::Standard, 9).await.remove(0);
    in_tx!(f.catalog, |tx| jobs::bury(
        tx,
        &job,
        Code::MediaCorrupt,
        "cut off"
    )
    .await)
    .unwrap();
    assert!(
        add(&f, Lane::Standard, "a", "same", Duration::ZERO).await,
        "nor does a dead one"
    );
}

async fn a_single_job_passes_another_owners_backlog(f: Fixture) {
    for n in 0..500 {
        add(&f, Lane::Standard, "a", &format!("a{n}"), Duration::ZERO).await;
    }
    for job in claim(&f.catalog, Lane::Standard, 10).await {
        assert_eq!(job.owner_id, "a");
        finish(&f.catalog, &job).await;
    }
    add(&f, Lane::Standard, "b", "b0", Duration::ZERO).await;
    let next = claim(&f.catalog, Lane::Standard, 2).await;
    assert!(next.iter().any(|job| job.owner_id == "b"), "{next:?}");

    // Two backlogs take turns, whichever came first.
    for n in 0..20 {
        add(&f, Lane::Standard, "c", &format!("c{n}"), Duration::ZERO).await;
    }
    let next = claim(&f.catalog, Lane::Standard, 20).await;
    let c = next.iter().filter(|job| job.owner_id == "c").count();
    assert!((9..=11).contains(&c), "{c} of 20");
}

async fn jobs_that_come_back_together_do_not_pass_others(f: Fixture) {
    for n in 0..30 {
        add(&f, Lane::Standard, "a", &format!("a{n}"), Duration::ZERO).await;
    }
    // An outage: all fail, and all are due again at the same time.
    let failed = claim(&f.catalog, Lane::Standard, 30).await;
    assert_eq!(failed.len(), 30);
    in_tx!(f.catalog, |tx| {
        for job in &failed {
            assert!(
                jobs::retry(
                    tx,
                    job,
                    Duration::from_secs(5),
                    Code::StoreUnavailable,
                    "outage"
                )
                .await?
            );
        }
        Ok(())
    })
    .unwrap();
    f.clock.advance(Duration::from_secs(5));
    assert_eq!(claim(&f.catalog, Lane::Standard, 1).await[0].owner_id, "a");
    add(&f, Lane::Standard, "b", "b0", Duration::ZERO).await;
    let next = claim(&f.catalog, Lane::Standard, 2).await;
    assert!(next.iter().any(|job| job.owner_id == "b"), "{next:?}");
}

async fn add_first(f: &Fixture, owner: &'static str, key: &'static str) {
    let job_id = f.id(ids::JOB);
    let added = in_tx!(f.catalog, |tx| {
        let now = tx.now().await?;
        let job = NewJob {
            lane: Lane::Interactive,
            goes_first: true,
            ..due_job(&job_id, owner, key, now)
        };
        jobs::enqueue(tx, &job).await
    });
    assert!(added.unwrap());
    // Ids of another moment are later ones.
    f.clock.advance(Duration::from_millis(1));
}

async fn what_goes_first_does_so_again_and_one_of_a_tenant(f: Fixture) {
    let lane = Lane::Interactive;
    for n in 0..3 {
        add(&f, lane, "a", &format!("a{n}"), Duration::ZERO).await;
        f.clock.advance(Duration::from_millis(1));
    }
    add_first(&f, "b", "b0").await;
    // Another of the tenant's stands where it would without that.
    add_first(&f, "a", "a-second").await;
    add(&f, lane, "c", "c0", Duration::ZERO).await;
    f.clock.advance(Duration::from_millis(1));
    let first = claim(&f.catalog, lane, 1).await.remove(0);
    assert_eq!(first.subject_id, "b0");
    // Nor is there a second while the first is being done.
    add_first(&f, "d", "d0").await;
    let held = first.clone();
    let wait = Duration::from_secs(3);
    in_tx!(f.catalog, |tx| jobs::retry(
        tx,
        &held,
        wait,
        Code::StoreUnavailable,
        ""
    )
    .await)
    .unwrap();
    f.clock.advance(wait);
    let again = claim(&f.catalog, lane, 1).await.remove(0);
    assert_eq!(again.subject_id, "b0");
    finish(&f.catalog, &again).await;
    add_first(&f, "e", "e0").await;
    let all = claim(&f.catalog, lane, 9).await;
    let subjects: Vec<&str> = all.iter().map(|job| job.subject_id.as_str()).collect();
    let expected = ["e0", "a0", "c0", "d0", "a1", "a2", "a-second"];
    assert_eq!(subjects, expected);
}

/// Who has just done something to a subject goes on with what is done to it next, whatever that costs, unless somebody waits for his like.
async fn one_goes_on_with_the_same_subject(f: Fixture) {
    let heavy = CostClass::Heavy;
    add(&f, Lane::Interactive, "a", "photo", Duration::ZERO).await;
    let job = claim(&f.catalog, Lane::Interactive, 1).await.remove(0);
    let after = Job {
        class: heavy,
        ..job
    };
    let go_on = async || {
        let (after, kind) = (after.clone(), JobKind::Derive);
        in_tx!(f.catalog, |tx| jobs::claim_next_of(
            tx, &after, kind, "wrk_1", LEASE
        )
        .await)
        .unwrap()
    };
    assert!(go_on().await.is_none());
    let added = in_tx!(f.catalog, |tx| {
        let now = tx.now().await?;
        let job = NewJob {
            unique_key: "next",
            ..due_job("job_next", "a", "photo", now)
        };
        jobs::enqueue(tx, &job).await
    });
    assert!(added.unwrap());
    // Somebody waits among those that are light; his are heavy.
    add(&f, Lane::Interactive, "b", "other", Duration::ZERO).await;
    let light = Job {
        class: CostClass::Light,
        ..after.clone()
    };
    let kind = JobKind::Derive;
    let waits = in_tx!(f.catalog, |tx| jobs::claim_next_of(
        tx, &light, kind, "wrk_1", LEASE
    )
    .await);
    assert!(waits.unwrap().is_none());
    let next = go_on().await.unwrap();
    assert_eq!(
        (next.job_id.as_str(), next.class),
        ("job_next", CostClass::Light)
    );
    assert!(go_on().await.is_none());
}

async fn a_later_job_waits_for_its_time(f: Fixture) {
    add(&f, Lane::Bulk, "a", "later", Duration::from_secs(60)).await;
    assert!(claim(&f.catalog, Lane::Bulk, 1).await.is_empty());
    let outlook = in_tx!(f.catalog, |tx| jobs::outlook(tx, CostClass::Light).await).unwrap();
    assert!(!outlook.has_work());
    assert_eq!(
        outlook.next_run_at,
        Some(outlook.now.plus(Duration::from_secs(60)))
    );
    f.clock.advance(Duration::from_secs(60));
    let outlook = in_tx!(f.catalog, |tx| jobs::outlook(tx, CostClass::Light).await).unwrap();
    assert!(outlook.has_work());
    assert_eq!(claim(&f.catalog, Lane::Bulk, 1).await.len(), 1);
}

async fn a_retry_waits_and_a_snooze_does_not_count(f: Fixture) {
    add(&f, Lane::Standard, "a", "k", Duration::ZERO).await;
    let job = claim(&f.catalog, Lane::Standard, 1).await.remove(0);
    let wait = Duration::from_secs(3);
    in_tx!(f.catalog, |tx| jobs::retry(
        tx,
        &job,
        wait,
        Code::StoreUnavailable,
        "no\0 answer"
    )
    .await)
    .unwrap();
    assert!(claim(&f.catalog, Lane::Standard, 1).await.is_empty());
    f.clock.advance(wait);
    let job = claim(&f.catalog, Lane::Standard, 1).await.remove(0);
    assert_eq!((job.attempts, job.fence), (2, 2));
    assert_eq!(job.error_code.as_deref(), Some("store_unavailable"));
    assert_eq!(job.error_detail.as_deref(), Some("no answer"));

    in_tx!(f.catalog, |tx| jobs::snooze(tx, &job, wait).await).unwrap();
    assert!(claim(&f.catalog, Lane::Standard, 1).await.is_empty());
    f.clock.advance(wait);
    let job = claim(&f.catalog, Lane::Standard, 1).await.remove(0);
    assert_eq!((job.attempts, job.fence), (2, 3), "the fence rises even so");

    let (heavy, held) = (CostClass::Heavy, job.clone());
    let changed = in_tx!(f.catalog, |tx| jobs::reclass(tx, &held, heavy).await);
    assert!(changed.unwrap());
    assert!(claim(&f.catalog, Lane::Standard, 1).await.is_empty());
    let again = in_tx!(f.catalog, |tx| {
        jobs::promote(tx).await?;
        jobs::claim(tx, Lane::Standard, heavy, "wrk_2", 1, LEASE).await
    });
    let again = again.unwrap().remove(0);
    assert_eq!((again.attempts, again.class), (2, heavy));
    let late = in_tx!(f.catalog, |tx| jobs::reclass(tx, &job, heavy).await);
    assert!(!late.unwrap(), "it is another's now");
}

async fn a_job_dies_after_its_last_attempt_and_can_be_revived(f: Fixture) {
    add(&f, Lane::Standard, "a", "k", Duration::ZERO).await;
    let mut last = None;
    for attempt in 1..=MAX_ATTEMPTS {
        let job = claim(&f.catalog, Lane::Standard, 1).await.remove(0);
        assert_eq!(job.attempts, attempt);
        f.clock.advance(LEASE);
        let expected = if attempt < MAX_ATTEMPTS {
            Rescue::Requeued
        } else {
            Rescue::Buried
        };
        assert_eq!(rescue_all(&f.catalog).await, [expected]);
        last = Some(job);
    }
    let last = last.unwrap();
    assert_eq!(state(&f.catalog, &last).await, Some(JobState::Dead));
    let dead = in_tx!(f.catalog, |tx| jobs::dead(tx, TENANT, None, 10).await).unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].error_detail.as_deref(), Some(jobs::LOST_DETAIL));
    let after = last.job_id.clone();
    let page = in_tx!(f.catalog, |tx| jobs::dead(tx, TENANT, Some(&after), 10)
        .await)
    .unwrap();
    assert!(page.is_empty());

    let id = last.job_id.clone();
    assert!(in_tx!(f.catalog, |tx| jobs::revive(tx, TENANT, &id).await).unwrap());
    let id = last.job_id.clone();
    assert!(!in_tx!(f.catalog, |tx| jobs::revive(tx, TENANT, &id).await).unwrap());
    let depth = in_tx!(f.catalog, |tx| jobs::depth(tx).await).unwrap();
    assert_eq!(
        depth,
        [jobs::Depth {
            lane: Lane::Standard,
            class: CostClass::Light,
            state: JobState::Queued,
            jobs: 1,
            oldest: f.clock.now(),
        }]
    );
    let job = claim(&f.catalog, Lane::Standard, 1).await.remove(0);
    assert_eq!(
        (job.attempts, job.fence),
        (1, last.fence + 1),
        "old leases never match"
    );

    // A dead one whose work is done by another is not brought back beside it.
    let buried = job.clone();
    in_tx!(f.catalog, |tx| jobs::bury(tx, &buried, Code::Internal, "")
        .await)
    .unwrap();
    add(&f, Lane::Standard, "a", "k", Duration::ZERO).await;
    let id = job.job_id.clone();
    assert!(!in_tx!(f.catalog, |tx| jobs::revive(tx, TENANT, &id).await).unwrap());
    assert_eq!(claim(&f.catalog, Lane::Standard, 9).await.len(), 1);
}

async fn an_enqueue_is_part_of_its_transaction(f: Fixture) {
    let id = f.id(ids::JOB);
    let failed: Result<(), CatalogError> = in_tx!(f.catalog, |tx| {
        let now = tx.now().await?;
        let job = NewJob {
            lane: Lane::Interactive,
            ..due_job(&id, "a", "k", now)
        };
        assert!(jobs::enqueue(tx, &job).await?);
        Err(CatalogError::DiskFull)
    });
    failed.unwrap_err();
    assert!(claim(&f.catalog, Lane::Interactive, 1).await.is_empty());
}

async fn a_newer_versions_kinds_are_left_alone(f: Fixture) {
    add(&f, Lane::Standard, "a", "k1", Duration::ZERO).await;
    in_tx!(f.catalog, |tx| tx
        .exec("UPDATE jobs SET kind = 'transmogrify'", &[])
        .await)
    .unwrap();
    add(&f, Lane::Standard, "a", "k2", Duration::ZERO).await;
    let got = claim(&f.catalog, Lane::Standard, 9).await;
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].subject_id, "k2");
}

async fn the_databases_own_time_works(f: Fixture) {
    let catalog = f.on_database_time().await;
    assert!(
        add_to(
            &catalog,
            f.id(ids::JOB),
            Lane::Standard,
            "a",
            "k",
            Duration::ZERO
        )
        .await
        .unwrap()
    );
    let job = claim(&catalog, Lane::Standard, 1).await.remove(0);
    assert!(job.updated_at >= job.enqueued_at);
    assert!(rescue_all(&catalog).await.is_empty());
    assert!(finish(&catalog, &job).await);
}
