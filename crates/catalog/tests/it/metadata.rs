//! What an owner says of an asset: one of two changes waits for the other, a tombstone says nothing, and what becomes
//! another takes along what was said of it.

use std::collections::BTreeSet;

use safelight_catalog::assets::Asset;
use safelight_catalog::merge_asset::{MergeEvents, merge_asset};
use safelight_catalog::{Catalog, CatalogError, albums, events, metadata};
use safelight_model::clock::{Clock as _, Micros};
use safelight_model::ids;
use safelight_model::lifecycle::Event;
use safelight_model::limits::MAX_TAGS;
use safelight_model::metadata::{Location, Metadata, Moment, Visibility};

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::*;

on_both!(
    what_is_said_reads_back_and_raises_the_revision,
    of_two_who_expect_the_same_revision_one_changes_it,
    a_change_of_state_and_one_of_what_is_said_do_not_get_in_each_others_way,
    a_tombstone_says_nothing,
    what_becomes_another_takes_along_what_was_said,
    a_survivor_has_no_more_tags_than_an_asset_may,
);

pub fn set(tags: &[&str]) -> BTreeSet<String> {
    tags.iter().map(|t| (*t).to_owned()).collect()
}

fn said(title: &str, at: Option<i64>) -> Metadata {
    Metadata {
        title: Some(title.to_owned()),
        captured_at: at.map(|at| Moment {
            at: Micros(at),
            offset_minutes: Some(-150),
        }),
        location: Some(Location {
            latitude_e7: -338_567_844,
            longitude_e7: 1_512_152_967,
            altitude_mm: Some(-1_500),
        }),
        visibility: Visibility::Public,
    }
}

/// Says this of an asset, if it is at this revision. What a service does.
pub async fn say(
    catalog: &Catalog,
    asset_id: &str,
    revision: Option<i64>,
    after: Metadata,
    tags: BTreeSet<String>,
) -> bool {
    let asset_id = asset_id.to_owned();
    let done: Result<bool, CatalogError> = in_tx!(catalog, |tx| {
        let Some(asset) = metadata::hold(tx, TENANT, OWNER, &asset_id).await? else {
            return Ok(false);
        };
        if revision.is_some_and(|r| r != asset.revision) {
            return Ok(false);
        }
        let before = metadata::tags(tx, &asset).await?;
        metadata::write(tx, &asset, &after, Micros(7)).await?;
        let taken_at = after.captured_at.map_or(asset.created_at, |m| m.at);
        metadata::write_tags(tx, &asset, &before, &tags, taken_at).await?;
        Ok(true)
    });
    done.unwrap()
}

pub async fn tags(catalog: &Catalog, asset: &Asset) -> BTreeSet<String> {
    let mut reader = catalog.reader().await.unwrap();
    metadata::tags(&mut reader.tx(), asset).await.unwrap()
}

async fn one(f: &Fixture, client_ref: &str) -> String {
    let fresh = capture(f, OWNER, client_ref, 1);
    make_one(&f.catalog, &fresh).await;
    fresh.assets[0].asset_id.clone()
}

async fn what_is_said_reads_back_and_raises_the_revision(f: Fixture) {
    let id = one(&f, "IMG_1").await;
    let fresh = find_asset(&f.catalog, &id).await.unwrap();
    let from_capture = Moment {
        at: f.clock.now(),
        offset_minutes: Some(60),
    };
    assert_eq!(fresh.metadata.captured_at, Some(from_capture));
    assert_eq!((fresh.revision, fresh.metadata.title.as_ref()), (1, None));
    let all = said("Opera", Some(1_000));
    assert!(say(&f.catalog, &id, None, all.clone(), set(&["sea", "été"])).await);
    let asset = find_asset(&f.catalog, &id).await.unwrap();
    assert_eq!((asset.revision, asset.version), (2, fresh.version));
    assert_eq!(asset.metadata, all);
    assert_eq!(asset.taken_at(), Micros(1_000));
    assert_eq!(tags(&f.catalog, &asset).await, set(&["sea", "été"]));
    assert!(
        say(
            &f.catalog,
            &id,
            None,
            Metadata::default(),
            set(&["été", "z"])
        )
        .await
    );
    let asset = find_asset(&f.catalog, &id).await.unwrap();
    assert_eq!(asset.metadata, Metadata::default());
    assert_eq!(asset.taken_at(), asset.created_at);
    assert_eq!(tags(&f.catalog, &asset).await, set(&["z", "été"]));
    // Nobody else's, and none that is not there.
    let strangers: Result<_, CatalogError> = in_tx!(f.catalog, |tx| {
        Ok([
            metadata::hold(tx, TENANT, "ben", &id).await?,
            metadata::hold(tx, "ten_2", OWNER, &id).await?,
            metadata::hold(tx, TENANT, OWNER, "ast_0").await?,
        ])
    });
    assert_eq!(strangers.unwrap(), [None, None, None]);
}

async fn of_two_who_expect_the_same_revision_one_changes_it(f: Fixture) {
    let id = one(&f, "IMG_1").await;
    let others = [f.second().await, f.second().await];
    for revision in 1..=8 {
        let done = at_once(4, |n| {
            let (catalog, id) = (others[n % 2].clone(), id.clone());
            async move {
                let after = said(&format!("{revision} {n}"), Some(5));
                say(
                    &catalog,
                    &id,
                    Some(revision),
                    after,
                    set(&[&format!("t{n}")]),
                )
                .await
            }
        })
        .await;
        let won: Vec<usize> = (0..4).filter(|n| done[*n]).collect();
        assert_eq!(won.len(), 1, "{done:?}");
        let asset = find_asset(&f.catalog, &id).await.unwrap();
        assert_eq!(asset.revision, revision + 1);
        let title = format!("{revision} {}", won[0]);
        assert_eq!(asset.metadata.title, Some(title));
        assert_eq!(
            tags(&f.catalog, &asset).await,
            set(&[&format!("t{}", won[0])])
        );
    }
}

/// A worker that saw the asset before a title was changed moves it all the same.
async fn a_change_of_state_and_one_of_what_is_said_do_not_get_in_each_others_way(f: Fixture) {
    let id = one(&f, "IMG_1").await;
    let before = find_asset(&f.catalog, &id).await.unwrap();
    assert!(say(&f.catalog, &id, Some(1), said("a", None), set(&[])).await);
    let (event_id, at) = (f.id(ids::EVENT), f.clock.now());
    let moved: Result<_, CatalogError> = in_tx!(f.catalog, |tx| {
        let change = safelight_catalog::assets::Transition {
            event: Event::BytesComplete,
            reason: None,
            event_id: &event_id,
            at,
        };
        safelight_catalog::assets::transition(tx, &before, &change).await
    });
    assert!(moved.unwrap().is_some());
    assert!(say(&f.catalog, &id, Some(2), said("b", None), set(&[])).await);
}

async fn a_tombstone_says_nothing(f: Fixture) {
    let id = one(&f, "IMG_1").await;
    say(&f.catalog, &id, None, said("Opera", Some(5)), set(&["sea"])).await;
    step(&f, &id, Event::DeleteRequested).await;
    let gone = find_asset(&f.catalog, &id).await.unwrap();
    assert_eq!(gone.metadata, Metadata::default());
    assert_eq!(count(&f.catalog, "asset_tags").await, 0);
    assert!(!say(&f.catalog, &id, None, said("again", None), set(&["sea"])).await);
    assert_eq!(count(&f.catalog, "asset_tags").await, 0);
}

async fn merge(f: &Fixture, from: &str, into: &str) {
    let from = find_asset(&f.catalog, from).await.unwrap();
    let into = find_asset(&f.catalog, into).await.unwrap();
    let (merged, carried_over, at) = (f.id(ids::EVENT), f.id(ids::EVENT), f.clock.now());
    let done: Result<bool, CatalogError> = in_tx!(f.catalog, |tx| {
        let event_ids = MergeEvents {
            merged: &merged,
            carried_over: &carried_over,
        };
        merge_asset(tx, &from, &into, event_ids, at).await
    });
    assert!(done.unwrap());
}

async fn what_becomes_another_takes_along_what_was_said(f: Fixture) {
    let (there, _) = held(&f, OWNER, "IMG_1", &hash(1)).await;
    let again = capture(&f, OWNER, "IMG_2", 1);
    make_one(&f.catalog, &again).await;
    arrive(&f, &again, 0).await;
    let (into, from) = (&there.assets[0].asset_id, &again.assets[0].asset_id);
    let own = Metadata {
        title: Some("its own".into()),
        ..Metadata::default()
    };
    say(&f.catalog, into, None, own, set(&["a", "b"])).await;
    say(
        &f.catalog,
        from,
        None,
        said("the other's", Some(5)),
        set(&["b", "c"]),
    )
    .await;
    let (from_id, into_id) = (from.clone(), into.clone());
    let filled: Result<(), CatalogError> = in_tx!(f.catalog, |tx| {
        for (album, asset_ids) in [
            ("alb_1", vec![&from_id]),
            ("alb_2", vec![&from_id, &into_id]),
        ] {
            albums::insert(tx, TENANT, OWNER, album, album, Micros(1)).await?;
            for asset_id in asset_ids {
                let asset = metadata::hold(tx, TENANT, OWNER, asset_id).await?.unwrap();
                albums::add(tx, album, &asset, asset.taken_at()).await?;
            }
        }
        Ok(())
    });
    filled.unwrap();
    merge(&f, from, into).await;

    let stands = find_asset(&f.catalog, into).await.unwrap();
    let expected = Metadata {
        title: Some("its own".into()),
        visibility: Visibility::Private,
        ..said("", Some(5))
    };
    assert_eq!(stands.metadata, expected);
    assert_eq!(tags(&f.catalog, &stands).await, set(&["a", "b", "c"]));
    let mut reader = f.catalog.reader().await.unwrap();
    let within = albums::of_asset(&mut reader.tx(), &stands).await.unwrap();
    assert_eq!(within, set(&["alb_1", "alb_2"]));
    let gone = find_asset(&f.catalog, from).await.unwrap();
    assert_eq!(gone.metadata, Metadata::default());
    assert_eq!(count(&f.catalog, "album_assets").await, 2);
    assert_eq!(count(&f.catalog, "asset_tags").await, 3);
    let places = "SELECT taken_at FROM album_assets UNION ALL SELECT taken_at FROM asset_tags";
    for row in reader.tx().rows(places, &[]).await.unwrap() {
        assert_eq!(row.int(0).unwrap(), 5);
    }
    let told = events::of_asset(&mut reader.tx(), TENANT, into)
        .await
        .unwrap();
    let updated: Vec<_> = told.iter().filter(|e| e.kind == "asset.updated").collect();
    assert_eq!(updated.len(), 1);
    assert_eq!(
        updated[0].detail.as_deref(),
        Some(r#"{"changed":["captured_at","location","tags","albums"]}"#)
    );
    // Whoever asks for the one changes the other.
    drop(reader);
    assert!(say(&f.catalog, from, None, said("of both", None), set(&[])).await);
    let stands = find_asset(&f.catalog, into).await.unwrap();
    assert_eq!(stands.metadata.title.as_deref(), Some("of both"));
}

async fn a_survivor_has_no_more_tags_than_an_asset_may(f: Fixture) {
    let (there, _) = held(&f, OWNER, "IMG_1", &hash(1)).await;
    let again = capture(&f, OWNER, "IMG_2", 1);
    make_one(&f.catalog, &again).await;
    arrive(&f, &again, 0).await;
    let (into, from) = (&there.assets[0].asset_id, &again.assets[0].asset_id);
    let numbered = |from: usize| (from..from + MAX_TAGS).map(|n| format!("{n:03}")).collect();
    say(&f.catalog, into, None, Metadata::default(), numbered(30)).await;
    say(&f.catalog, from, None, Metadata::default(), numbered(0)).await;
    merge(&f, from, into).await;
    let stands = find_asset(&f.catalog, into).await.unwrap();
    assert_eq!(tags(&f.catalog, &stands).await, numbered(30));
}
