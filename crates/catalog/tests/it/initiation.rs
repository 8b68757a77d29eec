//! Captures are made once, whatever repeats and races.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;
use safelight_catalog::initiate::{FreshCapture, Initiated};
use safelight_catalog::{Backend, Catalog, CatalogError, captures, idempotency, uploads};
use safelight_model::clock::Clock as _;
use safelight_model::lifecycle::{Event, State};

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::*;

on_both!(
    a_capture_is_stored_as_it_was_asked_for,
    a_hundred_assets_keep_their_order,
    batches_of_every_size,
    a_repetition_finds_its_capture,
    a_key_with_another_request_is_a_mismatch,
    a_key_of_another_operation_is_a_mismatch,
    another_key_for_the_same_reference_finds_the_capture_and_is_recorded,
    a_batch_mixes_new_and_known,
    references_and_keys_belong_to_their_owner_and_caller,
    processes_that_race_with_the_same_captures_make_each_once,
    processes_that_race_with_one_reference_make_one_capture,
    the_oldest_asset_with_the_bytes_is_named,
    bytes_that_are_not_verified_or_not_live_are_not_named,
    bytes_of_others_are_never_named,
    many_holders_of_the_same_bytes,
    odd_texts_come_back_as_they_were,
    the_longest_texts_fit,
    a_nul_is_refused_and_harms_nobody,
);

async fn a_capture_is_stored_as_it_was_asked_for(f: Fixture) {
    let fresh = hashed(&f, OWNER, "IMG_1", &hash(1));
    assert_eq!(
        make(&f.catalog, std::slice::from_ref(&fresh))
            .await
            .unwrap(),
        [Initiated::Made(vec![None])]
    );
    let asked = &fresh.assets[0];
    let asset = find_asset(&f.catalog, &asked.asset_id).await.unwrap();
    assert_eq!(asset.state, State::Uploading);
    assert_eq!((asset.version, asset.blob), (1, None));
    assert_eq!(asset.capture_id, fresh.capture_id);
    assert_eq!(asset.public_id, asked.public_id);
    assert_eq!(asset.filename, asked.filename);
    assert_eq!(asset.sha256, asked.sha256);
    assert_eq!((asset.created_at, asset.updated_at), (fresh.at, fresh.at));
    assert_eq!((asset.uploaded_at, asset.viewable_at), (None, None));

    let mut reader = f.catalog.reader().await.unwrap();
    let mut tx = reader.tx();
    let upload = uploads::find(&mut tx, TENANT, &asked.upload_id).await;
    let upload = upload.unwrap().unwrap();
    assert_eq!(upload.asset_id, asked.asset_id);
    assert_eq!(upload.object_key, asked.object_key);
    assert_eq!(upload.size_bytes, asked.size_bytes);
    assert_eq!(upload.signed_until, asked.signed_until);
    assert_eq!(upload.expires_at, asked.expires_at);
    assert_eq!(upload.sha256, asked.sha256);
    let found = captures::find(&mut tx, TENANT, &fresh.capture_id).await;
    let found = found.unwrap().unwrap();
    assert_eq!(found.client_ref, "IMG_1");
    assert_eq!(found.owner_id, OWNER);
    assert_eq!(found.created_at, fresh.at);
    let stored = tx
        .row(
            "SELECT purpose, captured_at, device, network, battery FROM captures",
            &[],
        )
        .await;
    let stored = stored.unwrap().unwrap();
    assert_eq!(stored.maybe_text(0).unwrap(), fresh.purpose);
    assert_eq!(stored.maybe_at(1).unwrap(), fresh.captured_at.map(|m| m.at));
    assert_eq!(stored.maybe_text(2).unwrap(), fresh.device);
    assert_eq!(stored.maybe_text(3).unwrap(), fresh.network);
    assert_eq!(stored.maybe_text(4).unwrap(), fresh.battery);
    let told = tx
        .row("SELECT kind, capture_id, owner_id FROM events", &[])
        .await;
    let told = told.unwrap().unwrap();
    assert_eq!(told.text(0).unwrap(), "capture.created");
    assert_eq!(told.text(1).unwrap(), fresh.capture_id);
    assert_eq!(told.text(2).unwrap(), OWNER);
}

async fn a_hundred_assets_keep_their_order(f: Fixture) {
    let fresh = capture(&f, OWNER, "burst", 100);
    assert_eq!(
        make(&f.catalog, std::slice::from_ref(&fresh))
            .await
            .unwrap(),
        [Initiated::Made(vec![None; 100])]
    );
    let mut reader = f.catalog.reader().await.unwrap();
    let mut tx = reader.tx();
    let members = captures::members(&mut tx, TENANT, &fresh.capture_id)
        .await
        .unwrap();
    let uploads = uploads::of_capture(&mut tx, TENANT, &fresh.capture_id)
        .await
        .unwrap();
    assert_eq!((members.len(), uploads.len()), (100, 100));
    for ((asked, member), upload) in fresh.assets.iter().zip(&members).zip(&uploads) {
        assert_eq!(member.asset_id, asked.asset_id);
        assert_eq!(member.client_ref, asked.client_ref);
        assert_eq!(member.role, asked.role);
        assert_eq!(upload.upload_id, asked.upload_id);
        assert_eq!(upload.send_order, asked.send_order);
    }
}

async fn batches_of_every_size(f: Fixture) {
    let mut made = 0;
    for size in [1, 2, 3, 31, 63, 64, 65, 127, 128, 129, 130] {
        let batch: Vec<FreshCapture> = (0..size)
            .map(|n| capture(&f, OWNER, &format!("{size}-{n}"), 1 + n % 3))
            .collect();
        let answers = make(&f.catalog, &batch).await.unwrap();
        for (fresh, answer) in batch.iter().zip(&answers) {
            assert_eq!(*answer, Initiated::Made(vec![None; fresh.assets.len()]));
        }
        assert_eq!(answers.len(), batch.len());
        made += batch.iter().map(|c| c.assets.len()).sum::<usize>();
        // All of it again: everything is found, nothing is made.
        for (fresh, answer) in batch.iter().zip(make(&f.catalog, &batch).await.unwrap()) {
            assert_eq!(answer, Initiated::Existing(fresh.capture_id.clone()));
        }
    }
    for table in ["assets", "resources", "uploads", "capture_assets"] {
        assert_eq!(count(&f.catalog, table).await, i64::try_from(made).unwrap());
    }
    assert!(make(&f.catalog, &[]).await.unwrap().is_empty());
}

async fn a_repetition_finds_its_capture(f: Fixture) {
    let first = capture(&f, OWNER, "IMG_1", 2);
    make_one(&f.catalog, &first).await;
    let mut again = capture(&f, OWNER, "IMG_1", 2);
    again.idempotency_key = first.idempotency_key.clone();
    assert_eq!(
        make_one(&f.catalog, &again).await,
        Initiated::Existing(first.capture_id)
    );
    assert_eq!(count(&f.catalog, "captures").await, 1);
    assert_eq!(count(&f.catalog, "assets").await, 2);
    assert_eq!(count(&f.catalog, "events").await, 1);
}

async fn a_key_with_another_request_is_a_mismatch(f: Fixture) {
    let first = capture(&f, OWNER, "IMG_1", 1);
    make_one(&f.catalog, &first).await;
    let mut other = capture(&f, OWNER, "IMG_2", 1);
    other.idempotency_key = first.idempotency_key.clone();
    assert_eq!(make_one(&f.catalog, &other).await, Initiated::Mismatch);
    // Also when the capture it speaks of is known.
    other.client_ref = first.client_ref.clone();
    assert_eq!(make_one(&f.catalog, &other).await, Initiated::Mismatch);
    assert_eq!(count(&f.catalog, "captures").await, 1);
}

async fn a_key_of_another_operation_is_a_mismatch(f: Fixture) {
    let fresh = capture(&f, OWNER, "IMG_1", 1);
    let now = f.clock.now();
    let claim = idempotency::Claim {
        tenant_id: TENANT.into(),
        caller: fresh.caller.clone(),
        key: fresh.idempotency_key.clone(),
        operation: "complete",
        fingerprint: fresh.fingerprint.clone(),
        now,
        lease_until: now.plus(Duration::from_secs(60)),
        expires_at: now.plus(Duration::from_secs(60)),
    };
    in_tx!(f.catalog, |tx| idempotency::begin(tx, &claim).await).unwrap();
    assert_eq!(make_one(&f.catalog, &fresh).await, Initiated::Mismatch);
}

async fn another_key_for_the_same_reference_finds_the_capture_and_is_recorded(f: Fixture) {
    let first = capture(&f, OWNER, "IMG_1", 1);
    make_one(&f.catalog, &first).await;
    // A client that lost its journal: same reference, other key, even another body.
    let second = capture(&f, OWNER, "IMG_1", 3);
    for _ in 0..2 {
        assert_eq!(
            make_one(&f.catalog, &second).await,
            Initiated::Existing(first.capture_id.clone())
        );
    }
    // Its key now stands for that request and no other.
    let mut third = capture(&f, OWNER, "IMG_3", 1);
    third.idempotency_key = second.idempotency_key.clone();
    assert_eq!(make_one(&f.catalog, &third).await, Initiated::Mismatch);
    assert_eq!(count(&f.catalog, "idempotency").await, 2);
    assert_eq!(count(&f.catalog, "assets").await, 1);
}

async fn a_batch_mixes_new_and_known(f: Fixture) {
    let known = capture(&f, OWNER, "known", 1);
    make_one(&f.catalog, &known).await;
    let again = capture(&f, OWNER, "known", 1);
    let mut mismatch = capture(&f, OWNER, "other", 1);
    mismatch.idempotency_key = known.idempotency_key.clone();
    let fresh = capture(&f, OWNER, "fresh", 2);
    // What is known in one tenant is new in another.
    let mut repeated = capture(&f, OWNER, "known", 1);
    repeated.idempotency_key = known.idempotency_key.clone();
    repeated.tenant_id = "ten_2".into();
    let answers = make(&f.catalog, &[again, mismatch, fresh, repeated]).await;
    assert_eq!(
        answers.unwrap(),
        [
            Initiated::Existing(known.capture_id),
            Initiated::Mismatch,
            Initiated::Made(vec![None, None]),
            Initiated::Made(vec![None]),
        ]
    );
}

async fn references_and_keys_belong_to_their_owner_and_caller(f: Fixture) {
    let anna = capture(&f, "anna", "IMG_1", 1);
    make_one(&f.catalog, &anna).await;
    // The same reference and the same key of another owner, and of another tenant.
    let mut ben = capture(&f, "ben", "IMG_1", 1);
    ben.idempotency_key = anna.idempotency_key.clone();
    assert_eq!(
        make_one(&f.catalog, &ben).await,
        Initiated::Made(vec![None])
    );
    let mut elsewhere = capture(&f, "anna", "IMG_1", 1);
    elsewhere.idempotency_key = anna.idempotency_key.clone();
    elsewhere.tenant_id = "ten_2".into();
    assert_eq!(
        make_one(&f.catalog, &elsewhere).await,
        Initiated::Made(vec![None])
    );
}

/// The same catalog as two processes see it. SQLite has one writing process.
async fn two_processes(f: &Fixture) -> [Catalog; 2] {
    match f.catalog.backend() {
        Backend::Sqlite => [f.catalog.clone(), f.catalog.clone()],
        Backend::Postgres => [f.catalog.clone(), f.second().await],
    }
}

/// As the service does: again when a race was lost.
async fn make_all(catalog: &Catalog, batch: &[FreshCapture]) -> Vec<Initiated> {
    let mut tries = 0;
    loop {
        match make(catalog, batch).await {
            Ok(answers) => return answers,
            Err(CatalogError::Contended(_)) if tries < 4 => tries += 1,
            Err(error) => panic!("after {tries} tries: {error}"),
        }
    }
}

async fn processes_that_race_with_the_same_captures_make_each_once(f: Fixture) {
    let processes = two_processes(&f).await;
    for round in 0..10 {
        // Both are sent the same requests, in opposite orders, under ids of their own.
        let mut batches = [Vec::new(), Vec::new()];
        for n in 0..40 {
            let one = capture(&f, OWNER, &format!("{round}-{n}"), 2);
            let mut other = capture(&f, OWNER, &one.client_ref, 2);
            other.idempotency_key = one.idempotency_key.clone();
            batches[0].push(one);
            batches[1].insert(0, other);
        }
        let answers = at_once(2, |i| {
            let (catalog, batch) = (processes[i].clone(), batches[i].clone());
            async move { make_all(&catalog, &batch).await }
        })
        .await;
        let mut made: HashMap<&str, &str> = HashMap::new();
        for (batch, answers) in batches.iter().zip(&answers) {
            for (fresh, answer) in batch.iter().zip(answers) {
                if *answer == Initiated::Made(vec![None, None]) {
                    let twice = made.insert(&fresh.client_ref, &fresh.capture_id);
                    assert_eq!(twice, None, "{} was made twice", fresh.client_ref);
                }
            }
        }
        assert_eq!(made.len(), 40);
        for (batch, answers) in batches.iter().zip(&answers) {
            for (fresh, answer) in batch.iter().zip(answers) {
                let capture_id = made[fresh.client_ref.as_str()];
                if fresh.capture_id != capture_id {
                    assert_eq!(*answer, Initiated::Existing(capture_id.to_owned()));
                }
            }
        }
    }
    assert_eq!(count(&f.catalog, "captures").await, 400);
    assert_eq!(count(&f.catalog, "assets").await, 800);
    assert_eq!(count(&f.catalog, "events").await, 400);
}

async fn processes_that_race_with_one_reference_make_one_capture(f: Fixture) {
    let processes = two_processes(&f).await;
    for round in 0..20 {
        // Sixteen requests for the same capture, every one with a key of its own.
        let answers = at_once(16, |i| {
            let catalog = processes[i % 2].clone();
            let fresh = capture(&f, OWNER, &format!("r{round}"), 1);
            async move {
                let answer = make_one(&catalog, &fresh).await;
                (fresh.capture_id, answer)
            }
        })
        .await;
        let made: Vec<_> = answers
            .iter()
            .filter(|(_, answer)| matches!(answer, Initiated::Made(_)))
            .collect();
        assert_eq!(made.len(), 1, "{answers:?}");
        for (capture_id, answer) in &answers {
            if *capture_id != made[0].0 {
                assert_eq!(*answer, Initiated::Existing(made[0].0.clone()));
            }
        }
    }
    assert_eq!(count(&f.catalog, "idempotency").await, 20 * 16);
}

async fn the_oldest_asset_with_the_bytes_is_named(f: Fixture) {
    let sha = hash(7);
    let (first, blob_id) = held(&f, OWNER, "first", &sha).await;
    // A second asset comes to hold the same blob, as after a merge.
    f.clock.advance(Duration::from_secs(1));
    let second = capture(&f, OWNER, "second", 1);
    make_one(&f.catalog, &second).await;
    let other = arrive(&f, &second, 0).await;
    let to = blob_id.clone();
    let merged = in_tx!(f.catalog, |tx| {
        safelight_catalog::blobs::merge(tx, TENANT, &other, &to).await
    });
    assert!(merged.unwrap());

    let mut third = hashed(&f, OWNER, "third", &sha);
    third
        .assets
        .push(capture(&f, OWNER, "x", 1).assets.remove(0));
    third.assets[1].sha256 = Some(hash(8));
    assert_eq!(
        make_one(&f.catalog, &third).await,
        Initiated::Made(vec![Some(first.assets[0].asset_id.clone()), None])
    );
    let mut reader = f.catalog.reader().await.unwrap();
    let members = captures::members(&mut reader.tx(), TENANT, &third.capture_id).await;
    let members = members.unwrap();
    assert_eq!(members[0].asset_id, first.assets[0].asset_id);
    assert_eq!(members[0].state, "uploaded");
    assert_eq!(members[1].asset_id, third.assets[1].asset_id);
    assert_eq!(
        find_asset(&f.catalog, &third.assets[0].asset_id).await,
        None
    );

    // When the oldest is deleted the next one is named.
    step(&f, &first.assets[0].asset_id, Event::DeleteRequested).await;
    let fourth = hashed(&f, OWNER, "fourth", &sha);
    assert_eq!(
        make_one(&f.catalog, &fourth).await,
        Initiated::Made(vec![Some(second.assets[0].asset_id.clone())])
    );
}

async fn bytes_that_are_not_verified_or_not_live_are_not_named(f: Fixture) {
    let sha = hash(9);
    // Declared only.
    let declared = hashed(&f, OWNER, "declared", &sha);
    make_one(&f.catalog, &declared).await;
    let fresh = hashed(&f, OWNER, "second", &sha);
    assert_eq!(
        make_one(&f.catalog, &fresh).await,
        Initiated::Made(vec![None])
    );
    // Arrived, not yet verified.
    let blob_id = arrive(&f, &declared, 0).await;
    let fresh = hashed(&f, OWNER, "third", &sha);
    assert_eq!(
        make_one(&f.catalog, &fresh).await,
        Initiated::Made(vec![None])
    );
    // Verified, then doomed.
    assert!(inspect(&f, TENANT, &blob_id, &sha).await.unwrap());
    let id = blob_id.clone();
    in_tx!(f.catalog, |tx| {
        safelight_catalog::blobs::merge(tx, TENANT, &id, "blb_other").await
    })
    .unwrap();
    let fresh = hashed(&f, OWNER, "fourth", &sha);
    assert_eq!(
        make_one(&f.catalog, &fresh).await,
        Initiated::Made(vec![None])
    );
}

async fn bytes_of_others_are_never_named(f: Fixture) {
    let sha = hash(10);
    held(&f, "anna", "IMG_1", &sha).await;
    let ben = hashed(&f, "ben", "IMG_1", &sha);
    assert_eq!(
        make_one(&f.catalog, &ben).await,
        Initiated::Made(vec![None])
    );
    let mut elsewhere = hashed(&f, "anna", "IMG_1", &sha);
    elsewhere.tenant_id = "ten_2".into();
    assert_eq!(
        make_one(&f.catalog, &elsewhere).await,
        Initiated::Made(vec![None])
    );
    // In one batch with the one who has them, too.
    let batch = [
        hashed(&f, "ben", "IMG_2", &sha),
        hashed(&f, "anna", "IMG_2", &sha),
        hashed(&f, "cleo", "IMG_2", &sha),
    ];
    let answers = make(&f.catalog, &batch).await.unwrap();
    assert_eq!(answers[0], Initiated::Made(vec![None]));
    assert!(matches!(&answers[1], Initiated::Made(has) if has[0].is_some()));
    assert_eq!(answers[2], Initiated::Made(vec![None]));
}

async fn many_holders_of_the_same_bytes(f: Fixture) {
    let sha = hash(11);
    let (first, blob_id) = held(&f, OWNER, "first", &sha).await;
    let many = capture(&f, OWNER, "many", 100);
    make_one(&f.catalog, &many).await;
    in_tx!(f.catalog, |tx| {
        tx.exec(
            "UPDATE resources SET blob_id = $1",
            safelight_catalog::values![blob_id],
        )
        .await
    })
    .unwrap();
    let mut all = capture(&f, OWNER, "again", 100);
    for asset in &mut all.assets {
        asset.sha256 = Some(sha.clone());
    }
    let oldest = many
        .assets
        .iter()
        .map(|a| &a.asset_id)
        .chain([&first.assets[0].asset_id])
        .min();
    assert_eq!(
        make_one(&f.catalog, &all).await,
        Initiated::Made(vec![oldest.cloned(); 100])
    );
}

async fn odd_texts_come_back_as_they_were(f: Fixture) {
    let odd = [
        "it's \"quoted\" \\ `so`; DROP TABLE captures; --",
        "🤳🏽 família 写真 \u{202e}cba\u{200d}",
        "%_$1?:a@b",
        " leading and trailing ",
        "é",
        "e\u{301}",
        "É",
        "\u{7f}\u{1}\n\t\r",
        "NULL",
    ];
    let batch: Vec<FreshCapture> = odd
        .iter()
        .map(|text| {
            let mut c = capture(&f, text, text, 1);
            c.caller = (*text).into();
            c.idempotency_key = (*text).into();
            c.purpose = Some((*text).into());
            c.assets[0].client_ref = (*text).into();
            c.assets[0].filename = Some((*text).into());
            c
        })
        .collect();
    assert!(
        make(&f.catalog, &batch)
            .await
            .unwrap()
            .iter()
            .all(|a| *a == Initiated::Made(vec![None]))
    );
    for (fresh, text) in batch.iter().zip(odd) {
        let mut reader = f.catalog.reader().await.unwrap();
        let mut tx = reader.tx();
        let found = captures::find(&mut tx, TENANT, &fresh.capture_id).await;
        assert_eq!(found.unwrap().unwrap().client_ref, text);
        let members = captures::members(&mut tx, TENANT, &fresh.capture_id).await;
        assert_eq!(members.unwrap()[0].client_ref, text);
        let asset = find_asset(&f.catalog, &fresh.assets[0].asset_id).await;
        assert_eq!(asset.unwrap().filename.as_deref(), Some(text));
        assert_eq!(
            make_one(&f.catalog, fresh).await,
            Initiated::Existing(fresh.capture_id.clone())
        );
    }
}

/// PostgreSQL refuses index entries above 2,704 bytes: what the service lets in must stay below.
async fn the_longest_texts_fit(f: Fixture) {
    // Different characters, since PostgreSQL packs what repeats.
    let long = |from: u32, length: u32| -> String {
        (0..length)
            .map(|n| char::from_u32(0x1_F300 + (from * 131 + n * 7) % 700).unwrap())
            .collect()
    };
    let mut fresh = hashed(&f, &long(1, 128), &long(2, 128), &hash(12));
    fresh.caller = format!("owner {} {}", long(3, 128), long(4, 128));
    fresh.idempotency_key = (0..255_u32)
        .map(|n| char::from_u32(33 + (n * 89) % 90).unwrap())
        .collect();
    assert_eq!(
        make_one(&f.catalog, &fresh).await,
        Initiated::Made(vec![None])
    );
}

async fn a_nul_is_refused_and_harms_nobody(f: Fixture) {
    let mut bad = capture(&f, OWNER, "IMG\0", 1);
    let refused = make(&f.catalog, &[bad.clone()]).await.unwrap_err();
    assert!(matches!(refused, CatalogError::Nul), "{refused}");
    assert_eq!(
        refused.code(),
        safelight_model::codes::Code::ValidationFailed
    );
    // In a column that no lookup touches, in the middle of a batch: nothing of it stays.
    bad.client_ref = "IMG".into();
    bad.assets[0].filename = Some("\0".into());
    let batch = [capture(&f, OWNER, "good", 1), bad];
    let refused = make(&f.catalog, &batch).await.unwrap_err();
    assert!(matches!(refused, CatalogError::Nul), "{refused}");
    assert_eq!(count(&f.catalog, "captures").await, 0);
    assert_eq!(count(&f.catalog, "idempotency").await, 0);
    let mut reader = f.catalog.reader().await.unwrap();
    let asked = safelight_catalog::assets::find(&mut reader.tx(), TENANT, "ast\0").await;
    assert!(matches!(asked, Err(CatalogError::Nul)));
    assert_eq!(
        make_one(&f.catalog, &batch[0]).await,
        Initiated::Made(vec![None])
    );
}

/// A request of a client that repeats and mixes up: which reference, which key, which body.
type Request = (u8, u8, u8);

/// What the answers must be, from what was asked before.
#[derive(Default)]
struct Model {
    keys: HashMap<u8, (String, String)>,
    captures: HashMap<u8, String>,
}

impl Model {
    fn answer(&mut self, fresh: &FreshCapture, (reference, key, _): Request) -> Initiated {
        if let Some((fingerprint, capture_id)) = self.keys.get(&key) {
            return if *fingerprint == fresh.fingerprint {
                Initiated::Existing(capture_id.clone())
            } else {
                Initiated::Mismatch
            };
        }
        let known = self.captures.get(&reference).cloned();
        let capture_id = known.clone().unwrap_or_else(|| fresh.capture_id.clone());
        self.keys
            .insert(key, (fresh.fingerprint.clone(), capture_id.clone()));
        self.captures.insert(reference, capture_id.clone());
        known.map_or(Initiated::Made(vec![None]), Initiated::Existing)
    }
}

async fn follows_the_model(f: &Fixture, batches: Vec<Vec<Request>>) {
    let mut model = Model::default();
    // Every case has a tenant of its own in the one catalog.
    let tenant_id = f.id("ten");
    for batch in batches {
        let (mut seen, mut asked, mut expected) = (HashSet::new(), Vec::new(), Vec::new());
        for request in batch {
            let (reference, key, body) = request;
            if !seen.insert((0, reference)) | !seen.insert((1, key)) {
                continue;
            }
            let mut fresh = capture(f, OWNER, &format!("r{reference}"), 1);
            fresh.tenant_id = tenant_id.clone();
            fresh.idempotency_key = format!("k{key}");
            fresh.fingerprint = format!("{reference} {body}");
            expected.push(model.answer(&fresh, request));
            asked.push(fresh);
        }
        assert_eq!(make(&f.catalog, &asked).await.unwrap(), expected);
    }
}

fn any_sequence_of_batches_follows_the_model(backend: Backend) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let f = runtime.block_on(Fixture::open(backend));
    let requests = prop::collection::vec((0_u8..6, 0_u8..8, 0_u8..2), 0..8);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(48));
    runner
        .run(&prop::collection::vec(requests, 0..8), |batches| {
            runtime.block_on(follows_the_model(&f, batches));
            Ok(())
        })
        .unwrap();
}

#[test]
fn any_sequence_of_batches_follows_the_model_on_sqlite() {
    any_sequence_of_batches_follows_the_model(Backend::Sqlite);
}

#[test]
fn any_sequence_of_batches_follows_the_model_on_postgres() {
    any_sequence_of_batches_follows_the_model(Backend::Postgres);
}
