//! Sweeps, their findings, and the rows that they compare.

use std::time::Duration;

use safelight_catalog::failed_removals::{self, FailedRemoval};
use safelight_catalog::sweeps::{self, Finding, FindingKind, Sweep};
use safelight_catalog::{blobs, jobs, keys, store_events};
use safelight_model::clock::{Clock as _, Micros};

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::at_once;

on_both!(
    one_sweep_is_under_way,
    one_of_many_moves_a_sweep,
    what_is_found_again_keeps_its_first_time,
    what_is_not_found_again_is_forgotten,
    findings_come_in_pages_and_are_counted,
    a_sweep_knows_its_own_findings_whatever_the_time,
    what_rows_say_is_to_go_is_counted,
    removals_that_were_given_up_are_listed_until_they_are_tried_again,
    commits_that_a_copy_would_miss_are_counted,
    keys_come_in_the_order_of_their_bytes,
    events_are_noted_now_and_then,
    a_tenant_is_there_or_not,
);

const MINUTE: Duration = Duration::from_secs(60);

pub async fn begin(f: &Fixture) -> Sweep {
    let now = f.clock.now();
    in_tx!(f.catalog, |tx| sweeps::begin(tx, "first", now).await).unwrap()
}

async fn finish(f: &Fixture, sweep: &Sweep) -> bool {
    let (sweep, now) = (sweep.clone(), f.clock.now());
    in_tx!(f.catalog, |tx| sweeps::finish(tx, &sweep, now).await).unwrap()
}

pub async fn report(f: &Fixture, sweep: &Sweep, found: &Finding) {
    let (sweep, found) = (sweep.clone(), found.clone());
    in_tx!(f.catalog, |tx| sweeps::report(tx, &sweep, &found, true)
        .await)
    .unwrap();
}

pub async fn findings(f: &Fixture) -> Vec<Finding> {
    let mut reader = f.catalog.reader().await.unwrap();
    sweeps::findings(&mut reader.tx(), None, 100).await.unwrap()
}

pub fn orphan(f: &Fixture, key: &str) -> Finding {
    let now = f.clock.now();
    Finding {
        tenant_id: "ten_1".into(),
        kind: FindingKind::OrphanObject,
        object_key: key.into(),
        store_upload_id: String::new(),
        size_bytes: Some(7),
        modified_at: Some(Micros(1)),
        first_seen_at: now,
        last_seen_at: now,
        kept_because: None,
    }
}

async fn one_sweep_is_under_way(f: Fixture) {
    let mut reader = f.catalog.reader().await.unwrap();
    assert_eq!(sweeps::find(&mut reader.tx()).await.unwrap(), None);
    drop(reader);
    let began = f.clock.now();
    let first = begin(&f).await;
    assert_eq!(
        (first.number, first.phase.as_str(), first.cursor.as_str()),
        (1, "first", "")
    );
    f.clock.advance(MINUTE);
    assert_eq!(begin(&f).await, first, "it goes on");
    let sweep = first.clone();
    let moved = in_tx!(f.catalog, |tx| {
        sweeps::advance(tx, &sweep, "second", "key", 12).await
    });
    assert!(moved.unwrap());
    let second = begin(&f).await;
    assert_eq!(
        (
            second.phase.as_str(),
            second.cursor.as_str(),
            second.examined
        ),
        ("second", "key", 12)
    );
    assert!(!finish(&f, &first).await, "an old version");
    assert!(finish(&f, &second).await);
    assert!(!finish(&f, &second).await);
    let next = begin(&f).await;
    assert_eq!(
        (
            next.number,
            next.phase.as_str(),
            next.cursor.as_str(),
            next.examined
        ),
        (2, "first", "", 0)
    );
    assert!(next.began_at > began && next.ended_at.is_none());
}

async fn one_of_many_moves_a_sweep(f: Fixture) {
    let begun = at_once(8, |_| {
        let (catalog, now) = (f.catalog.clone(), f.clock.now());
        async move { in_tx!(catalog, |tx| sweeps::begin(tx, "first", now).await).unwrap() }
    })
    .await;
    assert!(begun.iter().all(|sweep| *sweep == begun[0]), "{begun:?}");
    let moved = at_once(8, |n| {
        let (catalog, sweep) = (f.catalog.clone(), begun[0].clone());
        async move {
            let cursor = n.to_string();
            in_tx!(catalog, |tx| {
                sweeps::advance(tx, &sweep, "first", &cursor, 1).await
            })
            .unwrap()
        }
    })
    .await;
    assert_eq!(moved.iter().filter(|moved| **moved).count(), 1);
    assert_eq!(begin(&f).await.examined, 1);
}

async fn what_is_found_again_keeps_its_first_time(f: Fixture) {
    let first = begin(&f).await;
    let found = orphan(&f, "o/ten_1/a");
    report(&f, &first, &found).await;
    assert_eq!(findings(&f).await, std::slice::from_ref(&found));
    assert!(finish(&f, &first).await);
    f.clock.advance(MINUTE);
    let second = begin(&f).await;
    let again = Finding {
        size_bytes: Some(8),
        ..orphan(&f, "o/ten_1/a")
    };
    report(&f, &second, &again).await;
    let now = findings(&f).await;
    assert_eq!(
        now,
        [Finding {
            first_seen_at: found.first_seen_at,
            ..again.clone()
        }]
    );
    // By a clock alone it gets no older; by two it does, since the first went by one that ran ahead.
    let earlier = Finding {
        first_seen_at: found.first_seen_at.minus(MINUTE),
        ..again.clone()
    };
    let (sweep, alone) = (second.clone(), earlier.clone());
    in_tx!(f.catalog, |tx| sweeps::report(tx, &sweep, &alone, false)
        .await)
    .unwrap();
    assert_eq!(findings(&f).await[0].first_seen_at, found.first_seen_at);
    report(&f, &second, &earlier).await;
    assert_eq!(findings(&f).await[0].first_seen_at, earlier.first_seen_at);
    report(&f, &second, &found).await;
    assert_eq!(findings(&f).await[0].first_seen_at, earlier.first_seen_at);
    let kept = now[0].clone();
    in_tx!(f.catalog, |tx| sweeps::keep(tx, &kept, "why").await).unwrap();
    assert_eq!(findings(&f).await[0].kept_because.as_deref(), Some("why"));
    let other = Finding {
        kept_because: Some("another reason".into()),
        ..now[0].clone()
    };
    report(&f, &second, &other).await;
    let anew = Finding {
        first_seen_at: earlier.first_seen_at,
        ..other
    };
    assert_eq!(findings(&f).await, [anew], "it was looked at anew");
    let gone = now[0].clone();
    in_tx!(f.catalog, |tx| sweeps::forget(tx, &gone).await).unwrap();
    assert!(findings(&f).await.is_empty());
}

async fn what_is_not_found_again_is_forgotten(f: Fixture) {
    let first = begin(&f).await;
    for key in ["a", "b"] {
        report(&f, &first, &orphan(&f, key)).await;
    }
    assert!(finish(&f, &first).await);
    assert_eq!(findings(&f).await.len(), 2);
    f.clock.advance(MINUTE);
    let second = begin(&f).await;
    report(&f, &second, &orphan(&f, "b")).await;
    assert_eq!(findings(&f).await.len(), 2, "it may still be found");
    assert!(finish(&f, &second).await);
    let left = findings(&f).await;
    assert_eq!((left.len(), left[0].object_key.as_str()), (1, "b"));
}

async fn findings_come_in_pages_and_are_counted(f: Fixture) {
    let sweep = begin(&f).await;
    for n in 0..5 {
        let mut found = orphan(&f, &format!("k{n}"));
        if n % 2 == 1 {
            found.kind = FindingKind::OrphanUpload;
            found.store_upload_id = format!("u{n}");
            found.size_bytes = None;
        }
        if n == 4 {
            found.tenant_id = "ten_0".into();
        }
        report(&f, &sweep, &found).await;
    }
    let (mut seen, mut last) = (Vec::new(), None);
    loop {
        let mut reader = f.catalog.reader().await.unwrap();
        let page = sweeps::findings(&mut reader.tx(), last.as_ref(), 2).await;
        let page = page.unwrap();
        let Some(end) = page.last() else { break };
        last = Some(end.clone());
        seen.extend(page.into_iter().map(|found| found.object_key));
    }
    assert_eq!(seen, ["k4", "k0", "k2", "k1", "k3"]);
    let mut reader = f.catalog.reader().await.unwrap();
    let counts = sweeps::counts(&mut reader.tx()).await.unwrap();
    assert_eq!(
        counts,
        [
            (FindingKind::OrphanObject, 3, 21),
            (FindingKind::ForeignObject, 0, 0),
            (FindingKind::OrphanUpload, 2, 0),
            (FindingKind::MissingOriginal, 0, 0),
            (FindingKind::MissingRendition, 0, 0),
        ]
    );
}

/// Its number counts: a clock that ran ahead makes nothing found again, and one that ran behind nothing not found.
async fn a_sweep_knows_its_own_findings_whatever_the_time(f: Fixture) {
    let of = async |sweep: &Sweep| {
        let mut reader = f.catalog.reader().await.unwrap();
        let found = sweeps::findings_of(&mut reader.tx(), sweep, None, 10).await;
        let keys = found.unwrap().into_iter().map(|found| found.object_key);
        keys.collect::<Vec<_>>()
    };
    let first = begin(&f).await;
    let ahead = Finding {
        last_seen_at: f.clock.now().plus(1000 * MINUTE),
        ..orphan(&f, "a")
    };
    report(&f, &first, &ahead).await;
    assert_eq!(of(&first).await, ["a"]);
    assert!(finish(&f, &first).await);
    f.clock.advance(MINUTE);
    let second = begin(&f).await;
    assert_eq!(of(&second).await, [""; 0]);
    let behind = Finding {
        last_seen_at: second.began_at.minus(MINUTE),
        ..orphan(&f, "b")
    };
    report(&f, &second, &behind).await;
    assert_eq!(of(&second).await, ["b"]);
    assert_eq!(findings(&f).await.len(), 2);
    let mut reader = f.catalog.reader().await.unwrap();
    let recorded = sweeps::recorded(&mut reader.tx(), &orphan(&f, "b")).await;
    assert_eq!(recorded.unwrap(), Some(behind));
    let none = sweeps::recorded(&mut reader.tx(), &orphan(&f, "c")).await;
    assert_eq!(none.unwrap(), None);
}

async fn what_rows_say_is_to_go_is_counted(f: Fixture) {
    in_tx!(f.catalog, |tx| {
        for (n, state) in ["open", "aborted", "expired", "completed"].into_iter().enumerate() {
            let insert = format!(
                "INSERT INTO uploads (tenant_id, upload_id, owner_id, asset_id, resource_id, object_key, transport,
                        part_size_bytes, concurrency, send_order, size_bytes, state, version, signed_until, expires_at, created_at)
                 VALUES ('ten_1', 'upl_{n}', 'me', 'ast', 'res', 'o/{n}', 'single', 1, 1, 0, 1, '{state}', 1, 1, 1, 1)"
            );
            tx.exec(&insert, &[]).await?;
        }
        for (key, state) in [("x/a", "live"), ("x/b", "doomed")] {
            let insert = format!(
                "INSERT INTO append_segments (tenant_id, upload_id, object_key, offset_bytes, size_bytes, state, removable_at)
                 VALUES ('ten_1', 'upl_0', '{key}', 0, 1, '{state}', 0)"
            );
            tx.exec(&insert, &[]).await?;
        }
        Ok(())
    })
    .unwrap();
    let mut reader = f.catalog.reader().await.unwrap();
    let waiting = sweeps::waiting(&mut reader.tx()).await.unwrap();
    assert_eq!(
        (waiting.uploads, waiting.blobs, waiting.segments),
        (2, 0, 1)
    );
}

/// A dead job whose blob is doomed still, unless another is at it.
async fn removals_that_were_given_up_are_listed_until_they_are_tried_again(f: Fixture) {
    in_tx!(f.catalog, |tx| {
        for (n, state) in ["doomed", "doomed", "gone", "live", "doomed"].into_iter().enumerate() {
            let blob = format!(
                "INSERT INTO blobs (tenant_id, blob_id, scope, object_key, etag, size_bytes, state, verdict, created_at)
                 VALUES ('ten_{n}', 'blb_{n}', 'ann', 'o/{n}', '', 7, '{state}', 'clean', 1)"
            );
            tx.exec(&blob, &[]).await?;
            let job = |id: &str, kind: &str, state: &str| {
                format!(
                    "INSERT INTO jobs (tenant_id, job_id, kind, lane, owner_id, subject_id, unique_key, state, turn, run_at, attempts,
                            fence, error_code, error_detail, enqueued_at, updated_at)
                     VALUES ('ten_{n}', '{id}', '{kind}', 'bulk', 'ann', 'blb_{n}', '{kind}:blb_{n}', '{state}', 1, 1, 5, 9,
                             'store_unavailable', 'refused', 1, 2)"
                )
            };
            tx.exec(&job("job_a", "purge", "dead"), &[]).await?;
            tx.exec(&job("job_b", "derive", "dead"), &[]).await?;
            if n == 4 {
                tx.exec(&job("job_c", "purge", "queued"), &[]).await?;
            }
        }
        Ok(())
    })
    .unwrap();
    let listed = async |after: Option<&FailedRemoval>, limit| {
        let mut reader = f.catalog.reader().await.unwrap();
        let listed = failed_removals::list(&mut reader.tx(), after, limit).await;
        listed.unwrap()
    };
    let counted = async || {
        let mut reader = f.catalog.reader().await.unwrap();
        failed_removals::count(&mut reader.tx()).await.unwrap()
    };
    let all = listed(None, 10).await;
    let blobs: Vec<&str> = all.iter().map(|f| f.blob_id.as_str()).collect();
    assert_eq!((blobs, counted().await), (vec!["blb_0", "blb_1"], 2));
    let first = &all[0];
    assert_eq!(
        (first.size_bytes, first.attempts, first.failed_at),
        (7, 5, Micros(2))
    );
    assert_eq!(first.error_code.as_deref(), Some("store_unavailable"));
    assert_eq!(first.error_detail.as_deref(), Some("refused"));
    let pages = [listed(None, 1).await, listed(Some(first), 1).await];
    assert_eq!(pages.concat(), all);
    assert_eq!(listed(all.last(), 1).await, []);
    for failed in all {
        assert!(
            in_tx!(f.catalog, |tx| jobs::revive(
                tx,
                &failed.tenant_id,
                &failed.job_id
            )
            .await)
            .unwrap()
        );
    }
    assert_eq!((listed(None, 10).await, counted().await), (vec![], 0));
}

async fn commits_that_a_copy_would_miss_are_counted(f: Fixture) {
    let before = f.catalog.outdating_commits();
    // What goes on all the time, and what a sweep writes, is none.
    let sweep = begin(&f).await;
    report(&f, &sweep, &orphan(&f, "a")).await;
    assert_eq!(f.catalog.outdating_commits(), before);
    let bell = f.catalog.outdated_bell();
    let rung = bell.notified();
    in_tx!(f.catalog, |tx| {
        blobs::gone(tx, "ten_1", "blb_1").await.map(|_| ())
    })
    .unwrap();
    assert_eq!(f.catalog.outdating_commits(), before + 1);
    rung.await;
}

async fn keys_come_in_the_order_of_their_bytes(f: Fixture) {
    // Where languages sort otherwise: capitals, hyphens, underscores, accents.
    let keys = [
        "o/A", "o/Z", "o/_", "o/a", "o/a-b", "o/a_", "o/aB", "o/ab", "o/~",
    ];
    in_tx!(f.catalog, |tx| {
        for (n, key) in keys.into_iter().rev().enumerate() {
            let state = if key == "o/a_" { "gone" } else { "live" };
            let insert = format!(
                "INSERT INTO blobs (tenant_id, blob_id, scope, object_key, etag, size_bytes, state, verdict, created_at)
                 VALUES ('ten_1', 'blb_{n}', 'me', '{key}', 'e', {n}, '{state}', 'clean', 0)"
            );
            tx.exec(&insert, &[]).await?;
            let rendition = key.replace("o/", "r/");
            let insert = format!(
                "INSERT INTO renditions (tenant_id, blob_id, preset, version, state, format, updated_at, object_key)
                 VALUES ('ten_1', 'blb_{n}', 'cover', 1, 'ready', 'webp', 0, '{rendition}')"
            );
            tx.exec(&insert, &[]).await?;
        }
        Ok(())
    })
    .unwrap();
    let expected: Vec<&str> = keys.into_iter().filter(|key| *key != "o/a_").collect();
    let mut reader = f.catalog.reader().await.unwrap();
    let mut tx = reader.tx();
    let (mut blobs, mut renditions) = (Vec::new(), Vec::new());
    let mut after = String::new();
    loop {
        let page = sweeps::blob_keys(&mut tx, &after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after.clone_from(&last.object_key);
        blobs.extend(page.into_iter().map(|row| row.object_key));
    }
    assert_eq!(blobs, expected);
    after.clear();
    loop {
        let page = sweeps::rendition_keys(&mut tx, &after, 4).await.unwrap();
        let Some(last) = page.last() else { break };
        after.clone_from(&last.object_key);
        renditions.extend(page);
    }
    assert_eq!(
        renditions.len(),
        keys.len(),
        "also those of a blob that is gone"
    );
    assert!(renditions.is_sorted_by(|a, b| a.object_key < b.object_key));
    let gone = renditions.iter().find(|r| r.object_key == "r/a_");
    assert_eq!(gone.unwrap().blob_state, "gone");
    let one = sweeps::blob_of_key(&mut tx, "o/Z").await.unwrap();
    assert_eq!(one.unwrap().blob_state, "live");
    assert_eq!(sweeps::blob_of_key(&mut tx, "o/a_").await.unwrap(), None);
    drop(reader);
    let (lost, now) = (renditions[0].clone(), f.clock.now());
    for first in [true, false] {
        let lost = lost.clone();
        let changed = in_tx!(f.catalog, |tx| {
            let (tenant_id, blob_id) = (&lost.tenant_id, &lost.blob_id);
            sweeps::rendition_lost(tx, tenant_id, blob_id, &lost.object_key, now).await
        });
        assert_eq!(changed.unwrap(), first);
    }
}

async fn events_are_noted_now_and_then(f: Fixture) {
    let heard = async |f: &Fixture, way: &'static str| {
        let now = f.clock.now();
        in_tx!(f.catalog, |tx| {
            store_events::heard(tx, way, now, now.minus(MINUTE)).await
        })
        .unwrap();
        let mut reader = f.catalog.reader().await.unwrap();
        store_events::last(&mut reader.tx()).await.unwrap()
    };
    let first = f.clock.now();
    assert_eq!(heard(&f, "http").await, [("http".to_owned(), first)]);
    f.clock.advance(MINUTE);
    assert_eq!(heard(&f, "http").await[0].1, first, "a moment ago");
    f.clock.advance(MINUTE);
    let now = f.clock.now();
    assert_eq!(heard(&f, "http").await[0].1, now);
    assert_eq!(heard(&f, "embedded").await.len(), 2);
}

async fn a_tenant_is_there_or_not(f: Fixture) {
    let now = f.clock.now();
    in_tx!(f.catalog, |tx| {
        keys::ensure_tenant(tx, "ten_1", "one", now).await
    })
    .unwrap();
    let mut reader = f.catalog.reader().await.unwrap();
    assert!(keys::is_tenant(&mut reader.tx(), "ten_1").await.unwrap());
    assert!(!keys::is_tenant(&mut reader.tx(), "ten_2").await.unwrap());
}
