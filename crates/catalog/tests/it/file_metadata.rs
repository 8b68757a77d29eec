//! What a file tells: kept with the bytes, gone with them, and forgotten in part when a policy no longer keeps it.

use safelight_catalog::blobs::{self, Inspected};
use safelight_catalog::file_metadata::{self, Kept, Whose};
use safelight_model::clock::Clock as _;

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::*;

on_both!(
    it_comes_with_the_inspection_and_goes_with_the_bytes,
    what_was_inspected_before_is_read_later_and_once,
    what_a_policy_no_longer_keeps_is_forgotten,
);

fn kept(text: &str) -> Kept {
    Kept {
        harmless: format!("{{\"make\":\"{text}\"}}"),
        private: Some(format!("{{\"burst_id\":\"{text}\"}}")),
    }
}

async fn of(f: &Fixture, blob_id: &str) -> Option<Kept> {
    let mut reader = f.catalog.reader().await.unwrap();
    let all = file_metadata::of_blobs(&mut reader.tx(), TENANT, &[blob_id, "blb_other"]).await;
    let mut all = all.unwrap();
    let found = all.remove(blob_id);
    assert!(all.is_empty());
    found
}

/// A blob that has arrived and was inspected, with what was read of it.
async fn inspected(f: &Fixture, seed: u64, metadata: Option<Kept>) -> String {
    let fresh = hashed(f, "me", &format!("me {seed}"), &hash(seed));
    make_one(&f.catalog, &fresh).await;
    let blob_id = arrive(f, &fresh, 0).await;
    let (id, at) = (blob_id.clone(), f.clock.now());
    let found = Inspected {
        metadata,
        mime: Some("image/jpeg".into()),
        ..good(&hash(seed))
    };
    let done = in_tx!(f.catalog, |tx| blobs::inspected(
        tx, TENANT, &id, &found, at
    )
    .await);
    assert!(done.unwrap());
    blob_id
}

async fn it_comes_with_the_inspection_and_goes_with_the_bytes(f: Fixture) {
    let blob_id = inspected(&f, 1, Some(kept("a"))).await;
    let silent = inspected(&f, 2, None).await;
    assert_eq!(of(&f, &blob_id).await, Some(kept("a")));
    assert_eq!(of(&f, &silent).await, None);
    let id = blob_id.clone();
    in_tx!(f.catalog, |tx| {
        let sql = "UPDATE resources SET blob_id = NULL";
        tx.exec(sql, &[]).await?;
        let sql = "UPDATE blobs SET state = 'doomed'";
        tx.exec(sql, &[]).await?;
        blobs::gone(tx, TENANT, &id).await
    })
    .unwrap();
    assert_eq!(of(&f, &blob_id).await, None);
}

async fn what_was_inspected_before_is_read_later_and_once(f: Fixture) {
    let old = inspected(&f, 1, None).await;
    let new = inspected(&f, 2, Some(kept("b"))).await;
    let unread = async || {
        let mut reader = f.catalog.reader().await.unwrap();
        let found = file_metadata::unread(&mut reader.tx(), 10).await.unwrap();
        found
            .into_iter()
            .map(|u| (u.blob_id, u.owner_id))
            .collect::<Vec<_>>()
    };
    assert_eq!(unread().await, []);
    let id = old.clone();
    in_tx!(f.catalog, |tx| tx
        .exec(
            "UPDATE blobs SET metadata_sought_at = NULL WHERE blob_id = $1",
            &[id.into()]
        )
        .await)
    .unwrap();
    assert_eq!(unread().await, [(old.clone(), "me".to_owned())]);
    for (text, is_first) in [("c", true), ("d", false)] {
        let (id, at) = (old.clone(), f.clock.now());
        let done = in_tx!(f.catalog, |tx| {
            let kept = kept(text);
            file_metadata::write_later(tx, TENANT, &id, Some(&kept), None, at).await
        });
        assert_eq!(done.unwrap(), is_first);
    }
    assert_eq!(of(&f, &old).await, Some(kept("c")));
    assert_eq!(of(&f, &new).await, Some(kept("b")));
    assert_eq!(unread().await, []);
}

async fn what_a_policy_no_longer_keeps_is_forgotten(f: Fixture) {
    let mut ids = Vec::new();
    for seed in 0..3 {
        ids.push(inspected(&f, seed, Some(kept("x"))).await);
    }
    // Another tenant's.
    let sql = "UPDATE blob_metadata SET tenant_id = 'ten_other' WHERE blob_id = $1";
    let last = ids.pop().unwrap();
    in_tx!(f.catalog, |tx| tx.exec(sql, &[last.into()]).await).unwrap();
    let forget = async |whose: Whose<'static>, limit: i64| {
        in_tx!(f.catalog, |tx| file_metadata::forget_private(
            tx, whose, limit
        )
        .await)
        .unwrap()
    };
    assert_eq!(forget(Whose::Of(&[]), 10).await, 0);
    assert_eq!(forget(Whose::OfAllBut(&[TENANT, "ten_other"]), 10).await, 0);
    assert_eq!(forget(Whose::OfAllBut(&["ten_other"]), 1).await, 1);
    assert_eq!(forget(Whose::Of(&[TENANT]), 10).await, 1);
    assert_eq!(forget(Whose::OfAllBut(&["ten_other"]), 10).await, 0);
    for id in &ids {
        let left = of(&f, id).await.unwrap();
        assert_eq!((left.private, left.harmless), (None, kept("x").harmless));
    }
    assert_eq!(forget(Whose::OfAllBut(&[]), 10).await, 1);
}
