//! What was found out about object stores.

use std::time::Duration;

use safelight_catalog::Catalog;
use safelight_catalog::stores::{self, StoreRecord};
use safelight_model::clock::Clock as _;

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::*;

on_both!(
    a_store_is_known_once_it_is_recorded,
    the_latest_probe_stands,
    probes_at_once_leave_one_whole_record,
);

const STORE: &str = "s3://bucket?endpoint=http://store.example:3900";

async fn record(catalog: &Catalog, store_url: &'static str, found: &StoreRecord) {
    let found = found.clone();
    in_tx!(catalog, |tx| stores::record(tx, store_url, &found).await).unwrap();
}

async fn find(catalog: &Catalog, store_url: &str) -> Option<StoreRecord> {
    let mut reader = catalog.reader().await.unwrap();
    stores::find(&mut reader.tx(), store_url).await.unwrap()
}

fn found(f: &Fixture, capabilities: &str) -> StoreRecord {
    StoreRecord {
        capabilities: capabilities.into(),
        probed_at: f.clock.now(),
    }
}

async fn a_store_is_known_once_it_is_recorded(f: Fixture) {
    assert_eq!(find(&f.catalog, STORE).await, None);
    let sound = found(&f, r#"{"signed_length":"enforced"}"#);
    record(&f.catalog, STORE, &sound).await;
    assert_eq!(find(&f.second().await, STORE).await, Some(sound));
    for another in [
        "s3://bucket",
        "S3://bucket?endpoint=http://store.example:3900",
        "",
    ] {
        assert_eq!(find(&f.catalog, another).await, None, "{another}");
    }
}

async fn the_latest_probe_stands(f: Fixture) {
    record(&f.catalog, STORE, &found(&f, "1")).await;
    record(&f.catalog, "s3://another", &found(&f, "other")).await;
    f.clock.advance(Duration::from_secs(1));
    let later = found(&f, "2");
    record(&f.catalog, STORE, &later).await;
    assert_eq!(find(&f.catalog, STORE).await, Some(later));
    assert_eq!(count(&f.catalog, "stores").await, 2);
}

async fn probes_at_once_leave_one_whole_record(f: Fixture) {
    let all: Vec<StoreRecord> = (0..16).map(|n| found(&f, &format!("{n}"))).collect();
    at_once(16, |n| {
        let (catalog, found) = (f.catalog.clone(), all[n].clone());
        async move { record(&catalog, STORE, &found).await }
    })
    .await;
    let left = find(&f.catalog, STORE).await.unwrap();
    assert!(all.contains(&left));
    assert_eq!(count(&f.catalog, "stores").await, 1);
}
