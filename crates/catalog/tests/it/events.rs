//! The order of events: assigned after commit, to all that is committed and to nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use safelight_catalog::events::{self, FreshEvent, Head, Sequenced};
use safelight_catalog::{Backend, Catalog, CatalogError, Tx};
use safelight_model::clock::{Clock as _, Micros};
use safelight_testkit::wait;
use tokio::sync::{Notify, oneshot};

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::*;

on_both!(
    events_are_numbered_in_the_order_of_their_causes,
    what_is_taken_back_has_no_place,
    readers_miss_nothing_while_many_write,
    an_owner_reads_only_what_is_his,
    pruning_forgets_the_oldest_and_leaves_no_gap,
    readers_are_woken_after_a_round,
    an_initiation_tells_of_its_capture_and_its_uploads,
);

const PATIENCE: Duration = Duration::from_secs(60);

async fn tell(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    owner_id: &str,
    id: &str,
    at: Micros,
) -> Result<(), CatalogError> {
    let event = FreshEvent {
        tenant_id,
        event_id: id,
        kind: "asset.updated",
        owner_id,
        asset_id: None,
        detail: None,
        at,
    };
    events::record(tx, &event).await
}

async fn told(f: &Fixture, tenant_id: &'static str, id: &str) {
    let (id, at) = (id.to_owned(), f.clock.now());
    in_tx!(f.catalog, |tx| tell(tx, tenant_id, OWNER, &id, at).await).unwrap();
}

/// One round; `None` when another was at it.
async fn sequence(catalog: &Catalog, limit: i64) -> Result<Option<u64>, CatalogError> {
    in_tx!(catalog, |tx| events::sequence(tx, limit).await)
}

async fn sequence_all(catalog: &Catalog) {
    while sequence(catalog, 100).await.unwrap() != Some(0) {}
}

async fn after(catalog: &Catalog, tenant_id: &str, position: i64, limit: i64) -> Vec<Sequenced> {
    let mut reader = catalog.reader().await.unwrap();
    let found = events::after(&mut reader.tx(), tenant_id, position, limit).await;
    found.unwrap()
}

async fn head(catalog: &Catalog, tenant_id: &str) -> Head {
    let mut reader = catalog.reader().await.unwrap();
    events::head(&mut reader.tx(), tenant_id).await.unwrap()
}

fn ids(found: &[Sequenced]) -> Vec<&str> {
    found.iter().map(|e| e.event_id.as_str()).collect()
}

fn positions(found: &[Sequenced]) -> Vec<i64> {
    found.iter().map(|e| e.position).collect()
}

async fn events_are_numbered_in_the_order_of_their_causes(f: Fixture) {
    // All in the same instant, and with ids that sort otherwise.
    for id in ["e", "c", "d", "a"] {
        told(&f, TENANT, id).await;
    }
    told(&f, "ten_2", "z").await;
    let at = f.clock.now();
    in_tx!(f.catalog, |tx| {
        tell(tx, TENANT, OWNER, "y", at).await?;
        tell(tx, TENANT, OWNER, "x", at).await
    })
    .unwrap();
    assert!(after(&f.catalog, TENANT, 0, 100).await.is_empty());
    assert_eq!(sequence(&f.catalog, 3).await.unwrap(), Some(3));
    assert_eq!(head(&f.catalog, TENANT).await.position, 3);
    sequence_all(&f.catalog).await;
    let found = after(&f.catalog, TENANT, 0, 100).await;
    assert_eq!(ids(&found), ["e", "c", "d", "a", "y", "x"]);
    assert_eq!(positions(&found), [1, 2, 3, 4, 5, 6]);
    let other = after(&f.catalog, "ten_2", 0, 100).await;
    assert_eq!((ids(&other), positions(&other)), (vec!["z"], vec![1]));
    assert_eq!(ids(&after(&f.catalog, TENANT, 4, 1).await), ["y"]);
    assert_eq!(head(&f.catalog, TENANT).await.position, 6);
    assert_eq!(head(&f.catalog, "ten_3").await.position, 0);
}

async fn what_is_taken_back_has_no_place(f: Fixture) {
    told(&f, TENANT, "a").await;
    let at = f.clock.now();
    let failed = in_tx!(f.catalog, |tx| {
        tell(tx, TENANT, OWNER, "b", at).await?;
        Err::<(), _>(CatalogError::Nul)
    });
    assert!(failed.is_err());
    told(&f, TENANT, "c").await;
    sequence_all(&f.catalog).await;
    let found = after(&f.catalog, TENANT, 0, 100).await;
    assert_eq!(
        (ids(&found), positions(&found)),
        (vec!["a", "c"], vec![1, 2])
    );
}

const TENANTS: [&str; 2] = ["ten_1", "ten_2"];
const WRITERS: usize = 16;
const ROUNDS: usize = 25;

/// A small number that looks random.
fn scattered(seed: usize) -> usize {
    seed.wrapping_mul(0x9e37_79b9).rotate_left(7) % 1_009
}

/// Writes one to three events in each of many transactions, of which every fifth is taken back; the ids
/// of what was committed, by tenant.
async fn write_much(f: &Fixture, catalog: Catalog, writer: usize) -> Vec<(usize, String)> {
    let mut committed = Vec::new();
    let at = f.clock.now();
    for round in 0..ROUNDS {
        let seed = scattered(writer * ROUNDS + round);
        let (tenant, count) = (seed % 2, 1 + seed % 3);
        let names: Vec<String> = (0..count)
            .map(|n| format!("{writer:02}-{round:02}-{n}"))
            .collect();
        let given = names.clone();
        let outcome = in_tx!(catalog, |tx| {
            for id in &given {
                tell(tx, TENANTS[tenant], OWNER, id, at).await?;
                // Others overtake.
                if tx.is_postgres() {
                    let pause = format!("SELECT 1 FROM pg_sleep({})", (seed % 7) as f64 / 1_000.0);
                    tx.row(&pause, &[]).await?;
                } else {
                    tokio::task::yield_now().await;
                }
            }
            if seed.is_multiple_of(5) {
                Err(CatalogError::Nul)
            } else {
                Ok(())
            }
        });
        if outcome.is_ok() {
            committed.extend(names.into_iter().map(|id| (tenant, id)));
        }
    }
    committed
}

/// Reads on from where it is, a few at a time, until all is written and read.
async fn tail(catalog: Catalog, tenant: usize, over: Arc<AtomicBool>) -> Vec<Sequenced> {
    let mut seen: Vec<Sequenced> = Vec::new();
    loop {
        let last = over.load(Ordering::SeqCst);
        let from = seen.last().map_or(0, |e| e.position);
        let page = after(&catalog, TENANTS[tenant], from, 3).await;
        if page.is_empty() && last {
            return seen;
        }
        seen.extend(page);
        tokio::task::yield_now().await;
    }
}

async fn readers_miss_nothing_while_many_write(f: Fixture) {
    let f = Arc::new(f);
    // As many processes on PostgreSQL; SQLite has one.
    let mut processes = vec![f.catalog.clone()];
    if f.catalog.backend() == Backend::Postgres {
        processes.push(f.second().await);
        processes.push(f.second().await);
    }
    let process = |n: usize| processes[n % processes.len()].clone();
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..6)
        .map(|n| tokio::spawn(tail(process(n), n % 2, over.clone())))
        .collect();
    let sequencers: Vec<_> = (0..3)
        .map(|n| {
            let (catalog, over) = (process(n), over.clone());
            tokio::spawn(async move {
                let mut rounds = 0_u64;
                while !over.load(Ordering::SeqCst) {
                    let round = sequence(&catalog, 4);
                    // One of them dies in the middle of its rounds, again and again.
                    if n == 2 {
                        let _ = tokio::time::timeout(Duration::from_millis(1), round).await;
                    } else {
                        match round.await {
                            Ok(Some(placed)) => rounds += u64::from(placed > 0),
                            Ok(None) => {}
                            Err(error) => assert!(error.is_contended(), "{error}"),
                        }
                    }
                    tokio::task::yield_now().await;
                }
                rounds
            })
        })
        .collect();
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| {
            let (f, catalog) = (f.clone(), process(n));
            tokio::spawn(async move { write_much(&f, catalog, n).await })
        })
        .collect();
    let mut committed = [BTreeSet::new(), BTreeSet::new()];
    for writer in writers {
        for (tenant, id) in writer.await.unwrap() {
            committed[tenant].insert(id);
        }
    }
    let placed = wait::until(PATIENCE, async || {
        let mut reader = f.catalog.reader().await.unwrap();
        !events::any_waiting(&mut reader.tx()).await.unwrap()
    });
    placed.await.unwrap();
    over.store(true, Ordering::SeqCst);
    let mut rounds = 0;
    for sequencer in sequencers {
        rounds += sequencer.await.unwrap();
    }
    assert!(
        rounds > 10,
        "the readers had nothing to tail: {rounds} rounds"
    );
    for (n, reader) in readers.into_iter().enumerate() {
        let seen = reader.await.unwrap();
        let dense: Vec<i64> = (1..).take(seen.len()).collect();
        assert_eq!(positions(&seen), dense, "reader {n}");
        let set: BTreeSet<String> = seen.iter().map(|e| e.event_id.clone()).collect();
        assert_eq!(set, committed[n % 2], "reader {n}");
        // What one writer wrote one after another is read so.
        let mut last: BTreeMap<&str, &str> = BTreeMap::new();
        for event in &seen {
            let before = last.insert(&event.event_id[..2], &event.event_id);
            assert!(
                before.is_none_or(|b| b < event.event_id.as_str()),
                "{before:?} {event:?}"
            );
        }
    }
}

async fn an_owner_reads_only_what_is_his(f: Fixture) {
    let at = f.clock.now();
    for (n, owner) in ["ann", "bob", "ann", "bob", "ann"].into_iter().enumerate() {
        let id = format!("e{n}");
        in_tx!(f.catalog, |tx| tell(tx, TENANT, owner, &id, at).await).unwrap();
    }
    in_tx!(f.catalog, |tx| tell(tx, "ten_2", "ann", "other", at).await).unwrap();
    sequence_all(&f.catalog).await;
    let mut reader = f.catalog.reader().await.unwrap();
    let mut of = async |position, limit| {
        let found = events::of_owner_after(&mut reader.tx(), TENANT, "ann", position, limit).await;
        positions(&found.unwrap())
    };
    assert_eq!(of(0, 100).await, [1, 3, 5]);
    assert_eq!(of(1, 1).await, [3]);
    assert_eq!(of(5, 100).await, [0_i64; 0]);
}

async fn pruning_forgets_the_oldest_and_leaves_no_gap(f: Fixture) {
    let start = f.clock.now();
    for n in 0..6 {
        // The fourth is told of late by a clock that goes after.
        let at = start.plus(Duration::from_secs(if n == 3 { 100 } else { n }));
        let id = format!("e{n}");
        in_tx!(f.catalog, |tx| tell(tx, TENANT, OWNER, &id, at).await).unwrap();
    }
    told(&f, "ten_2", "z").await;
    sequence_all(&f.catalog).await;
    told(&f, TENANT, "waits").await;
    let prune = async |head: Head, before, limit| {
        let until = events::Until {
            sent: before,
            all: before,
        };
        in_tx!(f.catalog, |tx| events::prune(tx, &head, until, limit).await)
    };
    let before = start.plus(Duration::from_secs(50));
    let fresh = head(&f.catalog, TENANT).await;
    assert_eq!(prune(fresh.clone(), before, 2).await.unwrap(), 2);
    // Who goes by what was is refused, and changes nothing.
    assert!(prune(fresh, before, 2).await.is_err());
    let now = head(&f.catalog, TENANT).await;
    assert_eq!((now.position, now.pruned), (6, 2));
    assert_eq!(prune(now, before, 100).await.unwrap(), 1);
    let now = head(&f.catalog, TENANT).await;
    assert_eq!(prune(now.clone(), before, 100).await.unwrap(), 0);
    assert_eq!((now.position, now.pruned), (6, 3));
    assert_eq!(
        positions(&after(&f.catalog, TENANT, 0, 100).await),
        [4, 5, 6]
    );
    assert_eq!(positions(&after(&f.catalog, "ten_2", 0, 100).await), [1]);
    // Positions are not given again when everything is gone.
    let long_after = start.plus(Duration::from_secs(1_000));
    prune(now, long_after, 100).await.unwrap();
    sequence_all(&f.catalog).await;
    let found = after(&f.catalog, TENANT, 0, 100).await;
    assert_eq!((ids(&found), positions(&found)), (vec!["waits"], vec![7]));
    let mut reader = f.catalog.reader().await.unwrap();
    let all = events::tenants(&mut reader.tx(), "", 10).await.unwrap();
    let all: Vec<&str> = all.iter().map(|h| h.tenant_id.as_str()).collect();
    assert_eq!(all, TENANTS);
}

async fn readers_are_woken_after_a_round(f: Fixture) {
    let other = match f.catalog.backend() {
        Backend::Postgres => f.second().await,
        Backend::Sqlite => f.catalog.clone(),
    };
    let (recorded, sequenced) = (f.catalog.recorded_bell(), other.sequenced_bell());
    let ear = ear(&recorded);
    told(&f, TENANT, "a").await;
    tokio::time::timeout(PATIENCE, ear).await.unwrap().unwrap();
    // The other process may not listen yet: then this is the next event's ring.
    let heard = wait::until(PATIENCE, async || {
        let rung = sequenced.notified();
        tokio::pin!(rung);
        rung.as_mut().enable();
        told(&f, TENANT, &f.id("evt")).await;
        sequence_all(&f.catalog).await;
        tokio::time::timeout(Duration::from_millis(200), rung)
            .await
            .is_ok()
    });
    heard.await.unwrap();
}

fn ear(bell: &Arc<Notify>) -> tokio::task::JoinHandle<()> {
    let mut rung = Box::pin(bell.clone().notified_owned());
    rung.as_mut().enable();
    tokio::spawn(rung)
}

async fn an_initiation_tells_of_its_capture_and_its_uploads(f: Fixture) {
    let mut fresh = capture(&f, OWNER, "ref", 2);
    fresh.assets[0].started_event_id = Some(f.id("evt"));
    make_one(&f.catalog, &fresh).await;
    step(
        &f,
        &fresh.assets[0].asset_id,
        safelight_model::lifecycle::Event::UploadEnded,
    )
    .await;
    sequence_all(&f.catalog).await;
    let found = after(&f.catalog, TENANT, 0, 100).await;
    let kinds: Vec<&str> = found.iter().map(|e| e.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["capture.created", "upload.started", "asset.state_changed"]
    );
    assert!(
        found
            .iter()
            .all(|e| e.capture_id.as_ref() == Some(&fresh.capture_id))
    );
    let first = Some(&fresh.assets[0].asset_id);
    assert_eq!(found[0].asset_id, None);
    assert!(found[1..].iter().all(|e| e.asset_id.as_ref() == first));
    let upload = format!("{{\"upload_id\":\"{}\"}}", fresh.assets[0].upload_id);
    assert_eq!(found[1].detail.as_deref(), Some(upload.as_str()));
}

/// A transaction that has recorded an event and is held open until it is let go.
struct Held {
    go: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), CatalogError>>,
}

impl Held {
    async fn with(catalog: &Catalog, id: &'static str) -> Self {
        let ((at_it, begun), (go, gone)) = (oneshot::channel(), oneshot::channel());
        let catalog = catalog.clone();
        let task = tokio::spawn(async move {
            in_tx!(catalog, |tx| {
                tell(tx, TENANT, OWNER, id, Micros(1)).await?;
                let _ = at_it.send(());
                let _ = gone.await;
                Ok(())
            })
        });
        begun.await.unwrap();
        Self { go, task }
    }

    async fn commit(self) {
        let _ = self.go.send(());
        self.task.await.unwrap().unwrap();
    }
}

/// SQLite has one writer, in which nothing overtakes.
mod on_postgres {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn who_commits_late_comes_late_and_holds_up_nobody() {
        let f = Fixture::open(Backend::Postgres).await;
        let held = Held::with(&f.catalog, "early bird").await;
        told(&f, TENANT, "second").await;
        sequence_all(&f.catalog).await;
        assert_eq!(ids(&after(&f.catalog, TENANT, 0, 10).await), ["second"]);
        held.commit().await;
        sequence_all(&f.catalog).await;
        let found = after(&f.catalog, TENANT, 1, 10).await;
        assert_eq!(
            (ids(&found), positions(&found)),
            (vec!["early bird"], vec![2])
        );
    }

    /// A sequencer that has given places and has not committed.
    async fn at_it(
        catalog: &Catalog,
    ) -> (
        oneshot::Sender<()>,
        tokio::task::JoinHandle<Result<(), CatalogError>>,
    ) {
        let ((done, placed), (go, gone)) = (oneshot::channel(), oneshot::channel());
        let catalog = catalog.clone();
        let task = tokio::spawn(async move {
            in_tx!(catalog, |tx| {
                assert_eq!(events::sequence(tx, 100).await?, Some(1));
                let _ = done.send(());
                let _ = gone.await;
                Ok(())
            })
        });
        placed.await.unwrap();
        (go, task)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn one_sequences_at_a_time() {
        let f = Fixture::open(Backend::Postgres).await;
        let second = f.second().await;
        told(&f, TENANT, "a").await;
        let (go, task) = at_it(&f.catalog).await;
        told(&f, TENANT, "b").await;
        assert_eq!(sequence(&second, 100).await.unwrap(), None);
        assert!(after(&second, TENANT, 0, 10).await.is_empty());
        go.send(()).unwrap();
        task.await.unwrap().unwrap();
        assert_eq!(sequence(&second, 100).await.unwrap(), Some(1));
        assert_eq!(ids(&after(&second, TENANT, 0, 10).await), ["a", "b"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn one_that_freezes_is_put_out_by_the_server() {
        let f = Fixture::open(Backend::Postgres).await;
        let second = f.second().await;
        told(&f, TENANT, "a").await;
        let (go, task) = at_it(&f.catalog).await;
        let taken_over = wait::until(PATIENCE, async || {
            sequence(&second, 100).await.unwrap() == Some(1)
        });
        taken_over.await.unwrap();
        // Were it to wake up now, it would change nothing.
        let _ = go.send(());
        assert!(task.await.unwrap().is_err());
        assert_eq!(positions(&after(&second, TENANT, 0, 10).await), [1]);
        assert_eq!(head(&second, TENANT).await.position, 1);
    }
}
