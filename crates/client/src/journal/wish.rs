//! What the user wishes of captures: to pause, to give up, and what they need. Each change is one transaction, on the disk
//! when the call returns.

use std::path::PathBuf;

use rusqlite::{Row, params};

use super::{Journal, JournalError, OpenCapture, OpenFile};
use crate::conditions::Needs;
use crate::gate::Wish;

impl Journal {
    /// Pauses or resumes everything.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing was then.
    pub fn pause_all(&mut self, is_paused: bool) -> Result<(), JournalError> {
        self.db.execute(
            if is_paused {
                "INSERT OR IGNORE INTO paused (everything) VALUES (1)"
            } else {
                "DELETE FROM paused"
            },
            [],
        )?;
        Ok(())
    }

    /// Whether everything is paused.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn is_paused(&self) -> Result<bool, JournalError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM paused)";
        Ok(self.db.query_row(sql, [], |row| row.get(0))?)
    }

    /// Pauses or resumes one capture. `false` when it is given up.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing was then.
    pub fn pause(&mut self, seq: i64, is_paused: bool) -> Result<bool, JournalError> {
        let wish = if is_paused { "paused" } else { "send" };
        let changed = self.db.execute(
            "UPDATE capture SET wish = ?2 WHERE seq = ?1 AND wish IN ('send', 'paused')",
            params![seq, wish],
        )?;
        Ok(changed == 1)
    }

    /// Says what a capture needs.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing was then.
    pub fn need(&mut self, seq: i64, needs: Needs) -> Result<(), JournalError> {
        self.db.execute(
            "UPDATE capture SET needs_wifi = ?2, needs_charging = ?3 WHERE seq = ?1",
            params![seq, needs.wifi, needs.charging],
        )?;
        Ok(())
    }

    /// Gives a capture up. What the server has of it is still to be aborted.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing was then.
    pub fn cancel(&mut self, seq: i64) -> Result<(), JournalError> {
        self.db.execute(
            "UPDATE capture SET wish = 'cancelling' WHERE seq = ?1 AND wish <> 'cancelled'",
            [seq],
        )?;
        Ok(())
    }

    /// Notes that the server has nothing unfinished of a capture any more: `whole` of its files had arrived before, the
    /// others are dropped.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing was then.
    pub fn cancelled(&mut self, seq: i64, whole: &[i64]) -> Result<(), JournalError> {
        let transaction = self.db.transaction()?;
        for file_seq in whole {
            transaction.execute(
                "UPDATE file SET state = 'uploaded' WHERE seq = ?1 AND capture_seq = ?2",
                params![file_seq, seq],
            )?;
        }
        transaction.execute(
            "UPDATE file SET state = 'dropped' WHERE capture_seq = ?1 AND state = 'waiting'",
            [seq],
        )?;
        transaction.execute(
            "DELETE FROM superseded WHERE file_seq IN (SELECT seq FROM file WHERE capture_seq = ?1)",
            [seq],
        )?;
        transaction.execute(
            "UPDATE capture SET wish = 'cancelled' WHERE seq = ?1",
            [seq],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Whether a capture was given up, and that is done with.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn is_cancelled(&self, seq: i64) -> Result<bool, JournalError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM capture WHERE seq = ?1 AND wish = 'cancelled')";
        Ok(self.db.query_row(sql, [seq], |row| row.get(0))?)
    }

    /// Whether a capture is given up, and the server not told yet.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn is_cancelling(&self, seq: i64) -> Result<bool, JournalError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM capture WHERE seq = ?1 AND wish = 'cancelling')";
        Ok(self.db.query_row(sql, [seq], |row| row.get(0))?)
    }

    /// The captures of which something is still to be sent or to be aborted, in the order in which they were made.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn open_captures(&self) -> Result<Vec<OpenCapture>, JournalError> {
        let mut statement = self.db.prepare_cached(
            "SELECT seq, client_ref, wish, needs_wifi, needs_charging, COALESCE(first_ref, client_ref)
               FROM capture
              WHERE wish = 'cancelling' OR (wish <> 'cancelled' AND EXISTS (
                    SELECT 1 FROM file WHERE capture_seq = capture.seq AND state = 'waiting'))
              ORDER BY seq",
        )?;
        let mut captures = statement
            .query_map([], capture)?
            .collect::<Result<Vec<_>, _>>()?;
        let mut statement = self.db.prepare_cached(
            "SELECT seq, path, size_bytes, COALESCE(copy_sha256, sha256), upload_id, state FROM file
              WHERE capture_seq = ?1 AND state <> 'dropped' ORDER BY seq",
        )?;
        for capture in &mut captures {
            let files = statement.query_map([capture.seq], file)?;
            capture.files = files.collect::<Result<_, _>>()?;
        }
        Ok(captures)
    }
}

fn capture(row: &Row<'_>) -> rusqlite::Result<OpenCapture> {
    let wish: String = row.get(2)?;
    Ok(OpenCapture {
        seq: row.get(0)?,
        client_ref: row.get(1)?,
        first_ref: row.get(5)?,
        wish: Wish {
            is_paused: wish == "paused",
            is_cancelled: wish == "cancelling",
            needs: Needs {
                wifi: row.get(3)?,
                charging: row.get(4)?,
            },
        },
        files: Vec::new(),
    })
}

fn file(row: &Row<'_>) -> rusqlite::Result<OpenFile> {
    Ok(OpenFile {
        seq: row.get(0)?,
        path: path(row.get(1)?),
        size_bytes: row.get(2)?,
        sha256: row.get(3)?,
        upload_id: row.get(4)?,
        is_uploaded: row.get::<_, String>(5)? == "uploaded",
    })
}

#[cfg(unix)]
pub(super) fn path(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
pub(super) fn path(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::{Fingerprint, Stamp};
    use crate::journal::{CaptureIntent, FileIntent};

    #[test]
    fn wishes_survive_and_an_end_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("journal.db");
        let mut journal = Journal::open(&at).unwrap();
        let file = |name: &str| FileIntent {
            client_ref: name.to_owned(),
            path: PathBuf::from(name),
            role: "still".to_owned(),
            fingerprint: Fingerprint {
                stamp: Stamp {
                    size_bytes: 3,
                    mtime_ns: 4,
                },
                sha256: "aa".to_owned(),
            },
            preview: None,
        };
        let seq = journal
            .intend(&CaptureIntent {
                client_ref: "first".to_owned(),
                idempotency_key: "key".to_owned(),
                request: "{}".to_owned(),
                files: vec![file("/a"), file("/b")],
            })
            .unwrap();
        let needs = Needs {
            wifi: true,
            charging: false,
        };
        journal.need(seq, needs).unwrap();
        assert!(journal.pause(seq, true).unwrap());
        for _ in 0..2 {
            journal.pause_all(true).unwrap();
        }
        drop(journal);
        let mut journal = Journal::open(&at).unwrap();
        assert!(journal.is_paused().unwrap());
        journal.pause_all(false).unwrap();
        assert!(!journal.is_paused().unwrap());
        let open = journal.open_captures().unwrap().remove(0);
        assert_eq!((open.wish.is_paused, open.wish.needs), (true, needs));
        assert_eq!(open.files[1].path, PathBuf::from("/b"));

        journal.cancel(seq).unwrap();
        assert!(!journal.pause(seq, false).unwrap(), "there is no way back");
        assert!(journal.open_captures().unwrap()[0].wish.is_cancelled);
        journal.cancelled(seq, &[open.files[0].seq]).unwrap();
        journal.cancel(seq).unwrap();
        assert!(journal.open_captures().unwrap().is_empty());
        let left = journal.files_of(seq).unwrap();
        assert_eq!(left.len(), 1);
        assert!(left[0].is_uploaded && left[0].client_ref == "/a");
    }
}
