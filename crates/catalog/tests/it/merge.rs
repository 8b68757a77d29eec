//! Assets of the same bytes become one.

use safelight_catalog::assets::{self, Asset, Transition};
use safelight_catalog::initiate::FreshCapture;
use safelight_catalog::merge_asset::{MergeEvents, merge_asset};
use safelight_catalog::{Catalog, CatalogError, captures, events, values};
use safelight_model::ids;
use safelight_model::lifecycle::{Event, State};

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::*;

on_both!(
    an_asset_becomes_the_one_that_has_its_bytes,
    captures_that_came_to_it_go_on_with_it,
    what_cannot_be_one_stays_two,
    of_many_that_merge_at_once_each_does_so_once,
    a_merge_and_a_deletion_see_each_other,
);

/// What a worker does that saw the two as they are here.
async fn merge(catalog: Catalog, event_id: String, from: Asset, into: Asset) -> bool {
    let at = into.updated_at;
    let merged: Result<bool, CatalogError> = in_tx!(catalog, |tx| {
        let carried_over = format!("{event_id}+");
        let event_ids = MergeEvents {
            merged: &event_id,
            carried_over: &carried_over,
        };
        merge_asset(tx, &from, &into, event_ids, at).await
    });
    merged.unwrap()
}

async fn delete(catalog: Catalog, event_id: String, asset: Asset) -> bool {
    let deleted: Result<_, CatalogError> = in_tx!(catalog, |tx| {
        let change = Transition {
            event: Event::DeleteRequested,
            reason: None,
            event_id: &event_id,
            at: asset.updated_at,
        };
        assets::transition(tx, &asset, &change).await
    });
    deleted.unwrap().is_some()
}

async fn asset(f: &Fixture, fresh: &FreshCapture) -> Asset {
    find_asset(&f.catalog, &fresh.assets[0].asset_id)
        .await
        .unwrap()
}

/// A capture of one asset whose bytes have arrived.
async fn arrived(f: &Fixture, owner: &str, client_ref: &str) -> FreshCapture {
    let fresh = capture(f, owner, client_ref, 1);
    make_one(&f.catalog, &fresh).await;
    arrive(f, &fresh, 0).await;
    fresh
}

async fn an_asset_becomes_the_one_that_has_its_bytes(f: Fixture) {
    let (there, blob_id) = held(&f, OWNER, "IMG_1", &hash(1)).await;
    let again = arrived(&f, OWNER, "IMG_2").await;
    let (from, into) = (asset(&f, &again).await, asset(&f, &there).await);
    assert!(
        merge(
            f.catalog.clone(),
            f.id(ids::EVENT),
            from.clone(),
            into.clone()
        )
        .await
    );

    let mut reader = f.catalog.reader().await.unwrap();
    let tx = &mut reader.tx();
    let gone = assets::find(tx, TENANT, &from.asset_id).await.unwrap();
    let gone = gone.unwrap();
    assert_eq!(gone.state, State::Deleted);
    assert_eq!(gone.merged_into.as_ref(), Some(&into.asset_id));
    assert_eq!(gone.blob, None);
    for asset_id in [&from.asset_id, &into.asset_id] {
        let stands = assets::standing_for(tx, TENANT, asset_id).await.unwrap();
        let stands = stands.unwrap();
        assert_eq!(stands.asset_id, into.asset_id);
        assert_eq!(stands.version, into.version);
        assert_eq!(stands.blob.unwrap().blob_id, blob_id);
    }
    let members = captures::members(tx, TENANT, &again.capture_id).await;
    assert_eq!(members.unwrap()[0].asset_id, into.asset_id);
    assert_eq!(listed(&f).await.len(), 1);
    let told = events::of_asset(tx, TENANT, &from.asset_id).await.unwrap();
    let says = |detail: &String| detail.contains(&into.asset_id);
    assert!(told.iter().filter_map(|e| e.detail.as_ref()).any(says));
    drop(reader);

    // A handler that runs again with what it saw before changes nothing.
    assert!(!merge(f.catalog.clone(), f.id(ids::EVENT), from, into.clone()).await);
    assert!(!merge(f.catalog.clone(), f.id(ids::EVENT), into.clone(), into).await);
}

/// Bytes that were known before they were inspected: a later capture holds the asset that turns out to be another.
async fn captures_that_came_to_it_go_on_with_it(f: Fixture) {
    let (there, _) = held(&f, OWNER, "IMG_1", &hash(1)).await;
    let again = arrived(&f, OWNER, "IMG_2").await;
    let later = arrived(&f, OWNER, "IMG_3").await;
    let sql = "UPDATE capture_assets SET asset_id = $1 WHERE capture_id = $2";
    let args = values![&again.assets[0].asset_id, &later.capture_id].to_vec();
    in_tx!(f.catalog, |tx| tx.exec(sql, &args).await).unwrap();
    let (from, into) = (asset(&f, &again).await, asset(&f, &there).await);
    let (catalog, event_id) = (f.catalog.clone(), f.id(ids::EVENT));
    assert!(merge(catalog, event_id, from, into.clone()).await);
    let mut reader = f.catalog.reader().await.unwrap();
    for capture in [&again, &later] {
        let members = captures::members(&mut reader.tx(), TENANT, &capture.capture_id).await;
        assert_eq!(members.unwrap()[0].asset_id, into.asset_id);
    }
}

async fn what_cannot_be_one_stays_two(f: Fixture) {
    let (there, _) = held(&f, OWNER, "IMG_1", &hash(1)).await;
    let into = asset(&f, &there).await;
    // Of somebody else.
    let other = arrived(&f, "ben", "IMG_2").await;
    let from = asset(&f, &other).await;
    assert!(
        !merge(
            f.catalog.clone(),
            f.id(ids::EVENT),
            from.clone(),
            into.clone()
        )
        .await
    );
    assert_eq!(asset(&f, &other).await, from);
    // Seen by somebody already.
    let seen = arrived(&f, OWNER, "IMG_3").await;
    let asset_id = &seen.assets[0].asset_id;
    step(&f, asset_id, Event::InspectStarted).await;
    step(&f, asset_id, Event::InspectPassed).await;
    let from = asset(&f, &seen).await;
    assert!(
        !merge(
            f.catalog.clone(),
            f.id(ids::EVENT),
            from.clone(),
            into.clone()
        )
        .await
    );
    assert_eq!(asset(&f, &seen).await, from);
    // More than one file.
    let live = arrived(&f, OWNER, "IMG_4").await;
    let (resource_id, asset_id) = (f.id(ids::RESOURCE), live.assets[0].asset_id.clone());
    let paired: Result<u64, CatalogError> = in_tx!(f.catalog, |tx| {
        tx.exec(
            "INSERT INTO resources (tenant_id, resource_id, asset_id, kind, size_bytes)
             VALUES ($1, $2, $3, 'paired_video', 1)",
            safelight_catalog::values![TENANT, &resource_id, &asset_id],
        )
        .await
    });
    assert_eq!(paired.unwrap(), 1);
    let from = asset(&f, &live).await;
    assert!(!merge(f.catalog.clone(), f.id(ids::EVENT), from.clone(), into).await);
    assert_eq!(asset(&f, &live).await, from);
    // Changed in this instant.
    let moved = arrived(&f, OWNER, "IMG_5").await;
    let before = asset(&f, &moved).await;
    step(&f, &moved.assets[0].asset_id, Event::InspectStarted).await;
    let into = asset(&f, &there).await;
    assert!(!merge(f.catalog.clone(), f.id(ids::EVENT), before, into).await);
}

async fn of_many_that_merge_at_once_each_does_so_once(f: Fixture) {
    let (there, blob_id) = held(&f, OWNER, "IMG_0", &hash(1)).await;
    let into = asset(&f, &there).await;
    let mut from = Vec::new();
    for n in 1..=4 {
        let fresh = arrived(&f, OWNER, &format!("IMG_{n}")).await;
        from.push(asset(&f, &fresh).await);
    }
    let others = [f.second().await, f.second().await];
    let merged = at_once(8, |n| {
        let (from, into) = (from[n / 2].clone(), into.clone());
        merge(others[n % 2].clone(), f.id(ids::EVENT), from, into)
    })
    .await;
    assert_eq!(merged.iter().filter(|merged| **merged).count(), 4);
    let mut reader = f.catalog.reader().await.unwrap();
    let holders = assets::of_blob(&mut reader.tx(), TENANT, &blob_id).await;
    assert_eq!(holders.unwrap().len(), 1);
    assert_eq!(listed(&f).await.len(), 1);
}

/// Whichever comes first: nothing leads to an asset that was deleted before it could.
async fn a_merge_and_a_deletion_see_each_other(f: Fixture) {
    for round in 0..8 {
        let (there, _) = held(&f, OWNER, &format!("IMG_{round}"), &hash(round)).await;
        let again = arrived(&f, OWNER, &format!("AGAIN_{round}")).await;
        let (from, into) = (asset(&f, &again).await, asset(&f, &there).await);
        let (merger, deleter) = (f.catalog.clone(), f.second().await);
        let (merged, deleted) = (f.id(ids::EVENT), f.id(ids::EVENT));
        let done = at_once(2, |n| {
            let (merger, deleter) = (merger.clone(), deleter.clone());
            let (merged, deleted) = (merged.clone(), deleted.clone());
            let (from, into) = (from.clone(), into.clone());
            async move {
                match n {
                    0 => merge(merger, merged, from, into).await,
                    _ => delete(deleter, deleted, into).await,
                }
            }
        })
        .await;
        let (from, into) = (asset(&f, &again).await, asset(&f, &there).await);
        assert!(done[1], "a merge changes nothing that a deletion goes by");
        assert_eq!(into.state, State::Deleted);
        assert_eq!(done[0], from.merged_into.is_some());
        if !done[0] {
            let blob = from.blob.unwrap();
            let blob = find_blob(&f.catalog, &blob.blob_id).await;
            assert_eq!((from.state, blob.state.as_str()), (State::Uploaded, "live"));
        }
    }
}
