//! API keys and tenants.

use std::time::Duration;

use safelight_catalog::keys::{self, ApiKey};
use safelight_model::clock::Clock as _;
use safelight_model::ids;

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::*;

on_both!(
    a_key_is_found_by_its_secret,
    a_revoked_key_is_listed_and_opens_nothing,
    keys_belong_to_their_tenant,
    a_tenant_is_made_once,
    the_first_tenant_stays_the_first,
);

async fn add(f: &Fixture, tenant_id: &str, secret_hash: &str) -> ApiKey {
    let key = ApiKey {
        tenant_id: tenant_id.into(),
        key_id: f.id(ids::API_KEY),
        label: "app \"1\" 🗝".into(),
        scopes: "media tokens".into(),
        created_at: f.clock.now(),
        revoked_at: None,
    };
    let (given, secret_hash) = (key.clone(), secret_hash.to_owned());
    in_tx!(f.catalog, |tx| keys::insert(tx, &given, &secret_hash).await).unwrap();
    f.clock.advance(Duration::from_millis(1));
    key
}

async fn by_secret(f: &Fixture, secret_hash: &str) -> Option<ApiKey> {
    let mut reader = f.catalog.reader().await.unwrap();
    keys::by_secret(&mut reader.tx(), secret_hash)
        .await
        .unwrap()
}

async fn list(f: &Fixture, tenant_id: &str) -> Vec<ApiKey> {
    let mut reader = f.catalog.reader().await.unwrap();
    keys::list(&mut reader.tx(), tenant_id).await.unwrap()
}

async fn revoke(f: &Fixture, tenant_id: &'static str, key_id: &str) -> Option<()> {
    let (key_id, at) = (key_id.to_owned(), f.clock.now());
    in_tx!(f.catalog, |tx| keys::revoke(tx, tenant_id, &key_id, at)
        .await)
    .unwrap()
}

async fn a_key_is_found_by_its_secret(f: Fixture) {
    let first = add(&f, TENANT, "s1").await;
    let second = add(&f, TENANT, "s2").await;
    assert_eq!(by_secret(&f, "s1").await, Some(first.clone()));
    assert_eq!(by_secret(&f, "s2").await, Some(second.clone()));
    for stranger in ["", "S1", "s", "s1 "] {
        assert_eq!(by_secret(&f, stranger).await, None);
    }
    assert_eq!(
        list(&f, TENANT).await,
        [first.clone(), second],
        "oldest first"
    );
    // The same secret twice, as from two first starts at once: the first key stands.
    add(&f, TENANT, "s1").await;
    assert_eq!(by_secret(&f, "s1").await, Some(first));
    assert_eq!(list(&f, TENANT).await.len(), 2);
}

async fn a_revoked_key_is_listed_and_opens_nothing(f: Fixture) {
    let key = add(&f, TENANT, "s1").await;
    let at = f.clock.now();
    assert_eq!(revoke(&f, TENANT, &key.key_id).await, Some(()));
    assert_eq!(by_secret(&f, "s1").await, None);
    f.clock.advance(Duration::from_secs(1));
    assert_eq!(
        revoke(&f, TENANT, &key.key_id).await,
        Some(()),
        "twice is harmless"
    );
    assert_eq!(
        list(&f, TENANT).await[0].revoked_at,
        Some(at),
        "the first time stands"
    );
    assert_eq!(revoke(&f, TENANT, "key_unknown").await, None);
    // It does not come back with its secret.
    add(&f, TENANT, "s1").await;
    assert_eq!(by_secret(&f, "s1").await, None);
}

async fn keys_belong_to_their_tenant(f: Fixture) {
    let key = add(&f, TENANT, "s1").await;
    add(&f, "ten_2", "s2").await;
    assert_eq!(list(&f, TENANT).await.len(), 1);
    assert_eq!(list(&f, "ten_3").await.len(), 0);
    assert_eq!(revoke(&f, "ten_2", &key.key_id).await, None);
    assert!(by_secret(&f, "s1").await.is_some());
}

async fn a_tenant_is_made_once(f: Fixture) {
    let made = at_once(16, |_| {
        let (catalog, at) = (f.catalog.clone(), f.clock.now());
        async move {
            in_tx!(catalog, |tx| keys::ensure_tenant(tx, TENANT, "app", at)
                .await)
            .unwrap()
        }
    })
    .await;
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
    assert_eq!(count(&f.catalog, "tenants").await, 1);
}

async fn the_first_tenant_stays_the_first(f: Fixture) {
    let first = async || {
        let mut reader = f.catalog.reader().await.unwrap();
        keys::first_tenant(&mut reader.tx()).await.unwrap()
    };
    assert_eq!(first().await, None);
    for tenant_id in ["ten_b", "ten_a"] {
        let at = f.clock.now();
        in_tx!(f.catalog, |tx| keys::ensure_tenant(
            tx, tenant_id, "app", at
        )
        .await)
        .unwrap();
        f.clock.advance(Duration::from_secs(1));
        assert_eq!(first().await.as_deref(), Some("ten_b"));
    }
}
