//! Writes: committed before they are acknowledged, and each on its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use safelight_catalog::{Backend, Catalog, CatalogError, CatalogSettings, Tx, values};
use safelight_testkit::wait;
use tokio::sync::Notify;

use crate::fixture::{Fixture, in_tx, on_both};
use crate::samples::*;

on_both!(
    a_write_that_answers_an_error_leaves_nothing,
    one_failure_among_many_leaves_the_others_alone,
    a_panic_is_an_error_and_the_next_write_works,
    a_failed_statement_that_is_ignored_fails_the_write,
    readers_see_what_is_committed_and_nothing_else,
    a_caller_that_goes_away_leaves_all_or_nothing,
    closing_carries_out_what_waits,
    the_bell_rings_after_a_commit_that_asked_for_it,
    an_unknown_url_is_named,
);

/// A row of a table that nothing else here uses.
async fn mark(tx: &mut Tx<'_>, name: &str) -> Result<(), CatalogError> {
    let insert = "INSERT INTO tenants (tenant_id, name, created_at) VALUES ($1, '', 0)";
    tx.exec(insert, values![name]).await.map(|_| ())
}

async fn write(catalog: &Catalog, name: impl Into<String>) -> Result<(), CatalogError> {
    let name = name.into();
    in_tx!(catalog, |tx| mark(tx, &name).await)
}

async fn is_there(catalog: &Catalog, name: &str) -> bool {
    let mut reader = catalog.reader().await.unwrap();
    let sql = "SELECT 1 FROM tenants WHERE tenant_id = $1";
    reader.tx().row(sql, values![name]).await.unwrap().is_some()
}

/// What a write of the service may answer.
#[derive(Debug)]
enum OwnError {
    Refused(u32),
    Catalog(CatalogError),
}

impl From<CatalogError> for OwnError {
    fn from(error: CatalogError) -> Self {
        Self::Catalog(error)
    }
}

async fn a_write_that_answers_an_error_leaves_nothing(f: Fixture) {
    let answer = f
        .catalog
        .write(|tx| {
            Box::pin(async move {
                mark(tx, "a").await?;
                Err::<(), _>(OwnError::Refused(7))
            })
        })
        .await;
    assert!(matches!(answer, Err(OwnError::Refused(7))));
    assert!(!is_there(&f.catalog, "a").await);
    // A refusal of the database arrives as what it is.
    write(&f.catalog, "b").await.unwrap();
    let twice = f
        .catalog
        .write(|tx| Box::pin(async move { mark(tx, "b").await.map_err(OwnError::from) }))
        .await;
    assert!(matches!(
        twice,
        Err(OwnError::Catalog(CatalogError::Refused(_)))
    ));
    assert_eq!(count(&f.catalog, "tenants").await, 1);
}

async fn one_failure_among_many_leaves_the_others_alone(f: Fixture) {
    for round in 0..5 {
        let answers = at_once(64, |n| {
            let catalog = f.catalog.clone();
            async move {
                let result = catalog
                    .write(move |tx| {
                        Box::pin(async move {
                            mark(tx, &format!("{round}-{n}")).await?;
                            match n % 16 {
                                // The service's own error, the database's, and neither.
                                3 => Err(OwnError::Refused(3)),
                                7 => Ok(mark(tx, &format!("{round}-{n}")).await?),
                                11 => panic!("in the middle of a write"),
                                _ => Ok(()),
                            }
                        })
                    })
                    .await;
                // Whoever is told so finds his row, at once.
                assert_eq!(
                    is_there(&catalog, &format!("{round}-{n}")).await,
                    result.is_ok()
                );
                result
            }
        })
        .await;
        for (n, answer) in answers.iter().enumerate() {
            let as_expected = match n % 16 {
                3 => matches!(answer, Err(OwnError::Refused(3))),
                7 => matches!(answer, Err(OwnError::Catalog(CatalogError::Refused(_)))),
                11 => matches!(answer, Err(OwnError::Catalog(CatalogError::Panicked))),
                _ => answer.is_ok(),
            };
            assert!(as_expected, "{n}: {answer:?}");
        }
        assert_eq!(count(&f.catalog, "tenants").await, 52 * (round + 1));
    }
}

async fn a_panic_is_an_error_and_the_next_write_works(f: Fixture) {
    for n in 0..3 {
        let answer = in_tx!(f.catalog, |tx| {
            mark(tx, "a").await?;
            if n < 3 {
                panic!("alone in its commit");
            }
            Ok(())
        });
        assert!(matches!(answer, Err(CatalogError::Panicked)));
        assert!(!is_there(&f.catalog, "a").await);
        write(&f.catalog, format!("after{n}")).await.unwrap();
    }
    // Also before the first await, while the closure itself runs.
    let answer: Result<(), CatalogError> = f.catalog.write(|_| panic!("at once")).await;
    assert!(matches!(answer, Err(CatalogError::Panicked)));
    write(&f.catalog, "last").await.unwrap();
    assert_eq!(count(&f.catalog, "tenants").await, 4);
}

/// PostgreSQL would answer such a COMMIT with success, and keep nothing.
async fn a_failed_statement_that_is_ignored_fails_the_write(f: Fixture) {
    let answer = in_tx!(f.catalog, |tx| {
        mark(tx, "a").await?;
        let _ = mark(tx, "a").await;
        Ok(())
    });
    assert!(matches!(answer, Err(CatalogError::Swallowed)), "{answer:?}");
    assert!(!is_there(&f.catalog, "a").await);
    // The next one is not held to account for it.
    write(&f.catalog, "b").await.unwrap();
    assert!(is_there(&f.catalog, "b").await);
}

async fn readers_see_what_is_committed_and_nothing_else(f: Fixture) {
    let (written, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let writing = {
        let (catalog, written, go) = (f.catalog.clone(), written.clone(), go.clone());
        tokio::spawn(async move {
            in_tx!(catalog, |tx| {
                mark(tx, "a").await?;
                written.notify_one();
                go.notified().await;
                Ok(())
            })
        })
    };
    written.notified().await;
    assert!(!is_there(&f.catalog, "a").await, "it is not committed yet");
    // A reader that is out already sees it as soon as it is.
    let mut reader = f.catalog.reader().await.unwrap();
    go.notify_one();
    writing.await.unwrap().unwrap();
    let sql = "SELECT COUNT(*) FROM tenants";
    let row = reader.tx().row(sql, &[]).await.unwrap().unwrap();
    assert_eq!(row.int(0).unwrap(), 1);
    drop(reader);
    // On SQLite a reader cannot write.
    if f.catalog.backend() == Backend::Sqlite {
        let mut reader = f.catalog.reader().await.unwrap();
        assert!(mark(&mut reader.tx(), "b").await.is_err());
    }
    write(&f.catalog, "b").await.unwrap();
}

/// The request's task is dropped, as when a phone hangs up, in the middle of the write.
async fn a_caller_that_goes_away_leaves_all_or_nothing(f: Fixture) {
    let (written, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let caller = {
        let (catalog, written, go) = (f.catalog.clone(), written.clone(), go.clone());
        tokio::spawn(async move {
            in_tx!(catalog, |tx| {
                mark(tx, "first").await?;
                written.notify_one();
                go.notified().await;
                mark(tx, "second").await
            })
        })
    };
    written.notified().await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    go.notify_one();
    // This one goes through behind it.
    write(&f.catalog, "next").await.unwrap();
    let there = (
        is_there(&f.catalog, "first").await,
        is_there(&f.catalog, "second").await,
    );
    match f.catalog.backend() {
        // The writer carries on by itself; on PostgreSQL the connection takes it back.
        Backend::Sqlite => assert_eq!(there, (true, true)),
        Backend::Postgres => assert_eq!(there, (false, false)),
    }
}

async fn closing_carries_out_what_waits(f: Fixture) {
    let catalog = f.catalog.clone();
    let started = Arc::new(Notify::new());
    let writers: Vec<_> = (0..32)
        .map(|n| {
            let (catalog, started) = (catalog.clone(), started.clone());
            tokio::spawn(async move {
                let begun = started.clone();
                let result = in_tx!(catalog, |tx| {
                    mark(tx, &format!("w{n}")).await?;
                    begun.notify_one();
                    Ok(())
                });
                started.notify_one();
                result
            })
        })
        .collect();
    started.notified().await;
    catalog.close().await;
    catalog.close().await;
    let mut acknowledged = Vec::new();
    for (n, writer) in writers.into_iter().enumerate() {
        match writer.await.unwrap() {
            Ok(()) => acknowledged.push(format!("w{n}")),
            Err(error) => assert!(matches!(error, CatalogError::Unavailable(_)), "{error}"),
        }
    }
    for refused in [write(&catalog, "late").await, catalog.ping().await] {
        assert!(matches!(refused, Err(CatalogError::Unavailable(_))));
    }
    let again = f.second().await;
    for name in &acknowledged {
        assert!(is_there(&again, name).await, "{name} was acknowledged");
    }
    let stored = usize::try_from(count(&again, "tenants").await).unwrap();
    assert_eq!(stored, acknowledged.len());
}

async fn the_bell_rings_after_a_commit_that_asked_for_it(f: Fixture) {
    let bell = f.catalog.bell();
    let rung = bell.notified();
    tokio::pin!(rung);
    rung.as_mut().enable();
    write(&f.catalog, "silent").await.unwrap();
    let failed: Result<(), CatalogError> = in_tx!(f.catalog, |tx| {
        tx.ring().await?;
        mark(tx, "silent").await
    });
    assert!(failed.is_err());
    in_tx!(f.catalog, |tx| tx.ring().await).unwrap();
    tokio::time::timeout(Duration::from_secs(10), rung)
        .await
        .unwrap();
    // Another process hears it too, once it listens.
    if f.catalog.backend() == Backend::Postgres {
        let other = f.second().await;
        let heard = Arc::new(AtomicBool::new(false));
        let (ear, bell) = (heard.clone(), other.bell());
        tokio::spawn(async move {
            bell.notified().await;
            ear.store(true, Ordering::SeqCst);
        });
        let hears = async || {
            in_tx!(f.catalog, |tx| tx.ring().await).unwrap();
            heard.load(Ordering::SeqCst)
        };
        wait::until(Duration::from_secs(20), hears).await.unwrap();
    }
}

async fn an_unknown_url_is_named(f: Fixture) {
    drop(f);
    for url in ["mysql://root@localhost/x", "", "catalog.db"] {
        let refused = Catalog::open(CatalogSettings::for_url(url)).await.err();
        let told = refused.unwrap().to_string();
        assert!(told.contains("sqlite:///") && told.contains(url), "{told}");
    }
}

async fn pragma(catalog: &Catalog, name: &'static str) -> String {
    in_tx!(catalog, |tx| {
        let sql = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
        tx.row(&sql, &[]).await?.unwrap().text(0)
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_syncs_every_commit() {
    let f = Fixture::open(Backend::Sqlite).await;
    assert_eq!(pragma(&f.catalog, "synchronous").await, "2", "FULL");
    assert_eq!(pragma(&f.catalog, "journal_mode").await, "wal");
}

/// A log that only grew would fill the disk, and slow every reader down.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlites_log_begins_anew_under_load() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("catalog.db");
    let url = format!("sqlite://{}", path.display());
    let catalog = Catalog::open(CatalogSettings::for_url(&url)).await.unwrap();
    let log = directory.path().join("catalog.db-wal");
    let rows: i64 = at_once(4, |n| {
        let (catalog, log) = (catalog.clone(), log.clone());
        async move {
            // The file keeps its greatest length: when far more than that was written, it began anew.
            for row in 0..4_000 {
                let written = 4 * row * (64_u64 << 10);
                if written > (32 << 20) && written > 3 * std::fs::metadata(&log).unwrap().len() {
                    return i64::try_from(row).unwrap();
                }
                let name = format!("{n}-{row}-{}", "x".repeat(64 << 10));
                write(&catalog, name).await.unwrap();
            }
            panic!("the log only grows");
        }
    })
    .await
    .into_iter()
    .sum();
    catalog.close().await;
    assert!(!log.exists(), "closing folds all of it");
    let again = Catalog::open(CatalogSettings::for_url(&url)).await.unwrap();
    assert_eq!(count(&again, "tenants").await, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_named_and_passes() {
    let f = Fixture::open(Backend::Sqlite).await;
    let pages: i64 = pragma(&f.catalog, "page_count").await.parse().unwrap();
    let limit = async |pages: i64| {
        in_tx!(f.catalog, |tx| {
            tx.row(&format!("PRAGMA max_page_count = {pages}"), &[])
                .await
        })
        .unwrap();
    };
    limit(pages + 50).await;
    let answers = at_once(32, |n| {
        let catalog = f.catalog.clone();
        async move {
            // One in four is far too large.
            let size = if n % 4 == 0 { 1 << 20 } else { 1 };
            let name = format!("{n}-{}", "x".repeat(size));
            let answer = write(&catalog, name.clone()).await;
            assert_eq!(is_there(&catalog, &name).await, answer.is_ok());
            answer
        }
    })
    .await;
    for (n, answer) in answers.iter().enumerate() {
        match answer {
            Ok(()) => assert_ne!(n % 4, 0),
            // Those that were to be committed together with it may be told the same.
            Err(error) => assert!(
                matches!(error, CatalogError::DiskFull | CatalogError::Unavailable(_)),
                "{n}: {error}"
            ),
        }
    }
    let full = |answer: &Result<_, _>| matches!(answer, Err(CatalogError::DiskFull));
    assert!(answers.iter().any(full));
    limit(1 << 30).await;
    write(&f.catalog, "x".repeat(1 << 20)).await.unwrap();
}
