//! Versions of presets: what each means, what is there by which, and what becomes of what is made no more.

use safelight_catalog::preset_versions::{self, Numbers};
use safelight_catalog::renditions::{self, Stored};
use safelight_catalog::{Catalog, keys, outdated};
use safelight_model::clock::{Clock as _, Micros};
use safelight_model::preset::{COVER, DISPLAY, LARGE, Preset};

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::*;

on_both!(
    a_version_means_what_it_meant_first,
    who_chooses_first_at_once_decides_for_all,
    what_is_there_by_the_present_versions_is_told_in_pages,
    what_nobody_makes_any_more_is_forgotten,
);

fn display(version: u32, long_edge: u32) -> Preset {
    Preset {
        version,
        long_edge,
        ..DISPLAY
    }
}

async fn choose(catalog: &Catalog, preset: Preset, at: Micros) -> i64 {
    let means = in_tx!(catalog, |tx| preset_versions::choose(tx, &preset, at).await);
    means.unwrap().long_edge
}

async fn a_version_means_what_it_meant_first(f: Fixture) {
    let at = f.clock.now();
    let own = display(2, 1440);
    let means = in_tx!(f.catalog, |tx| preset_versions::choose(tx, &own, at).await);
    let expected = Numbers {
        long_edge: 1440,
        quality: 75,
    };
    assert_eq!(means.unwrap(), expected);
    assert_eq!(choose(&f.catalog, display(2, 1500), at).await, 1440);
    assert_eq!(choose(&f.catalog, display(3, 1500), at).await, 1500);
    let large = Preset {
        version: 2,
        ..LARGE
    };
    assert_eq!(choose(&f.catalog, large, at).await, 2048);
    assert_eq!(count(&f.catalog, "preset_versions").await, 3);
}

async fn who_chooses_first_at_once_decides_for_all(f: Fixture) {
    let all = at_once(8, |n| {
        let (catalog, at) = (f.catalog.clone(), f.clock.now());
        let edge = 1000 + u32::try_from(n).unwrap();
        async move { choose(&catalog, display(2, edge), at).await }
    });
    let all = all.await;
    assert!(all.iter().all(|edge| *edge == all[0]), "{all:?}");
}

/// Puts a rendition of a blob into a state.
async fn put(f: &Fixture, blob_id: &str, of: Preset, state: &str) {
    let (blob_id, state, at) = (blob_id.to_owned(), state.to_owned(), f.clock.now());
    let stored = Stored {
        preset: of,
        object_key: format!("r/{blob_id}/{}@{}", of.name, of.version),
        etag: "e".into(),
        width: 1,
        height: 1,
        size_bytes: 1,
    };
    in_tx!(f.catalog, |tx| {
        if state == "ready" {
            return renditions::store(tx, TENANT, &blob_id, &stored, at).await;
        }
        renditions::expect(tx, TENANT, &blob_id, &of, at).await?;
        if state == "failed" {
            let why = (safelight_model::codes::Code::MediaCorrupt, "why");
            renditions::fail_one(tx, TENANT, &blob_id, &of, why, at).await?;
        }
        Ok(())
    })
    .unwrap();
}

async fn what_is_there_by_the_present_versions_is_told_in_pages(f: Fixture) {
    let mut blobs = Vec::new();
    for n in 0..4 {
        let (_, blob_id) = held(&f, OWNER, &format!("c{n}"), &hash(n)).await;
        blobs.push(blob_id);
    }
    // One that nobody has inspected.
    let fresh = capture(&f, OWNER, "c9", 1);
    make_one(&f.catalog, &fresh).await;
    arrive(&f, &fresh, 0).await;
    blobs.sort();
    let (now, large) = (display(2, 1440), LARGE);
    put(&f, &blobs[0], DISPLAY, "ready").await;
    put(&f, &blobs[1], now, "ready").await;
    put(&f, &blobs[1], large, "failed").await;
    put(&f, &blobs[2], now, "pending").await;
    put(&f, &blobs[3], now, "ready").await;
    put(&f, &blobs[3], large, "ready").await;
    let page = async |after: &str, presets: [Preset; 2]| {
        let mut reader = f.catalog.reader().await.unwrap();
        let page = outdated::page(&mut reader.tx(), TENANT, after, &presets, 3).await;
        page.unwrap()
    };
    let first = page("", [now, large]).await;
    let told: Vec<(i64, i64)> = first.iter().map(|p| (p.ready, p.failed)).collect();
    assert_eq!(told, [(0, 0), (1, 1), (0, 0)]);
    assert!(
        first
            .iter()
            .all(|p| p.owner_id == OWNER && p.mime.is_some())
    );
    let rest = page(&first[2].blob_id, [now, large]).await;
    assert_eq!(rest.len(), 1);
    assert_eq!(
        (rest[0].blob_id.as_str(), rest[0].ready),
        (blobs[3].as_str(), 2)
    );
    // One preset, said twice, counts once.
    assert_eq!(page(&blobs[2], [now, now]).await[0].ready, 1);
    assert!(page(&blobs[3], [now, large]).await.is_empty());
    let mut reader = f.catalog.reader().await.unwrap();
    let other = outdated::page(&mut reader.tx(), "ten_2", "", &[now, large], 9).await;
    assert!(other.unwrap().is_empty());
    keys::tenants(&mut reader.tx()).await.unwrap();
}

async fn what_nobody_makes_any_more_is_forgotten(f: Fixture) {
    for (of, state) in [
        (DISPLAY, "ready"),
        (display(2, 1440), "pending"),
        (display(3, 1500), "failed"),
        (display(4, 1600), "pending"),
        (COVER, "pending"),
    ] {
        put(&f, "b", of, state).await;
    }
    let present = display(4, 1600).label();
    let forget = async || {
        in_tx!(f.catalog, |tx| {
            renditions::forget_pending_others(tx, TENANT, "b", &present).await
        })
        .unwrap()
    };
    assert_eq!(forget().await, 1);
    assert_eq!(forget().await, 0);
    let mut reader = f.catalog.reader().await.unwrap();
    let left = renditions::of_blob(&mut reader.tx(), TENANT, "b").await;
    let left: Vec<(String, i64)> = left
        .unwrap()
        .into_iter()
        .map(|r| (r.preset, r.version))
        .collect();
    let expected = [("cover", 1), ("display", 1), ("display", 3), ("display", 4)];
    assert_eq!(
        left,
        expected.map(|(name, version)| (name.to_owned(), version))
    );
}
