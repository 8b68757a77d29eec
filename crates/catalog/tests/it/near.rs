//! What looks nearly like an asset: found as by looking at every picture, kept with the asset, and never another owner's.

use proptest::prelude::*;
use safelight_catalog::blobs::Inspected;
use safelight_catalog::near::{self, ALIKE, NEIGHBOURS, Near};
use safelight_catalog::{Backend, CatalogError, Value, blobs, values};
use safelight_model::clock::{Clock as _, Micros};
use safelight_model::duplicates::{DedupScope, Duplicates};
use safelight_model::ids;
use safelight_model::lifecycle::Event;
use safelight_model::near::{COPY_DISTANCE, PictureHash, RETAKE_DISTANCE, RETAKE_MICROS, is_near};

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::*;

on_both!(
    the_hash_of_bytes_is_that_of_all_who_hold_them,
    owners_that_share_bytes_are_not_near_one_another,
    who_goes_is_near_nobody,
    what_was_inspected_before_is_hashed_later,
    only_pictures_nobody_looked_at_are_to_be_hashed,
    of_very_many_the_newest_and_those_of_the_moment,
);

const MINUTE: i64 = 60 * 1_000_000;

/// What is near an asset; `None` if nothing can be said.
async fn near_of(f: &Fixture, asset_id: &str) -> Option<Vec<Near>> {
    let asset = find_asset(&f.catalog, asset_id).await.unwrap();
    let mut reader = f.catalog.reader().await.unwrap();
    near::near(&mut reader.tx(), &asset, 100).await.unwrap()
}

/// The ids and distances of what is near an asset that has a hash.
async fn told(f: &Fixture, asset_id: &str) -> Vec<(String, u32)> {
    let near = near_of(f, asset_id).await.expect("it has a hash");
    let pairs = near.into_iter().map(|n| (n.asset.asset_id, n.distance));
    pairs.collect()
}

async fn inspect_as(f: &Fixture, blob_id: &str, seed: u64, picture: Option<u64>) {
    let (blob_id, at) = (blob_id.to_owned(), f.clock.now());
    let found = Inspected {
        picture_hash: picture.map(PictureHash),
        ..good(&hash(seed))
    };
    let done = in_tx!(f.catalog, |tx| blobs::inspected(
        tx, TENANT, &blob_id, &found, at
    )
    .await);
    assert!(done.unwrap());
}

/// A picture of this owner that has arrived and was inspected: its asset and its blob.
async fn picture(f: &Fixture, owner: &str, seed: u64, picture: Option<u64>) -> (String, String) {
    let fresh = hashed(f, owner, &format!("{owner} {seed}"), &hash(seed));
    make_one(&f.catalog, &fresh).await;
    let blob_id = arrive(f, &fresh, 0).await;
    inspect_as(f, &blob_id, seed, picture).await;
    (fresh.assets[0].asset_id.clone(), blob_id)
}

/// A picture in the model.
#[derive(Clone, Debug)]
struct Known {
    asset_id: String,
    owner: &'static str,
    hash: Option<PictureHash>,
    taken_at: Micros,
    is_live: bool,
}

/// Rows of pictures, also of tombstones whose hash an older version left.
async fn place(f: &Fixture, all: &[Known]) {
    let all = all.to_vec();
    let placed: Result<(), CatalogError> = in_tx!(f.catalog, |tx| {
        for table in ["assets", "resources", "asset_hashes"] {
            tx.exec(&format!("DELETE FROM {table}"), &[]).await?;
        }
        for known in &all {
            let state = if known.is_live { "ready" } else { "deleted" };
            tx.exec(
                "INSERT INTO assets (tenant_id, asset_id, owner_id, capture_id, public_id, state, version, captured_at,
                                     created_at, updated_at)
                 VALUES ($1, $2, $3, 'cap', $2, $4, 1, $5, 0, 0)",
                values![TENANT, &known.asset_id, known.owner, state, known.taken_at],
            )
            .await?;
            tx.exec(
                "INSERT INTO resources (tenant_id, resource_id, asset_id, kind, size_bytes)
                 VALUES ($1, $2, $2, 'primary', 1)",
                values![TENANT, &known.asset_id],
            )
            .await?;
            let Some(hash) = known.hash else { continue };
            tx.exec(
                "INSERT INTO asset_hashes (tenant_id, asset_id, owner_id, picture_hash) VALUES ($1, $2, $3, $4)",
                values![TENANT, &known.asset_id, known.owner, hash.to_stored()],
            )
            .await?;
        }
        Ok(())
    });
    placed.unwrap();
}

/// What is near, by looking at every picture: distances, how far in time, and the ids.
fn by_force(all: &[Known], of: &Known) -> Option<Vec<(u32, u64, String)>> {
    let hash = of.hash?;
    let mut near = Vec::new();
    for other in all {
        let Some(others) = other.hash else { continue };
        let distance = hash.distance(others);
        if other.is_live
            && other.owner == of.owner
            && other.asset_id != of.asset_id
            && is_near(distance, of.taken_at, other.taken_at)
        {
            let apart = of.taken_at.0.abs_diff(other.taken_at.0);
            near.push((distance, apart, other.asset_id.clone()));
        }
    }
    near.sort_unstable();
    Some(near)
}

/// Pictures that are like one of three others but for some bits, taken within half an hour.
fn any_pictures() -> impl Strategy<Value = Vec<Known>> {
    let bits = prop::collection::btree_set(0_u32..64, 0..=14);
    let one = (0_usize..3, bits, 0_i64..30, 0_u8..10);
    let bases = prop::array::uniform3(any::<u64>());
    (bases, prop::collection::vec(one, 2..40)).prop_map(|(bases, all)| {
        let known = all
            .into_iter()
            .enumerate()
            .map(|(n, (base, bits, minutes, rare))| Known {
                asset_id: format!("ast_{n:02}"),
                owner: if rare == 0 { "ben" } else { OWNER },
                hash: (rare != 1)
                    .then(|| PictureHash(bits.iter().fold(bases[base], |all, b| all ^ (1 << b)))),
                taken_at: Micros(minutes * MINUTE),
                is_live: rare != 2,
            });
        known.collect()
    })
}

async fn found_as_by_force(f: &Fixture, all: &[Known]) {
    place(f, all).await;
    for of in all.iter().filter(|known| known.is_live) {
        let found = near_of(f, &of.asset_id).await;
        let Some(expected) = by_force(all, of) else {
            assert_eq!(found, None);
            continue;
        };
        let mut told: Vec<(u32, u64, String)> = found
            .expect("it has a hash")
            .into_iter()
            .map(|n| {
                let apart = of.taken_at.0.abs_diff(n.asset.taken_at().0);
                (n.distance, apart, n.asset.asset_id)
            })
            .collect();
        assert!(told.is_sorted_by_key(|n| (n.0, n.1)), "{told:?}");
        told.sort_unstable();
        assert_eq!(told, expected, "{of:?}");
    }
}

fn against_force(backend: Backend, cases: u32) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let f = runtime.block_on(Fixture::open(backend));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(cases));
    runner
        .run(&any_pictures(), |all| {
            runtime.block_on(found_as_by_force(&f, &all));
            Ok(())
        })
        .unwrap();
}

#[test]
fn found_as_by_looking_at_all_on_sqlite() {
    against_force(Backend::Sqlite, 32);
}

#[test]
fn found_as_by_looking_at_all_on_postgres() {
    against_force(Backend::Postgres, 32);
}

/// Turns the lowest bit of every quarter, then the next, until so many are turned.
fn turned(hash: u64, count: u32) -> u64 {
    (0..count).fold(hash, |all, n| all ^ (1 << (n % 4 * 16 + n / 4)))
}

const SEEN: u64 = 0x9e37_79b9_7f4a_7c15;

async fn the_hash_of_bytes_is_that_of_all_who_hold_them(f: Fixture) {
    let (first, _) = picture(&f, OWNER, 1, Some(SEEN)).await;
    let (retake, twin) = picture(&f, OWNER, 2, Some(turned(SEEN, COPY_DISTANCE))).await;
    let (plain, _) = picture(&f, OWNER, 3, None).await;
    picture(&f, OWNER, 4, Some(!SEEN)).await;
    assert_eq!(told(&f, &first).await, [(retake.clone(), COPY_DISTANCE)]);
    assert_eq!(told(&f, &retake).await, [(first.clone(), COPY_DISTANCE)]);
    assert_eq!(near_of(&f, &plain).await, None);

    // A copy that is kept on bytes that are there, and one whose bytes turn out to be there.
    let mut kept = hashed(&f, OWNER, "kept", &hash(2));
    kept.duplicates = Duplicates::Keep;
    make_one(&f.catalog, &kept).await;
    let kept = kept.assets[0].asset_id.clone();
    let sent = capture(&f, OWNER, "sent", 1);
    make_one(&f.catalog, &sent).await;
    let arrived = arrive(&f, &sent, 0).await;
    let sent = sent.assets[0].asset_id.clone();
    assert_eq!(near_of(&f, &sent).await, None);
    assert!(
        in_tx!(f.catalog, |tx| blobs::merge(tx, TENANT, &arrived, &twin)
            .await)
        .unwrap()
    );
    let mut others = vec![(kept.clone(), 0), (sent.clone(), 0)];
    let mut near = told(&f, &retake).await;
    assert_eq!(near.pop(), Some((first.clone(), COPY_DISTANCE)));
    near.sort();
    others.sort();
    assert_eq!(near, others);
    assert_eq!(told(&f, &first).await.len(), 3);
    assert_eq!(told(&f, &sent).await.len(), 3);
}

async fn owners_that_share_bytes_are_not_near_one_another(f: Fixture) {
    let mut blobs_of = Vec::new();
    let mut assets = Vec::new();
    for owner in ["anna", "ben"] {
        let mut fresh = hashed(&f, owner, "IMG_1", &hash(1));
        fresh.dedup_scope = DedupScope::Tenant;
        make_one(&f.catalog, &fresh).await;
        let (blob_id, at) = (f.id(ids::BLOB), f.clock.now());
        let (id, of, sharer) = (blob_id.clone(), fresh.assets[0].clone(), owner.to_owned());
        in_tx!(f.catalog, |tx| {
            let blob = blobs::FreshBlob {
                tenant_id: TENANT,
                blob_id: &id,
                scope: blobs::SHARED,
                object_key: &of.object_key,
                etag: "\"e\"",
                size_bytes: of.size_bytes,
                sha256: None,
                resource_id: &of.resource_id,
                sharer: Some(&sharer),
                at,
            };
            blobs::insert(tx, &blob).await
        })
        .unwrap();
        blobs_of.push(blob_id);
        assets.push(fresh.assets[0].asset_id.clone());
    }
    inspect_as(&f, &blobs_of[0], 1, Some(SEEN)).await;
    let (to, from) = (blobs_of[0].clone(), blobs_of[1].clone());
    assert!(in_tx!(f.catalog, |tx| blobs::merge(tx, TENANT, &from, &to).await).unwrap());
    for asset_id in &assets {
        assert!(told(&f, asset_id).await.is_empty());
    }
    // Each has his own that are near.
    let (bens, _) = picture(&f, "ben", 2, Some(turned(SEEN, 1))).await;
    assert!(told(&f, &assets[0]).await.is_empty());
    assert_eq!(told(&f, &assets[1]).await, [(bens, 1)]);
}

async fn who_goes_is_near_nobody(f: Fixture) {
    let (first, _) = picture(&f, OWNER, 1, Some(SEEN)).await;
    let (other, _) = picture(&f, OWNER, 2, Some(SEEN)).await;
    assert_eq!(told(&f, &first).await.len(), 1);
    step(&f, &other, Event::DeleteRequested).await;
    assert!(told(&f, &first).await.is_empty());
    assert_eq!(near_of(&f, &other).await, None);
    assert_eq!(count(&f.catalog, "asset_hashes").await, 1);
}

async fn what_was_inspected_before_is_hashed_later(f: Fixture) {
    let (first, _) = picture(&f, OWNER, 1, Some(SEEN)).await;
    let (old, blob_id) = picture(&f, OWNER, 2, None).await;
    assert_eq!(near_of(&f, &old).await, None);
    for (hash, done) in [
        (None, true),
        (Some(turned(SEEN, 2)), true),
        (Some(!SEEN), false),
    ] {
        let (blob_id, hash) = (blob_id.clone(), hash.map(PictureHash));
        let at = f.clock.now();
        let hashed = in_tx!(f.catalog, |tx| near::hash_later(
            tx, TENANT, &blob_id, hash, at
        )
        .await);
        assert_eq!(hashed.unwrap(), done);
    }
    assert_eq!(told(&f, &old).await, [(first.clone(), 2)]);
    assert_eq!(told(&f, &first).await, [(old, 2)]);
}

async fn unhashed(f: &Fixture, limit: i64) -> Vec<(String, String)> {
    let mut reader = f.catalog.reader().await.unwrap();
    let found = near::unhashed(&mut reader.tx(), limit).await.unwrap();
    found.into_iter().map(|u| (u.blob_id, u.owner_id)).collect()
}

async fn only_pictures_nobody_looked_at_are_to_be_hashed(f: Fixture) {
    // Inspected now, with a hash and with none; not inspected yet; of the rest nobody has looked for a hash.
    picture(&f, OWNER, 1, Some(SEEN)).await;
    picture(&f, OWNER, 2, None).await;
    let fresh = hashed(&f, OWNER, "not inspected", &hash(3));
    make_one(&f.catalog, &fresh).await;
    arrive(&f, &fresh, 0).await;
    assert!(unhashed(&f, 10).await.is_empty());
    let mut old = Vec::new();
    for seed in 4..9 {
        old.push(
            picture(&f, if seed % 2 == 0 { "ben" } else { OWNER }, seed, None)
                .await
                .1,
        );
    }
    let sets = [
        "",
        ", verdict = 'quarantine'",
        ", state = 'doomed'",
        ", width = NULL",
        "",
    ];
    for (blob_id, set) in old.iter().zip(sets) {
        let sql =
            format!("UPDATE blobs SET hash_sought_at = NULL{set} WHERE blob_id = '{blob_id}'");
        let done = in_tx!(f.catalog, |tx| tx.exec(&sql, &[]).await);
        assert_eq!(done.unwrap(), 1);
    }
    let mut left = [old[0].clone(), old[4].clone()];
    left.sort();
    let left = left.map(|blob_id| (blob_id, "ben".to_owned()));
    assert_eq!(unhashed(&f, 10).await, left);
    assert_eq!(unhashed(&f, 1).await, left[..1]);
    // What has none is not asked for again, nor what has one.
    for (hash, (blob_id, _)) in [None, Some(PictureHash(SEEN))].into_iter().zip(left) {
        let at = f.clock.now();
        let done = in_tx!(f.catalog, |tx| near::hash_later(
            tx, TENANT, &blob_id, hash, at
        )
        .await);
        assert!(done.unwrap());
    }
    assert!(unhashed(&f, 10).await.is_empty());
}

/// More than are looked at that have the same hash, over days, and some that were taken with the eldest.
async fn of_very_many_the_newest_and_those_of_the_moment(f: Fixture) {
    let total = ALIKE + NEIGHBOURS;
    let known = |n: usize, taken_at: i64, hash: u64| Known {
        asset_id: format!("ast_{n:04}"),
        owner: OWNER,
        hash: Some(PictureHash(hash)),
        taken_at: Micros(taken_at),
        is_live: true,
    };
    let mut all: Vec<Known> = (0..total)
        .map(|n| known(n, n as i64 * 2 * RETAKE_MICROS, SEEN))
        .collect();
    let aside = turned(SEEN, RETAKE_DISTANCE);
    all.push(known(total, -1, aside));
    all.push(known(total + 1, RETAKE_MICROS, aside));
    all.push(known(total + 2, -RETAKE_MICROS - 1, aside));
    place(&f, &all).await;
    let eldest = find_asset(&f.catalog, "ast_0000").await.unwrap();
    let mut reader = f.catalog.reader().await.unwrap();
    let near = near::near(&mut reader.tx(), &eldest, total).await;
    let near = near.unwrap().unwrap();
    let same = near.iter().filter(|n| n.distance == 0);
    let oldest = same.map(|n| n.asset.asset_id.as_str()).min();
    assert_eq!(oldest, Some(all[total - ALIKE].asset_id.as_str()));
    let moment: Vec<&str> = near
        .iter()
        .filter(|n| n.distance == RETAKE_DISTANCE)
        .map(|n| n.asset.asset_id.as_str())
        .collect();
    assert_eq!(moment, [&all[total].asset_id, &all[total + 1].asset_id]);
    // No more than were asked for, the nearest of them.
    let few = near::near(&mut reader.tx(), &eldest, 3).await.unwrap();
    let few: Vec<u32> = few.unwrap().iter().map(|n| n.distance).collect();
    assert_eq!(few, [0, 0, 0]);
    let row = "SELECT COUNT(*) FROM asset_hashes WHERE quarter_0 = $1 AND quarter_3 = $2";
    let hash = PictureHash(SEEN);
    let quarters = [hash.quarter(0), hash.quarter(3)].map(|q| Value::from(i64::from(q)));
    let row = reader.tx().row(row, &quarters).await.unwrap().unwrap();
    assert_eq!(row.int(0).unwrap(), total as i64);
}
