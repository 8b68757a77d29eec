//! Deletions, and what others do to the same asset in the same instant.

use safelight_catalog::deletions::{self, Meant, Outcome};
use safelight_catalog::initiate::{Initiated, initiate};
use safelight_catalog::merge_asset::{MergeEvents, supersede_asset};
use safelight_catalog::uploads::{self, Upload, UploadState};
use safelight_catalog::{Catalog, blobs, captures};
use safelight_model::clock::Clock as _;
use safelight_model::ids;
use safelight_model::lifecycle::State;

use crate::fixture::{Fixture, in_tx, on_both, tx_that_waits};
use crate::samples::*;

on_both!(
    a_deleted_asset_points_to_nothing_and_dooms_what_was_its_own,
    what_became_it_by_way_of_another_goes_too,
    an_initiation_waits_for_who_deletes,
    who_deletes_waits_for_an_initiation,
    a_completion_waits_for_who_deletes,
    who_deletes_waits_for_a_completion,
    of_two_that_remove_the_last_things_the_later_completes,
    what_a_further_capture_is_about_to_hold_stays,
    of_two_captures_with_one_asset_the_later_takes_it,
);

async fn upload_of(catalog: &Catalog, upload_id: &str) -> Upload {
    let mut reader = catalog.reader().await.unwrap();
    let found = uploads::find(&mut reader.tx(), TENANT, upload_id).await;
    found.unwrap().unwrap()
}

async fn delete(f: &Fixture, asset_id: &str) -> Outcome {
    let (event_id, at) = (f.id(ids::EVENT), f.clock.now());
    let asset_id = asset_id.to_owned();
    let done = in_tx!(f.catalog, |tx| {
        deletions::delete(tx, TENANT, OWNER, &asset_id, Meant::Asset, &event_id, at).await
    });
    done.unwrap()
}

fn deleted(asset_id: &str, doomed: &[&str]) -> Outcome {
    Outcome::Deleted {
        asset_id: asset_id.to_owned(),
        doomed: doomed.iter().map(|id| (*id).to_owned()).collect(),
        parted: Vec::new(),
    }
}

async fn a_deleted_asset_points_to_nothing_and_dooms_what_was_its_own(f: Fixture) {
    let (there, blob_id) = held(&f, OWNER, "IMG_1", &hash(1)).await;
    let asset_id = &there.assets[0].asset_id;
    let (event_id, at) = (f.id(ids::EVENT), f.clock.now());
    let id = asset_id.clone();
    let of_another = in_tx!(f.catalog, |tx| {
        deletions::delete(tx, TENANT, "somebody", &id, Meant::Asset, &event_id, at).await
    });
    assert_eq!(of_another.unwrap(), Outcome::Nothing);
    assert_eq!(delete(&f, asset_id).await, deleted(asset_id, &[&blob_id]));
    assert_eq!(
        delete(&f, asset_id).await,
        Outcome::Before(asset_id.clone())
    );
    let asset = find_asset(&f.catalog, asset_id).await.unwrap();
    assert_eq!(
        (asset.state, asset.blob, asset.sha256),
        (State::Deleted, None, None)
    );
    let blob = find_blob(&f.catalog, &blob_id).await;
    assert_eq!(
        (blob.state.as_str(), blob.sha256, blob.thumbhash),
        ("doomed", None, None)
    );
    assert_eq!(count(&f.catalog, "deletions").await, 1);
}

/// A picture, a smaller copy of it that is sent in its place, and an asset that has the copy's bytes.
async fn what_became_it_by_way_of_another_goes_too(f: Fixture) {
    let (there, blob_id) = held(&f, OWNER, "IMG_1", &hash(1)).await;
    let picture = hashed(&f, OWNER, "IMG_2", &hash(2));
    let copy = hashed(&f, OWNER, "IMG_3", &hash(3));
    for fresh in [&picture, &copy] {
        make_one(&f.catalog, fresh).await;
    }
    let chain = [&picture, &copy, &there].map(|fresh| fresh.assets[0].asset_id.clone());
    for pair in chain.windows(2) {
        let from = find_asset(&f.catalog, &pair[0]).await.unwrap();
        let into = find_asset(&f.catalog, &pair[1]).await.unwrap();
        let (merged, carried_over) = (f.id(ids::EVENT), f.id(ids::EVENT));
        let at = f.clock.now();
        let done = in_tx!(f.catalog, |tx| {
            let event_ids = MergeEvents {
                merged: &merged,
                carried_over: &carried_over,
            };
            supersede_asset(tx, &from, &into, event_ids, at).await
        });
        assert!(done.unwrap());
    }
    let [first, copied, last] = &chain;
    let found = find_asset(&f.catalog, first).await.unwrap();
    assert_eq!(found.merged_into.as_ref(), Some(last));
    assert_eq!(found.sha256, Some(hash(2)));
    // As it was left before chains were shortened.
    let long = format!("UPDATE assets SET merged_into = '{copied}' WHERE asset_id = '{first}'");
    in_tx!(f.catalog, |tx| tx.exec(&long, &[]).await).unwrap();
    assert_eq!(delete(&f, first).await, deleted(last, &[&blob_id]));
    for id in &chain {
        let asset = find_asset(&f.catalog, id).await.unwrap();
        assert_eq!((asset.state, asset.sha256), (State::Deleted, None), "{id}");
    }
}

/// An asset is being deleted; now its bytes are to be sent again.
async fn an_initiation_waits_for_who_deletes(f: Fixture) {
    let (there, blob_id) = held(&f, OWNER, "IMG_1", &hash(1)).await;
    let asset_id = there.assets[0].asset_id.clone();
    let (event_id, at, id) = (f.id(ids::EVENT), f.clock.now(), asset_id.clone());
    let running = tx_that_waits!(
        f.catalog,
        |tx| done = deletions::delete(tx, TENANT, OWNER, &id, Meant::Asset, &event_id, at).await?,
        Ok(done)
    );
    let again = hashed(&f, OWNER, "IMG_2", &hash(1));
    assert_eq!(
        make_one(&f.catalog, &again).await,
        Initiated::Made(vec![None])
    );
    assert_eq!(
        running.await.unwrap().unwrap(),
        deleted(&asset_id, &[&blob_id])
    );
    let upload = upload_of(&f.catalog, &again.assets[0].upload_id).await;
    assert_eq!(upload.state, UploadState::Open);
}

/// A capture is being told of an asset; now that is to be deleted.
async fn who_deletes_waits_for_an_initiation(f: Fixture) {
    let (there, blob_id) = held(&f, OWNER, "IMG_1", &hash(1)).await;
    let asset_id = there.assets[0].asset_id.clone();
    let again = hashed(&f, OWNER, "IMG_2", &hash(1));
    let asked = again.clone();
    let running = tx_that_waits!(
        f.catalog,
        |tx| made = initiate(tx, std::slice::from_ref(&asked)).await?,
        Ok(made)
    );
    assert_eq!(delete(&f, &asset_id).await, deleted(&asset_id, &[&blob_id]));
    let made = running.await.unwrap().unwrap();
    assert_eq!(made, [Initiated::Made(vec![Some(asset_id.clone())])]);
    let mut reader = f.catalog.reader().await.unwrap();
    let members = captures::members(&mut reader.tx(), TENANT, &again.capture_id).await;
    let members = members.unwrap();
    assert_eq!(
        (&members[0].asset_id, members[0].state.as_str()),
        (&asset_id, "deleted")
    );
}

/// An asset whose upload is being completed.
async fn completing(f: &Fixture) -> (String, Upload) {
    let fresh = hashed(f, OWNER, "IMG_1", &hash(1));
    make_one(&f.catalog, &fresh).await;
    let upload = upload_of(&f.catalog, &fresh.assets[0].upload_id).await;
    let (read, now) = (upload.clone(), f.clock.now());
    let begun = in_tx!(f.catalog, |tx| uploads::begin_complete(
        tx, &read, "{}", now, now
    )
    .await);
    assert!(begun.unwrap());
    let upload = upload_of(&f.catalog, &upload.upload_id).await;
    (fresh.assets[0].asset_id.clone(), upload)
}

async fn a_completion_waits_for_who_deletes(f: Fixture) {
    let (asset_id, upload) = completing(&f).await;
    let (event_id, at, id) = (f.id(ids::EVENT), f.clock.now(), asset_id.clone());
    let running = tx_that_waits!(
        f.catalog,
        |tx| done = deletions::delete(tx, TENANT, OWNER, &id, Meant::Asset, &event_id, at).await?,
        Ok(done)
    );
    let read = upload.clone();
    let completed = in_tx!(f.catalog, |tx| {
        let (from, to) = (UploadState::Completing, UploadState::Completed);
        uploads::change(tx, &read, from, to, None).await
    });
    assert!(!completed.unwrap());
    assert_eq!(running.await.unwrap().unwrap(), deleted(&asset_id, &[]));
    let upload = upload_of(&f.catalog, &upload.upload_id).await;
    assert_eq!(
        (upload.state, upload.look_at),
        (UploadState::Aborted, Some(at))
    );
    assert!(upload.signed_until >= at, "its object may come yet");
}

async fn who_deletes_waits_for_a_completion(f: Fixture) {
    let (asset_id, upload) = completing(&f).await;
    let (blob_id, at) = (f.id(ids::BLOB), f.clock.now());
    let id = blob_id.clone();
    let running = tx_that_waits!(
        f.catalog,
        |tx| done = {
            let (from, to) = (UploadState::Completing, UploadState::Completed);
            let done = uploads::change(tx, &upload, from, to, None).await?;
            let fresh = blobs::FreshBlob {
                tenant_id: TENANT,
                blob_id: &id,
                scope: OWNER,
                object_key: &upload.object_key,
                etag: "e",
                size_bytes: upload.size_bytes,
                sha256: None,
                resource_id: &upload.resource_id,
                sharer: None,
                at,
            };
            blobs::insert(tx, &fresh).await?;
            done
        },
        Ok(done)
    );
    assert_eq!(delete(&f, &asset_id).await, deleted(&asset_id, &[&blob_id]));
    assert!(running.await.unwrap().unwrap());
    assert_eq!(find_blob(&f.catalog, &blob_id).await.state, "doomed");
}

/// The blob goes, and in the same instant the last of an upload.
async fn of_two_that_remove_the_last_things_the_later_completes(f: Fixture) {
    let (there, blob_id) = held(&f, OWNER, "IMG_1", &hash(1)).await;
    let asset_id = there.assets[0].asset_id.clone();
    delete(&f, &asset_id).await;
    // Its upload never came to its end here, so it was ended with the asset.
    let upload = upload_of(&f.catalog, &there.assets[0].upload_id).await;
    assert_eq!(upload.state, UploadState::Aborted);
    let (at, id) = (f.clock.now(), asset_id.clone());
    let first = tx_that_waits!(
        f.catalog,
        |tx| settled = {
            assert!(blobs::gone(tx, TENANT, &blob_id).await?);
            deletions::settle(tx, TENANT, &id, at).await?
        },
        Ok(settled)
    );
    let id = asset_id.clone();
    let later = in_tx!(f.catalog, |tx| {
        uploads::cleared(tx, &upload, at).await?;
        deletions::settle(tx, TENANT, &id, at).await
    });
    assert_eq!(first.await.unwrap().unwrap(), None);
    let later = later.unwrap().unwrap();
    assert_eq!(
        (later.asset_id.as_str(), later.completed_at),
        (asset_id.as_str(), Some(at))
    );
    let id = asset_id.clone();
    let again = in_tx!(f.catalog, |tx| deletions::settle(tx, TENANT, &id, at).await);
    assert_eq!(again.unwrap(), None);
    assert_eq!(count(&f.catalog, "deletion_blobs").await, 0);
}

/// Deletes an asset for its capture, then the capture.
macro_rules! bury {
    ($tx:expr, $capture_id:expr, $asset_id:expr, $event_id:expr, $at:expr) => {{
        let meant = Meant::Capture($capture_id);
        let done = deletions::delete($tx, TENANT, OWNER, $asset_id, meant, $event_id, $at).await?;
        assert!(deletions::bury_capture($tx, TENANT, $capture_id, $at).await?);
        done
    }};
}

/// A capture is being told of an asset; now the one that brought it is to be deleted.
async fn what_a_further_capture_is_about_to_hold_stays(f: Fixture) {
    let (there, _) = held(&f, OWNER, "IMG_1", &hash(1)).await;
    let asset_id = there.assets[0].asset_id.clone();
    let again = hashed(&f, OWNER, "IMG_2", &hash(1));
    let asked = again.clone();
    let running = tx_that_waits!(
        f.catalog,
        |tx| made = initiate(tx, std::slice::from_ref(&asked)).await?,
        Ok(made)
    );
    let (event_id, at) = (f.id(ids::EVENT), f.clock.now());
    let (capture_id, id) = (there.capture_id.clone(), asset_id.clone());
    let kept = in_tx!(f.catalog, |tx| {
        Ok(bury!(tx, &capture_id, &id, &event_id, at))
    });
    assert_eq!(kept.unwrap(), Outcome::Kept(asset_id.clone()));
    let made = running.await.unwrap().unwrap();
    assert_eq!(made, [Initiated::Made(vec![Some(asset_id.clone())])]);
    let asset = find_asset(&f.catalog, &asset_id).await.unwrap();
    assert_eq!(asset.capture_id, again.capture_id);
    assert!(asset.state != State::Deleted && asset.blob.is_some());
}

async fn of_two_captures_with_one_asset_the_later_takes_it(f: Fixture) {
    let (there, blob_id) = held(&f, OWNER, "IMG_1", &hash(1)).await;
    let asset_id = there.assets[0].asset_id.clone();
    let again = hashed(&f, OWNER, "IMG_2", &hash(1));
    make_one(&f.catalog, &again).await;
    let (event_id, at) = (f.id(ids::EVENT), f.clock.now());
    let (capture_id, id) = (there.capture_id.clone(), asset_id.clone());
    let first = tx_that_waits!(
        f.catalog,
        |tx| done = bury!(tx, &capture_id, &id, &event_id, at),
        Ok(done)
    );
    let (event_id, id) = (f.id(ids::EVENT), asset_id.clone());
    let capture_id = again.capture_id.clone();
    let later = in_tx!(f.catalog, |tx| {
        Ok(bury!(tx, &capture_id, &id, &event_id, at))
    });
    assert_eq!(
        first.await.unwrap().unwrap(),
        Outcome::Kept(asset_id.clone())
    );
    assert_eq!(later.unwrap(), deleted(&asset_id, &[&blob_id]));
    let mut reader = f.catalog.reader().await.unwrap();
    for capture_id in [there.capture_id, again.capture_id] {
        let members = deletions::of_capture(&mut reader.tx(), TENANT, &capture_id).await;
        let members = members.unwrap();
        assert_eq!((members[0].state.as_str(), members.len()), ("deleted", 1));
        assert!(members[0].is_left);
    }
}
