//! Smaller copies that are sent in place of files. They stand in a folder beside the journal, named for it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rusqlite::params;

use super::{Copied, Journal, JournalError};

/// A capture that is made anew, since other bytes are sent of it.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// The client's reference.
    pub client_ref: String,
    /// Goes with every try to initiate it.
    pub idempotency_key: String,
    /// The request, as it will be sent byte for byte.
    pub request: String,
}

impl Journal {
    /// The folder of copies. It need not be there.
    #[must_use]
    pub fn copies(&self) -> &Path {
        &self.copies
    }

    /// Notes that it is settled for these files whether a copy is sent, of which one is, and how the capture is initiated with
    /// the copies. The uploads that it has so far are to be ended from then on ([`Journal::superseded_of`]). `false`, and nothing
    /// changes, if the user gave the capture up.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing was then.
    pub fn copied(
        &mut self,
        seq: i64,
        considered: &[i64],
        copies: &[(i64, Copied)],
        renewal: Option<&Renewal>,
    ) -> Result<bool, JournalError> {
        let transaction = self.db.transaction()?;
        if let Some(renewal) = renewal {
            let renewed = transaction.execute(
                "UPDATE capture SET first_ref = COALESCE(first_ref, client_ref), client_ref = ?2,
                        idempotency_key = ?3, request = ?4, capture_id = NULL
                  WHERE seq = ?1 AND wish IN ('send', 'paused')",
                params![
                    seq,
                    renewal.client_ref,
                    renewal.idempotency_key,
                    renewal.request
                ],
            )?;
            if renewed == 0 {
                return Ok(false);
            }
            transaction.execute(
                "INSERT OR IGNORE INTO superseded (upload_id, file_seq)
                 SELECT upload_id, seq FROM file
                  WHERE capture_seq = ?1 AND upload_id IS NOT NULL AND state = 'waiting'",
                [seq],
            )?;
            transaction.execute(
                "UPDATE file SET asset_id = NULL, upload_id = NULL, plan = NULL WHERE capture_seq = ?1",
                [seq],
            )?;
        }
        for file_seq in considered {
            transaction.execute(
                "UPDATE file SET is_considered = 1 WHERE seq = ?1",
                [file_seq],
            )?;
        }
        for (file_seq, copy) in copies {
            // The folder may be elsewhere tomorrow: phones move what an app has at its updates.
            let name = copy.path.file_name().unwrap_or_default();
            transaction.execute(
                "UPDATE file SET copy_path = ?2, copy_size_bytes = ?3, copy_mtime_ns = ?4, copy_sha256 = ?5
                  WHERE seq = ?1",
                params![
                    file_seq,
                    name.as_encoded_bytes(),
                    copy.fingerprint.stamp.size_bytes,
                    copy.fingerprint.stamp.mtime_ns,
                    copy.fingerprint.sha256,
                ],
            )?;
        }
        transaction.commit()?;
        Ok(true)
    }

    /// The copies that are still to be sent, or to be sent again if the server gives up their capture. None of what the user gave
    /// up.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn copies_in_use(&self) -> Result<HashSet<PathBuf>, JournalError> {
        let mut statement = self.db.prepare_cached(
            "SELECT copy_path FROM file AS f WHERE copy_path IS NOT NULL AND state <> 'dropped' AND EXISTS
                    (SELECT 1 FROM file AS w WHERE w.capture_seq = f.capture_seq AND w.state = 'waiting')
                AND (SELECT wish FROM capture WHERE seq = f.capture_seq) IN ('send', 'paused')",
        )?;
        let paths = statement.query_map([], |row| {
            Ok(self.copies.join(super::wish::path(row.get(0)?)))
        })?;
        Ok(paths.collect::<Result<_, _>>()?)
    }
}
