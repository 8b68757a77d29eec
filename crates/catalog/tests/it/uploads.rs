//! Uploads: signed while open, bound once, completed by one.

use std::time::Duration;

use safelight_catalog::uploads::{self, PartChecksum, Upload, UploadState};
use safelight_catalog::{Catalog, CatalogError};
use safelight_model::clock::{Clock as _, Micros};

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::*;

on_both!(
    the_signed_time_only_grows,
    only_open_uploads_are_signed_or_bound,
    one_of_many_binds_the_stores_upload,
    what_parts_carry_stays_with_the_stores_upload,
    one_of_many_begins_to_complete,
    signing_and_binding_do_not_disturb_a_completion,
    a_change_needs_state_and_version,
    completion_and_abort_exclude_each_other,
    a_signature_and_an_end_exclude_each_other,
    what_was_cleared_is_not_looked_at_again,
    uploads_of_another_tenant_are_not_touched,
    an_unknown_state_is_named,
);

/// So many uploads, one per capture.
async fn some(f: &Fixture, n: usize) -> Vec<Upload> {
    let batch: Vec<_> = (0..n)
        .map(|i| capture(f, OWNER, &format!("IMG_{i}"), 1))
        .collect();
    make(&f.catalog, &batch).await.unwrap();
    let mut out = Vec::with_capacity(n);
    for fresh in &batch {
        out.push(find(&f.catalog, &fresh.assets[0].upload_id).await);
    }
    out
}

async fn find(catalog: &Catalog, upload_id: &str) -> Upload {
    let mut reader = catalog.reader().await.unwrap();
    let found = uploads::find(&mut reader.tx(), TENANT, upload_id).await;
    found.unwrap().unwrap()
}

async fn extend(catalog: &Catalog, upload: &Upload, until: Micros) -> bool {
    let upload = upload.clone();
    in_tx!(catalog, |tx| {
        uploads::extend_signed(tx, &upload, until, until).await
    })
    .unwrap()
}

async fn bind(catalog: &Catalog, upload: &Upload, store_upload_id: String) -> bool {
    bind_with(catalog, upload, store_upload_id, PartChecksum::Sha256).await
}

async fn bind_with(
    catalog: &Catalog,
    upload: &Upload,
    store_upload_id: String,
    checksum: PartChecksum,
) -> bool {
    let upload = upload.clone();
    in_tx!(catalog, |tx| {
        uploads::bind_store_upload(tx, &upload, &store_upload_id, checksum).await
    })
    .unwrap()
}

async fn begin(catalog: &Catalog, upload: &Upload, intent: String, now: Micros) -> bool {
    let upload = upload.clone();
    in_tx!(catalog, |tx| {
        uploads::begin_complete(tx, &upload, &intent, now, now).await
    })
    .unwrap()
}

async fn change(catalog: &Catalog, upload: &Upload, from: UploadState, to: UploadState) -> bool {
    let upload = upload.clone();
    in_tx!(catalog, |tx| {
        uploads::change(tx, &upload, from, to, None).await
    })
    .unwrap()
}

async fn the_signed_time_only_grows(f: Fixture) {
    let upload = some(&f, 1).await.remove(0);
    let later = |s| upload.signed_until.plus(Duration::from_secs(s));
    for (until, expected) in [
        (later(10), 10),
        (later(5), 10),
        (later(10), 10),
        (later(11), 11),
    ] {
        assert!(extend(&f.catalog, &upload, until).await);
        assert_eq!(
            find(&f.catalog, &upload.upload_id).await.signed_until,
            later(expected)
        );
    }
    // Whoever is last, the longest stands.
    at_once(16, |n| {
        let (catalog, upload) = (f.catalog.clone(), upload.clone());
        let until = later(100 + (n as u64 * 7) % 16);
        async move { extend(&catalog, &upload, until).await }
    })
    .await;
    assert_eq!(
        find(&f.catalog, &upload.upload_id).await.signed_until,
        later(115)
    );
}

async fn only_open_uploads_are_signed_or_bound(f: Fixture) {
    let open = some(&f, 1).await.remove(0);
    let until = f.clock.now().plus(Duration::from_secs(10_000));
    for to in [
        UploadState::Completing,
        UploadState::Completed,
        UploadState::Aborted,
        UploadState::Expired,
    ] {
        let now = find(&f.catalog, &open.upload_id).await;
        assert!(change(&f.catalog, &now, now.state, to).await);
        assert!(!extend(&f.catalog, &open, until).await, "{to:?}");
        assert!(!bind(&f.catalog, &open, "s".into()).await, "{to:?}");
        assert!(
            !begin(&f.catalog, &open, "{}".into(), until).await,
            "{to:?}"
        );
        let now = find(&f.catalog, &open.upload_id).await;
        assert!(!begin(&f.catalog, &now, "{}".into(), until).await, "{to:?}");
        assert_eq!(now.signed_until, open.signed_until);
        assert_eq!((now.store_upload_id, now.intent), (None, None));
    }
}

async fn one_of_many_binds_the_stores_upload(f: Fixture) {
    for upload in some(&f, 10).await {
        let bound = at_once(16, |n| {
            let (catalog, upload) = (f.catalog.clone(), upload.clone());
            async move { bind(&catalog, &upload, format!("store{n}")).await }
        })
        .await;
        let winner = bound.iter().position(|won| *won).unwrap();
        assert_eq!(bound.iter().filter(|won| **won).count(), 1);
        assert_eq!(
            find(&f.catalog, &upload.upload_id).await.store_upload_id,
            Some(format!("store{winner}"))
        );
    }
}

async fn what_parts_carry_stays_with_the_stores_upload(f: Fixture) {
    let upload = some(&f, 1).await.remove(0);
    let id = upload.upload_id.clone();
    assert_eq!(upload.part_checksum, None);
    for checksum in [PartChecksum::None, PartChecksum::Sha256] {
        assert!(bind_with(&f.catalog, &upload, "s".into(), checksum).await);
        assert!(!bind_with(&f.catalog, &upload, "t".into(), PartChecksum::None).await);
        assert_eq!(find(&f.catalog, &id).await.part_checksum, Some(checksum));
        let (unbound, store_id) = (id.clone(), "s");
        let forgotten = in_tx!(f.catalog, |tx| {
            uploads::unbind_store_upload(tx, TENANT, &unbound, store_id).await
        });
        assert!(forgotten.unwrap());
        assert_eq!(find(&f.catalog, &id).await.part_checksum, None);
    }
}

async fn one_of_many_begins_to_complete(f: Fixture) {
    for upload in some(&f, 10).await {
        let at = f.clock.now();
        let begun = at_once(16, |n| {
            let (catalog, upload) = (f.catalog.clone(), upload.clone());
            async move { begin(&catalog, &upload, format!("[{n}]"), at).await }
        })
        .await;
        let winner = begun.iter().position(|won| *won).unwrap();
        assert_eq!(begun.iter().filter(|won| **won).count(), 1);
        let now = find(&f.catalog, &upload.upload_id).await;
        assert_eq!(now.state, UploadState::Completing);
        assert_eq!(now.version, upload.version + 1);
        assert_eq!(now.intent, Some(format!("[{winner}]")));
        assert_eq!(now.intent_at, Some(at));
    }
}

async fn signing_and_binding_do_not_disturb_a_completion(f: Fixture) {
    let upload = some(&f, 1).await.remove(0);
    assert!(bind(&f.catalog, &upload, "s".into()).await);
    assert!(extend(&f.catalog, &upload, upload.signed_until).await);
    assert!(begin(&f.catalog, &upload, "{}".into(), f.clock.now()).await);
}

async fn a_change_needs_state_and_version(f: Fixture) {
    use UploadState as S;
    let read = some(&f, 1).await.remove(0);
    assert!(!change(&f.catalog, &read, S::Completing, S::Completed).await);
    assert!(begin(&f.catalog, &read, "{}".into(), f.clock.now()).await);
    let completing = find(&f.catalog, &read.upload_id).await;
    assert!(
        !change(&f.catalog, &read, S::Completing, S::Completed).await,
        "an old version"
    );
    assert!(
        change(&f.catalog, &completing, S::Completing, S::Open).await,
        "it is opened again"
    );
    assert!(!change(&f.catalog, &completing, S::Completing, S::Completed).await);
    let open = find(&f.catalog, &read.upload_id).await;
    assert_eq!((open.state, open.version), (S::Open, read.version + 2));
    assert!(
        !begin(&f.catalog, &read, "{}".into(), f.clock.now()).await,
        "an old version"
    );
    assert!(begin(&f.catalog, &open, "[2]".into(), f.clock.now()).await);
    assert_eq!(
        find(&f.catalog, &read.upload_id).await.intent.as_deref(),
        Some("[2]")
    );
}

async fn completion_and_abort_exclude_each_other(f: Fixture) {
    for upload in some(&f, 16).await {
        let won = at_once(16, |n| {
            let (catalog, upload, at) = (f.catalog.clone(), upload.clone(), f.clock.now());
            async move {
                match n % 2 {
                    0 => begin(&catalog, &upload, "{}".into(), at).await,
                    _ => change(&catalog, &upload, UploadState::Open, UploadState::Aborted).await,
                }
            }
        })
        .await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        let by_completion = won.iter().position(|won| *won).unwrap() % 2 == 0;
        let expected = if by_completion {
            UploadState::Completing
        } else {
            UploadState::Aborted
        };
        assert_eq!(find(&f.catalog, &upload.upload_id).await.state, expected);
    }
}

/// A URL that is given out works until `signed_until`, also when the upload ends in the same instant.
async fn a_signature_and_an_end_exclude_each_other(f: Fixture) {
    for upload in some(&f, 20).await {
        let until = upload.signed_until.plus(Duration::from_secs(60));
        let won = at_once(2, |n| {
            let (catalog, upload) = (f.catalog.clone(), upload.clone());
            async move {
                match n {
                    0 => extend(&catalog, &upload, until).await,
                    _ => change(&catalog, &upload, UploadState::Open, UploadState::Aborted).await,
                }
            }
        })
        .await;
        assert!(won[1]);
        let now = find(&f.catalog, &upload.upload_id).await;
        assert_eq!(
            now.signed_until == until,
            won[0],
            "signed, but not recorded"
        );
    }
}

async fn what_was_cleared_is_not_looked_at_again(f: Fixture) {
    let cleared = async |upload: &Upload| {
        let (ended, now) = (upload.clone(), f.clock.now());
        in_tx!(f.catalog, |tx| uploads::cleared(tx, &ended, now).await).unwrap();
        find(&f.catalog, &upload.upload_id).await
    };
    for to in [UploadState::Aborted, UploadState::Expired] {
        f.clock.advance(Duration::from_secs(1));
        let fresh = capture(&f, OWNER, to.as_str(), 1);
        make_one(&f.catalog, &fresh).await;
        let open = find(&f.catalog, &fresh.assets[0].upload_id).await;
        assert_eq!(cleared(&open).await, open, "only what has ended is cleared");
        assert!(change(&f.catalog, &open, UploadState::Open, to).await);
        let at = f.clock.now();
        let now = cleared(&open).await;
        assert_eq!((now.cleared_at, now.look_at), (Some(at), None));
        f.clock.advance(Duration::from_secs(1));
        assert_eq!(cleared(&open).await.cleared_at, Some(at));
    }
}

async fn uploads_of_another_tenant_are_not_touched(f: Fixture) {
    let mut upload = some(&f, 1).await.remove(0);
    let id = upload.upload_id.clone();
    upload.tenant_id = "ten_2".into();
    assert!(!begin(&f.catalog, &upload, "{}".into(), f.clock.now()).await);
    assert!(!change(&f.catalog, &upload, UploadState::Open, UploadState::Aborted).await);
    let mut reader = f.catalog.reader().await.unwrap();
    let found = uploads::find(&mut reader.tx(), "ten_2", &id).await;
    assert_eq!(found.unwrap(), None);
}

async fn an_unknown_state_is_named(f: Fixture) {
    let upload = some(&f, 1).await.remove(0);
    in_tx!(f.catalog, |tx| {
        tx.exec("UPDATE uploads SET state = 'levitating'", &[])
            .await
    })
    .unwrap();
    let mut reader = f.catalog.reader().await.unwrap();
    let found = uploads::find(&mut reader.tx(), TENANT, &upload.upload_id).await;
    match found.unwrap_err() {
        CatalogError::Unknown { column, value } => {
            assert_eq!((column, value.as_str()), ("uploads.state", "levitating"));
        }
        other => panic!("{other}"),
    }
}
