//! Which frame of a capture is the best one: whatever the order in which frames are measured, told once, and never one that is not
//! shown.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use safelight_catalog::best_frames::{self, Frames, Retold};
use safelight_catalog::initiate::FreshCapture;
use safelight_catalog::{blobs, captures, near};
use safelight_model::best_frame::{self, Frame, FrameScores, MAX_FACES, MAX_SHARPNESS};
use safelight_model::clock::Clock as _;
use safelight_model::lifecycle::Event;

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::*;

on_both!(
    the_best_frame_is_told_whenever_it_is_another,
    frames_measured_at_once_are_compared,
    who_is_deleted_is_not_the_best_one,
    captures_of_one_asset_have_nothing_to_choose,
    scores_go_with_the_bytes,
    what_was_inspected_before_is_measured_later,
    who_means_bytes_for_a_profile,
);

/// No two blobs have the same bytes.
static BYTES: AtomicU64 = AtomicU64::new(1);

fn scored(sharpness: u32) -> FrameScores {
    FrameScores {
        sharpness,
        mean_luma: 120,
        dark_permille: 3,
        bright_permille: 4,
        faces: Some(1),
    }
}

/// A capture of so many frames that are all ready: the capture, and their blobs.
async fn burst(f: &Fixture, client_ref: &str, frames: usize) -> (FreshCapture, Vec<String>) {
    let fresh = capture(f, OWNER, client_ref, frames);
    make_one(&f.catalog, &fresh).await;
    let mut blob_ids = Vec::new();
    for position in 0..frames {
        let blob_id = arrive(f, &fresh, position).await;
        let sha256 = hash(BYTES.fetch_add(1, Ordering::Relaxed));
        assert!(inspect(f, TENANT, &blob_id, &sha256).await.unwrap());
        let asset_id = &fresh.assets[position].asset_id;
        step(f, asset_id, Event::InspectStarted).await;
        step(f, asset_id, Event::InspectPassed).await;
        blob_ids.push(blob_id);
    }
    (fresh, blob_ids)
}

/// Measures a blob, and tells of what is the best now.
async fn measure(f: &Fixture, blob_id: &str, scores: FrameScores) -> Vec<Retold> {
    let (blob_id, at) = (blob_id.to_owned(), f.clock.now());
    let told = in_tx!(f.catalog, |tx| {
        assert!(best_frames::score(tx, TENANT, &blob_id, Some(scores), at).await?);
        best_frames::retell(tx, TENANT, &blob_id).await
    });
    told.unwrap()
}

async fn look(f: &Fixture, fresh: &FreshCapture) -> Frames {
    let mut reader = f.catalog.reader().await.unwrap();
    let found = best_frames::of_capture(&mut reader.tx(), TENANT, &fresh.capture_id).await;
    found.unwrap()
}

fn told(fresh: &FreshCapture, position: usize) -> Vec<Retold> {
    vec![Retold {
        capture_id: fresh.capture_id.clone(),
        owner_id: OWNER.to_owned(),
        best_asset_id: fresh.assets[position].asset_id.clone(),
    }]
}

async fn the_best_frame_is_told_whenever_it_is_another(f: Fixture) {
    let (fresh, blob_ids) = burst(&f, "burst", 4).await;
    assert_eq!(look(&f, &fresh).await, Frames::default());
    assert_eq!(
        measure(&f, &blob_ids[1], scored(500)).await,
        told(&fresh, 1)
    );
    assert_eq!(
        measure(&f, &blob_ids[3], scored(900)).await,
        told(&fresh, 3)
    );
    // Worse than what is there, and as good as that but not the client's key.
    assert_eq!(measure(&f, &blob_ids[2], scored(300)).await, []);
    let found = look(&f, &fresh).await;
    assert_eq!(found.best.as_ref(), Some(&fresh.assets[3].asset_id));
    assert_eq!(found.scores[&fresh.assets[2].asset_id], scored(300));
    assert_eq!(found.scores.len(), 3);
    assert_eq!(
        measure(&f, &blob_ids[0], scored(900)).await,
        told(&fresh, 0)
    );
    // Nothing is told twice.
    let blob_id = blob_ids[0].clone();
    let again = in_tx!(f.catalog, |tx| best_frames::retell(tx, TENANT, &blob_id)
        .await);
    assert_eq!(again.unwrap(), []);
    // What was measured stays.
    let (blob_id, at) = (blob_ids[0].clone(), f.clock.now());
    let other = Some(scored(1));
    let changed = in_tx!(f.catalog, |tx| best_frames::score(
        tx, TENANT, &blob_id, other, at
    )
    .await);
    assert!(!changed.unwrap());
    assert_eq!(
        find_blob(&f.catalog, &blob_ids[0]).await.scores,
        Some(scored(900))
    );
}

async fn frames_measured_at_once_are_compared(f: Fixture) {
    for round in 0..5 {
        let (fresh, blob_ids) = burst(&f, &format!("burst {round}"), 8).await;
        let frames = at_once(8, |n| {
            let (catalog, blob_id, at) = (f.catalog.clone(), blob_ids[n].clone(), f.clock.now());
            async move {
                let scores = scored(100 << (n % 8));
                let told = in_tx!(catalog, |tx| {
                    best_frames::score(tx, TENANT, &blob_id, Some(scores), at).await?;
                    best_frames::retell(tx, TENANT, &blob_id).await
                });
                told.unwrap()
            }
        })
        .await;
        let best = &fresh.assets[7].asset_id;
        assert_eq!(look(&f, &fresh).await.best.as_ref(), Some(best));
        // It was told, and of nothing that is worse after it.
        let told = frames.into_iter().flatten();
        assert_eq!(told.filter(|t| t.best_asset_id == *best).count(), 1);
        let blob_id = blob_ids[0].clone();
        let again = in_tx!(f.catalog, |tx| best_frames::retell(tx, TENANT, &blob_id)
            .await);
        assert_eq!(again.unwrap(), []);
    }
}

async fn who_is_deleted_is_not_the_best_one(f: Fixture) {
    let (fresh, blob_ids) = burst(&f, "burst", 3).await;
    measure(&f, &blob_ids[0], scored(400)).await;
    measure(&f, &blob_ids[1], scored(900)).await;
    step(&f, &fresh.assets[1].asset_id, Event::DeleteRequested).await;
    let found = look(&f, &fresh).await;
    assert_eq!(found.best.as_ref(), Some(&fresh.assets[0].asset_id));
    assert_eq!(found.scores.len(), 1);
    // One that is worse than what is left: that is told now.
    assert_eq!(
        measure(&f, &blob_ids[2], scored(200)).await,
        told(&fresh, 0)
    );
}

async fn captures_of_one_asset_have_nothing_to_choose(f: Fixture) {
    let (fresh, blob_ids) = burst(&f, "single", 1).await;
    assert_eq!(measure(&f, &blob_ids[0], scored(900)).await, []);
    let found = look(&f, &fresh).await;
    assert_eq!((found.best, found.scores.len()), (None, 1));
}

async fn scores_go_with_the_bytes(f: Fixture) {
    let (_, blob_ids) = burst(&f, "burst", 2).await;
    measure(&f, &blob_ids[0], scored(400)).await;
    let blob_id = blob_ids[0].clone();
    let gone = in_tx!(f.catalog, |tx| {
        tx.exec("DELETE FROM resources", &[]).await?;
        tx.exec("UPDATE blobs SET state = 'doomed'", &[]).await?;
        blobs::gone(tx, TENANT, &blob_id).await
    });
    assert!(gone.unwrap());
    assert_eq!(find_blob(&f.catalog, &blob_ids[0]).await.scores, None);
}

async fn what_was_inspected_before_is_measured_later(f: Fixture) {
    let (fresh, blob_ids) = burst(&f, "burst", 3).await;
    let unscored = async || {
        let mut reader = f.catalog.reader().await.unwrap();
        let found = near::unscored(&mut reader.tx(), 10).await.unwrap();
        found.into_iter().map(|u| u.blob_id).collect::<Vec<_>>()
    };
    // Their renditions are still to be made, and they are measured then.
    assert!(unscored().await.is_empty());
    let old = in_tx!(f.catalog, |tx| {
        tx.exec("UPDATE blobs SET scores_sought_at = NULL", &[])
            .await
    });
    assert_eq!(old.unwrap(), 3);
    let mut all = blob_ids.clone();
    all.sort();
    assert_eq!(unscored().await, all);
    measure(&f, &blob_ids[0], scored(400)).await;
    let (blob_id, at) = (blob_ids[1].clone(), f.clock.now());
    // Nothing came of it, which is noted too.
    let noted = in_tx!(f.catalog, |tx| best_frames::score(
        tx, TENANT, &blob_id, None, at
    )
    .await);
    assert!(noted.unwrap());
    assert_eq!(unscored().await, blob_ids[2..]);
    let best = look(&f, &fresh).await.best;
    assert_eq!(best.as_ref(), Some(&fresh.assets[0].asset_id));
}

async fn who_means_bytes_for_a_profile(f: Fixture) {
    let (_, blob_ids) = burst(&f, "a post", 1).await;
    let mut fresh = capture(&f, OWNER, "a face", 1);
    fresh.purpose = Some("profile".into());
    make_one(&f.catalog, &fresh).await;
    let face = arrive(&f, &fresh, 0).await;
    let mut reader = f.catalog.reader().await.unwrap();
    let tx = &mut reader.tx();
    for (blob_id, purpose, is_meant) in [
        (&blob_ids[0], "profile", false),
        (&blob_ids[0], "post", true),
        (&face, "profile", true),
        (&face, "post", false),
    ] {
        let found = captures::is_meant_for(tx, TENANT, blob_id, purpose).await;
        assert_eq!(found.unwrap(), is_meant, "{purpose}");
    }
}

fn any_scores() -> impl Strategy<Value = FrameScores> {
    let sharpness = prop_oneof![0..=MAX_SHARPNESS, 300_u32..400];
    let light = (any::<u8>(), 0_u16..=500, 0_u16..=500);
    let faces = prop::option::of(0..=MAX_FACES);
    (sharpness, light, faces).prop_map(|(sharpness, (mean, dark, bright), faces)| FrameScores {
        sharpness,
        mean_luma: mean,
        dark_permille: dark,
        bright_permille: bright,
        faces,
    })
}

/// Whatever frames measure and in whichever order that is known, the last that is told is the best of all by the rule.
fn last_told(backend: safelight_catalog::Backend) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let f = runtime.block_on(Fixture::open(backend));
    let frames = prop::collection::vec(any_scores(), 2..7).prop_flat_map(|all| {
        (
            Just(all.clone()),
            Just((0..all.len()).collect::<Vec<_>>()).prop_shuffle(),
        )
    });
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(20));
    let count = std::cell::Cell::new(0);
    let result = runner.run(&frames, |(scores, order)| {
        count.set(count.get() + 1);
        runtime.block_on(async {
            let (fresh, blob_ids) = burst(&f, &format!("run {}", count.get()), scores.len()).await;
            let mut last = None;
            for &n in &order {
                for one in measure(&f, &blob_ids[n], scores[n]).await {
                    last = Some(one.best_asset_id);
                }
            }
            let all: Vec<Frame> = (0..)
                .zip(&scores)
                .map(|(position, scores)| Frame {
                    position,
                    is_key: position == 0,
                    scores: *scores,
                })
                .collect();
            let best = best_frame::best(&all)
                .map(|n| fresh.assets[usize::try_from(n).unwrap()].asset_id.clone());
            prop_assert_eq!(&last, &best);
            prop_assert_eq!(look(&f, &fresh).await.best, best);
            Ok(())
        })
    });
    result.unwrap();
}

#[test]
fn the_last_told_is_the_best_on_sqlite() {
    last_told(safelight_catalog::Backend::Sqlite);
}

#[test]
fn the_last_told_is_the_best_on_postgres() {
    last_told(safelight_catalog::Backend::Postgres);
}
