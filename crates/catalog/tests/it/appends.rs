//! Uploads that are appended to: one at a time, in order, without a gap, whoever dies or comes in between.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use safelight_catalog::appends::{self, Advance, AppendedPart, Hold, Taken};
use safelight_catalog::uploads::{self, Upload, UploadState};
use safelight_catalog::{Catalog, CatalogError};
use safelight_model::clock::{Clock as _, Micros};
use safelight_model::entropy::{self, SeededEntropy};

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::{TENANT, at_once, capture, count, make_one};

on_both!(
    who_takes_it_later_shuts_out_who_had_it,
    an_offset_moves_only_from_where_it_is,
    it_is_looked_at_once_it_is_whole,
    segments_are_known_by_their_keys,
    part_numbers_are_given_out_once,
    what_was_being_written_is_doomed_and_removed_when_nobody_writes_it,
    a_length_is_fixed_once,
    an_upload_that_has_ended_is_not_appended_to,
    whatever_many_do_at_once_the_bytes_are_there_once,
);

const FAR: Micros = Micros(i64::MAX / 2);

async fn fresh(f: &Fixture, size_bytes: i64) -> Upload {
    let mut fresh = capture(f, "anna", &f.id("ref"), 1);
    fresh.assets[0].transport = "append";
    fresh.assets[0].size_bytes = size_bytes;
    make_one(&f.catalog, &fresh).await;
    find(&f.catalog, &fresh.assets[0].upload_id).await
}

async fn find(catalog: &Catalog, upload_id: &str) -> Upload {
    let mut reader = catalog.reader().await.unwrap();
    let found = uploads::find(&mut reader.tx(), TENANT, upload_id).await;
    found.unwrap().unwrap()
}

async fn take(catalog: &Catalog, upload_id: &str, until: Micros) -> Option<Taken> {
    let id = upload_id.to_owned();
    loop {
        let id = id.clone();
        match in_tx!(catalog, |tx| appends::take(tx, TENANT, &id, until).await) {
            Err(error) if error.is_contended() => {}
            other => return other.unwrap(),
        }
    }
}

async fn reserve(catalog: &Catalog, hold: &Hold) -> Option<i64> {
    loop {
        let hold = hold.clone();
        match in_tx!(catalog, |tx| appends::reserve_part(tx, &hold, FAR).await) {
            Err(error) if error.is_contended() => {}
            other => return other.unwrap(),
        }
    }
}

async fn intend(catalog: &Catalog, hold: &Hold, key: &str, at: i64, size: i64) -> bool {
    loop {
        let (hold, key) = (hold.clone(), key.to_owned());
        let done = in_tx!(catalog, |tx| appends::intend_segment(
            tx, &hold, &key, at, size, FAR
        )
        .await);
        match done {
            Err(error) if error.is_contended() => {}
            other => return other.unwrap(),
        }
    }
}

async fn advance(catalog: &Catalog, hold: &Hold, step: Advance, at: Micros) -> bool {
    loop {
        let (hold, step) = (hold.clone(), step.clone());
        match in_tx!(catalog, |tx| appends::advance(tx, &hold, &step, at).await) {
            Err(error) if error.is_contended() => {}
            other => return other.unwrap(),
        }
    }
}

fn part(number: i64, offset_bytes: i64, size_bytes: i64) -> AppendedPart {
    AppendedPart {
        number,
        offset_bytes,
        size_bytes,
        etag: format!("\"{number}\""),
    }
}

fn by_part(from: i64, number: i64, part_start: i64, to: i64) -> Advance {
    Advance {
        from_bytes: from,
        to_bytes: to,
        parts: vec![part(number, part_start, to - part_start)],
        segment: None,
        replaces_segments: true,
        look_at: None,
    }
}

fn by_segment(from: i64, to: i64, key: &str) -> Advance {
    Advance {
        from_bytes: from,
        to_bytes: to,
        segment: Some((key.to_owned(), "\"s\"".to_owned())),
        ..Advance::default()
    }
}

async fn who_takes_it_later_shuts_out_who_had_it(f: Fixture) {
    let upload = fresh(&f, 100).await;
    let id = upload.upload_id.as_str();
    let first = take(&f.catalog, id, FAR).await.unwrap();
    assert_eq!((first.hold.epoch, first.offset_bytes), (1, 0));
    assert!(intend(&f.catalog, &first.hold, "x/a", 0, 7).await);
    let late = take(&f.second().await, id, FAR).await.unwrap();
    assert_eq!(late.hold.epoch, 2);
    assert!(!advance(&f.catalog, &first.hold, by_segment(0, 7, "x/a"), FAR).await);
    assert!(!intend(&f.catalog, &first.hold, "x/b", 0, 7).await);
    assert_eq!(reserve(&f.catalog, &first.hold).await, None);
    assert!(intend(&f.catalog, &late.hold, "x/c", 0, 5).await);
    assert!(advance(&f.catalog, &late.hold, by_segment(0, 5, "x/c"), FAR).await);
    let after = take(&f.catalog, id, FAR).await.unwrap();
    assert_eq!((after.offset_bytes, after.in_parts_bytes), (5, 0));
    assert_eq!(after.segments.len(), 1);
    assert_eq!(after.segments[0].object_key, "x/c");
    assert_eq!(after.segments[0].etag, "\"s\"");
}

async fn an_offset_moves_only_from_where_it_is(f: Fixture) {
    let upload = fresh(&f, 100).await;
    let taken = take(&f.catalog, &upload.upload_id, FAR).await.unwrap();
    let hold = &taken.hold;
    assert!(intend(&f.catalog, hold, "x/a", 0, 4).await);
    assert!(advance(&f.catalog, hold, by_segment(0, 4, "x/a"), FAR).await);
    for wrong in [0, 3, 5] {
        assert!(!advance(&f.catalog, hold, by_part(wrong, 9, 0, 10), FAR).await);
    }
    let number = reserve(&f.catalog, hold).await.unwrap();
    assert!(advance(&f.catalog, hold, by_part(4, number, 0, 10), FAR).await);
    let mut reader = f.catalog.reader().await.unwrap();
    let mut tx = reader.tx();
    let id = upload.upload_id.as_str();
    assert_eq!(appends::offset(&mut tx, TENANT, id).await.unwrap(), 10);
    assert_eq!(appends::offset(&mut tx, "ten_2", id).await.unwrap(), 0);
    let parts = appends::parts(&mut tx, TENANT, id).await.unwrap();
    assert_eq!(parts, [part(number, 0, 10)]);
}

async fn it_is_looked_at_once_it_is_whole(f: Fixture) {
    let upload = fresh(&f, 40).await;
    let id = upload.upload_id.as_str();
    let taken = take(&f.catalog, id, FAR).await.unwrap();
    let number = reserve(&f.catalog, &taken.hold).await.unwrap();
    // What comes before moves nothing: that more is missing is known.
    assert!(advance(&f.catalog, &taken.hold, by_part(0, number, 0, 20), FAR).await);
    assert_eq!(find(&f.catalog, id).await.look_at, upload.look_at);
    let last = |from| Advance {
        look_at: Some(Micros(7)),
        ..by_part(from, number + 1, from, 40)
    };
    assert!(!advance(&f.catalog, &taken.hold, last(30), FAR).await);
    assert_eq!(find(&f.catalog, id).await.look_at, upload.look_at);
    assert!(advance(&f.catalog, &taken.hold, last(20), FAR).await);
    assert_eq!(find(&f.catalog, id).await.look_at, Some(Micros(7)));
    // Whoever asks for the offset puts it off no more.
    take(&f.catalog, id, FAR).await.unwrap();
    assert_eq!(find(&f.catalog, id).await.look_at, Some(Micros(7)));
    // A length that is told last.
    let other = fresh(&f, 0).await;
    let taken = take(&f.catalog, &other.upload_id, FAR).await.unwrap();
    let hold = taken.hold.clone();
    in_tx!(f.catalog, |tx| {
        appends::fix_length(tx, &hold, 20, Some(Micros(8))).await
    })
    .unwrap();
    let look_at = find(&f.catalog, &other.upload_id).await.look_at;
    assert_eq!(look_at, Some(Micros(8)));
}

async fn segments_are_known_by_their_keys(f: Fixture) {
    let upload = fresh(&f, 40).await;
    let id = upload.upload_id.as_str();
    let taken = take(&f.catalog, id, FAR).await.unwrap();
    for key in ["x/t/live", "x/t/writing"] {
        assert!(intend(&f.catalog, &taken.hold, key, 0, 10).await);
    }
    assert!(advance(&f.catalog, &taken.hold, by_segment(0, 10, "x/t/live"), FAR).await);
    let known = async || {
        let keys: Vec<String> = (0..300).map(|n| format!("x/t/{n}")).collect();
        let mut keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        keys.extend(["x/t/live", "x/t/writing"]);
        let mut reader = f.catalog.reader().await.unwrap();
        let mut known = appends::known_segments(&mut reader.tx(), &keys)
            .await
            .unwrap();
        known.sort();
        known
    };
    assert_eq!(known().await, ["x/t/live", "x/t/writing"]);
    // Also one that is about to be removed; not one that was.
    let ended = upload.clone();
    in_tx!(f.catalog, |tx| appends::doom_all(tx, &ended, Micros(0))
        .await)
    .unwrap();
    assert_eq!(known().await, ["x/t/live", "x/t/writing"]);
    let gone = appends::Removable {
        tenant_id: upload.tenant_id.clone(),
        upload_id: upload.upload_id.clone(),
        object_key: "x/t/live".to_owned(),
    };
    in_tx!(f.catalog, |tx| appends::removed(tx, &gone).await).unwrap();
    assert_eq!(known().await, ["x/t/writing"]);
}

async fn part_numbers_are_given_out_once(f: Fixture) {
    let upload = fresh(&f, 100).await;
    let mut seen = HashSet::new();
    for _ in 0..5 {
        let taken = take(&f.catalog, &upload.upload_id, FAR).await.unwrap();
        for _ in 0..2 {
            assert!(seen.insert(reserve(&f.catalog, &taken.hold).await.unwrap()));
        }
    }
    assert_eq!(seen, (1..=10).collect());
}

async fn what_was_being_written_is_doomed_and_removed_when_nobody_writes_it(f: Fixture) {
    let upload = fresh(&f, 100).await;
    let removable = async |now: Micros| {
        let mut reader = f.catalog.reader().await.unwrap();
        let all = appends::removable(&mut reader.tx(), now, 10).await.unwrap();
        all.into_iter().map(|r| r.object_key).collect::<Vec<_>>()
    };
    let now = f.clock.now();
    let later = now.plus(Duration::from_secs(60));
    let taken = take(&f.catalog, &upload.upload_id, later).await.unwrap();
    assert!(intend(&f.catalog, &taken.hold, "x/live", 0, 5).await);
    assert!(advance(&f.catalog, &taken.hold, by_segment(0, 5, "x/live"), now).await);
    assert!(intend(&f.catalog, &taken.hold, "x/hangs", 5, 5).await);
    assert!(removable(FAR).await.is_empty(), "nobody has given it up");
    let taken = take(&f.catalog, &upload.upload_id, later).await.unwrap();
    assert!(removable(now).await.is_empty(), "it may still be written");
    assert_eq!(removable(later).await, ["x/hangs"]);
    let number = reserve(&f.catalog, &taken.hold).await.unwrap();
    assert!(advance(&f.catalog, &taken.hold, by_part(5, number, 0, 10), now).await);
    assert_eq!(removable(now).await, ["x/live"]);
    for expected in [1, 0] {
        let mut reader = f.catalog.reader().await.unwrap();
        let first = appends::removable(&mut reader.tx(), later, 1)
            .await
            .unwrap()
            .remove(0);
        drop(reader);
        in_tx!(f.catalog, |tx| appends::removed(tx, &first).await).unwrap();
        assert_eq!(count(&f.catalog, "append_segments").await, expected);
    }
}

async fn a_length_is_fixed_once(f: Fixture) {
    let upload = fresh(&f, 0).await;
    let id = upload.upload_id.as_str();
    let taken = take(&f.catalog, id, FAR).await.unwrap();
    let fix = async |hold: &Hold, size| {
        let hold = hold.clone();
        in_tx!(f.catalog, |tx| appends::fix_length(tx, &hold, size, None)
            .await)
        .unwrap()
    };
    assert!(fix(&taken.hold, 40).await && fix(&taken.hold, 40).await);
    assert!(!fix(&taken.hold, 41).await);
    let late = take(&f.catalog, id, FAR).await.unwrap();
    assert!(!fix(&taken.hold, 40).await && fix(&late.hold, 40).await);
    assert_eq!(find(&f.catalog, id).await.size_bytes, 40);
    let mut reader = f.catalog.reader().await.unwrap();
    let sql = "SELECT size_bytes FROM resources";
    let row = reader.tx().row(sql, &[]).await.unwrap().unwrap();
    assert_eq!(row.int(0).unwrap(), 40);
}

async fn an_upload_that_has_ended_is_not_appended_to(f: Fixture) {
    let upload = fresh(&f, 100).await;
    let id = upload.upload_id.as_str();
    let taken = take(&f.catalog, id, FAR).await.unwrap();
    assert!(intend(&f.catalog, &taken.hold, "x/a", 0, 5).await);
    let ended = upload.clone();
    let change = in_tx!(f.catalog, |tx| {
        uploads::change(tx, &ended, UploadState::Open, UploadState::Aborted, None).await
    });
    assert!(change.unwrap());
    assert!(!advance(&f.catalog, &taken.hold, by_segment(0, 5, "x/a"), FAR).await);
    assert_eq!(reserve(&f.catalog, &taken.hold).await, None);
    assert!(!intend(&f.catalog, &taken.hold, "x/b", 0, 5).await);
    assert_eq!(take(&f.catalog, id, FAR).await, None);
    let (gone, now) = (upload.clone(), f.clock.now());
    let cleared: Result<(), CatalogError> = in_tx!(f.catalog, |tx| {
        appends::doom_all(tx, &gone, now).await?;
        appends::forget(tx, &gone).await
    });
    cleared.unwrap();
    assert_eq!(count(&f.catalog, "appends").await, 0);
    let mut reader = f.catalog.reader().await.unwrap();
    let left = appends::removable(&mut reader.tx(), now, 10).await.unwrap();
    assert_eq!(left.len(), 1);
}

/// A store as gateways see it: what was put under which number or key, and by which epoch.
#[derive(Default)]
struct Store {
    parts: HashMap<i64, i64>,
    acknowledged: Vec<(i64, i64)>,
}

const PART: i64 = 10;
const WHOLE: i64 = 200;

/// One gateway: takes the upload, appends a little, dies at any point, again and again. Now and then it does not wait
/// for its turn: if none ever did, nobody would come to anything.
async fn gateway(
    catalog: Catalog,
    id: String,
    seed: u64,
    store: Arc<Mutex<Store>>,
    turns: Arc<tokio::sync::Mutex<()>>,
) {
    let chance = SeededEntropy::new(seed);
    let below = |n: i64| (entropy::fraction(&chance) * n as f64) as i64;
    for turn in 0..2_000 {
        let _turn = match below(4) {
            0 => None,
            _ => Some(turns.lock().await),
        };
        let taken = take(&catalog, &id, FAR).await.unwrap();
        let hold = &taken.hold;
        let (mut offset, mut start) = (taken.offset_bytes, taken.in_parts_bytes);
        assert_eq!(start % PART, 0);
        let in_segments: i64 = taken.segments.iter().map(|s| s.size_bytes).sum();
        assert_eq!(
            start + in_segments,
            offset,
            "segments are as long as they say"
        );
        if offset == WHOLE {
            return;
        }
        for _ in 0..below(3) {
            if offset == WHOLE {
                return;
            }
            let to = (offset + 1 + below(2 * PART)).min(WHOLE).min(start + PART);
            let moved = if to == start + PART {
                let Some(number) = reserve(&catalog, hold).await else {
                    break;
                };
                let before = store.lock().unwrap().parts.insert(number, hold.epoch);
                assert_eq!(before, None, "number {number} was given out twice");
                if below(8) == 0 {
                    break;
                }
                advance(&catalog, hold, by_part(offset, number, start, to), FAR).await
            } else {
                let key = format!("x/{seed}/{turn}/{offset}");
                if !intend(&catalog, hold, &key, offset, to - offset).await || below(8) == 0 {
                    break;
                }
                advance(&catalog, hold, by_segment(offset, to, &key), FAR).await
            };
            if !moved {
                break;
            }
            store.lock().unwrap().acknowledged.push((offset, to));
            offset = to;
            if to == start + PART {
                start = to;
            }
        }
    }
    panic!("it does not end");
}

async fn whatever_many_do_at_once_the_bytes_are_there_once(f: Fixture) {
    let upload = fresh(&f, WHOLE).await;
    let id = upload.upload_id.clone();
    let store = Arc::new(Mutex::new(Store::default()));
    let (second, turns) = (f.second().await, Arc::default());
    at_once(6, |n| {
        let catalog = if n % 2 == 0 { &f.catalog } else { &second };
        let seed = 100 + n as u64;
        gateway(
            catalog.clone(),
            id.clone(),
            seed,
            store.clone(),
            Arc::clone(&turns),
        )
    })
    .await;
    // Every byte was acknowledged exactly once.
    let mut acknowledged = std::mem::take(&mut store.lock().unwrap().acknowledged);
    acknowledged.sort_unstable();
    let mut at = 0;
    for (from, to) in acknowledged {
        assert_eq!(from, at);
        at = to;
    }
    assert_eq!(at, WHOLE);
    let mut reader = f.catalog.reader().await.unwrap();
    let parts = appends::parts(&mut reader.tx(), TENANT, &id).await.unwrap();
    assert_eq!(parts.len(), usize::try_from(WHOLE / PART).unwrap());
    for (i, part) in (0..).zip(&parts) {
        assert_eq!((part.offset_bytes, part.size_bytes), (i * PART, PART));
    }
    assert!(parts.windows(2).all(|w| w[0].number < w[1].number));
    let live = "SELECT COUNT(*) FROM append_segments WHERE state = 'live'";
    let row = reader.tx().row(live, &[]).await.unwrap().unwrap();
    assert_eq!(row.int(0).unwrap(), 0);
}
