//! What stands in the journal.

use std::path::Path;

use rusqlite::{OptionalExtension, Row};

use super::{CaptureRow, Copied, FileRow, Journal, JournalError};
use crate::fingerprint::{Fingerprint, Stamp};

const FILE: &str =
    "SELECT seq, capture_seq, client_ref, role, size_bytes, mtime_ns, sha256, state, is_considered,
    copy_path, copy_size_bytes, copy_mtime_ns, copy_sha256, is_deleted FROM file";

impl Journal {
    /// The latest file at `path` that was not dropped.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn file_at(&self, path: &Path) -> Result<Option<FileRow>, JournalError> {
        let sql =
            format!("{FILE} WHERE path = ?1 AND state <> 'dropped' ORDER BY seq DESC LIMIT 1");
        let bytes = path.as_os_str().as_encoded_bytes();
        Ok(self
            .db
            .prepare_cached(&sql)?
            .query_row([bytes], |row| self.file(row))
            .optional()?)
    }

    /// Whether nothing stands in it: it is a first one, or the one before was lost.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn is_empty(&self) -> Result<bool, JournalError> {
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM capture)";
        Ok(self.db.query_row(sql, [], |row| row.get(0))?)
    }

    /// Whether a capture of this reference stands in it.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn has_capture(&self, client_ref: &str) -> Result<bool, JournalError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM capture WHERE client_ref = ?1)";
        Ok(self.db.query_row(sql, [client_ref], |row| row.get(0))?)
    }

    /// The capture `seq`.
    ///
    /// # Errors
    /// When the journal cannot be read or has no such capture.
    pub fn capture(&self, seq: i64) -> Result<CaptureRow, JournalError> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT seq, client_ref, idempotency_key, request, capture_id FROM capture WHERE seq = ?1",
            )?
            .query_row([seq], |row| {
                Ok(CaptureRow {
                    seq: row.get(0)?,
                    client_ref: row.get(1)?,
                    idempotency_key: row.get(2)?,
                    request: row.get(3)?,
                    capture_id: row.get(4)?,
                })
            })?)
    }

    /// The files of the capture `seq` that were not dropped, in the order of its assets.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn files_of(&self, seq: i64) -> Result<Vec<FileRow>, JournalError> {
        let sql = format!("{FILE} WHERE capture_seq = ?1 AND state <> 'dropped' ORDER BY seq");
        let mut statement = self.db.prepare_cached(&sql)?;
        let rows = statement.query_map([seq], |row| self.file(row))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn file(&self, row: &Row<'_>) -> rusqlite::Result<FileRow> {
        Ok(FileRow {
            seq: row.get(0)?,
            capture_seq: row.get(1)?,
            client_ref: row.get(2)?,
            role: row.get(3)?,
            fingerprint: Fingerprint {
                stamp: Stamp {
                    size_bytes: row.get(4)?,
                    mtime_ns: row.get(5)?,
                },
                sha256: row.get(6)?,
            },
            is_uploaded: row.get::<_, String>(7)? == "uploaded",
            is_considered: row.get(8)?,
            copy: match row.get::<_, Option<Vec<u8>>>(9)? {
                None => None,
                Some(bytes) => Some(Copied {
                    path: self.copies.join(super::wish::path(bytes)),
                    fingerprint: Fingerprint {
                        stamp: Stamp {
                            size_bytes: row.get(10)?,
                            mtime_ns: row.get(11)?,
                        },
                        sha256: row.get(12)?,
                    },
                }),
            },
            is_deleted: row.get(13)?,
        })
    }
}
