//! Albums: whose they are, what is in them, and that nothing in them outlives album or asset.

use safelight_catalog::{Catalog, CatalogError, albums, assets, metadata};
use safelight_model::clock::{Clock as _, Micros};
use safelight_model::ids;
use safelight_model::lifecycle::{Event, State};

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::*;

on_both!(
    an_album_is_one_owners,
    an_asset_is_in_an_album_once,
    of_adding_and_deleting_nothing_is_left_over,
    of_adding_and_deleting_the_album_nothing_is_left_over,
    albums_are_listed_in_pages,
);

async fn album(catalog: &Catalog, owner: &'static str, album_id: &str) {
    let album_id = album_id.to_owned();
    let made: Result<(), CatalogError> = in_tx!(catalog, |tx| {
        albums::insert(tx, TENANT, owner, &album_id, "Summer", Micros(1)).await
    });
    made.unwrap();
}

/// Puts an asset into an album as a service does; whether it was added.
async fn add(catalog: &Catalog, album_id: &str, asset_id: &str) -> bool {
    let (album_id, asset_id) = (album_id.to_owned(), asset_id.to_owned());
    let added: Result<bool, CatalogError> = in_tx!(catalog, |tx| {
        let Some(asset) = metadata::hold(tx, TENANT, OWNER, &asset_id).await? else {
            return Ok(false);
        };
        if !albums::hold(tx, TENANT, OWNER, &album_id).await? {
            return Ok(false);
        }
        albums::add(tx, &album_id, &asset, asset.taken_at()).await
    });
    added.unwrap()
}

async fn delete(catalog: &Catalog, album_id: &str) -> bool {
    let album_id = album_id.to_owned();
    let deleted: Result<bool, CatalogError> =
        in_tx!(catalog, |tx| albums::delete(tx, TENANT, OWNER, &album_id)
            .await);
    deleted.unwrap()
}

async fn one(f: &Fixture, client_ref: &str) -> String {
    let fresh = capture(f, OWNER, client_ref, 1);
    make_one(&f.catalog, &fresh).await;
    fresh.assets[0].asset_id.clone()
}

async fn an_album_is_one_owners(f: Fixture) {
    album(&f.catalog, OWNER, "alb_1").await;
    let asset_id = one(&f, "IMG_1").await;
    assert!(add(&f.catalog, "alb_1", &asset_id).await);
    let mut reader = f.catalog.reader().await.unwrap();
    let tx = &mut reader.tx();
    let found = albums::find(tx, TENANT, OWNER, "alb_1").await.unwrap();
    let found = found.unwrap();
    assert_eq!(
        (found.title.as_str(), found.revision, found.asset_count),
        ("Summer", 1, 1)
    );
    for (tenant, owner) in [(TENANT, "ben"), ("ten_2", OWNER)] {
        let none = albums::find(tx, tenant, owner, "alb_1").await.unwrap();
        assert_eq!(none, None);
        let none = albums::list(tx, tenant, owner, None, 10).await.unwrap();
        assert_eq!(none, []);
    }
    drop(reader);
    let strangers: Result<[bool; 3], CatalogError> = in_tx!(f.catalog, |tx| {
        Ok([
            albums::hold(tx, TENANT, "ben", "alb_1").await?,
            albums::delete(tx, TENANT, "ben", "alb_1").await?,
            albums::delete(tx, "ten_2", OWNER, "alb_1").await?,
        ])
    });
    assert_eq!(strangers.unwrap(), [false; 3]);
    let renamed: Result<(), CatalogError> = in_tx!(f.catalog, |tx| {
        albums::retitle(tx, TENANT, "alb_1", "Winter", Micros(9)).await
    });
    renamed.unwrap();
    let mut reader = f.catalog.reader().await.unwrap();
    let found = albums::find(&mut reader.tx(), TENANT, OWNER, "alb_1").await;
    let found = found.unwrap().unwrap();
    assert_eq!(
        (found.title.as_str(), found.revision, found.updated_at),
        ("Winter", 2, Micros(9))
    );
    drop(reader);
    assert!(delete(&f.catalog, "alb_1").await);
    assert!(!delete(&f.catalog, "alb_1").await);
    assert_eq!(count(&f.catalog, "album_assets").await, 0);
    assert!(find_asset(&f.catalog, &asset_id).await.is_some());
}

async fn an_asset_is_in_an_album_once(f: Fixture) {
    album(&f.catalog, OWNER, "alb_1").await;
    let others = [f.second().await, f.second().await];
    for round in 0..8 {
        let asset_id = one(&f, &format!("IMG_{round}")).await;
        let added = at_once(4, |n| {
            let (catalog, asset_id) = (others[n % 2].clone(), asset_id.clone());
            async move { add(&catalog, "alb_1", &asset_id).await }
        })
        .await;
        assert_eq!(added.iter().filter(|a| **a).count(), 1, "{added:?}");
        assert_eq!(count(&f.catalog, "album_assets").await, round + 1);
        let removed: Result<[bool; 2], CatalogError> = in_tx!(f.catalog, |tx| {
            let held = albums::hold(tx, TENANT, OWNER, "alb_1").await?;
            assert!(held);
            let first = albums::remove(tx, TENANT, "alb_1", &asset_id).await?;
            let second = albums::remove(tx, TENANT, "alb_1", &asset_id).await?;
            let asset = assets::find(tx, TENANT, &asset_id).await?.unwrap();
            assert!(albums::add(tx, "alb_1", &asset, Micros(1)).await?);
            Ok([first, second])
        });
        assert_eq!(removed.unwrap(), [true, false]);
    }
}

async fn delete_asset(catalog: &Catalog, event_id: String, asset_id: &str, at: Micros) {
    let asset = find_asset(catalog, asset_id).await.unwrap();
    let deleted: Result<_, CatalogError> = in_tx!(catalog, |tx| {
        let change = assets::Transition {
            event: Event::DeleteRequested,
            reason: None,
            event_id: &event_id,
            at,
        };
        assets::transition(tx, &asset, &change).await
    });
    assert_eq!(deleted.unwrap(), Some(State::Deleted));
}

/// Whichever comes first: no row of a deleted asset is left.
async fn of_adding_and_deleting_nothing_is_left_over(f: Fixture) {
    album(&f.catalog, OWNER, "alb_1").await;
    let other = f.second().await;
    let mut added = 0;
    for round in 0..16 {
        let asset_id = one(&f, &format!("IMG_{round}")).await;
        let (event_id, at) = (f.id(ids::EVENT), f.clock.now());
        let done = at_once(2, |n| {
            let (here, there) = (f.catalog.clone(), other.clone());
            let (asset_id, event_id) = (asset_id.clone(), event_id.clone());
            async move {
                match n {
                    0 => add(&here, "alb_1", &asset_id).await,
                    _ => {
                        delete_asset(&there, event_id, &asset_id, at).await;
                        false
                    }
                }
            }
        })
        .await;
        added += usize::from(done[0]);
        assert_eq!(count(&f.catalog, "album_assets").await, 0, "after {added}");
        assert!(!add(&f.catalog, "alb_1", &asset_id).await);
    }
}

/// Whichever comes first: no row of a deleted album is left.
async fn of_adding_and_deleting_the_album_nothing_is_left_over(f: Fixture) {
    let other = f.second().await;
    let asset_id = one(&f, "IMG_1").await;
    for round in 0..16 {
        let album_id = format!("alb_{round}");
        album(&f.catalog, OWNER, &album_id).await;
        let done = at_once(2, |n| {
            let (here, there) = (f.catalog.clone(), other.clone());
            let (asset_id, album_id) = (asset_id.clone(), album_id.clone());
            async move {
                match n {
                    0 => add(&here, &album_id, &asset_id).await,
                    _ => delete(&there, &album_id).await,
                }
            }
        })
        .await;
        assert!(done[1]);
        assert_eq!(count(&f.catalog, "album_assets").await, 0);
    }
}

async fn albums_are_listed_in_pages(f: Fixture) {
    for n in 0..7 {
        album(&f.catalog, OWNER, &format!("alb_{n}")).await;
    }
    album(&f.catalog, "ben", "alb_9").await;
    let mut listed: Vec<String> = Vec::new();
    loop {
        let mut reader = f.catalog.reader().await.unwrap();
        let cursor = listed.last().map(String::as_str);
        let page = albums::list(&mut reader.tx(), TENANT, OWNER, cursor, 3).await;
        let page = page.unwrap();
        if page.is_empty() {
            break;
        }
        listed.extend(page.into_iter().map(|a| a.album_id));
        if listed.len() == 3 {
            // What comes meanwhile is newer; what goes was shown or will not be.
            album(&f.catalog, OWNER, "alb_8").await;
            assert!(delete(&f.catalog, "alb_5").await);
            assert!(delete(&f.catalog, "alb_2").await);
        }
    }
    assert_eq!(
        listed,
        ["alb_6", "alb_5", "alb_4", "alb_3", "alb_1", "alb_0"]
    );
}
