//! What a disk refuses: no room, no writing, or one thing only.

use std::sync::Arc;

use rustix::io::Errno;
use s3s::S3Result;

use super::check::{recover, settings};
use super::drive::{Act, Client, Known};
use super::replay::{Disk as Replayed, Tree, write_tree};
use super::scenarios::{bytes, workshop};
use crate::disk::Disk;
use crate::disk::tape::{Fault, Tape};
use crate::listings::Bounds;
use crate::store::{DiskStore, OpenError};

fn acts() -> Vec<Act> {
    vec![
        Act::Put("a", bytes(3, 100_000)),
        Act::Put("a", bytes(5, 10)),
        Act::Tag("a", "one"),
        Act::Tag("a", "two"),
        Act::Copy("a", "deep/copy"),
        Act::Create("deep/u"),
        Act::Part(0, 1, bytes(7, 70_000)),
        Act::Part(0, 2, bytes(9, 20)),
        Act::Part(0, 3, bytes(11, 20)),
        Act::Complete(0, &[1, 2]),
        Act::Create("a"),
        Act::Part(1, 1, bytes(13, 20)),
        Act::Complete(1, &[1]),
        Act::Create("v"),
        Act::Part(2, 1, bytes(15, 20)),
        Act::Abort(2),
        Act::MakeBucket("one"),
        Act::RemoveBucket("one"),
        Act::Delete("deep/u"),
        Act::Delete("deep/copy"),
    ]
}

/// A store on which the last of some acts met a fault.
struct Met {
    dir: tempfile::TempDir,
    store: DiskStore,
    client: Client,
    before: Known,
    /// What it was told.
    answer: S3Result<Known>,
    /// How many steps the act asked for.
    asked: usize,
}

async fn meet(acts: &[Act], fault: Option<Fault>) -> (Met, Arc<Tape>) {
    let dir = workshop();
    let tape = Arc::new(Tape::default());
    let store = DiskStore::open_on(
        Disk::recorded(&tape),
        settings(&dir.path().join("store")),
        Bounds::smallest(),
    )
    .unwrap();
    let mut client = Client::default();
    let mut before = client.look(&store).await.unwrap();
    let (last, first) = acts.split_last().unwrap();
    for act in first {
        before = client.act(&store, act, &before).await.unwrap();
    }
    tape.fail(fault);
    let answer = client.act(&store, last, &before).await;
    let asked = tape.asked();
    tape.fail(None);
    let met = Met {
        dir,
        store,
        client,
        before,
        answer,
        asked,
    };
    (met, tape)
}

/// Lets each step of each act fail in turn. Whatever the store answers must be so, and the act must work when the disk
/// does again; also the next process finds all in order.
async fn everywhere(errno: Errno, lasts: bool, only_growth: bool, code: &str) {
    let acts = acts();
    let mut refused = 0;
    for until in 1..=acts.len() {
        let (acts, last) = (&acts[..until], &acts[until - 1]);
        let (whole, _) = meet(acts, None).await;
        let after = whole.answer.unwrap();
        for from in 0..whole.asked {
            let fault = Fault {
                from,
                to: if lasts { usize::MAX } else { from + 1 },
                errno,
                only_growth,
            };
            let (mut met, _tape) = meet(acts, Some(fault)).await;
            let moment = format!("step {from} of {last:?}");
            let found = met.client.look(&met.store).await.unwrap();
            match &met.answer {
                Ok(_) => assert_eq!(found, after, "{moment} was not needed"),
                Err(error) => {
                    refused += 1;
                    assert_eq!(error.code().as_str(), code, "{moment}");
                    assert!(found == met.before || found == after, "{moment}: {found:?}");
                    // An upload that is gone cannot be aborted again, and so on.
                    if found == met.before {
                        let again = met.client.act(&met.store, last, &met.before).await;
                        let again = again.unwrap_or_else(|error| panic!("{moment}: {error:?}"));
                        assert_eq!(again, after, "{moment}");
                        assert_eq!(
                            met.client.look(&met.store).await.unwrap(),
                            after,
                            "{moment}"
                        );
                    }
                }
            }
            let root = met.dir.path().join("store");
            drop(met.store);
            recover(&root, &met.client, &[&after])
                .await
                .unwrap_or_else(|wrong| panic!("{moment}: {wrong}"));
        }
    }
    assert!(refused > 20, "{refused}");
}

/// What may be told twice without harm, as clients do that got no answer.
fn can_be_repeated(act: &Act) -> bool {
    !matches!(
        act,
        Act::Create(_) | Act::Abort(_) | Act::MakeBucket(_) | Act::RemoveBucket(_)
    )
}

#[tokio::test]
async fn what_is_acknowledged_after_a_sync_that_failed_lasts() {
    let acts = acts();
    let mut repeated = 0;
    for until in 1..=acts.len() {
        let (acts, last) = (&acts[..until], &acts[until - 1]);
        if !can_be_repeated(last) {
            continue;
        }
        let (whole, _) = meet(acts, None).await;
        let after = whole.answer.unwrap();
        for from in 0..whole.asked {
            let fault = Fault {
                from,
                to: from + 1,
                errno: Errno::IO,
                only_growth: false,
            };
            let (mut met, tape) = meet(acts, Some(fault)).await;
            if met.answer.is_err() {
                repeated += 1;
                let again = met.client.act(&met.store, last, &met.before).await;
                assert_eq!(again.unwrap(), after, "step {from} of {last:?}");
            }
            // Now the power fails.
            let mut disk = Replayed::holding(&Tree::from([("store".into(), None)]));
            for step in tape.steps().iter().skip(2) {
                disk.take(step, met.dir.path());
            }
            for tree in disk.crashes(from as u64) {
                let left = workshop();
                write_tree(&tree, left.path());
                let held = recover(&left.path().join("store"), &met.client, &[&after]).await;
                held.unwrap_or_else(|wrong| panic!("step {from} of {last:?}: {wrong}"));
            }
        }
    }
    assert!(repeated > 20, "{repeated}");
}

#[tokio::test]
async fn a_full_disk_costs_nothing_that_was_there() {
    everywhere(Errno::NOSPC, true, true, "DiskFull").await;
}

#[tokio::test]
async fn a_disk_that_can_only_be_read_costs_nothing_that_was_there() {
    everywhere(Errno::ROFS, true, false, "DiskReadOnly").await;
}

#[tokio::test]
async fn a_step_that_fails_once_costs_nothing_that_was_there() {
    everywhere(Errno::IO, false, false, "InternalError").await;
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_says_why_and_can_be_opened_later() {
    let dir = workshop();
    let root = dir.path().join("store");
    let tape = Arc::new(Tape::default());
    drop(DiskStore::open_on(Disk::recorded(&tape), settings(&root), Bounds::smallest()).unwrap());
    for from in 0..tape.len() {
        let dir = workshop();
        let root = dir.path().join("store");
        for errno in [Errno::NOSPC, Errno::ROFS] {
            let tape = Arc::new(Tape::default());
            tape.fail(Some(Fault {
                from,
                to: usize::MAX,
                errno,
                only_growth: false,
            }));
            match DiskStore::open_on(Disk::recorded(&tape), settings(&root), Bounds::smallest()) {
                Err(OpenError::Io { source, .. }) => {
                    assert_eq!(Errno::from_io_error(&source), Some(errno))
                }
                Err(other) => panic!("step {from}: {other}"),
                // What the first attempt had done already need not be done again.
                Ok(_) => assert!(errno == Errno::ROFS, "step {from} was not needed"),
            }
        }
        recover(&root, &Client::default(), &[&opened().await])
            .await
            .unwrap();
    }
}

/// What there is in a new store.
async fn opened() -> Known {
    let dir = workshop();
    let store = DiskStore::open(settings(dir.path())).unwrap();
    Client::default().look(&store).await.unwrap()
}
