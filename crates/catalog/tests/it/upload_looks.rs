//! When uploads are looked at: at their time, by one of many, each tenant in its turn.

use std::time::Duration;

use safelight_catalog::uploads::{self, Stray, Upload, UploadState};
use safelight_catalog::{Catalog, Value};
use safelight_model::clock::{Clock as _, Micros};

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::*;

on_both!(
    an_upload_is_due_at_its_time,
    each_tenant_with_something_due_is_found,
    one_of_many_looks,
    what_has_changed_meanwhile_is_not_taken,
    another_time_given_meanwhile_holds,
    states_say_when_they_are_looked_at,
    a_key_that_rings_has_its_upload_looked_at,
    keys_are_known_by_their_uploads,
    what_an_older_version_left_is_taken_up,
);

const MINUTE: Duration = Duration::from_secs(60);

/// So many uploads of a tenant, the first of them due first.
async fn some(f: &Fixture, tenant: &str, n: usize) -> Vec<Upload> {
    let mut out = Vec::with_capacity(n);
    for i in 0..n {
        let mut fresh = capture(f, OWNER, &format!("{tenant}{i}"), 1);
        fresh.tenant_id = tenant.into();
        fresh.assets[0].look_at = f.clock.now().plus(MINUTE + Duration::from_micros(i as u64));
        fresh.assets[0].object_key = format!("o/{tenant}/{i}");
        make_one(&f.catalog, &fresh).await;
        out.push(find(&f.catalog, tenant, &fresh.assets[0].upload_id).await);
    }
    out
}

async fn find(catalog: &Catalog, tenant: &str, upload_id: &str) -> Upload {
    let mut reader = catalog.reader().await.unwrap();
    let found = uploads::find(&mut reader.tx(), tenant, upload_id).await;
    found.unwrap().unwrap()
}

async fn again(f: &Fixture, upload: &Upload) -> Upload {
    find(&f.catalog, &upload.tenant_id, &upload.upload_id).await
}

async fn due(f: &Fixture, tenant: &str, limit: i64) -> Vec<Upload> {
    let mut reader = f.catalog.reader().await.unwrap();
    let due = uploads::due_of(&mut reader.tx(), tenant, f.clock.now(), limit).await;
    due.unwrap()
}

async fn tenants(f: &Fixture, after: &str, limit: i64) -> Vec<String> {
    let mut reader = f.catalog.reader().await.unwrap();
    let due = uploads::due_tenants(&mut reader.tx(), f.clock.now(), after, limit).await;
    due.unwrap()
}

async fn take(catalog: &Catalog, due: &[Upload], until: Micros) -> Vec<Upload> {
    let due = due.to_vec();
    in_tx!(catalog, |tx| uploads::take_looks(tx, &due, until).await).unwrap()
}

async fn look_again(f: &Fixture, taken: &Upload, at: Option<Micros>) -> bool {
    let taken = taken.clone();
    in_tx!(f.catalog, |tx| uploads::look_again(tx, &taken, at).await).unwrap()
}

async fn set(f: &Fixture, sql: &'static str, args: Vec<Value>) {
    in_tx!(f.catalog, |tx| tx.exec(sql, &args).await).unwrap();
}

fn ids(uploads: &[Upload]) -> Vec<&str> {
    uploads.iter().map(|u| u.upload_id.as_str()).collect()
}

async fn an_upload_is_due_at_its_time(f: Fixture) {
    let all = some(&f, TENANT, 3).await;
    let first = all[0].look_at.unwrap();
    f.clock
        .advance(first.since(f.clock.now()) - Duration::from_micros(1));
    assert!(due(&f, TENANT, 10).await.is_empty());
    f.clock.advance(Duration::from_micros(1));
    assert_eq!(ids(&due(&f, TENANT, 10).await), ids(&all[..1]));
    f.clock.advance(MINUTE);
    assert_eq!(due(&f, TENANT, 10).await, all, "the longest due first");
    assert_eq!(ids(&due(&f, TENANT, 2).await), ids(&all[..2]));
    assert!(due(&f, "ten_2", 10).await.is_empty());
}

async fn each_tenant_with_something_due_is_found(f: Fixture) {
    assert!(tenants(&f, "", 10).await.is_empty());
    for (tenant, n) in [("ten_b", 40), ("ten_a", 1), ("ten_d", 3), ("ten_c", 2)] {
        some(&f, tenant, n).await;
    }
    assert!(tenants(&f, "", 10).await.is_empty());
    f.clock.advance(2 * MINUTE);
    let late = some(&f, "ten_bb", 1).await;
    let all = ["ten_a", "ten_b", "ten_c", "ten_d"];
    assert_eq!(tenants(&f, "", 10).await, all);
    assert_eq!(tenants(&f, "", 2).await, all[..2]);
    assert_eq!(tenants(&f, "ten_b", 10).await, all[2..]);
    assert_eq!(tenants(&f, "ten_bz", 1).await, all[2..3]);
    assert!(tenants(&f, "ten_d", 10).await.is_empty());
    f.clock
        .advance(late[0].look_at.unwrap().since(f.clock.now()));
    assert_eq!(tenants(&f, "ten_b", 1).await, ["ten_bb"]);
    // One that has had its look has its turn no more.
    let mine = due(&f, "ten_a", 10).await;
    take(&f.catalog, &mine, f.clock.now().plus(MINUTE)).await;
    assert_eq!(tenants(&f, "", 1).await, ["ten_b"]);
}

async fn one_of_many_looks(f: Fixture) {
    some(&f, TENANT, 20).await;
    f.clock.advance(2 * MINUTE);
    let (due_now, until) = (due(&f, TENANT, 100).await, f.clock.now().plus(MINUTE));
    let taken = at_once(8, |_| {
        let (catalog, due_now) = (f.catalog.clone(), due_now.clone());
        async move { take(&catalog, &due_now, until).await }
    })
    .await;
    let taken: Vec<Upload> = taken.into_iter().flatten().collect();
    assert_eq!(taken.len(), 20, "each once");
    for one in &taken {
        assert_eq!((one.looks, one.look_at), (1, Some(until)));
        assert_eq!(again(&f, one).await, *one);
    }
    assert!(due(&f, TENANT, 100).await.is_empty());
    // Nobody came back of those who took them.
    f.clock.advance(MINUTE);
    assert_eq!(due(&f, TENANT, 100).await.len(), 20);
}

async fn what_has_changed_meanwhile_is_not_taken(f: Fixture) {
    let all = some(&f, TENANT, 3).await;
    f.clock.advance(2 * MINUTE);
    let (now, due_now) = (f.clock.now(), due(&f, TENANT, 10).await);
    let (signed, ended) = (all[0].clone(), all[1].clone());
    in_tx!(f.catalog, |tx| {
        uploads::extend_signed(tx, &signed, now, now.plus(MINUTE)).await?;
        let (from, to) = (UploadState::Open, UploadState::Aborted);
        uploads::change(tx, &ended, from, to, ended.look_at).await
    })
    .unwrap();
    let taken = take(&f.catalog, &due_now, now.plus(MINUTE)).await;
    assert_eq!(ids(&taken), ids(&all[2..]));
}

async fn another_time_given_meanwhile_holds(f: Fixture) {
    let all = some(&f, TENANT, 2).await;
    f.clock.advance(2 * MINUTE);
    let now = f.clock.now();
    let taken = take(&f.catalog, &all, now.plus(MINUTE)).await;
    let (key, soon) = (all[0].object_key.clone(), now.plus(MINUTE));
    in_tx!(f.catalog, |tx| uploads::ring(tx, &key, now, soon).await).unwrap();
    let of = |upload: &Upload| {
        let mut all = taken.iter();
        all.find(|t| t.upload_id == upload.upload_id)
            .unwrap()
            .clone()
    };
    assert!(!look_again(&f, &of(&all[0]), None).await);
    assert_eq!(again(&f, &all[0]).await.look_at, Some(now));
    let later = Some(now.plus(3 * MINUTE));
    assert!(look_again(&f, &of(&all[1]), later).await);
    assert!(!look_again(&f, &of(&all[1]), None).await);
    assert_eq!(again(&f, &all[1]).await.look_at, later);
}

async fn states_say_when_they_are_looked_at(f: Fixture) {
    let open = some(&f, TENANT, 1).await.remove(0);
    let now = f.clock.now();
    let (read, at) = (open.clone(), now.plus(3 * MINUTE));
    let signed = in_tx!(f.catalog, |tx| {
        uploads::extend_signed(tx, &read, now, at).await
    });
    assert!(signed.unwrap());
    assert_eq!(again(&f, &open).await.look_at, Some(at));
    let (read, at) = (again(&f, &open).await, now.plus(4 * MINUTE));
    let begun = in_tx!(f.catalog, |tx| {
        uploads::begin_complete(tx, &read, "{}", now, at).await
    });
    assert!(begun.unwrap());
    let completing = again(&f, &open).await;
    assert_eq!(completing.look_at, Some(at));
    for (from, to, at) in [
        (UploadState::Completing, UploadState::Open, Some(now)),
        (UploadState::Open, UploadState::Completed, None),
    ] {
        let read = again(&f, &open).await;
        let changed = in_tx!(f.catalog, |tx| {
            uploads::change(tx, &read, from, to, at).await
        });
        assert!(changed.unwrap());
        assert_eq!(again(&f, &open).await.look_at, at);
    }
}

async fn a_key_that_rings_has_its_upload_looked_at(f: Fixture) {
    let all = some(&f, TENANT, 5).await;
    let now = f.clock.now();
    let soon = now.plus(Duration::from_secs(5));
    let (completing, completed, aborted) = (all[1].clone(), all[2].clone(), all[3].clone());
    in_tx!(f.catalog, |tx| {
        use UploadState::{Aborted, Completed, Open};
        uploads::begin_complete(tx, &completing, "{}", now, now.plus(MINUTE)).await?;
        uploads::change(tx, &completed, Open, Completed, None).await?;
        uploads::change(tx, &aborted, Open, Aborted, Some(now)).await?;
        uploads::cleared(tx, &aborted, now).await
    })
    .unwrap();
    for (upload, rings, look_at) in [
        (&all[0], true, Some(now)),
        (&all[1], true, Some(soon)),
        (&all[2], false, None),
        (&all[3], true, Some(now)),
    ] {
        // Twice is as good as once.
        for _ in 0..2 {
            let key = upload.object_key.clone();
            let rung = in_tx!(f.catalog, |tx| uploads::ring(tx, &key, now, soon).await);
            assert_eq!(rung.unwrap(), rings);
            let after = again(&f, upload).await;
            assert_eq!((after.look_at, after.cleared_at), (look_at, None));
        }
    }
    let strange = in_tx!(f.catalog, |tx| {
        uploads::ring(tx, "o/ten_1/nobody", now, soon).await
    });
    assert!(!strange.unwrap());
    assert_eq!(
        again(&f, &all[4]).await,
        all[4],
        "the others are not touched"
    );
}

async fn keys_are_known_by_their_uploads(f: Fixture) {
    let all = some(&f, TENANT, 4).await;
    let now = f.clock.now();
    let (completed, aborted, cleared) = (all[1].clone(), all[2].clone(), all[3].clone());
    in_tx!(f.catalog, |tx| {
        use UploadState::{Aborted, Completed, Expired, Open};
        uploads::change(tx, &completed, Open, Completed, None).await?;
        uploads::change(tx, &aborted, Open, Aborted, Some(now)).await?;
        uploads::change(tx, &cleared, Open, Expired, Some(now)).await?;
        uploads::cleared(tx, &cleared, now).await
    })
    .unwrap();
    let mut asked: Vec<String> = all.iter().map(|u| u.object_key.clone()).collect();
    // More than one question can hold.
    asked.extend((0..450).map(|n| format!("o/none/{n}")));
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let mut reader = f.catalog.reader().await.unwrap();
    let mut known = uploads::known_keys(&mut reader.tx(), &asked).await.unwrap();
    known.sort_by(|a, b| a.0.cmp(&b.0));
    let said: Vec<Stray> = known.iter().map(|(_, stray)| *stray).collect();
    assert_eq!(
        said,
        [Stray::Expected, Stray::Ended, Stray::Expected, Stray::Ended]
    );
    assert_eq!(known[0].0, all[0].object_key);
    let mut unfinished = uploads::unfinished_keys(&mut reader.tx(), &asked)
        .await
        .unwrap();
    unfinished.sort();
    let expected = [0, 2, 3].map(|at: usize| all[at].object_key.clone());
    assert_eq!(unfinished, expected);
    let mut tx = reader.tx();
    let of_key = uploads::of_key(&mut tx, &all[2].object_key).await.unwrap();
    assert_eq!(of_key.unwrap().upload_id, all[2].upload_id);
    assert_eq!(uploads::of_key(&mut tx, "o/none/1").await.unwrap(), None);
}

async fn what_an_older_version_left_is_taken_up(f: Fixture) {
    let all = some(&f, TENANT, 4).await;
    let adopt = async |f: &Fixture| {
        let now = f.clock.now();
        in_tx!(f.catalog, |tx| {
            uploads::adopt(tx, now, now.minus(MINUTE), 10).await
        })
        .unwrap()
    };
    let now = f.clock.now();
    let (completing, aborted, cleared) = (all[1].clone(), all[2].clone(), all[3].clone());
    in_tx!(f.catalog, |tx| {
        use UploadState::{Aborted, Expired, Open};
        uploads::begin_complete(tx, &completing, "{}", now, now).await?;
        uploads::change(tx, &aborted, Open, Aborted, None).await?;
        uploads::change(tx, &cleared, Open, Expired, None).await?;
        uploads::cleared(tx, &cleared, now).await
    })
    .unwrap();
    set(&f, "UPDATE uploads SET look_at = NULL", vec![]).await;
    assert_eq!(adopt(&f).await, 0, "nothing is due yet");
    f.clock.advance(MINUTE);
    assert_eq!(adopt(&f).await, 1, "a completion that nobody ends");
    f.clock.advance(all[2].signed_until.since(f.clock.now()));
    assert_eq!(adopt(&f).await, 1, "what was aborted");
    f.clock.advance(all[0].expires_at.since(f.clock.now()));
    assert_eq!(adopt(&f).await, 1, "what is over");
    assert_eq!(adopt(&f).await, 0);
    assert_eq!(due(&f, TENANT, 10).await.len(), 3);
}
