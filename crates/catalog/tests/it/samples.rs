//! Captures, and the steps of their lives that most suites need.

use std::time::Duration;

use safelight_catalog::assets::{self, Asset, Transition};
use safelight_catalog::blobs::{self, Blob, FreshBlob, Inspected};
use safelight_catalog::initiate::{FreshAsset, FreshCapture, Initiated, OpenLimit, initiate};
use safelight_catalog::listing::{self, Filter, Listing, Order, Place};
use safelight_catalog::{Catalog, CatalogError};
use safelight_model::clock::Clock as _;
use safelight_model::duplicates::{DedupScope, Duplicates};
use safelight_model::ids;
use safelight_model::lifecycle::{Event, State};
use safelight_model::metadata::Moment;

use crate::fixture::{Fixture, in_tx};

pub const TENANT: &str = "ten_1";
pub const OWNER: &str = "anna";

/// The hash of this seed.
pub fn hash(seed: u64) -> String {
    format!("{seed:064x}")
}

/// A capture with so many assets, of which the first is the key frame. Nothing is declared of its bytes.
pub fn capture(f: &Fixture, owner: &str, client_ref: &str, assets: usize) -> FreshCapture {
    let now = f.clock.now();
    FreshCapture {
        tenant_id: TENANT.into(),
        owner_id: owner.into(),
        caller: format!("owner {owner}"),
        idempotency_key: f.id("idem"),
        fingerprint: format!("initiate {client_ref}"),
        capture_id: f.id(ids::CAPTURE),
        event_id: f.id(ids::EVENT),
        client_ref: client_ref.into(),
        mode: "single".into(),
        purpose: Some("post".into()),
        captured_at: Some(Moment {
            at: now,
            offset_minutes: Some(60),
        }),
        device: Some(r#"{"model":"Pixel 9"}"#.into()),
        network: None,
        battery: Some(r#"{"level":0.5}"#.into()),
        assets_at_once: Some(2),
        duplicates: Duplicates::Merge,
        dedup_scope: DedupScope::Owner,
        open_limit: OpenLimit::default(),
        at: now,
        record_expires_at: now.plus(Duration::from_secs(3600)),
        assets: (0..assets).map(|n| asset(f, n)).collect(),
    }
}

fn asset(f: &Fixture, position: usize) -> FreshAsset {
    let now = f.clock.now();
    FreshAsset {
        client_ref: format!("a{position}"),
        role: if position == 0 { "key" } else { "frame" }.into(),
        asset_id: f.id(ids::ASSET),
        public_id: ids::public_id(&*f.entropy),
        state: State::Uploading.as_str(),
        preview: None,
        resource_id: f.id(ids::RESOURCE),
        kind: "primary".into(),
        filename: Some(format!("IMG_{position}.jpg")),
        mime: Some("image/jpeg".into()),
        size_bytes: 1_000 + i64::try_from(position).unwrap(),
        sha256: None,
        binds_hash: false,
        upload_id: f.id(ids::UPLOAD),
        started_event_id: None,
        attached_event_id: f.id(ids::EVENT),
        object_key: format!("o/{TENANT}/{}", ids::public_id(&*f.entropy)),
        sent_anyway: false,
        transport: "single",
        part_size_bytes: 8_388_608,
        concurrency: 1,
        send_order: i64::try_from(position).unwrap(),
        advice: None,
        signed_until: now.plus(Duration::from_secs(900)),
        expires_at: now.plus(Duration::from_secs(7 * 24 * 3600)),
        look_at: now.plus(Duration::from_secs(60)),
    }
}

/// A capture of one asset whose bytes have this hash.
pub fn hashed(f: &Fixture, owner: &str, client_ref: &str, sha256: &str) -> FreshCapture {
    let mut capture = capture(f, owner, client_ref, 1);
    capture.assets[0].sha256 = Some(sha256.into());
    capture
}

pub async fn make(
    catalog: &Catalog,
    fresh: &[FreshCapture],
) -> Result<Vec<Initiated>, CatalogError> {
    let fresh = fresh.to_vec();
    in_tx!(catalog, |tx| initiate(tx, &fresh).await)
}

/// Makes one capture, and tries again as often as it must.
pub async fn make_one(catalog: &Catalog, fresh: &FreshCapture) -> Initiated {
    loop {
        match make(catalog, std::slice::from_ref(fresh)).await {
            Ok(mut answers) => return answers.remove(0),
            Err(error) => assert!(error.is_contended(), "{error}"),
        }
    }
}

pub async fn find_asset(catalog: &Catalog, asset_id: &str) -> Option<Asset> {
    let mut reader = catalog.reader().await.unwrap();
    assets::find(&mut reader.tx(), TENANT, asset_id)
        .await
        .unwrap()
}

pub async fn find_blob(catalog: &Catalog, blob_id: &str) -> Blob {
    let mut reader = catalog.reader().await.unwrap();
    let found = blobs::find(&mut reader.tx(), TENANT, blob_id).await;
    found.unwrap().unwrap()
}

/// Moves an asset as it stands now.
pub async fn step(f: &Fixture, asset_id: &str, event: Event) -> Option<State> {
    let asset = find_asset(&f.catalog, asset_id).await.unwrap();
    let (event_id, at) = (f.id(ids::EVENT), f.clock.now());
    in_tx!(f.catalog, |tx| {
        let change = Transition {
            event,
            reason: None,
            event_id: &event_id,
            at,
        };
        assets::transition(tx, &asset, &change).await
    })
    .unwrap()
}

/// All the bytes of this asset arrive: the id of their blob.
pub async fn arrive(f: &Fixture, capture: &FreshCapture, position: usize) -> String {
    let asset = capture.assets[position].clone();
    let (blob_id, at) = (f.id(ids::BLOB), f.clock.now());
    let (id, asset_id) = (blob_id.clone(), asset.asset_id.clone());
    let (tenant_id, owner_id) = (capture.tenant_id.clone(), capture.owner_id.clone());
    in_tx!(f.catalog, |tx| {
        blobs::insert(
            tx,
            &FreshBlob {
                tenant_id: &tenant_id,
                blob_id: &id,
                scope: &owner_id,
                object_key: &asset.object_key,
                etag: "\"e\"",
                size_bytes: asset.size_bytes,
                sha256: None,
                resource_id: &asset.resource_id,
                sharer: None,
                at,
            },
        )
        .await
    })
    .unwrap();
    if capture.tenant_id == TENANT {
        assert_eq!(
            step(f, &asset_id, Event::BytesComplete).await,
            Some(State::Uploaded)
        );
    }
    blob_id
}

/// What a good inspection finds.
pub fn good(sha256: &str) -> Inspected {
    Inspected {
        sha256: Some(sha256.into()),
        verdict: "clean",
        mime: Some("image/jpeg".into()),
        width: Some(4_000),
        height: Some(3_000),
        thumbhash: Some("aGFzaA==".into()),
        picture_hash: None,
        metadata: None,
        live: None,
        reason: None,
    }
}

pub async fn inspect(
    f: &Fixture,
    tenant_id: &'static str,
    blob_id: &str,
    sha256: &str,
) -> Result<bool, CatalogError> {
    let (blob_id, found, at) = (blob_id.to_owned(), good(sha256), f.clock.now());
    in_tx!(f.catalog, |tx| blobs::inspected(
        tx, tenant_id, &blob_id, &found, at
    )
    .await)
}

/// A capture of one asset whose bytes have arrived and were inspected: the capture and the blob's id.
pub async fn held(
    f: &Fixture,
    owner: &str,
    client_ref: &str,
    sha256: &str,
) -> (FreshCapture, String) {
    let fresh = hashed(f, owner, client_ref, sha256);
    assert_eq!(
        make_one(&f.catalog, &fresh).await,
        Initiated::Made(vec![None])
    );
    let blob_id = arrive(f, &fresh, 0).await;
    assert!(inspect(f, TENANT, &blob_id, sha256).await.unwrap());
    (fresh, blob_id)
}

/// How many rows a table has.
pub async fn count(catalog: &Catalog, table: &'static str) -> i64 {
    let mut reader = catalog.reader().await.unwrap();
    let sql = format!("SELECT COUNT(*) FROM {table}");
    let row = reader.tx().row(&sql, &[]).await.unwrap().unwrap();
    row.int(0).unwrap()
}

/// Runs `act` in `n` tasks that start at the same instant; what each answers, in order.
pub async fn at_once<T, Fut>(n: usize, act: impl Fn(usize) -> Fut) -> Vec<T>
where
    T: Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let gate = std::sync::Arc::new(tokio::sync::Barrier::new(n));
    let tasks: Vec<_> = (0..n)
        .map(|i| {
            let (gate, act) = (gate.clone(), act(i));
            tokio::spawn(async move {
                gate.wait().await;
                act.await
            })
        })
        .collect();
    let mut out = Vec::with_capacity(n);
    for task in tasks {
        out.push(task.await.unwrap());
    }
    out
}

/// The assets of [`OWNER`] that a filter lets through, in an order, behind a place.
pub async fn listed_by(
    catalog: &Catalog,
    filter: &Filter,
    order: Order,
    after: Option<&Place>,
    limit: i64,
) -> Vec<Asset> {
    let mut reader = catalog.reader().await.unwrap();
    let listing = Listing {
        tenant_id: TENANT,
        owner_id: OWNER,
        filter,
        order,
        after,
        limit,
    };
    listing::list(&mut reader.tx(), &listing).await.unwrap()
}

/// All assets of [`OWNER`].
pub async fn listed(f: &Fixture) -> Vec<Asset> {
    listed_by(&f.catalog, &Filter::default(), Order::Created, None, 1_000).await
}

/// Waits until a transaction of this database waits for another. On SQLite there is only ever one.
pub async fn somebody_waits(catalog: &Catalog) {
    let sql = "SELECT COUNT(*) FROM pg_stat_activity \
               WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let seen = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let mut reader = catalog.reader().await.unwrap();
            let mut tx = reader.tx();
            if !tx.is_postgres() || tx.row(sql, &[]).await.unwrap().unwrap().int(0).unwrap() > 0 {
                return;
            }
        }
    });
    seen.await.unwrap();
}
