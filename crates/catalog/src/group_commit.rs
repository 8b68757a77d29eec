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

/// What is to be written, of whatever type its answer is: kept are its changes if it says so.
pub(crate) type Work = Box<dyn for<'t> FnOnce(&'t mut Tx<'_>) -> BoxFuture<'t, Kept> + Send>;

/// Whether the changes of a write are to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// They are.
    Yes,
    /// It answered an error, which is its caller's affair.
    No,
}

/// Runs what is to be written. One that panics must not take the writer with it: what it leaves behind is the database's state,
/// which is taken back, and its own, which nobody sees again.
///
/// # Errors
/// If it panicked, or made light of a statement that failed.
pub(crate) async fn run(work: Work, tx: &mut Tx<'_>) -> Result<Kept, CatalogError> {
    let guarded = AssertUnwindSafe(async { work(tx).await }).catch_unwind();
    let kept = guarded.await.map_err(|_| {
        tracing::error!("a write to the catalog panicked");
        CatalogError::Panicked
    });
    match (std::mem::take(&mut tx.failed), kept) {
        (true, Ok(Kept::Yes)) => Err(CatalogError::Swallowed),
        (_, kept) => kept,
    }
}

/// A write with its reply.
struct Write {
    work: Option<Work>,
    outcome: Option<Result<Kept, CatalogError>>,
    reply: oneshot::Sender<Result<Kept, CatalogError>>,
}

impl Write {
    /// Runs it; whether its changes are to be kept.
    async fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let Some(work) = self.work.take() else {
            return false;
        };
        let outcome = self.outcome.insert(run(work, tx).await);
        matches!(outcome, Ok(Kept::Yes))
    }

    /// Tells the caller, after the commit or its failure.
    fn finish(self, committed: Result<(), CatalogError>) {
        let answer = match (self.outcome, committed) {
            (Some(Ok(Kept::Yes)) | None, Err(error)) => Err(error),
            (Some(outcome), _) => outcome,
            (None, Ok(())) => return,
        };
        // Nobody listens when the caller went away; the write stands all the same.
        let _ = self.reply.send(answer);
    }
}

/// The way to the writer.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Write>,
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
        let (queue, mut waiting) = mpsc::channel::<Write>(4 * LARGEST_COMMIT);
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

    /// Has `work` run, and committed if it says so.
    pub(crate) async fn write(&self, work: Work) -> Result<Kept, CatalogError> {
        let (reply, answer) = oneshot::channel();
        let write = Write {
            work: Some(work),
            outcome: None,
            reply,
        };
        if self.queue.send(write).await.is_err() {
            return Err(CatalogError::Unavailable(sqlx::Error::PoolClosed));
        }
        answer
            .await
            .unwrap_or_else(|_| Err(CatalogError::Unavailable(sqlx::Error::WorkerCrashed)))
    }
}

async fn commit_all(
    conn: &mut SqliteConnection,
    time: &TimeSource,
    bells: &Bells,
    batch: &mut Vec<Write>,
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
        if let Err(error) = run_one(&mut tx, write, alone).await {
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

async fn run_one(tx: &mut Tx<'_>, write: &mut Write, alone: bool) -> Result<(), CatalogError> {
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

fn refuse(batch: impl Iterator<Item = Write>, error: &CatalogError) {
    tracing::error!(%error, "a commit failed");
    for write in batch {
        let again = match error {
            CatalogError::DiskFull => CatalogError::DiskFull,
            other => CatalogError::Unavailable(sqlx::Error::Protocol(other.to_string())),
        };
        write.finish(Err(again));
    }
}
