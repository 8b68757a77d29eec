//! One writer for SQLite, whose commits are shared by all who wait.
//!
//! A commit costs a sync of the disk. While one is under way further writes queue up; the next
//! transaction takes them all, each in a savepoint of its own, so that the failure of one leaves the
//! others alone. Nobody hears of success before the commit that holds his write.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::bells::{Bells, Rung};
use crate::checkpoint::{Folder, fold};
use crate::connect::TimeSource;
use crate::error::CatalogError;
use crate::transaction::{Conn, Tx};

/// Writes in one commit at most.
const LARGEST_COMMIT: usize = 128;

/// A write with its reply.
pub(crate) trait Write: Send {
    /// Runs it; whether its changes are to be kept, and whether workers are to be woken.
    fn run<'a>(&'a mut self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, bool>;
    /// Tells the caller, after the commit or its failure.
    fn finish(self: Box<Self>, committed: Result<(), CatalogError>);
}

struct Pending<F, T, E> {
    work: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Write for Pending<F, T, E>
where
    F: for<'t> FnOnce(&'t mut Tx<'_>) -> BoxFuture<'t, Result<T, E>> + Send,
    T: Send,
    E: Send + From<CatalogError>,
{
    fn run<'a>(&'a mut self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, bool> {
        let work = self.work.take();
        Box::pin(async move {
            let Some(work) = work else { return false };
            // One that panics must not take the writer with it. What it leaves behind is the database's
            // state, which is taken back, and its own, which nobody sees again.
            let guarded = AssertUnwindSafe(async { work(tx).await }).catch_unwind();
            let outcome = guarded.await.unwrap_or_else(|_| {
                tracing::error!("a write to the catalog panicked");
                Err(CatalogError::Panicked.into())
            });
            let outcome = match std::mem::take(&mut tx.failed) {
                true => outcome.and_then(|_| Err(CatalogError::Swallowed.into())),
                false => outcome,
            };
            let keep = outcome.is_ok();
            self.outcome = Some(outcome);
            keep
        })
    }

    fn finish(self: Box<Self>, committed: Result<(), CatalogError>) {
        let answer = match (self.outcome, committed) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(_)) | None, Err(error)) => Err(error.into()),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => return,
        };
        // Nobody listens when the caller went away; the write stands all the same.
        let _ = self.reply.send(answer);
    }
}

/// The way to the writer.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Box<dyn Write>>,
    closing: Arc<Notify>,
    /// Its sender is dropped when the connection is closed.
    alive: watch::Receiver<()>,
}

impl Writer {
    /// Starts the writer on its connection. `bells` are rung after commits that asked for it.
    pub(crate) fn start(
        mut conn: SqliteConnection,
        folder: Folder,
        time: TimeSource,
        bells: Bells,
    ) -> Self {
        let (queue, mut waiting) = mpsc::channel::<Box<dyn Write>>(4 * LARGEST_COMMIT);
        let closing = Arc::new(Notify::new());
        let close = closing.clone();
        let (ended, alive) = watch::channel(());
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(LARGEST_COMMIT);
            loop {
                tokio::select! {
                    taken = waiting.recv_many(&mut batch, LARGEST_COMMIT) => match taken {
                        0 => break,
                        _ => {
                            commit_all(&mut conn, &time, &bells, &mut batch).await;
                            folder.committed();
                        }
                    },
                    () = folder.remainder() => {
                        fold(&mut conn).await;
                    }
                    // What waits is still carried out.
                    () = close.notified() => waiting.close(),
                }
            }
            // The last one out folds the rest and removes the log.
            let file = folder.stop().await;
            if let Err(error) = conn.close().await {
                tracing::warn!(%error, "the catalog was not closed cleanly");
            }
            drop(file);
            drop(ended);
        });
        Self {
            queue,
            closing,
            alive,
        }
    }

    /// Carries out what waits, takes nothing more, and returns when the connection is closed.
    pub(crate) async fn close(&self) {
        self.closing.notify_one();
        let mut alive = self.alive.clone();
        // Nothing is ever sent: it ends with an error when the writer does.
        while alive.changed().await.is_ok() {}
    }

    /// Has `work` run and committed.
    pub(crate) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx<'_>) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Send + From<CatalogError> + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let pending = Pending {
            work: Some(work),
            outcome: None,
            reply,
        };
        if self.queue.send(Box::new(pending)).await.is_err() {
            return Err(CatalogError::Unavailable(sqlx::Error::PoolClosed).into());
        }
        answer
            .await
            .unwrap_or_else(|_| Err(CatalogError::Unavailable(sqlx::Error::WorkerCrashed).into()))
    }
}

async fn commit_all(
    conn: &mut SqliteConnection,
    time: &TimeSource,
    bells: &Bells,
    batch: &mut Vec<Box<dyn Write>>,
) {
    let mut tx = Tx {
        conn: Conn::Sqlite(conn),
        time,
        rung: Rung::default(),
        failed: false,
    };
    if let Err(error) = tx.exec("BEGIN IMMEDIATE", &[]).await {
        // Were a transaction still open, it would stay so for ever.
        let _ = tx.exec("ROLLBACK", &[]).await;
        refuse(batch.drain(..), &error);
        return;
    }
    let alone = batch.len() == 1;
    let mut broken = None;
    for write in batch.iter_mut() {
        if let Err(error) = run_one(&mut tx, write.as_mut(), alone).await {
            broken = Some(error);
            break;
        }
    }
    let rung = tx.rung;
    let ended = match broken {
        None => tx.exec("COMMIT", &[]).await.map(|_| ()),
        Some(error) => Err(error),
    };
    match ended {
        Ok(()) => {
            bells.ring(rung);
            batch.drain(..).for_each(|write| write.finish(Ok(())));
        }
        Err(error) => {
            // After a failed COMMIT the transaction may still be open.
            let _ = tx.exec("ROLLBACK", &[]).await;
            refuse(batch.drain(..), &error);
        }
    }
}

async fn run_one(tx: &mut Tx<'_>, write: &mut dyn Write, alone: bool) -> Result<(), CatalogError> {
    if alone {
        if !write.run(tx).await {
            // Nothing else is in this transaction: take all of it back, and commit nothing.
            tx.exec("ROLLBACK", &[]).await?;
            tx.exec("BEGIN", &[]).await?;
        }
        return Ok(());
    }
    tx.exec("SAVEPOINT w", &[]).await?;
    if !write.run(tx).await {
        tx.exec("ROLLBACK TO w", &[]).await?;
    }
    tx.exec("RELEASE w", &[]).await?;
    Ok(())
}

fn refuse(batch: impl Iterator<Item = Box<dyn Write>>, error: &CatalogError) {
    tracing::error!(%error, "a commit failed");
    for write in batch {
        let again = match error {
            CatalogError::DiskFull => CatalogError::DiskFull,
            other => CatalogError::Unavailable(sqlx::Error::Protocol(other.to_string())),
        };
        write.finish(Err(again));
    }
}
