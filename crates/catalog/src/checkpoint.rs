//! Folding SQLite's log into its file beside the writer.
//!
//! A commit only appends to the log. Whoever folds the log into the file syncs both, which takes far
//! longer: the writer would do it in the middle of somebody's commit. So another connection does it,
//! again and again while there are commits. SQLite itself syncs the file only when a folding reaches the end
//! of the log, and then everything at once, which commits would wait behind; so the file is synced here, a
//! little each time.
//!
//! The log begins anew only when all of it is folded, and under load there is always a commit more; so once it
//! is long it is folded several times without a pause, each time what came during the time before, and then
//! the writer is asked for the little that is left.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection as _, Row as _, SqliteConnection};
use tokio::fs::File;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// From one folding to the next. Long enough that pages changed often are written once, short enough that
/// a sync has little to do: commits wait behind it.
const PAUSE: Duration = Duration::from_millis(100);
/// From this length on, in pages of 4 KiB, the log is to begin anew. Growing costs more than being written
/// again: the file system notes each new length.
const LONG_LOG_PAGES: i64 = 16_384;
/// So little, in pages, the writer folds in a few milliseconds.
const REMAINDER_PAGES: i64 = 256;
/// So often at most a long log is folded for the remainder to become little.
const PASSES: u32 = 4;
/// At this length the writer folds by itself at every commit: should this task ever fail.
pub(crate) const LONGEST_LOG_PAGES: &str = "131072";

/// The task that folds, as its writer sees it.
pub(crate) struct Folder {
    committed: Arc<Notify>,
    remainder: Arc<Notify>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    file: Arc<File>,
}

impl Folder {
    /// Starts folding on a connection of its own. `file` is the catalog's.
    pub(crate) fn start(conn: SqliteConnection, file: File) -> Self {
        let file = Arc::new(file);
        let (committed, remainder) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(keep_folding(
            conn,
            file.clone(),
            committed.clone(),
            remainder.clone(),
            stopped,
        ));
        Self {
            committed,
            remainder,
            stop,
            task,
            file,
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

    /// Returns when the connection is closed. What it returns is to be dropped after every connection of
    /// this process: closing any handle on a file gives up the process's locks on it (fcntl(2)), SQLite's
    /// included.
    pub(crate) async fn stop(self) -> Arc<File> {
        let _ = self.stop.send(());
        let _ = self.task.await;
        self.file
    }
}

async fn keep_folding(
    mut conn: SqliteConnection,
    file: Arc<File>,
    committed: Arc<Notify>,
    remainder: Arc<Notify>,
    mut stop: oneshot::Receiver<()>,
) {
    loop {
        tokio::select! {
            _ = &mut stop => break,
            () = committed.notified() => {}
        }
        let mut log_pages = fold(&mut conn).await;
        sync(&file).await;
        if log_pages > LONG_LOG_PAGES {
            for _ in 0..PASSES {
                let before = std::mem::replace(&mut log_pages, fold(&mut conn).await);
                sync(&file).await;
                if log_pages - before < REMAINDER_PAGES {
                    break;
                }
            }
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

/// What matters for safety SQLite syncs itself; this only takes work off that sync.
async fn sync(file: &File) {
    if let Err(error) = file.sync_data().await {
        tracing::warn!(%error, "the catalog was not synced ahead");
    }
}

/// Folds as much as can be folded without anybody waiting; how long the log was when it began.
pub(crate) async fn fold(conn: &mut SqliteConnection) -> i64 {
    let asked = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)");
    let pages = match asked.fetch_one(conn).await {
        Ok(row) => row.try_get(1),
        Err(error) => Err(error),
    };
    pages.unwrap_or_else(|error| {
        tracing::warn!(%error, "the catalog's log was not folded");
        0
    })
}
