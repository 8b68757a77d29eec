//! The halves of Live Photos: each shows the other, in whatever order they come, and nobody else's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use safelight_catalog::blobs::{self, Inspected};
use safelight_catalog::deletions::{self, Meant, Outcome};
use safelight_catalog::live_halves::{self, Live, LiveHalf};
use safelight_catalog::{Backend, file_metadata};
use safelight_model::clock::Clock as _;
use safelight_model::duplicates::Duplicates;
use safelight_model::ids;
use safelight_model::lifecycle::Event;

use crate::fixture::{Fixture, in_tx, on_both, tx_that_waits};
use crate::samples::*;

on_both!(
    halves_show_each_other_in_whatever_order_they_come,
    of_two_that_come_at_once_the_later_hears_of_the_other,
    who_is_deleted_while_the_other_comes_tells_of_it,
    who_is_deleted_has_no_other_half,
    bytes_that_are_there_are_the_half_that_they_are,
    what_was_inspected_before_is_joined_later,
);

/// No two blobs have the same bytes.
static BYTES: AtomicU64 = AtomicU64::new(1);

fn half(key: &str, is_motion: bool) -> Option<LiveHalf> {
    let key = key.to_owned();
    Some(LiveHalf { key, is_motion })
}

/// A file of this owner's that has arrived: its asset, its blob and its hash.
async fn arrived(f: &Fixture, owner: &str) -> (String, String, String) {
    // Of ids of one instant none is the older.
    f.clock.advance(Duration::from_millis(1));
    let seed = BYTES.fetch_add(1, Ordering::Relaxed);
    let sha256 = hash(seed);
    let fresh = hashed(f, owner, &format!("{owner} {seed}"), &sha256);
    make_one(&f.catalog, &fresh).await;
    let blob_id = arrive(f, &fresh, 0).await;
    let asset_id = fresh.assets[0].asset_id.clone();
    step(f, &asset_id, Event::InspectStarted).await;
    (asset_id, blob_id, sha256)
}

fn found(sha256: &str, live: Option<LiveHalf>) -> Inspected {
    Inspected {
        live,
        ..good(sha256)
    }
}

/// A file of this owner's that is shown: its asset.
async fn shown(f: &Fixture, owner: &str, live: Option<LiveHalf>) -> String {
    let (asset_id, blob_id, sha256) = arrived(f, owner).await;
    let (found, at) = (found(&sha256, live), f.clock.now());
    let done = in_tx!(f.catalog, |tx| blobs::inspected(
        tx, TENANT, &blob_id, &found, at
    )
    .await);
    assert!(done.unwrap());
    step(f, &asset_id, Event::InspectPassed).await;
    asset_id
}

async fn live(f: &Fixture, asset_id: &str) -> Option<Live> {
    let mut reader = f.catalog.reader().await.unwrap();
    let (tx, asked) = (&mut reader.tx(), [asset_id, "ast_other"]);
    let mut all = live_halves::of_assets(tx, TENANT, &asked).await.unwrap();
    let found = all.remove(asset_id);
    assert!(all.is_empty());
    found
}

fn pair(still: &str, motion: &str) -> Option<Live> {
    let (still, motion) = (still.to_owned(), motion.to_owned());
    Some(Live { still, motion })
}

async fn delete(f: &Fixture, asset_id: &str) -> Vec<String> {
    let (event_id, at) = (f.id(ids::EVENT), f.clock.now());
    let asset_id = asset_id.to_owned();
    let done = in_tx!(f.catalog, |tx| {
        deletions::delete(tx, TENANT, OWNER, &asset_id, Meant::Asset, &event_id, at).await
    });
    match done.unwrap() {
        Outcome::Deleted { parted, .. } => parted,
        other => panic!("{other:?}"),
    }
}

async fn halves_show_each_other_in_whatever_order_they_come(f: Fixture) {
    for (key, first_is_motion) in [("a", false), ("b", true)] {
        let first = shown(&f, OWNER, half(key, first_is_motion)).await;
        assert_eq!(live(&f, &first).await, None);
        let second = shown(&f, OWNER, half(key, !first_is_motion)).await;
        let expected = match first_is_motion {
            true => pair(&second, &first),
            false => pair(&first, &second),
        };
        for asset_id in [&first, &second] {
            assert_eq!(live(&f, asset_id).await, expected);
        }
        // What others have, and what has another key, is nothing to them.
        shown(&f, "ben", half(key, !first_is_motion)).await;
        let alone = shown(&f, OWNER, half(&format!("not {key}"), !first_is_motion)).await;
        assert_eq!(live(&f, &alone).await, None);
        assert_eq!(live(&f, &first).await, expected);
    }
}

async fn of_two_that_come_at_once_the_later_hears_of_the_other(f: Fixture) {
    let (still, still_blob, still_hash) = arrived(&f, OWNER).await;
    let (motion, motion_blob, motion_hash) = arrived(&f, OWNER).await;
    for asset_id in [&still, &motion] {
        step(&f, asset_id, Event::InspectPassed).await;
    }
    let at = f.clock.now();
    let (id, found_still) = (still_blob, found(&still_hash, half("a", false)));
    let first = tx_that_waits!(
        f.catalog,
        |tx| noted = blobs::inspected(tx, TENANT, &id, &found_still, at).await?,
        {
            assert!(noted);
            live_halves::others_of(tx, TENANT, &still).await
        }
    );
    let (id, found_motion) = (motion_blob, found(&motion_hash, half("a", true)));
    let second = in_tx!(f.catalog, |tx| {
        blobs::inspected(tx, TENANT, &id, &found_motion, at).await?;
        live_halves::others_of(tx, TENANT, &motion).await
    });
    assert!(first.await.unwrap().unwrap().is_empty());
    assert_eq!(second.unwrap().len(), 1);
}

async fn who_is_deleted_while_the_other_comes_tells_of_it(f: Fixture) {
    // There is nothing to wait for where there is one writer.
    if f.catalog.backend() == Backend::Sqlite {
        return;
    }
    let still = shown(&f, OWNER, half("a", false)).await;
    let (motion, motion_blob, motion_hash) = arrived(&f, OWNER).await;
    step(&f, &motion, Event::InspectPassed).await;
    let at = f.clock.now();
    let (id, found_motion) = (motion_blob, found(&motion_hash, half("a", true)));
    let asset_id = motion.clone();
    let coming = tx_that_waits!(
        f.catalog,
        |tx| noted = blobs::inspected(tx, TENANT, &id, &found_motion, at).await?,
        {
            assert!(noted);
            live_halves::others_of(tx, TENANT, &asset_id).await
        }
    );
    assert_eq!(delete(&f, &still).await, std::slice::from_ref(&motion));
    assert_eq!(coming.await.unwrap().unwrap(), [still]);
    assert_eq!(live(&f, &motion).await, None);
}

async fn who_is_deleted_has_no_other_half(f: Fixture) {
    let still = shown(&f, OWNER, half("a", false)).await;
    let motion = shown(&f, OWNER, half("a", true)).await;
    // The same still, edited: the older one is shown.
    let edited = shown(&f, OWNER, half("a", false)).await;
    assert_eq!(live(&f, &motion).await, pair(&still, &motion));
    assert_eq!(live(&f, &edited).await, pair(&edited, &motion));
    assert_eq!(delete(&f, &still).await, std::slice::from_ref(&motion));
    assert_eq!(live(&f, &still).await, None);
    assert_eq!(live(&f, &motion).await, pair(&edited, &motion));
    assert_eq!(delete(&f, &motion).await, std::slice::from_ref(&edited));
    assert_eq!(live(&f, &edited).await, None);
    assert_eq!(count(&f.catalog, "live_halves").await, 1);
    // And what comes again is joined again.
    let again = shown(&f, OWNER, half("a", true)).await;
    assert_eq!(live(&f, &edited).await, pair(&edited, &again));
}

async fn bytes_that_are_there_are_the_half_that_they_are(f: Fixture) {
    let still = shown(&f, OWNER, half("a", false)).await;
    let (motion, blob_id, sha256) = arrived(&f, OWNER).await;
    let (id, is_motion, at) = (
        blob_id.clone(),
        found(&sha256, half("a", true)),
        f.clock.now(),
    );
    let done = in_tx!(f.catalog, |tx| blobs::inspected(
        tx, TENANT, &id, &is_motion, at
    )
    .await);
    assert!(done.unwrap());
    step(&f, &motion, Event::InspectPassed).await;
    // An asset of its own on the same bytes.
    f.clock.advance(Duration::from_millis(1));
    let mut fresh = hashed(&f, OWNER, "again", &sha256);
    fresh.duplicates = Duplicates::Keep;
    make_one(&f.catalog, &fresh).await;
    let copy = fresh.assets[0].asset_id.clone();
    assert_eq!(live(&f, &copy).await, pair(&still, &copy));
    assert_eq!(live(&f, &still).await, pair(&still, &motion));
    // One whose bytes came before they were known to be there.
    let (late, from, _) = arrived(&f, OWNER).await;
    let merged = in_tx!(f.catalog, |tx| blobs::merge(tx, TENANT, &from, &blob_id)
        .await);
    assert!(merged.unwrap());
    step(&f, &late, Event::InspectPassed).await;
    assert_eq!(live(&f, &late).await, pair(&still, &late));
}

async fn what_was_inspected_before_is_joined_later(f: Fixture) {
    let still = shown(&f, OWNER, half("a", false)).await;
    let motion = shown(&f, OWNER, None).await;
    assert_eq!(live(&f, &still).await, None);
    let blob = find_asset(&f.catalog, &motion).await.unwrap().blob.unwrap();
    let (id, at) = (blob.blob_id.clone(), f.clock.now());
    let noted = in_tx!(f.catalog, |tx| {
        tx.exec("UPDATE blobs SET metadata_sought_at = NULL", &[])
            .await?;
        let half = half("a", true);
        let first = file_metadata::write_later(tx, TENANT, &id, None, half.as_ref(), at).await?;
        let again = file_metadata::write_later(tx, TENANT, &id, None, None, at).await?;
        Ok((first, again))
    });
    assert_eq!(noted.unwrap(), (true, false));
    assert_eq!(live(&f, &still).await, pair(&still, &motion));
    // It goes with the bytes.
    let id = blob.blob_id.clone();
    let gone = in_tx!(f.catalog, |tx| {
        tx.exec("DELETE FROM resources", &[]).await?;
        tx.exec("UPDATE blobs SET state = 'doomed'", &[]).await?;
        blobs::gone(tx, TENANT, &id).await
    });
    assert!(gone.unwrap());
    assert_eq!(find_blob(&f.catalog, &blob.blob_id).await.live, None);
}

/// A file in the model: its key, its half and its owner.
type Known = (u8, bool, bool);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The other half is the oldest that there is of the same owner and key, whatever came and went.
    #[test]
    fn the_other_half_is_found_as_by_looking_at_all(
        all in prop::collection::vec((0_u8..3, any::<bool>(), any::<bool>()), 1..10),
        gone in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let f = Fixture::open(Backend::Sqlite).await;
            let mut files: Vec<(Known, String, bool)> = Vec::new();
            for known in all {
                let (key, is_motion, is_annas) = known;
                let owner = if is_annas { OWNER } else { "ben" };
                let id = shown(&f, owner, half(&key.to_string(), is_motion)).await;
                files.push((known, id, true));
            }
            for index in gone {
                let n = index.index(files.len());
                if files[n].2 {
                    step(&f, &files[n].1, Event::DeleteRequested).await;
                    files[n].2 = false;
                }
            }
            for ((key, is_motion, owner), id, is_there) in &files {
                let mut others: Vec<&String> = files
                    .iter()
                    .filter(|(other, _, is_there)| *is_there && *other == (*key, !is_motion, *owner))
                    .map(|(_, id, _)| id)
                    .collect();
                others.sort();
                let other = others.first().filter(|_| *is_there);
                let expected = other.and_then(|other| match is_motion {
                    true => pair(other, id),
                    false => pair(id, other),
                });
                prop_assert_eq!(live(&f, id).await, expected);
            }
            Ok(())
        })?;
    }
}
