//! Opening the journal.

use std::path::Path;

use rusqlite::{Connection, ErrorCode};
use sha2::{Digest, Sha256};

use super::{Journal, JournalError};

const VERSION: i64 = 5;

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

/// What the user wishes of a capture, what was measured of links, and transfers that failed and were not told of.
const SECOND: &str = "
ALTER TABLE capture ADD COLUMN wish TEXT NOT NULL DEFAULT 'send'
    CHECK (wish IN ('send', 'paused', 'cancelling', 'cancelled'));
ALTER TABLE capture ADD COLUMN needs_wifi INTEGER NOT NULL DEFAULT 0;
ALTER TABLE capture ADD COLUMN needs_charging INTEGER NOT NULL DEFAULT 0;
CREATE TABLE paused (
    everything INTEGER PRIMARY KEY CHECK (everything = 1)
) STRICT;
CREATE TABLE link (
    kind          TEXT PRIMARY KEY,
    uplink_kbps   INTEGER,
    round_trip_ms INTEGER,
    breaks        INTEGER NOT NULL,
    measured_at   INTEGER NOT NULL
) STRICT;
CREATE TABLE transfer (
    seq    INTEGER PRIMARY KEY,
    report TEXT NOT NULL
) STRICT;
PRAGMA user_version = 2;
";

/// The reference under which a capture came into the journal, if it was renewed since; and smaller copies that are sent in
/// place of files.
const THIRD: &str = "
ALTER TABLE capture ADD COLUMN first_ref TEXT;
ALTER TABLE file ADD COLUMN is_considered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE file ADD COLUMN copy_path BLOB;
ALTER TABLE file ADD COLUMN copy_size_bytes INTEGER;
ALTER TABLE file ADD COLUMN copy_mtime_ns INTEGER;
ALTER TABLE file ADD COLUMN copy_sha256 TEXT;
PRAGMA user_version = 3;
";

/// Files whose assets were deleted at the server: they are settled, and stay so when their captures are made anew.
const FOURTH: &str = "
ALTER TABLE file ADD COLUMN is_deleted INTEGER NOT NULL DEFAULT 0;
PRAGMA user_version = 4;
";

/// Uploads of originals in whose place smaller copies are sent, until the server has ended them.
const FIFTH: &str = "
CREATE TABLE superseded (
    upload_id TEXT PRIMARY KEY,
    file_seq  INTEGER NOT NULL REFERENCES file (seq)
) STRICT;
CREATE INDEX superseded_by_file ON superseded (file_seq);
PRAGMA user_version = 5;
";

/// From each version to the next.
const STEPS: [&str; 5] = [SCHEMA, SECOND, THIRD, FOURTH, FIFTH];

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
        if version > VERSION {
            return Err(JournalError::TooNew(path.to_owned()));
        }
        for step in STEPS.iter().skip(usize::try_from(version).unwrap_or(0)) {
            transaction.execute_batch(step)?;
        }
        transaction.commit()?;
        let mut scratch = path.as_os_str().to_owned();
        scratch.push(".copies");
        Ok(Self {
            db,
            copies: scratch.into(),
        })
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
        journal
            .db
            .pragma_update(None, "user_version", VERSION + 1)
            .unwrap();
        drop(journal);
        assert!(matches!(Journal::open(&path), Err(JournalError::TooNew(_))));
    }

    #[test]
    fn one_of_an_earlier_version_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        for before in 1..STEPS.len() {
            let path = dir.path().join(format!("journal-{before}.db"));
            let old = Connection::open(&path).unwrap();
            for step in &STEPS[..before] {
                old.execute_batch(step).unwrap();
            }
            old.execute_batch(
                "INSERT INTO capture (client_ref, idempotency_key, request) VALUES ('a', 'k', '{}')",
            )
            .unwrap();
            drop(old);
            for _ in 0..2 {
                let journal = Journal::open(&path).unwrap();
                assert!(journal.has_capture("a").unwrap());
                assert!(!journal.is_paused().unwrap());
                assert!(journal.open_captures().unwrap().is_empty());
            }
        }
    }
}
