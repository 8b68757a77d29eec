//! Opening the journal.

use std::path::Path;

use rusqlite::{Connection, ErrorCode};
use sha2::{Digest, Sha256};

use super::{Journal, JournalError};

const VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE capture (
    seq             INTEGER PRIMARY KEY,
    client_ref      TEXT NOT NULL UNIQUE,
    idempotency_key TEXT NOT NULL,
    request         TEXT NOT NULL,
    capture_id      TEXT
) STRICT;
CREATE TABLE file (
    seq         INTEGER PRIMARY KEY,
    capture_seq INTEGER NOT NULL REFERENCES capture (seq),
    client_ref  TEXT NOT NULL,
    path        BLOB NOT NULL,
    role        TEXT NOT NULL,
    size_bytes  INTEGER NOT NULL,
    mtime_ns    INTEGER NOT NULL,
    sha256      TEXT NOT NULL,
    asset_id    TEXT,
    upload_id   TEXT,
    plan        TEXT,
    state       TEXT NOT NULL CHECK (state IN ('waiting', 'uploaded', 'dropped'))
) STRICT;
CREATE INDEX file_by_path ON file (path, seq) WHERE state <> 'dropped';
CREATE INDEX file_by_capture ON file (capture_seq);
PRAGMA user_version = 1;
";

impl Journal {
    /// The name of the journal's file for what goes to one server on behalf of one owner.
    #[must_use]
    pub fn file_name(base_url: &str, owner: &str) -> String {
        let hash = Sha256::digest(format!("{base_url}\n{owner}"));
        format!("journal-{}.db", hex::encode(&hash[..8]))
    }

    /// Opens the journal at `path`, making it and its folder if they are not there. The journal
    /// stays locked against other processes until it is dropped.
    ///
    /// # Errors
    /// When another process holds it, or it cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| JournalError::Folder {
                path: path.to_owned(),
                source,
            })?;
        }
        Self::open_database(path).map_err(|error| match error {
            JournalError::Database(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                JournalError::InUse(path.to_owned())
            }
            other => other,
        })
    }

    fn open_database(path: &Path) -> Result<Self, JournalError> {
        let mut db = Connection::open(path)?;
        db.busy_timeout(std::time::Duration::from_millis(500))?;
        // Of two runs at once each would send what the other sends: the second is turned away.
        db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", true)?;
        let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match version {
            0 => transaction.execute_batch(SCHEMA)?,
            VERSION => {}
            _ => return Err(JournalError::TooNew(path.to_owned())),
        }
        transaction.commit()?;
        Ok(Self { db })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_no_later_version() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/journal.db");
        let journal = Journal::open(&path).unwrap();
        assert!(matches!(Journal::open(&path), Err(JournalError::InUse(_))));
        journal.db.pragma_update(None, "user_version", 2).unwrap();
        drop(journal);
        assert!(matches!(Journal::open(&path), Err(JournalError::TooNew(_))));
    }
}
