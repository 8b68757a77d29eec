//! Bytes that an owner has already: uploads that end for them, assets that are put on them, owners that share them.

use std::collections::BTreeSet;

use safelight_catalog::initiate::{FreshCapture, Initiated, initiate};
use safelight_catalog::owned_bytes::{self, Owned, Wanted};
use safelight_catalog::uploads::{self, Upload, UploadState};
use safelight_catalog::{Catalog, CatalogError, assets, blobs, captures, events, values};
use safelight_model::clock::{Clock as _, Micros};
use safelight_model::codes::Code;
use safelight_model::duplicates::{DedupScope, Duplicates};
use safelight_model::ids;
use safelight_model::lifecycle::{Event, State};

use crate::fixture::{Fixture, in_tx, on_both, tx_that_waits};
use crate::samples::*;

on_both!(
    an_open_upload_ends_as_merged_and_is_cleared,
    of_many_that_end_an_upload_one_does,
    an_owner_s_bytes_are_found_by_hash_and_size,
    shared_bytes_are_found_by_who_has_sent_them,
    what_comes_to_a_shared_blob_is_its_owner_s,
    a_kept_copy_holds_the_same_bytes,
    a_kept_copy_is_what_its_bytes_are,
    what_the_store_has_checked_is_found_before_it_is_inspected,
    of_two_that_arrive_at_once_one_has_the_hash,
    a_kept_copy_waits_for_who_dooms,
    a_doom_waits_for_who_keeps_a_copy,
    a_kept_copy_and_a_doom_see_each_other,
);

async fn find(catalog: &Catalog, upload_id: &str) -> Upload {
    let mut reader = catalog.reader().await.unwrap();
    let found = uploads::find(&mut reader.tx(), TENANT, upload_id).await;
    found.unwrap().unwrap()
}

async fn merge(catalog: &Catalog, upload: &Upload, at: Micros) -> bool {
    let upload = upload.clone();
    let merged = in_tx!(catalog, |tx| uploads::merge(tx, &upload, "ast_there", at)
        .await);
    merged.unwrap()
}

async fn an_open_upload_ends_as_merged_and_is_cleared(f: Fixture) {
    let fresh = capture(&f, OWNER, "IMG_1", 1);
    make_one(&f.catalog, &fresh).await;
    let id = &fresh.assets[0].upload_id;
    let (upload, now) = (find(&f.catalog, id).await, f.clock.now());
    assert!(merge(&f.catalog, &upload, now).await);
    let merged = find(&f.catalog, id).await;
    assert_eq!(merged.state, UploadState::Merged);
    assert_eq!(merged.merged_into.as_deref(), Some("ast_there"));
    assert_eq!((merged.look_at, merged.cleared_at), (Some(now), None));
    assert!(!merge(&f.catalog, &merged, now).await, "it is not open");
    // To a version that knows of no merging it is one that was given up; and its key is expected to be cleared.
    let mut reader = f.catalog.reader().await.unwrap();
    let sql = "SELECT state FROM uploads WHERE upload_id = $1";
    let row = reader.tx().row(sql, values![id]).await.unwrap().unwrap();
    assert_eq!(row.text(0).unwrap(), "aborted");
    let keys = [upload.object_key.as_str()];
    let known = uploads::known_keys(&mut reader.tx(), &keys).await.unwrap();
    assert_eq!(known[0].1, uploads::Stray::Expected);
    drop(reader);
    let closed = merged.clone();
    in_tx!(f.catalog, |tx| uploads::cleared(tx, &closed, now).await).unwrap();
    let cleared = find(&f.catalog, id).await;
    assert_eq!((cleared.look_at, cleared.cleared_at), (None, Some(now)));
    assert_eq!(cleared.state, UploadState::Merged);
}

async fn of_many_that_end_an_upload_one_does(f: Fixture) {
    let others = [f.second().await, f.second().await];
    for round in 0..8 {
        let fresh = capture(&f, OWNER, &format!("IMG_{round}"), 1);
        make_one(&f.catalog, &fresh).await;
        let upload = find(&f.catalog, &fresh.assets[0].upload_id).await;
        let at = f.clock.now();
        let ended = at_once(6, |n| {
            let (catalog, upload) = (others[n % 2].clone(), upload.clone());
            async move {
                match n % 3 {
                    0 => merge(&catalog, &upload, at).await,
                    1 => in_tx!(catalog, |tx| {
                        uploads::begin_complete(tx, &upload, "{}", at, at).await
                    })
                    .unwrap(),
                    _ => in_tx!(catalog, |tx| {
                        let (from, to) = (UploadState::Open, UploadState::Aborted);
                        uploads::change(tx, &upload, from, to, Some(at)).await
                    })
                    .unwrap(),
                }
            }
        })
        .await;
        assert_eq!(ended.iter().filter(|ended| **ended).count(), 1);
        let winner = ended.iter().position(|ended| *ended).unwrap();
        let is = find(&f.catalog, &upload.upload_id).await.state;
        let states = [
            UploadState::Merged,
            UploadState::Completing,
            UploadState::Aborted,
        ];
        assert_eq!(is, states[winner % 3]);
    }
}

async fn owned(
    f: &Fixture,
    owner: &str,
    seed: u64,
    size_bytes: i64,
    shared: bool,
) -> Option<Owned> {
    let mut reader = f.catalog.reader().await.unwrap();
    let wanted = Wanted {
        tenant_id: TENANT,
        owner_id: owner,
        sha256: &hash(seed),
        size_bytes,
    };
    owned_bytes::find(&mut reader.tx(), wanted, shared)
        .await
        .unwrap()
}

async fn an_owner_s_bytes_are_found_by_hash_and_size(f: Fixture) {
    let (there, blob_id) = held(&f, OWNER, "IMG_1", &hash(1)).await;
    for shared in [false, true] {
        let found = owned(&f, OWNER, 1, 1_000, shared).await.unwrap();
        assert_eq!(found.asset_id, there.assets[0].asset_id);
        assert_eq!(found.blob, find_blob(&f.catalog, &blob_id).await);
        assert_eq!(owned(&f, OWNER, 1, 1_001, shared).await, None);
        assert_eq!(owned(&f, OWNER, 2, 1_000, shared).await, None);
        assert_eq!(owned(&f, "ben", 1, 1_000, shared).await, None);
    }
    // Declared, or arrived and not verified yet.
    let declared = hashed(&f, OWNER, "IMG_2", &hash(2));
    make_one(&f.catalog, &declared).await;
    assert_eq!(owned(&f, OWNER, 2, 1_000, false).await, None);
    let other = arrive(&f, &declared, 0).await;
    assert_eq!(owned(&f, OWNER, 2, 1_000, false).await, None);
    // Deleted; doomed.
    step(&f, &there.assets[0].asset_id, Event::DeleteRequested).await;
    assert_eq!(owned(&f, OWNER, 1, 1_000, false).await, None);
    assert!(inspect(&f, TENANT, &other, &hash(2)).await.unwrap());
    assert!(owned(&f, OWNER, 2, 1_000, false).await.is_some());
    let (from, to) = (other.clone(), blob_id.clone());
    in_tx!(f.catalog, |tx| blobs::merge(tx, TENANT, &from, &to).await).unwrap();
    assert_eq!(owned(&f, OWNER, 2, 1_000, false).await, None);
}

/// The bytes of this capture's asset arrive where owners share them: the id of their blob.
async fn arrive_shared(f: &Fixture, capture: &FreshCapture) -> String {
    let (asset, owner_id) = (capture.assets[0].clone(), capture.owner_id.clone());
    let (blob_id, at) = (f.id(ids::BLOB), f.clock.now());
    let id = blob_id.clone();
    in_tx!(f.catalog, |tx| {
        blobs::insert(
            tx,
            &blobs::FreshBlob {
                tenant_id: TENANT,
                blob_id: &id,
                scope: blobs::SHARED,
                object_key: &asset.object_key,
                etag: "\"e\"",
                size_bytes: asset.size_bytes,
                sha256: None,
                resource_id: &asset.resource_id,
                sharer: Some(&owner_id),
                at,
            },
        )
        .await
    })
    .unwrap();
    step(f, &capture.assets[0].asset_id, Event::BytesComplete).await;
    blob_id
}

/// A blob that owners share, with the asset of each that holds it.
async fn shared(f: &Fixture, owners: &[&str], seed: u64) -> (String, Vec<String>) {
    let (mut blob_id, mut holders) = (None, Vec::new());
    for owner in owners {
        let fresh = hashed(f, owner, &format!("{seed}"), &hash(seed));
        make_one(&f.catalog, &fresh).await;
        let arrived = arrive_shared(f, &fresh).await;
        holders.push(fresh.assets[0].asset_id.clone());
        match blob_id.clone() {
            None => {
                assert!(inspect(f, TENANT, &arrived, &hash(seed)).await.unwrap());
                blob_id = Some(arrived);
            }
            Some(to) => {
                let merged: Result<bool, CatalogError> = in_tx!(f.catalog, |tx| {
                    let blob = blobs::find(tx, TENANT, &arrived).await?.unwrap();
                    let twin =
                        blobs::hold_twin(tx, TENANT, blobs::SHARED, &blob, &hash(seed)).await?;
                    assert_eq!(twin.unwrap().blob_id, to);
                    blobs::merge(tx, TENANT, &arrived, &to).await
                });
                assert!(merged.unwrap());
            }
        }
    }
    (blob_id.unwrap(), holders)
}

async fn shared_bytes_are_found_by_who_has_sent_them(f: Fixture) {
    let (blob_id, holders) = shared(&f, &["anna", "ben"], 1).await;
    for (owner, asset_id) in ["anna", "ben"].iter().zip(&holders) {
        let found = owned(&f, owner, 1, 1_000, true).await.unwrap();
        assert_eq!((&found.asset_id, &found.blob.blob_id), (asset_id, &blob_id));
        let mut again = hashed(&f, owner, "again", &hash(1));
        again.dedup_scope = DedupScope::Tenant;
        assert_eq!(
            make_one(&f.catalog, &again).await,
            Initiated::Made(vec![Some(asset_id.clone())])
        );
        let mut reader = f.catalog.reader().await.unwrap();
        let blob = find_blob(&f.catalog, &blob_id).await;
        let of = assets::of_blob_and_owner(&mut reader.tx(), TENANT, &blob, owner).await;
        let of: Vec<String> = of.unwrap().into_iter().map(|a| a.asset_id).collect();
        assert_eq!(of, std::slice::from_ref(asset_id));
    }
    // Who has not sent them learns nothing by their hash.
    assert_eq!(owned(&f, "carl", 1, 1_000, true).await, None);
    for duplicates in Duplicates::ALL {
        let mut other = hashed(&f, "carl", duplicates.as_str(), &hash(1));
        (other.dedup_scope, other.duplicates) = (DedupScope::Tenant, duplicates);
        assert_eq!(
            make_one(&f.catalog, &other).await,
            Initiated::Made(vec![None])
        );
    }
}

/// Blobs of the time before owners shared theirs.
async fn what_comes_to_a_shared_blob_is_its_owner_s(f: Fixture) {
    let (blob_id, _) = shared(&f, &["anna"], 1).await;
    let (old, own) = held(&f, "ben", "IMG_1", &hash(1)).await;
    let to = blob_id.clone();
    in_tx!(f.catalog, |tx| blobs::merge(tx, TENANT, &own, &to).await).unwrap();
    let found = owned(&f, "ben", 1, 1_000, true).await.unwrap();
    assert_eq!(found.asset_id, old.assets[0].asset_id);
    assert_eq!(found.blob.blob_id, blob_id);
    // A copy that is kept there is, too.
    let mut copy = hashed(&f, "ben", "copy", &hash(1));
    (copy.dedup_scope, copy.duplicates) = (DedupScope::Tenant, Duplicates::Keep);
    make_one(&f.catalog, &copy).await;
    step(&f, &old.assets[0].asset_id, Event::DeleteRequested).await;
    let found = owned(&f, "ben", 1, 1_000, true).await.unwrap();
    assert_eq!(found.asset_id, copy.assets[0].asset_id);
}

fn keeping(f: &Fixture, client_ref: &str, seed: u64) -> FreshCapture {
    FreshCapture {
        duplicates: Duplicates::Keep,
        ..hashed(f, OWNER, client_ref, &hash(seed))
    }
}

async fn a_kept_copy_holds_the_same_bytes(f: Fixture) {
    let (there, blob_id) = held(&f, OWNER, "IMG_1", &hash(1)).await;
    let before = count(&f.catalog, "uploads").await;
    let copy = keeping(&f, "IMG_2", 1);
    let own = copy.assets[0].asset_id.clone();
    assert_eq!(
        make_one(&f.catalog, &copy).await,
        Initiated::Made(vec![Some(own.clone())])
    );
    assert_eq!(count(&f.catalog, "uploads").await, before);
    let asset = find_asset(&f.catalog, &own).await.unwrap();
    assert_eq!((asset.state, asset.reason_code), (State::Ready, None));
    assert_eq!(asset.blob.unwrap().blob_id, blob_id);
    assert_eq!(asset.filename, copy.assets[0].filename);
    assert_eq!(
        (asset.uploaded_at, asset.viewable_at),
        (Some(copy.at), Some(copy.at))
    );
    let mut reader = f.catalog.reader().await.unwrap();
    let members = captures::members(&mut reader.tx(), TENANT, &copy.capture_id).await;
    assert_eq!(members.unwrap()[0].asset_id, own);
    let holders = assets::of_blob(&mut reader.tx(), TENANT, &blob_id).await;
    assert_eq!(holders.unwrap().len(), 2);
    let told = events::of_asset(&mut reader.tx(), TENANT, &own)
        .await
        .unwrap();
    assert_eq!(
        told[0].detail.as_deref(),
        Some(r#"{"from":"initiated","to":"ready"}"#)
    );
    let read = captures::find(&mut reader.tx(), TENANT, &copy.capture_id).await;
    assert_eq!(read.unwrap().unwrap().duplicates, Duplicates::Keep);
    for (id, wants) in [
        (&own, Duplicates::Keep),
        (&there.assets[0].asset_id, Duplicates::Merge),
    ] {
        let found = captures::duplicates_of(&mut reader.tx(), TENANT, id).await;
        assert_eq!(found.unwrap(), wants);
    }
    drop(reader);
    // Each is deleted by itself; the bytes are there for the other.
    step(&f, &there.assets[0].asset_id, Event::DeleteRequested).await;
    assert_eq!(find_blob(&f.catalog, &blob_id).await.state, "live");
    let again = hashed(&f, OWNER, "IMG_3", &hash(1));
    assert_eq!(
        make_one(&f.catalog, &again).await,
        Initiated::Made(vec![Some(own)])
    );
    // What is not there is sent; and what was declared with another length than that of the bytes.
    let mut longer = keeping(&f, "IMG_5", 1);
    longer.assets[0].size_bytes += 1;
    assert_eq!(
        make_one(&f.catalog, &longer).await,
        Initiated::Made(vec![None])
    );
    let other = keeping(&f, "IMG_4", 2);
    assert_eq!(
        make_one(&f.catalog, &other).await,
        Initiated::Made(vec![None])
    );
}

async fn a_kept_copy_is_what_its_bytes_are(f: Fixture) {
    let (_, blob_id) = held(&f, OWNER, "IMG_1", &hash(1)).await;
    let (mut found, at) = (good(&hash(1)), f.clock.now());
    found.reason = Some((Code::MediaCorrupt, "it ends too soon".into()));
    in_tx!(f.catalog, |tx| blobs::inspected(
        tx, TENANT, &blob_id, &found, at
    )
    .await)
    .unwrap();
    let copy = keeping(&f, "IMG_2", 1);
    make_one(&f.catalog, &copy).await;
    let asset = find_asset(&f.catalog, &copy.assets[0].asset_id)
        .await
        .unwrap();
    assert_eq!(asset.state, State::Failed);
    assert_eq!(asset.reason_code.as_deref(), Some("media_corrupt"));
    assert_eq!(asset.reason_detail.as_deref(), Some("it ends too soon"));
    assert_eq!(asset.viewable_at, None);
}

/// The bytes of this capture's asset arrive, checked by the store: the id of their blob.
async fn arrive_checked(
    catalog: &Catalog,
    capture: &FreshCapture,
    blob_id: String,
    at: Micros,
) -> Result<(), CatalogError> {
    let asset = capture.assets[0].clone();
    in_tx!(catalog, |tx| {
        let blob = blobs::FreshBlob {
            tenant_id: TENANT,
            blob_id: &blob_id,
            scope: OWNER,
            object_key: &asset.object_key,
            etag: "\"e\"",
            size_bytes: asset.size_bytes,
            sha256: asset.sha256.as_deref(),
            resource_id: &asset.resource_id,
            sharer: None,
            at,
        };
        blobs::insert(tx, &blob).await
    })
}

async fn forget_hash(f: &Fixture, blob_id: &str) {
    let id = blob_id.to_owned();
    let done = in_tx!(f.catalog, |tx| blobs::forget_hash(tx, TENANT, &id).await);
    done.unwrap();
}

async fn what_the_store_has_checked_is_found_before_it_is_inspected(f: Fixture) {
    let first = hashed(&f, OWNER, "IMG_1", &hash(1));
    make_one(&f.catalog, &first).await;
    let (blob_id, now) = (f.id(ids::BLOB), f.clock.now());
    let arrived = arrive_checked(&f.catalog, &first, blob_id.clone(), now).await;
    arrived.unwrap();
    let there = Initiated::Made(vec![Some(first.assets[0].asset_id.clone())]);
    let again = hashed(&f, OWNER, "IMG_2", &hash(1));
    assert_eq!(make_one(&f.catalog, &again).await, there);
    let copy = keeping(&f, "IMG_3", 1);
    let own = copy.assets[0].asset_id.clone();
    let kept = make_one(&f.catalog, &copy).await;
    assert_eq!(kept, Initiated::Made(vec![Some(own.clone())]));
    let asset = find_asset(&f.catalog, &own).await.unwrap();
    assert_eq!((asset.state, asset.viewable_at), (State::Processing, None));
    assert_eq!(asset.blob.unwrap().blob_id, blob_id);
    // It could not be inspected: whoever sends it again is let.
    forget_hash(&f, &blob_id).await;
    let anew = hashed(&f, OWNER, "IMG_4", &hash(1));
    assert_eq!(
        make_one(&f.catalog, &anew).await,
        Initiated::Made(vec![None])
    );
    // Of what was inspected it stays.
    assert!(inspect(&f, TENANT, &blob_id, &hash(1)).await.unwrap());
    forget_hash(&f, &blob_id).await;
    let last = hashed(&f, OWNER, "IMG_5", &hash(1));
    let kept = Initiated::Made(vec![Some(own)]);
    assert!([there, kept].contains(&make_one(&f.catalog, &last).await));
}

async fn of_two_that_arrive_at_once_one_has_the_hash(f: Fixture) {
    let others = [f.second().await, f.second().await];
    for round in 0..12 {
        let captures: Vec<FreshCapture> = (0..4)
            .map(|n| hashed(&f, OWNER, &format!("IMG_{round}_{n}"), &hash(round)))
            .collect();
        for capture in &captures {
            make_one(&f.catalog, capture).await;
        }
        let blob_ids = at_once(4, |n| {
            let (catalog, capture) = (others[n % 2].clone(), captures[n].clone());
            let (blob_id, now) = (f.id(ids::BLOB), f.clock.now());
            async move {
                loop {
                    match arrive_checked(&catalog, &capture, blob_id.clone(), now).await {
                        Ok(()) => return blob_id,
                        Err(error) => assert!(error.is_contended(), "{error}"),
                    }
                }
            }
        })
        .await;
        let mut known = 0;
        for blob_id in &blob_ids {
            let found = find_blob(&f.catalog, blob_id).await.sha256;
            known += usize::from(found.is_some_and(|found| found == hash(round)));
        }
        assert_eq!(known, 1);
    }
}

/// A blob that is to be doomed, and the one to which its holders go.
async fn doomed_soon(f: &Fixture, seed: u64) -> (String, String) {
    let (_, twin) = held(f, OWNER, "twin", &hash(seed)).await;
    let other = capture(f, OWNER, "other", 1);
    make_one(&f.catalog, &other).await;
    (twin, arrive(f, &other, 0).await)
}

/// The bytes are being doomed; now a copy of them is to be kept.
async fn a_kept_copy_waits_for_who_dooms(f: Fixture) {
    let (twin, to) = doomed_soon(&f, 1).await;
    let doomed = tx_that_waits!(
        f.catalog,
        |tx| done = blobs::merge(tx, TENANT, &twin, &to).await?,
        Ok(done)
    );
    let copy = keeping(&f, "copy", 1);
    assert_eq!(
        make_one(&f.catalog, &copy).await,
        Initiated::Made(vec![None])
    );
    assert!(doomed.await.unwrap().unwrap());
    let upload = find(&f.catalog, &copy.assets[0].upload_id).await;
    assert_eq!(upload.state, UploadState::Open);
}

/// A copy is being put on bytes; now they are to be doomed.
async fn a_doom_waits_for_who_keeps_a_copy(f: Fixture) {
    let (twin, to) = doomed_soon(&f, 1).await;
    let copy = keeping(&f, "copy", 1);
    let asked = copy.clone();
    let kept = tx_that_waits!(
        f.catalog,
        |tx| made = initiate(tx, std::slice::from_ref(&asked)).await?,
        Ok(made)
    );
    let id = to.clone();
    assert!(in_tx!(f.catalog, |tx| blobs::merge(tx, TENANT, &twin, &id).await).unwrap());
    let own = copy.assets[0].asset_id.clone();
    assert_eq!(
        kept.await.unwrap().unwrap(),
        [Initiated::Made(vec![Some(own.clone())])]
    );
    let asset = find_asset(&f.catalog, &own).await.unwrap();
    assert_eq!(
        asset.blob.unwrap().blob_id,
        to,
        "it points to a doomed blob"
    );
}

/// Copies are put on a blob while it is doomed: none is left pointing to what goes, and none is without bytes and without
/// an upload.
async fn a_kept_copy_and_a_doom_see_each_other(f: Fixture) {
    let others = [f.second().await, f.second().await];
    let (mut attached, mut sent) = (0, 0);
    for round in 0..24 {
        let seed = 100 + round;
        let (_, twin) = held(&f, OWNER, &format!("twin{round}"), &hash(seed)).await;
        let other = capture(&f, OWNER, &format!("other{round}"), 1);
        make_one(&f.catalog, &other).await;
        let to = arrive(&f, &other, 0).await;
        let copies: Vec<FreshCapture> = (0..4)
            .map(|n| keeping(&f, &format!("copy{round}-{n}"), seed))
            .collect();
        let made = at_once(5, |n| {
            let (catalog, copy) = (others[n % 2].clone(), copies.get(n).cloned());
            let (twin, to) = (twin.clone(), to.clone());
            async move {
                match copy {
                    Some(copy) => Some(make_one(&catalog, &copy).await),
                    None => loop {
                        let (twin, to) = (twin.clone(), to.clone());
                        match in_tx!(catalog, |tx| blobs::merge(tx, TENANT, &twin, &to).await) {
                            Ok(doomed) => {
                                assert!(doomed);
                                return None;
                            }
                            Err(error) => assert!(error.is_contended(), "{error}"),
                        }
                    },
                }
            }
        })
        .await;
        assert_eq!(find_blob(&f.catalog, &twin).await.state, "doomed");
        for (copy, made) in copies.iter().zip(made) {
            let asset = find_asset(&f.catalog, &copy.assets[0].asset_id)
                .await
                .unwrap();
            match made {
                Some(Initiated::Made(has)) if has == [None] => {
                    sent += 1;
                    assert_eq!((asset.state, asset.blob), (State::Uploading, None));
                    let upload = find(&f.catalog, &copy.assets[0].upload_id).await;
                    assert_eq!(upload.state, UploadState::Open);
                }
                Some(Initiated::Made(has)) => {
                    attached += 1;
                    assert_eq!(has, [Some(asset.asset_id.clone())]);
                    let blob = asset.blob.unwrap();
                    assert_eq!((blob.blob_id, blob.state.as_str()), (to.clone(), "live"));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(attached + sent, 24 * 4);
    let mut reader = f.catalog.reader().await.unwrap();
    let lost = "SELECT r.resource_id FROM resources r JOIN blobs b
                    ON b.tenant_id = r.tenant_id AND b.blob_id = r.blob_id WHERE b.state <> 'live'";
    let lost = reader.tx().rows(lost, &[]).await.unwrap();
    let lost: BTreeSet<String> = lost.iter().map(|r| r.text(0).unwrap()).collect();
    assert_eq!(lost, BTreeSet::new());
}
