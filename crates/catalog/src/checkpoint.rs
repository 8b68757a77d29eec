//! Folding SQLite's log into its file beside the writer.
//!
//! A commit only appends to the log. Whoever folds the log into the file syncs both, which takes far
//! longer: the writer would do it in the middle of somebody's commit. So another connection does it,
//! again and again while there are commits. The log begins anew only when all of it is folded, and under
//! load there is always a commit more; then the writer is asked for the little that is left.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection as _, Row as _, SqliteConnection};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// From one folding to the next. Long enough that pages changed often are written once.
const PAUSE: Duration = Duration::from_millis(250);
/// From this length on, in pages of 4 KiB, the writer is asked to let the log begin anew.
const LONG_LOG_PAGES: i64 = 4_096;
/// At this length the writer folds by itself at a commit: should this task ever fail.
pub(crate) const LONGEST_LOG_PAGES: &str = "16384";

/// The task that folds, as its writer sees it.
pub(crate) struct Folder {
    committed: Arc<Notify>,
    remainder: Arc<Notify>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Folder {
    /// Starts folding on a connection of its own.
    pub(crate) fn start(conn: SqliteConnection) -> Self {
        let (committed, remainder) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(keep_folding(
            conn,
            committed.clone(),
            remainder.clone(),
            stopped,
        ));
        Self {
            committed,
            remainder,
            stop,
            task,
        }
    }

    /// Tells that there is more to fold.
    pub(crate) fn committed(&self) {
        self.committed.notify_one();
    }

    /// Returns when the writer is to fold what is left.
    pub(crate) async fn remainder(&self) {
        self.remainder.notified().await;
    }

    /// Returns when the connection is closed.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

async fn keep_folding(
    mut conn: SqliteConnection,
    committed: Arc<Notify>,
    remainder: Arc<Notify>,
    mut stop: oneshot::Receiver<()>,
) {
    loop {
        tokio::select! {
            _ = &mut stop => break,
            () = committed.notified() => {}
        }
        let (log_pages, folded_pages) = fold(&mut conn).await;
        if log_pages > LONG_LOG_PAGES && folded_pages < log_pages {
            remainder.notify_one();
        }
        tokio::select! {
            _ = &mut stop => break,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
    if let Err(error) = conn.close().await {
        tracing::warn!(%error, "a connection of the catalog was not closed cleanly");
    }
}

/// Folds as much as can be folded without anybody waiting; the length of the log, and how much of it
/// is folded.
pub(crate) async fn fold(conn: &mut SqliteConnection) -> (i64, i64) {
    let asked = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)");
    let pages = match asked.fetch_one(conn).await {
        Ok(row) => row.try_get(1).and_then(|log| Ok((log, row.try_get(2)?))),
        Err(error) => Err(error),
    };
    pages.unwrap_or_else(|error| {
        tracing::warn!(%error, "the catalog's log was not folded");
        (0, 0)
    })
}
