//! Assets: their one way of changing, and how they are listed.

use std::time::Duration;

use proptest::prelude::*;
use safelight_catalog::assets::{self, Asset, Transition};
use safelight_catalog::listing::{self, Filter, Listing, Order, Place};
use safelight_catalog::{Backend, Catalog, events};
use safelight_model::clock::{Clock as _, Micros};
use safelight_model::codes::Code;
use safelight_model::ids;
use safelight_model::lifecycle::{Event, State, next};

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::*;

on_both!(
    every_transition_goes_by_the_table,
    one_of_many_changes_an_asset,
    racing_events_leave_a_chain_without_gaps,
    moments_are_set_once,
    a_reason_is_kept_with_its_state,
    an_asset_is_found_by_its_link_and_by_its_blob,
    an_owners_list_holds_his_own_only,
    pages_together_are_the_list_while_it_grows,
);

async fn one(f: &Fixture, client_ref: &str) -> String {
    let fresh = capture(f, OWNER, client_ref, 1);
    make_one(&f.catalog, &fresh).await;
    fresh.assets[0].asset_id.clone()
}

async fn force(f: &Fixture, asset_id: &str, state: State) -> Asset {
    let id = asset_id.to_owned();
    in_tx!(f.catalog, |tx| {
        tx.exec(
            "UPDATE assets SET state = $1 WHERE asset_id = $2",
            safelight_catalog::values![state.as_str(), id],
        )
        .await
    })
    .unwrap();
    find_asset(&f.catalog, asset_id).await.unwrap()
}

async fn transition(
    catalog: &Catalog,
    asset: &Asset,
    event: Event,
    reason: Option<(Code, String)>,
    (event_id, at): (String, Micros),
) -> Option<State> {
    let asset = asset.clone();
    in_tx!(catalog, |tx| {
        let change = Transition {
            event,
            reason,
            event_id: &event_id,
            at,
        };
        assets::transition(tx, &asset, &change).await
    })
    .unwrap()
}

/// The id and the moment of an event.
fn stamp(f: &Fixture) -> (String, Micros) {
    (f.id(ids::EVENT), f.clock.now())
}

async fn told(f: &Fixture, asset_id: &str) -> Vec<events::Event> {
    let mut reader = f.catalog.reader().await.unwrap();
    events::of_asset(&mut reader.tx(), TENANT, asset_id)
        .await
        .unwrap()
}

async fn every_transition_goes_by_the_table(f: Fixture) {
    let id = one(&f, "IMG_1").await;
    let mut events = 0;
    for state in State::ALL {
        for event in Event::ALL {
            let before = force(&f, &id, state).await;
            f.clock.advance(Duration::from_secs(1));
            let answer = transition(&f.catalog, &before, event, None, stamp(&f)).await;
            assert_eq!(answer, next(state, event), "{state:?} {event:?}");
            let after = find_asset(&f.catalog, &id).await.unwrap();
            let changed = answer.is_some_and(|to| to != state);
            if changed {
                events += 1;
                assert_eq!(after.state, answer.unwrap());
                assert_eq!(after.version, before.version + 1);
                assert_eq!(after.updated_at, f.clock.now());
                let last = told(&f, &id).await.pop().unwrap();
                assert_eq!(last.kind, "asset.state_changed");
                assert_eq!(
                    last.detail.unwrap(),
                    format!(
                        "{{\"from\":\"{}\",\"to\":\"{}\"}}",
                        state.as_str(),
                        after.state.as_str()
                    )
                );
                assert_eq!(last.at, f.clock.now());
            } else {
                assert_eq!(after, before, "{state:?} {event:?}");
            }
            assert_eq!(told(&f, &id).await.len(), events, "{state:?} {event:?}");
        }
    }
}

async fn one_of_many_changes_an_asset(f: Fixture) {
    for round in 0..20 {
        let id = one(&f, &format!("IMG_{round}")).await;
        let asset = find_asset(&f.catalog, &id).await.unwrap();
        let answers = at_once(16, |n| {
            let (catalog, asset, stamp) = (f.catalog.clone(), asset.clone(), stamp(&f));
            let event = [Event::BytesComplete, Event::UploadEnded][n % 2];
            async move { transition(&catalog, &asset, event, None, stamp).await }
        })
        .await;
        let won: Vec<State> = answers.into_iter().flatten().collect();
        assert_eq!(won.len(), 1);
        let after = find_asset(&f.catalog, &id).await.unwrap();
        assert_eq!((after.state, after.version), (won[0], asset.version + 1));
        assert_eq!(told(&f, &id).await.len(), 1, "one change, one event");
    }
}

/// Many processes push the same asset about; its events tell a path that the table allows.
async fn racing_events_leave_a_chain_without_gaps(f: Fixture) {
    let id = one(&f, "IMG_1").await;
    let pushes = [
        Event::BytesComplete,
        Event::InspectStarted,
        Event::InspectPassed,
        Event::InspectFailed,
        Event::Retried,
        Event::Withheld,
        Event::Released,
        Event::UploadEnded,
    ];
    let changes: Vec<u32> = at_once(8, |n| {
        let (catalog, id) = (f.catalog.clone(), id.clone());
        let clock = f.clock.clone();
        let entropy = f.entropy.clone();
        async move {
            let mut changes = 0;
            for i in 0..25 {
                let asset = find_asset(&catalog, &id).await.unwrap();
                clock.advance(Duration::from_millis(1));
                let at = clock.now();
                let stamp = (ids::fresh(ids::EVENT, at, &*entropy), at);
                let event = pushes[(n + i) % pushes.len()];
                let from = asset.state;
                if let Some(to) = transition(&catalog, &asset, event, None, stamp).await {
                    changes += u32::from(to != from);
                }
            }
            changes
        }
    })
    .await;
    let asset = find_asset(&f.catalog, &id).await.unwrap();
    let events = told(&f, &id).await;
    let changes: u32 = changes.iter().sum();
    assert_eq!(events.len(), changes as usize);
    assert_eq!(asset.version, 1 + i64::from(changes));
    // The moments are those of the callers, so the order of the chain is that of what follows what:
    // every state is left as often as it is entered, but for the first and the last.
    let mut balance = std::collections::BTreeMap::<String, i32>::new();
    for event in &events {
        let detail = event.detail.clone().unwrap();
        let parts: Vec<&str> = detail.split('"').collect();
        *balance.entry(parts[3].to_owned()).or_default() -= 1;
        *balance.entry(parts[7].to_owned()).or_default() += 1;
    }
    *balance.entry("uploading".into()).or_default() += 1;
    *balance.entry(asset.state.as_str().into()).or_default() -= 1;
    assert!(balance.values().all(|n| *n == 0), "{balance:?}");
}

async fn moments_are_set_once(f: Fixture) {
    let id = one(&f, "IMG_1").await;
    let at = || {
        f.clock.advance(Duration::from_secs(1));
        f.clock.now()
    };
    let uploaded = at();
    step(&f, &id, Event::BytesComplete).await;
    let started = at();
    step(&f, &id, Event::InspectStarted).await;
    let asset = find_asset(&f.catalog, &id).await.unwrap();
    assert_eq!(
        (asset.uploaded_at, asset.viewable_at),
        (Some(uploaded), None)
    );
    assert_eq!(asset.updated_at, started);
    let viewable = at();
    step(&f, &id, Event::InspectPassed).await;
    let asset = find_asset(&f.catalog, &id).await.unwrap();
    assert_eq!(asset.viewable_at, Some(viewable));
    // Withheld, released, inspected again: the first moments stand.
    for event in [
        Event::Withheld,
        Event::Released,
        Event::InspectStarted,
        Event::InspectPassed,
    ] {
        at();
        assert!(step(&f, &id, event).await.is_some());
    }
    let asset = find_asset(&f.catalog, &id).await.unwrap();
    assert_eq!(asset.state, State::Ready);
    assert_eq!(asset.uploaded_at, Some(uploaded));
    assert_eq!(asset.viewable_at, Some(viewable));
}

async fn a_reason_is_kept_with_its_state(f: Fixture) {
    let id = one(&f, "IMG_1").await;
    step(&f, &id, Event::BytesComplete).await;
    let asset = find_asset(&f.catalog, &id).await.unwrap();
    f.clock.advance(Duration::from_secs(1));
    let reason = Some((Code::MediaCorrupt, "it's \"cut off\"".to_owned()));
    transition(&f.catalog, &asset, Event::InspectFailed, reason, stamp(&f)).await;
    let asset = find_asset(&f.catalog, &id).await.unwrap();
    assert_eq!(asset.state, State::Failed);
    assert_eq!(asset.reason_code.as_deref(), Some("media_corrupt"));
    assert_eq!(asset.reason_detail.as_deref(), Some("it's \"cut off\""));
    // The event has the code, never the words.
    let last = told(&f, &id).await.pop().unwrap().detail.unwrap();
    assert_eq!(
        last,
        r#"{"from":"uploaded","to":"failed","code":"media_corrupt"}"#
    );
    step(&f, &id, Event::Retried).await;
    let asset = find_asset(&f.catalog, &id).await.unwrap();
    assert_eq!((asset.reason_code, asset.reason_detail), (None, None));
}

async fn an_asset_is_found_by_its_link_and_by_its_blob(f: Fixture) {
    let (fresh, blob_id) = held(&f, OWNER, "IMG_1", &hash(1)).await;
    let other = capture(&f, OWNER, "IMG_2", 1);
    make_one(&f.catalog, &other).await;
    let mut reader = f.catalog.reader().await.unwrap();
    let mut tx = reader.tx();
    let asked = &fresh.assets[0];
    let found = assets::by_public_id(&mut tx, &asked.public_id).await;
    let found = found.unwrap().unwrap();
    assert_eq!(found.asset_id, asked.asset_id);
    let blob = found.blob.clone().unwrap();
    assert_eq!(blob.blob_id, blob_id);
    assert_eq!(blob.object_key, asked.object_key);
    assert_eq!(blob.sha256, Some(hash(1)));
    assert_eq!(
        (blob.state.as_str(), blob.verdict.as_str()),
        ("live", "clean")
    );
    assert_eq!(
        assets::of_blob(&mut tx, TENANT, &blob_id).await.unwrap(),
        [found]
    );
    assert!(
        assets::of_blob(&mut tx, "ten_2", &blob_id)
            .await
            .unwrap()
            .is_empty()
    );
    for stranger in ["", &asked.asset_id, &asked.public_id.to_uppercase()] {
        let found = assets::by_public_id(&mut tx, stranger).await.unwrap();
        assert_eq!(found, None, "{stranger}");
    }
    let found = assets::find(&mut tx, "ten_2", &asked.asset_id).await;
    assert_eq!(found.unwrap(), None);
}

async fn page(
    catalog: &Catalog,
    tenant_id: &str,
    owner: &str,
    cursor: Option<&str>,
    limit: i64,
) -> Vec<String> {
    let mut reader = catalog.reader().await.unwrap();
    let after = cursor.map(|asset_id| Place {
        taken_at: Micros(0),
        asset_id: asset_id.to_owned(),
    });
    let listing = Listing {
        tenant_id,
        owner_id: owner,
        filter: &Filter::default(),
        order: Order::Created,
        after: after.as_ref(),
        limit,
    };
    let page = listing::list(&mut reader.tx(), &listing).await;
    page.unwrap().into_iter().map(|a| a.asset_id).collect()
}

async fn all_pages(catalog: &Catalog, tenant_id: &str, owner: &str, limit: i64) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let next = page(
            catalog,
            tenant_id,
            owner,
            all.last().map(String::as_str),
            limit,
        )
        .await;
        if next.is_empty() {
            return all;
        }
        assert!(next.len() <= usize::try_from(limit).unwrap());
        all.extend(next);
    }
}

async fn an_owners_list_holds_his_own_only(f: Fixture) {
    let anna = capture(&f, "anna", "IMG_1", 3);
    let ben = capture(&f, "ben", "IMG_1", 2);
    let mut elsewhere = capture(&f, "anna", "IMG_1", 2);
    elsewhere.tenant_id = "ten_2".into();
    make(&f.catalog, &[anna.clone(), ben.clone(), elsewhere])
        .await
        .unwrap();
    assert_eq!(page(&f.catalog, TENANT, "anna", None, 50).await.len(), 3);
    assert_eq!(page(&f.catalog, TENANT, "ben", None, 50).await.len(), 2);
    assert_eq!(page(&f.catalog, "ten_2", "anna", None, 50).await.len(), 2);
    assert!(page(&f.catalog, TENANT, "ann", None, 50).await.is_empty());
    // A tombstone is not listed.
    step(&f, &anna.assets[1].asset_id, Event::DeleteRequested).await;
    let left = page(&f.catalog, TENANT, "anna", None, 50).await;
    assert_eq!(left.len(), 2);
    assert!(!left.contains(&anna.assets[1].asset_id));
}

/// Assets that are added while somebody leafs through are newer than the first page: they neither
/// show up nor push anything onto two pages.
async fn pages_together_are_the_list_while_it_grows(f: Fixture) {
    for n in 0..30 {
        one(&f, &format!("old{n}")).await;
        f.clock.advance(Duration::from_millis(n % 3));
    }
    let before = page(&f.catalog, TENANT, OWNER, None, 200).await;
    let mut seen = page(&f.catalog, TENANT, OWNER, None, 7).await;
    for n in 0.. {
        f.clock.advance(Duration::from_millis(1));
        one(&f, &format!("new{n}")).await;
        let next = page(
            &f.catalog,
            TENANT,
            OWNER,
            seen.last().map(String::as_str),
            7,
        )
        .await;
        if next.is_empty() {
            break;
        }
        seen.extend(next);
    }
    assert_eq!(seen, before);
}

/// One burst: how many assets, of whom, how many milliseconds after the one before.
type Burst = (usize, u8, u64);

async fn pages_make_the_list(f: &Fixture, bursts: Vec<Burst>, limit: i64) {
    let tenant_id = f.id("ten");
    let mut expected: Vec<Vec<String>> = vec![Vec::new(); 3];
    let mut batch = Vec::new();
    for (n, (assets, owner, later)) in bursts.into_iter().enumerate() {
        f.clock.advance(Duration::from_millis(later));
        let mut fresh = capture(f, &format!("o{owner}"), &format!("r{n}"), assets);
        fresh.tenant_id = tenant_id.clone();
        let made = fresh.assets.iter().map(|a| a.asset_id.clone());
        expected[usize::from(owner)].extend(made);
        batch.push(fresh);
    }
    make(&f.catalog, &batch).await.unwrap();
    for (owner, mut expected) in expected.into_iter().enumerate() {
        expected.sort_unstable_by(|a, b| b.cmp(a));
        let listed = all_pages(&f.catalog, &tenant_id, &format!("o{owner}"), limit).await;
        assert_eq!(listed, expected);
    }
}

fn pages_make_any_list(backend: Backend) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let f = runtime.block_on(Fixture::open(backend));
    let bursts = prop::collection::vec((1_usize..12, 0_u8..3, 0_u64..3), 0..12);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(32));
    runner
        .run(&(bursts, 1_i64..9), |(bursts, limit)| {
            runtime.block_on(pages_make_the_list(&f, bursts, limit));
            Ok(())
        })
        .unwrap();
}

#[test]
fn pages_make_any_list_on_sqlite() {
    pages_make_any_list(Backend::Sqlite);
}

#[test]
fn pages_make_any_list_on_postgres() {
    pages_make_any_list(Backend::Postgres);
}
