//! Another plan in the midst: it meets those who sign, those who append and those who end an upload, and of two that cannot
//! both be one is.

use safelight_catalog::uploads::{
    self, Anew, MOST_BEGUN_ANEW, PartChecksum, Replan, Upload, UploadState,
};
use safelight_catalog::{Catalog, CatalogError, appends};
use safelight_model::clock::Micros;
use safelight_model::plan::Transport;

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::{TENANT, at_once, capture, make_one};

on_both!(
    what_has_not_begun_changes_as_it_was_read,
    what_was_signed_or_taken_keeps_its_transport,
    one_of_a_plan_and_a_binding_wins,
    one_of_a_plan_and_an_append_wins,
    of_many_plans_at_once_each_is_of_what_was_read,
    a_plan_and_an_end_exclude_each_other,
    what_begins_anew_leaves_what_was_signed_behind,
    who_took_it_before_writes_nothing_for_one_that_began_anew,
    one_of_beginning_anew_and_signing_wins,
    nothing_begins_anew_without_end,
);

const FAR: Micros = Micros(i64::MAX / 2);
const ROUNDS: usize = 12;

async fn find(catalog: &Catalog, upload_id: &str) -> Upload {
    let mut reader = catalog.reader().await.unwrap();
    let found = uploads::find(&mut reader.tx(), TENANT, upload_id).await;
    found.unwrap().unwrap()
}

/// An upload of which no URL was given out.
async fn fresh(f: &Fixture, transport: &'static str) -> Upload {
    let mut fresh = capture(f, "anna", &f.id("ref"), 1);
    fresh.assets[0].transport = transport;
    fresh.assets[0].size_bytes = 100_000_000;
    fresh.assets[0].signed_until = Micros(0);
    make_one(&f.catalog, &fresh).await;
    find(&f.catalog, &fresh.assets[0].upload_id).await
}

fn to(transport: Transport, part_size_bytes: i64, concurrency: i64) -> Replan {
    Replan {
        transport,
        part_size_bytes,
        concurrency,
        advice: None,
    }
}

/// Does it, and again as long as others are in the way.
async fn until_done<T, Fut>(act: impl Fn() -> Fut) -> T
where
    Fut: Future<Output = Result<T, CatalogError>>,
{
    loop {
        match act().await {
            Err(error) if error.is_contended() => {}
            other => return other.unwrap(),
        }
    }
}

async fn replan(catalog: &Catalog, upload: &Upload, to: &Replan) -> bool {
    until_done(|| {
        let (upload, to) = (upload.clone(), to.clone());
        async move { in_tx!(catalog, |tx| uploads::replan(tx, &upload, &to).await) }
    })
    .await
}

async fn bind(catalog: &Catalog, upload: &Upload) -> bool {
    until_done(|| {
        let upload = upload.clone();
        async move {
            in_tx!(catalog, |tx| {
                uploads::bind_store_upload(tx, &upload, "store-1", PartChecksum::Sha256).await
            })
        }
    })
    .await
}

async fn extend(catalog: &Catalog, upload: &Upload) -> bool {
    until_done(|| {
        let upload = upload.clone();
        async move {
            in_tx!(catalog, |tx| {
                uploads::extend_signed(tx, &upload, FAR, FAR).await
            })
        }
    })
    .await
}

async fn take(catalog: &Catalog, upload: &Upload) -> Option<appends::Taken> {
    until_done(|| {
        let id = upload.upload_id.clone();
        async move { in_tx!(catalog, |tx| appends::take(tx, TENANT, &id, FAR).await) }
    })
    .await
}

async fn intend(catalog: &Catalog, hold: &appends::Hold) -> bool {
    until_done(|| {
        let hold = hold.clone();
        async move {
            in_tx!(catalog, |tx| {
                appends::intend_segment(tx, &hold, "x/segment", 0, 7, FAR).await
            })
        }
    })
    .await
}

async fn what_has_not_begun_changes_as_it_was_read(f: Fixture) {
    let upload = fresh(&f, "multipart").await;
    let append = to(Transport::Append, 1 << 20, 1);
    assert!(replan(&f.catalog, &upload, &append).await);
    let now = find(&f.catalog, &upload.upload_id).await;
    assert_eq!(
        (now.transport, now.part_size_bytes),
        (Transport::Append, 1 << 20)
    );
    // Who read it before does not undo it.
    let wide = to(Transport::Multipart, 8 << 20, 6);
    assert!(!replan(&f.catalog, &upload, &wide).await);
    assert!(replan(&f.catalog, &now, &wide).await);
    assert!(
        take(&f.catalog, &now).await.is_none(),
        "it is not appended to"
    );
}

async fn what_was_signed_or_taken_keeps_its_transport(f: Fixture) {
    let append = to(Transport::Append, 8_388_608, 1);
    let signed = fresh(&f, "multipart").await;
    assert!(extend(&f.catalog, &signed).await);
    assert!(!replan(&f.catalog, &signed, &append).await);
    let fewer = to(Transport::Multipart, signed.part_size_bytes, 2);
    assert!(replan(&f.catalog, &signed, &fewer).await);
    assert_eq!(find(&f.catalog, &signed.upload_id).await.concurrency, 2);
    let other_parts = to(Transport::Multipart, signed.part_size_bytes / 2, 2);
    assert!(!replan(&f.catalog, &signed, &other_parts).await);

    let taken = fresh(&f, "append").await;
    let parts = to(Transport::Multipart, 8_388_608, 4);
    let hold = take(&f.catalog, &taken).await.unwrap().hold;
    // It was only asked where it is.
    assert!(replan(&f.catalog, &taken, &parts).await);
    assert!(
        !intend(&f.catalog, &hold).await,
        "nothing is written for it"
    );
    let back = find(&f.catalog, &taken.upload_id).await;
    assert!(replan(&f.catalog, &back, &append).await);
    assert!(
        !intend(&f.catalog, &hold).await,
        "he gathered it for other parts, perhaps"
    );
    // Nor is it written for by who took it for parts of another size. The same plan once more takes nothing from anybody.
    let taken = fresh(&f, "append").await;
    let before = take(&f.catalog, &taken).await.unwrap().hold;
    let smaller = to(Transport::Append, 1 << 20, 1);
    assert!(replan(&f.catalog, &taken, &smaller).await);
    let hold = take(&f.catalog, &taken).await.unwrap().hold;
    let back = find(&f.catalog, &taken.upload_id).await;
    assert!(replan(&f.catalog, &back, &smaller).await);
    assert!(!intend(&f.catalog, &before).await && intend(&f.catalog, &hold).await);
    let begun = find(&f.catalog, &taken.upload_id).await;
    assert!(!replan(&f.catalog, &begun, &parts).await);
}

async fn one_of_a_plan_and_a_binding_wins(f: Fixture) {
    let second = f.second().await;
    for round in 0..ROUNDS {
        let upload = fresh(&f, "multipart").await;
        let done = at_once(2, |who| {
            let (first, second, upload) = (f.catalog.clone(), second.clone(), upload.clone());
            async move {
                if who == round % 2 {
                    replan(&first, &upload, &to(Transport::Append, 1 << 20, 1)).await
                } else {
                    bind(&second, &upload).await
                }
            }
        })
        .await;
        assert_eq!(done.iter().filter(|d| **d).count(), 1, "{done:?}");
        let now = find(&f.catalog, &upload.upload_id).await;
        let is_bound = now.store_upload_id.is_some();
        assert_eq!(is_bound, now.transport == Transport::Multipart, "{now:?}");
    }
}

async fn one_of_a_plan_and_an_append_wins(f: Fixture) {
    let second = f.second().await;
    // In another way, or in other parts.
    let others = [
        to(Transport::Multipart, 8 << 20, 4),
        to(Transport::Append, 1 << 20, 1),
    ];
    for round in 0..2 * ROUNDS {
        let other = &others[round / ROUNDS];
        let upload = fresh(&f, "append").await;
        let hold = take(&f.catalog, &upload).await.unwrap().hold;
        let done = at_once(2, |who| {
            let (first, second) = (f.catalog.clone(), second.clone());
            let (upload, hold, other) = (upload.clone(), hold.clone(), other.clone());
            async move {
                if who == round % 2 {
                    replan(&first, &upload, &other).await
                } else {
                    intend(&second, &hold).await
                }
            }
        })
        .await;
        assert_eq!(done.iter().filter(|d| **d).count(), 1, "{done:?}");
        let now = find(&f.catalog, &upload.upload_id).await;
        let is_other =
            (now.transport, now.part_size_bytes) == (other.transport, other.part_size_bytes);
        assert_eq!(done[round % 2], is_other, "{now:?}");
    }
}

async fn of_many_plans_at_once_each_is_of_what_was_read(f: Fixture) {
    let upload = fresh(&f, "multipart").await;
    let done = at_once(8, |n| {
        let (catalog, upload) = (f.catalog.clone(), upload.clone());
        let part_size_bytes = (1 << 20) * (n as i64 + 1);
        async move {
            replan(
                &catalog,
                &upload,
                &to(Transport::Append, part_size_bytes, 1),
            )
            .await
        }
    })
    .await;
    assert_eq!(done.iter().filter(|d| **d).count(), 1, "{done:?}");
    let winner = done.iter().position(|d| *d).unwrap() as i64;
    let now = find(&f.catalog, &upload.upload_id).await;
    assert_eq!(now.part_size_bytes, (1 << 20) * (winner + 1));
}

async fn a_plan_and_an_end_exclude_each_other(f: Fixture) {
    for _ in 0..ROUNDS {
        let upload = fresh(&f, "multipart").await;
        let ended = at_once(2, |who| {
            let (catalog, upload) = (f.catalog.clone(), upload.clone());
            async move {
                if who == 0 {
                    replan(&catalog, &upload, &to(Transport::Append, 1 << 20, 1)).await;
                    return true;
                }
                until_done(|| {
                    let (catalog, upload) = (catalog.clone(), upload.clone());
                    async move {
                        let aborted = UploadState::Aborted;
                        in_tx!(catalog, |tx| {
                            uploads::change(tx, &upload, UploadState::Open, aborted, None).await
                        })
                    }
                })
                .await
            }
        })
        .await;
        assert_eq!(ended, [true, true], "an end does not depend on the plan");
        let now = find(&f.catalog, &upload.upload_id).await;
        assert!(!replan(&f.catalog, &now, &to(Transport::Append, 2 << 20, 1)).await);
    }
}

async fn begin_anew(f: &Fixture, catalog: &Catalog, upload: &Upload) -> bool {
    let anew = Anew {
        object_key: format!("o/{}", f.id("key")),
        left_id: f.id("upl"),
        now: Micros(7),
    };
    until_done(|| {
        let (upload, anew) = (upload.clone(), anew.clone());
        let to = to(Transport::Append, 1 << 20, 1);
        async move {
            in_tx!(catalog, |tx| {
                uploads::begin_anew(tx, &upload, &to, &anew).await
            })
        }
    })
    .await
}

async fn of_asset(catalog: &Catalog, upload: &Upload) -> Vec<Upload> {
    let mut reader = catalog.reader().await.unwrap();
    let all = uploads::of_asset(&mut reader.tx(), TENANT, &upload.asset_id).await;
    all.unwrap()
}

async fn what_begins_anew_leaves_what_was_signed_behind(f: Fixture) {
    let upload = fresh(&f, "multipart").await;
    assert!(bind(&f.catalog, &upload).await);
    let bound = find(&f.catalog, &upload.upload_id).await;
    assert!(extend(&f.catalog, &bound).await);
    assert!(!begin_anew(&f, &f.catalog, &bound).await, "more was signed");
    let signed = find(&f.catalog, &upload.upload_id).await;
    assert!(begin_anew(&f, &f.catalog, &signed).await);
    let now = find(&f.catalog, &upload.upload_id).await;
    assert_eq!(
        (now.state, now.transport, now.signed_until),
        (UploadState::Open, Transport::Append, Micros(0))
    );
    assert_eq!((&now.store_upload_id, now.part_checksum), (&None, None));
    assert_ne!(now.object_key, signed.object_key);
    let all = of_asset(&f.catalog, &upload).await;
    let left = all
        .iter()
        .find(|u| u.upload_id != upload.upload_id)
        .unwrap();
    assert_eq!(
        (left.state, left.transport, left.signed_until, left.look_at),
        (
            UploadState::Aborted,
            Transport::Multipart,
            FAR,
            Some(Micros(7))
        )
    );
    assert_eq!(left.object_key, signed.object_key);
    assert_eq!(left.store_upload_id, signed.store_upload_id);
    assert_eq!(left.part_checksum, Some(PartChecksum::Sha256));
    // Who read it before neither signs nor completes it.
    assert!(!extend(&f.catalog, &signed).await);
    let intended = in_tx!(f.catalog, |tx| {
        uploads::begin_complete(tx, &signed, "[]", FAR, FAR).await
    });
    assert!(!intended.unwrap());
    assert!(take(&f.catalog, &now).await.is_some());
    assert_eq!((&now.intent, &left.intent), (&None, &None));
}

async fn who_took_it_before_writes_nothing_for_one_that_began_anew(f: Fixture) {
    let taken = fresh(&f, "append").await;
    let hold = take(&f.catalog, &taken).await.unwrap().hold;
    let parts = to(Transport::Multipart, 8_388_608, 4);
    assert!(replan(&f.catalog, &taken, &parts).await);
    let planned = find(&f.catalog, &taken.upload_id).await;
    assert!(bind(&f.catalog, &planned).await);
    let bound = find(&f.catalog, &taken.upload_id).await;
    assert!(begin_anew(&f, &f.catalog, &bound).await);
    assert!(!intend(&f.catalog, &hold).await);
    let now = find(&f.catalog, &taken.upload_id).await;
    let old = Upload {
        transport: now.transport,
        part_size_bytes: now.part_size_bytes,
        ..taken
    };
    assert!(
        !bind(&f.catalog, &old).await,
        "the store knows it by another key"
    );
    assert!(bind(&f.catalog, &now).await);
}

async fn one_of_beginning_anew_and_signing_wins(f: Fixture) {
    let second = f.second().await;
    for round in 0..ROUNDS {
        let upload = fresh(&f, "multipart").await;
        assert!(bind(&f.catalog, &upload).await);
        let bound = find(&f.catalog, &upload.upload_id).await;
        let done = at_once(2, |who| {
            let (f, second, bound) = (&f, second.clone(), bound.clone());
            let is_first = who == round % 2;
            let (catalog, anew) = (f.catalog.clone(), f.id("key"));
            async move {
                if is_first {
                    let to = to(Transport::Append, 1 << 20, 1);
                    let anew = Anew {
                        object_key: format!("o/{anew}"),
                        left_id: anew,
                        now: Micros(7),
                    };
                    until_done(|| {
                        let (bound, to, anew) = (bound.clone(), to.clone(), anew.clone());
                        let catalog = catalog.clone();
                        async move {
                            in_tx!(catalog, |tx| {
                                uploads::begin_anew(tx, &bound, &to, &anew).await
                            })
                        }
                    })
                    .await
                } else {
                    extend(&second, &bound).await
                }
            }
        })
        .await;
        assert_eq!(done.iter().filter(|d| **d).count(), 1, "{done:?}");
        // What was signed is known until nothing comes by it any more, whoever won.
        let signed = of_asset(&f.catalog, &upload).await;
        let old = signed.iter().find(|u| u.object_key == bound.object_key);
        let until = if signed.len() == 2 { Micros(0) } else { FAR };
        assert_eq!(old.unwrap().signed_until, until);
    }
}

async fn nothing_begins_anew_without_end(f: Fixture) {
    let upload = fresh(&f, "multipart").await;
    for _ in 0..MOST_BEGUN_ANEW {
        let now = find(&f.catalog, &upload.upload_id).await;
        assert!(begin_anew(&f, &f.catalog, &now).await);
    }
    let now = find(&f.catalog, &upload.upload_id).await;
    assert!(!begin_anew(&f, &f.catalog, &now).await);
    let all = of_asset(&f.catalog, &upload).await;
    assert_eq!(all.len() as i64, 1 + MOST_BEGUN_ANEW);
}
