//! Renditions: expected once, stored any number of times, failed while they are pending.

use std::time::Duration;

use safelight_catalog::renditions::{self, Rendition, Stored};
use safelight_model::clock::Clock as _;
use safelight_model::codes::Code;
use safelight_model::preset::{COVER, DISPLAY, HLS, Preset, STREAM};
use safelight_model::variant::HLS_MEDIA;

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::*;

on_both!(
    expecting_again_changes_nothing,
    storing_again_replaces,
    only_what_is_pending_fails,
    a_playlist_and_its_file_fail_together,
    what_failed_is_expected_again_unless_it_is_damaged,
    many_store_and_fail_at_once,
    versions_and_blobs_are_apart,
);

async fn expect(f: &Fixture, blob_id: &'static str, preset: Preset) {
    let at = f.clock.now();
    in_tx!(f.catalog, |tx| {
        renditions::expect(tx, TENANT, blob_id, &preset, at).await
    })
    .unwrap();
}

fn made(preset: Preset, etag: &str) -> Stored {
    Stored {
        preset,
        object_key: format!("r/{}", preset.name),
        etag: etag.into(),
        width: 320,
        height: 240,
        size_bytes: 12_345,
    }
}

async fn store(f: &Fixture, blob_id: &'static str, made: Stored) {
    let at = f.clock.now();
    in_tx!(f.catalog, |tx| {
        renditions::store(tx, TENANT, blob_id, &made, at).await
    })
    .unwrap();
}

async fn fail(f: &Fixture, blob_id: &'static str) -> u64 {
    let at = f.clock.now();
    in_tx!(f.catalog, |tx| {
        renditions::fail_pending(tx, TENANT, blob_id, Code::DecodeCrashed, "why", at).await
    })
    .unwrap()
}

async fn of(f: &Fixture, blob_id: &str) -> Vec<Rendition> {
    let mut reader = f.catalog.reader().await.unwrap();
    renditions::of_blob(&mut reader.tx(), TENANT, blob_id)
        .await
        .unwrap()
}

async fn expecting_again_changes_nothing(f: Fixture) {
    expect(&f, "b", COVER).await;
    let pending = of(&f, "b").await;
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].preset, "cover");
    assert_eq!(pending[0].state, "pending");
    assert_eq!(
        (&pending[0].object_key, pending[0].size_bytes),
        (&None, None)
    );
    expect(&f, "b", COVER).await;
    assert_eq!(of(&f, "b").await, pending);
    // What is stored or failed is not made pending again by a handler that runs twice.
    store(&f, "b", made(COVER, "e1")).await;
    expect(&f, "b", COVER).await;
    assert_eq!(of(&f, "b").await[0].state, "ready");
    expect(&f, "b", DISPLAY).await;
    assert_eq!(fail(&f, "b").await, 1);
    expect(&f, "b", DISPLAY).await;
    assert_eq!(of(&f, "b").await[1].state, "failed");
}

async fn storing_again_replaces(f: Fixture) {
    // Also when nobody announced it.
    for etag in ["e1", "e1", "e2"] {
        f.clock.advance(Duration::from_secs(1));
        store(&f, "b", made(COVER, etag)).await;
        let found = of(&f, "b").await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].state, "ready");
        assert_eq!(found[0].etag.as_deref(), Some(etag));
        assert_eq!(found[0].object_key.as_deref(), Some("r/cover"));
        assert_eq!((found[0].width, found[0].height), (Some(320), Some(240)));
        assert_eq!(found[0].size_bytes, Some(12_345));
    }
    // One that had failed is as good as any once it is stored.
    expect(&f, "b", DISPLAY).await;
    assert_eq!(fail(&f, "b").await, 1);
    let failed = of(&f, "b").await.remove(1);
    assert_eq!(failed.reason_code.as_deref(), Some("decode_crashed"));
    assert_eq!(failed.reason_detail.as_deref(), Some("why"));
    store(&f, "b", made(DISPLAY, "e")).await;
    let found = of(&f, "b").await.remove(1);
    assert_eq!(found.state, "ready");
    assert_eq!((found.reason_code, found.reason_detail), (None, None));
}

async fn only_what_is_pending_fails(f: Fixture) {
    store(&f, "b", made(COVER, "e")).await;
    expect(&f, "b", DISPLAY).await;
    assert_eq!(fail(&f, "b").await, 1);
    assert_eq!(fail(&f, "b").await, 0);
    let states: Vec<String> = of(&f, "b").await.into_iter().map(|r| r.state).collect();
    assert_eq!(states, ["ready", "failed"]);
    assert_eq!(fail(&f, "unknown").await, 0);
}

async fn what_failed_is_expected_again_unless_it_is_damaged(f: Fixture) {
    let at = f.clock.now();
    let again = async |preset: Preset| {
        in_tx!(f.catalog, |tx| {
            renditions::expect_again(tx, TENANT, "b", &preset, at).await
        })
        .unwrap()
    };
    assert!(!again(STREAM).await, "there is none");
    expect(&f, "b", STREAM).await;
    assert!(!again(STREAM).await, "it is expected");
    assert_eq!(fail(&f, "b").await, 1);
    assert!(!again(COVER).await, "another");
    assert!(again(STREAM).await);
    let [row] = &of(&f, "b").await[..] else {
        panic!("not one row");
    };
    let reason = (&row.reason_code, &row.reason_detail);
    assert_eq!((row.state.as_str(), reason), ("pending", (&None, &None)));
    let damaged = (Code::MediaCorrupt, "why");
    in_tx!(f.catalog, |tx| {
        renditions::fail_one(tx, TENANT, "b", &STREAM, damaged, at).await
    })
    .unwrap();
    assert!(!again(STREAM).await, "its original is damaged");
}

async fn a_playlist_and_its_file_fail_together(f: Fixture) {
    let fail = async || {
        let (at, why) = (f.clock.now(), (Code::DecodeTimeout, "why"));
        in_tx!(f.catalog, |tx| {
            renditions::fail_pieces(tx, TENANT, "b", why, at).await
        })
        .unwrap();
        let rows = of(&f, "b").await.into_iter();
        let rows = rows.map(|r| (r.preset, r.state));
        rows.collect::<Vec<_>>()
    };
    let row = |preset: &str, state: &str| (preset.to_owned(), state.to_owned());
    for preset in [STREAM, HLS, HLS_MEDIA] {
        store(&f, "b", made(preset, "e")).await;
    }
    let stream = row("stream", "ready");
    let whole = [row("hls", "ready"), row("hls.mp4", "ready"), stream.clone()];
    assert_eq!(fail().await, whole, "nothing is missing");
    // The file is lost, and cannot be made again: a playlist of nothing is of no use.
    let sql = "UPDATE renditions SET state = 'pending' WHERE preset = 'hls.mp4'";
    in_tx!(f.catalog, |tx| tx.exec(sql, &[]).await).unwrap();
    let failed = [row("hls", "failed"), row("hls.mp4", "failed"), stream];
    assert_eq!(fail().await, failed);
}

/// A worker that stores late and the burial of its job: what is stored is never lost.
async fn many_store_and_fail_at_once(f: Fixture) {
    for _ in 0..10 {
        expect(&f, "b", COVER).await;
        at_once(8, |n| {
            let (catalog, at) = (f.catalog.clone(), f.clock.now());
            async move {
                in_tx!(catalog, |tx| match n % 2 {
                    0 => {
                        renditions::store(tx, TENANT, "b", &made(COVER, "e"), at).await
                    }
                    _ => renditions::fail_pending(tx, TENANT, "b", Code::Internal, "", at)
                        .await
                        .map(|_| ()),
                })
                .unwrap();
            }
        })
        .await;
        let found = of(&f, "b").await;
        assert_eq!((found.len(), found[0].state.as_str()), (1, "ready"));
        assert_eq!(found[0].reason_code, None);
        in_tx!(f.catalog, |tx| tx.exec("DELETE FROM renditions", &[]).await).unwrap();
    }
}

async fn versions_and_blobs_are_apart(f: Fixture) {
    let newer = Preset {
        version: COVER.version + 1,
        ..COVER
    };
    expect(&f, "b", COVER).await;
    expect(&f, "b", newer).await;
    expect(&f, "other", COVER).await;
    store(&f, "b", made(newer, "e")).await;
    let found = of(&f, "b").await;
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].version, found[0].state.as_str()), (1, "pending"));
    assert_eq!((found[1].version, found[1].state.as_str()), (2, "ready"));
    assert_eq!(of(&f, "other").await[0].state, "pending");
    let mut reader = f.catalog.reader().await.unwrap();
    let found = renditions::of_blob(&mut reader.tx(), "ten_2", "b").await;
    assert!(found.unwrap().is_empty());
}
