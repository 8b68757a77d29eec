//! No owner has more open than the limit, whatever races; and what is there already resolves all the same.

use safelight_catalog::initiate::{FreshCapture, Full, Initiated, OpenLimit};
use safelight_catalog::uploads::{self, UploadState};

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::*;

on_both!(
    an_owner_has_no_more_open_than_the_limit,
    what_ends_makes_room,
    bytes_are_limited_too,
    who_has_nothing_open_may_initiate_one_capture,
    what_is_there_needs_no_room,
    a_batch_counts_what_itself_opens,
    processes_that_race_open_no_more_than_the_limit,
);

fn limited(f: &Fixture, owner: &str, name: &str, assets: usize, uploads: i64) -> FreshCapture {
    FreshCapture {
        open_limit: OpenLimit {
            uploads,
            size_bytes: 0,
        },
        ..capture(f, owner, name, assets)
    }
}

fn is_full(answer: &Initiated) -> bool {
    matches!(answer, Initiated::Full(_))
}

async fn an_owner_has_no_more_open_than_the_limit(f: Fixture) {
    for name in ["a", "b"] {
        let fresh = limited(&f, OWNER, name, 2, 5);
        let made = make_one(&f.catalog, &fresh).await;
        assert_eq!(made, Initiated::Made(vec![None, None]));
    }
    let refused = limited(&f, OWNER, "c", 2, 5);
    let full = Full {
        uploads: 4,
        size_bytes: 4_002,
        limit: refused.open_limit,
    };
    assert_eq!(make_one(&f.catalog, &refused).await, Initiated::Full(full));
    for table in ["captures", "idempotency", "events"] {
        assert_eq!(count(&f.catalog, table).await, 2, "{table}");
    }
    // One more fits, other owners are not concerned, and no limit is none.
    for fits in [
        limited(&f, OWNER, "d", 1, 5),
        limited(&f, "ben", "c", 2, 5),
        limited(&f, OWNER, "e", 50, 0),
    ] {
        assert!(!is_full(&make_one(&f.catalog, &fits).await));
    }
    assert!(is_full(&make_one(&f.catalog, &refused).await));
}

async fn what_ends_makes_room(f: Fixture) {
    let first = limited(&f, OWNER, "a", 2, 2);
    make_one(&f.catalog, &first).await;
    let second = limited(&f, OWNER, "b", 1, 2);
    assert!(is_full(&make_one(&f.catalog, &second).await));
    let upload_id = first.assets[0].upload_id.clone();
    let ended = in_tx!(&f.catalog, |tx| {
        let upload = uploads::find(tx, TENANT, &upload_id).await?.unwrap();
        uploads::change(tx, &upload, UploadState::Open, UploadState::Aborted, None).await
    });
    assert!(ended.unwrap());
    // With the key and reference that were refused.
    assert_eq!(
        make_one(&f.catalog, &second).await,
        Initiated::Made(vec![None])
    );
}

async fn bytes_are_limited_too(f: Fixture) {
    let of = |name: &str| FreshCapture {
        open_limit: OpenLimit {
            uploads: 0,
            size_bytes: 2_000,
        },
        ..capture(&f, OWNER, name, 1)
    };
    for name in ["a", "b"] {
        assert!(!is_full(&make_one(&f.catalog, &of(name)).await));
    }
    assert!(is_full(&make_one(&f.catalog, &of("c")).await));
}

async fn who_has_nothing_open_may_initiate_one_capture(f: Fixture) {
    let large = limited(&f, OWNER, "a", 100, 5);
    assert!(!is_full(&make_one(&f.catalog, &large).await));
    let next = limited(&f, OWNER, "b", 1, 5);
    assert!(is_full(&make_one(&f.catalog, &next).await));
}

async fn what_is_there_needs_no_room(f: Fixture) {
    // Its own upload is left open.
    held(&f, OWNER, "IMG_1", &hash(1)).await;
    let first = limited(&f, OWNER, "a", 1, 2);
    make_one(&f.catalog, &first).await;
    assert!(is_full(
        &make_one(&f.catalog, &limited(&f, OWNER, "b", 1, 2)).await
    ));
    // The same request, the same reference under another key, and bytes that the owner has.
    let known = Initiated::Existing(first.capture_id.clone());
    assert_eq!(make_one(&f.catalog, &first).await, known);
    let again = limited(&f, OWNER, "a", 1, 2);
    assert_eq!(make_one(&f.catalog, &again).await, known);
    let there = FreshCapture {
        open_limit: first.open_limit,
        ..hashed(&f, OWNER, "IMG_2", &hash(1))
    };
    assert!(matches!(
        make_one(&f.catalog, &there).await,
        Initiated::Made(has) if has[0].is_some()
    ));
}

async fn a_batch_counts_what_itself_opens(f: Fixture) {
    let batch: Vec<FreshCapture> = (0..8)
        .map(|n| limited(&f, OWNER, &format!("r{n}"), 1, 5))
        .collect();
    let answers = make(&f.catalog, &batch).await.unwrap();
    let full: Vec<bool> = answers.iter().map(is_full).collect();
    assert_eq!(full, [false, false, false, false, false, true, true, true]);
}

async fn processes_that_race_open_no_more_than_the_limit(f: Fixture) {
    let second = f.second().await;
    let mut racing = tokio::task::JoinSet::new();
    for n in 0..60 {
        // Each of two owners, so that locks are taken in one order or another.
        let owners = if n % 2 == 0 {
            [OWNER, "ben"]
        } else {
            ["ben", OWNER]
        };
        let batch: Vec<FreshCapture> = owners
            .iter()
            .map(|owner| limited(&f, owner, &format!("r{n}"), 1, 20))
            .collect();
        let catalog = [&f.catalog, &second][n % 2].clone();
        racing.spawn(async move {
            loop {
                match make(&catalog, &batch).await {
                    Ok(answers) => return answers,
                    Err(error) => assert!(error.is_contended(), "{error}"),
                }
            }
        });
    }
    let answers: Vec<Initiated> = racing.join_all().await.into_iter().flatten().collect();
    assert_eq!(answers.iter().filter(|a| !is_full(a)).count(), 40);
    assert_eq!(count(&f.catalog, "uploads").await, 40);
}
