//! Blobs: one live blob per owner and hash, and nothing points to a doomed one.

use std::time::Duration;

use safelight_catalog::blobs::{self, Inspected};
use safelight_catalog::initiate::FreshCapture;
use safelight_catalog::{Catalog, CatalogError, Tx, values};
use safelight_model::clock::Clock as _;
use safelight_model::codes::Code;
use safelight_model::lifecycle::State;

use crate::fixture::{Fixture, in_tx, on_both, tx_that_waits};
use crate::samples::*;

on_both!(
    bytes_that_arrived_are_a_live_blob,
    an_inspection_is_recorded_on_live_blobs_only,
    what_decoding_took_is_added_up,
    a_blob_without_a_settled_hash_is_nobodys_twin,
    of_two_twins_inspected_at_once_one_is_recorded,
    a_twin_is_another_live_blob_of_the_same_owner_and_bytes,
    many_twins_become_one,
    merging_moves_every_holder,
    what_is_no_longer_live_is_not_merged,
    a_doom_waits_for_who_holds,
    a_hold_waits_for_who_dooms,
    nothing_points_to_a_doomed_blob_whatever_races,
    only_a_doomed_blob_that_nobody_holds_goes,
);

/// A capture of one asset whose bytes have arrived: the capture and the blob's id.
async fn arrived(f: &Fixture, client_ref: &str) -> (FreshCapture, String) {
    let fresh = capture(f, OWNER, client_ref, 1);
    make_one(&f.catalog, &fresh).await;
    let blob_id = arrive(f, &fresh, 0).await;
    (fresh, blob_id)
}

async fn blob_of(f: &Fixture, fresh: &FreshCapture) -> String {
    let asset = find_asset(&f.catalog, &fresh.assets[0].asset_id).await;
    asset.unwrap().blob.unwrap().blob_id
}

async fn merge(catalog: &Catalog, from: &str, to: &str) -> Result<bool, CatalogError> {
    let (from, to) = (from.to_owned(), to.to_owned());
    in_tx!(catalog, |tx| blobs::merge(tx, TENANT, &from, &to).await)
}

/// What the end of an inspection does: joins the twin if there is one, else records what was found.
async fn conclude(
    tx: &mut Tx<'_>,
    blob_id: &str,
    found: &Inspected,
    at: safelight_model::clock::Micros,
) -> Result<bool, CatalogError> {
    let blob = blobs::find(tx, TENANT, blob_id).await?.unwrap();
    match blobs::hold_twin(tx, TENANT, OWNER, &blob, found.sha256.as_deref().unwrap()).await? {
        Some(twin) => blobs::merge(tx, TENANT, blob_id, &twin.blob_id).await,
        None => blobs::inspected(tx, TENANT, blob_id, found, at).await,
    }
}

async fn bytes_that_arrived_are_a_live_blob(f: Fixture) {
    let (fresh, blob_id) = arrived(&f, "IMG_1").await;
    let asset = find_asset(&f.catalog, &fresh.assets[0].asset_id).await;
    let asset = asset.unwrap();
    assert_eq!(asset.state, State::Uploaded);
    let blob = asset.blob.unwrap();
    assert_eq!(blob.blob_id, blob_id);
    assert_eq!(
        (blob.state.as_str(), blob.verdict.as_str()),
        ("live", "unknown")
    );
    assert_eq!(
        (blob.sha256, blob.inspected_at, blob.width),
        (None, None, None)
    );
    assert_eq!(blob.scope, OWNER);
    assert_eq!(blob.size_bytes, fresh.assets[0].size_bytes);
    let mut reader = f.catalog.reader().await.unwrap();
    let found = blobs::find(&mut reader.tx(), "ten_2", &blob_id).await;
    assert_eq!(found.unwrap(), None);
}

async fn an_inspection_is_recorded_on_live_blobs_only(f: Fixture) {
    let (_, blob_id) = arrived(&f, "IMG_1").await;
    f.clock.advance(Duration::from_secs(1));
    let (id, at) = (blob_id.clone(), f.clock.now());
    let mut found = good(&hash(1));
    found.verdict = "quarantine";
    found.reason = Some((Code::ContentQuarantined, "told by 'x'".into()));
    let given = found.clone();
    assert!(
        in_tx!(f.catalog, |tx| blobs::inspected(
            tx, TENANT, &id, &given, at
        )
        .await)
        .unwrap()
    );
    let blob = find_blob(&f.catalog, &blob_id).await;
    assert_eq!(blob.sha256, Some(hash(1)));
    assert_eq!(blob.verdict, "quarantine");
    assert_eq!((blob.mime, blob.thumbhash), (found.mime, found.thumbhash));
    assert_eq!((blob.width, blob.height), (Some(4_000), Some(3_000)));
    assert_eq!(blob.reason_code.as_deref(), Some("content_quarantined"));
    assert_eq!(blob.reason_detail.as_deref(), Some("told by 'x'"));
    assert_eq!(blob.inspected_at, Some(at));
    // A handler that runs again says the same again.
    assert!(inspect(&f, TENANT, &blob_id, &hash(1)).await.unwrap());
    let blob = find_blob(&f.catalog, &blob_id).await;
    assert_eq!((blob.verdict.as_str(), blob.reason_code), ("clean", None));

    assert!(!inspect(&f, "ten_2", &blob_id, &hash(2)).await.unwrap());
    let (_, other) = arrived(&f, "IMG_2").await;
    assert!(merge(&f.catalog, &blob_id, &other).await.unwrap());
    assert!(!inspect(&f, TENANT, &blob_id, &hash(2)).await.unwrap());
    assert_eq!(find_blob(&f.catalog, &blob_id).await.sha256, Some(hash(1)));
}

async fn what_decoding_took_is_added_up(f: Fixture) {
    let (_, blob_id) = arrived(&f, "IMG_1").await;
    assert_eq!(find_blob(&f.catalog, &blob_id).await.cpu_us, 0);
    for (tenant, cpu_us) in [(TENANT, 40_000), (TENANT, 2), ("ten_2", 9)] {
        let id = blob_id.clone();
        in_tx!(f.catalog, |tx| blobs::spent(tx, tenant, &id, cpu_us).await).unwrap();
    }
    assert_eq!(find_blob(&f.catalog, &blob_id).await.cpu_us, 40_002);
}

/// Whatever a blob without a settled hash holds, it is nobody's twin, and no hash excludes it.
async fn a_blob_without_a_settled_hash_is_nobodys_twin(f: Fixture) {
    for n in 0..2 {
        let (_, blob_id) = arrived(&f, &format!("IMG_{n}")).await;
        let (mut found, at) = (good(&hash(1)), f.clock.now());
        found.sha256 = None;
        found.reason = Some((Code::ChecksumMismatch, String::new()));
        let id = blob_id.clone();
        assert!(
            in_tx!(f.catalog, |tx| blobs::inspected(
                tx, TENANT, &id, &found, at
            )
            .await)
            .unwrap()
        );
        assert_eq!(find_blob(&f.catalog, &blob_id).await.sha256, None);
    }
    held(&f, OWNER, "IMG_2", &hash(1)).await;
}

async fn of_two_twins_inspected_at_once_one_is_recorded(f: Fixture) {
    for round in 0..15 {
        let (_, one) = arrived(&f, &format!("a{round}")).await;
        let (_, other) = arrived(&f, &format!("b{round}")).await;
        let twins = [one, other];
        let answers = at_once(2, |n| {
            let (catalog, id) = (f.catalog.clone(), twins[n].clone());
            let (found, at) = (good(&hash(round)), f.clock.now());
            async move {
                in_tx!(catalog, |tx| blobs::inspected(tx, TENANT, &id, &found, at)
                    .await)
            }
        })
        .await;
        let lost = answers.iter().position(Result::is_err).unwrap();
        assert!(matches!(&answers[lost], Err(CatalogError::Contended(_))));
        assert!(matches!(answers[1 - lost], Ok(true)));
        // The loser finds the winner when it tries again.
        let (id, found, at) = (twins[lost].clone(), good(&hash(round)), f.clock.now());
        assert!(in_tx!(f.catalog, |tx| conclude(tx, &id, &found, at).await).unwrap());
        assert_eq!(find_blob(&f.catalog, &twins[lost]).await.state, "doomed");
        let winner = find_blob(&f.catalog, &twins[1 - lost]).await;
        assert_eq!(
            (winner.state.as_str(), winner.sha256),
            ("live", Some(hash(round)))
        );
    }
}

async fn a_twin_is_another_live_blob_of_the_same_owner_and_bytes(f: Fixture) {
    let (_, blob_id) = arrived(&f, "IMG_1").await;
    let blob = find_blob(&f.catalog, &blob_id).await;
    let twin = async |sha256: String| {
        let blob = blob.clone();
        let found = in_tx!(f.catalog, |tx| {
            blobs::hold_twin(tx, TENANT, OWNER, &blob, &sha256).await
        });
        found.unwrap().map(|b| b.blob_id)
    };
    // Other owners' and other tenants' bytes, its own, and other bytes of its owner.
    held(&f, "ben", "IMG_1", &hash(1)).await;
    let mut elsewhere = capture(&f, OWNER, "IMG_1", 1);
    elsewhere.tenant_id = "ten_2".into();
    make_one(&f.catalog, &elsewhere).await;
    let theirs = arrive(&f, &elsewhere, 0).await;
    assert!(inspect(&f, "ten_2", &theirs, &hash(1)).await.unwrap());
    assert!(inspect(&f, TENANT, &blob_id, &hash(1)).await.unwrap());
    let (_, other) = held(&f, OWNER, "IMG_2", &hash(2)).await;
    assert_eq!(twin(hash(1)).await, None);
    assert_eq!(twin(hash(2)).await, Some(other.clone()));
    // Not when it is doomed.
    assert!(merge(&f.catalog, &other, &blob_id).await.unwrap());
    assert_eq!(twin(hash(2)).await, None);
}

async fn many_twins_become_one(f: Fixture) {
    for round in 0..5 {
        let mut twins = Vec::new();
        for n in 0..8 {
            twins.push(arrived(&f, &format!("{round}-{n}")).await);
        }
        at_once(8, |n| {
            let (catalog, id, at) = (f.catalog.clone(), twins[n].1.clone(), f.clock.now());
            async move {
                loop {
                    let (id, found) = (id.clone(), good(&hash(round)));
                    match in_tx!(catalog, |tx| conclude(tx, &id, &found, at).await) {
                        Ok(done) => return assert!(done),
                        Err(error) => assert!(error.is_contended(), "{error}"),
                    }
                }
            }
        })
        .await;
        let holds = blob_of(&f, &twins[0].0).await;
        let mut live = 0;
        for (fresh, blob_id) in &twins {
            assert_eq!(blob_of(&f, fresh).await, holds);
            live += u32::from(find_blob(&f.catalog, blob_id).await.state == "live");
        }
        assert_eq!(live, 1);
        assert_eq!(find_blob(&f.catalog, &holds).await.state, "live");
    }
}

async fn merging_moves_every_holder(f: Fixture) {
    let (first, from) = arrived(&f, "IMG_1").await;
    let (second, middle) = arrived(&f, "IMG_2").await;
    let (third, to) = arrived(&f, "IMG_3").await;
    assert!(merge(&f.catalog, &from, &middle).await.unwrap());
    assert_eq!(blob_of(&f, &first).await, middle);
    assert!(merge(&f.catalog, &middle, &to).await.unwrap());
    for fresh in [&first, &second, &third] {
        assert_eq!(blob_of(&f, fresh).await, to);
    }
}

async fn what_is_no_longer_live_is_not_merged(f: Fixture) {
    let (first, from) = arrived(&f, "IMG_1").await;
    let (_, to) = arrived(&f, "IMG_2").await;
    let (_, other) = arrived(&f, "IMG_3").await;
    assert!(merge(&f.catalog, &from, &to).await.unwrap());
    assert!(!merge(&f.catalog, &from, &other).await.unwrap());
    assert!(!merge(&f.catalog, "blb_unknown", &other).await.unwrap());
    assert_eq!(blob_of(&f, &first).await, to);
}

/// One inspection has found its twin and holds on to it; now the twin is to be doomed.
async fn a_doom_waits_for_who_holds(f: Fixture) {
    let (_, twin) = held(&f, OWNER, "twin", &hash(1)).await;
    let (joining, blob_id) = arrived(&f, "joining").await;
    let (_, other) = arrived(&f, "other").await;
    let joined = tx_that_waits!(
        f.catalog,
        |tx| twin = {
            let blob = blobs::find(tx, TENANT, &blob_id).await?.unwrap();
            blobs::hold_twin(tx, TENANT, OWNER, &blob, &hash(1)).await?
        },
        blobs::merge(tx, TENANT, &blob_id, &twin.unwrap().blob_id).await
    );
    assert!(merge(&f.catalog, &twin, &other).await.unwrap());
    assert!(joined.await.unwrap().unwrap());
    assert_eq!(find_blob(&f.catalog, &twin).await.state, "doomed");
    assert_eq!(
        blob_of(&f, &joining).await,
        other,
        "it points to a doomed blob"
    );
}

/// The twin is being doomed; now an inspection looks for it.
async fn a_hold_waits_for_who_dooms(f: Fixture) {
    let (_, twin) = held(&f, OWNER, "twin", &hash(1)).await;
    let (joining, blob_id) = arrived(&f, "joining").await;
    let (_, other) = arrived(&f, "other").await;
    let doomed = tx_that_waits!(
        f.catalog,
        |tx| done = blobs::merge(tx, TENANT, &twin, &other).await?,
        Ok(done)
    );
    let (id, found, at) = (blob_id.clone(), good(&hash(1)), f.clock.now());
    assert!(in_tx!(f.catalog, |tx| conclude(tx, &id, &found, at).await).unwrap());
    assert!(doomed.await.unwrap().unwrap());
    // It found no twin, and is now the live blob of these bytes itself.
    assert_eq!(blob_of(&f, &joining).await, blob_id);
    let blob = find_blob(&f.catalog, &blob_id).await;
    assert_eq!((blob.state.as_str(), blob.sha256), ("live", Some(hash(1))));
}

async fn nothing_points_to_a_doomed_blob_whatever_races(f: Fixture) {
    for round in 0..10 {
        let sha = hash(100 + round);
        let mut ids = vec![held(&f, OWNER, &format!("{round}-twin"), &sha).await.1];
        for n in 0..11 {
            ids.push(arrived(&f, &format!("{round}-{n}")).await.1);
        }
        // Six inspections end while three blobs, the twin among them, are doomed by others.
        at_once(9, |n| {
            let (catalog, at) = (f.catalog.clone(), f.clock.now());
            let (ids, sha) = (ids.clone(), sha.clone());
            async move {
                loop {
                    let done = match n {
                        0..6 => {
                            let (id, found) = (ids[n + 1].clone(), good(&sha));
                            in_tx!(catalog, |tx| conclude(tx, &id, &found, at).await)
                        }
                        _ => merge(&catalog, &ids[n - 6], &ids[n + 3]).await,
                    };
                    match done {
                        Ok(_) => return,
                        Err(error) => assert!(error.is_contended(), "{error}"),
                    }
                }
            }
        })
        .await;
        let mut reader = f.catalog.reader().await.unwrap();
        let lost = reader
            .tx()
            .rows(
                "SELECT r.resource_id FROM resources r JOIN blobs b
                     ON b.tenant_id = r.tenant_id AND b.blob_id = r.blob_id WHERE b.state <> $1",
                values!["live"],
            )
            .await;
        assert_eq!(lost.unwrap().len(), 0, "round {round}");
    }
}

async fn only_a_doomed_blob_that_nobody_holds_goes(f: Fixture) {
    let (fresh, from) = arrived(&f, "IMG_1").await;
    let (_, to) = arrived(&f, "IMG_2").await;
    let gone = async |id: &str| {
        let id = id.to_owned();
        in_tx!(f.catalog, |tx| blobs::gone(tx, TENANT, &id).await).unwrap()
    };
    assert!(!gone(&from).await, "it is live");
    assert!(merge(&f.catalog, &from, &to).await.unwrap());
    // Should something point to it all the same, its bytes are not given up.
    let (id, resource) = (from.clone(), fresh.assets[0].resource_id.clone());
    let point = async |id: String| {
        let resource = resource.clone();
        in_tx!(f.catalog, |tx| {
            tx.exec(
                "UPDATE resources SET blob_id = $1 WHERE resource_id = $2",
                values![id, resource],
            )
            .await
        })
        .unwrap()
    };
    point(id).await;
    assert!(!gone(&from).await, "it is held");
    point(to).await;
    assert!(gone(&from).await);
    assert!(!gone(&from).await, "it went before");
    assert_eq!(find_blob(&f.catalog, &from).await.state, "gone");
}
