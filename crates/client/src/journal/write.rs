//! Changes of the journal. Each is one transaction, on the disk when the call returns.

use rusqlite::params;

use super::{CaptureIntent, FilePlanned, Journal, JournalError};
use crate::fingerprint::Stamp;

impl Journal {
    /// Puts a capture and its files into the journal. Returns its `seq`.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing was then.
    pub fn intend(&mut self, capture: &CaptureIntent) -> Result<i64, JournalError> {
        let transaction = self.db.transaction()?;
        transaction.execute(
            "INSERT INTO capture (client_ref, idempotency_key, request) VALUES (?1, ?2, ?3)",
            params![capture.client_ref, capture.idempotency_key, capture.request],
        )?;
        let seq = transaction.last_insert_rowid();
        for file in &capture.files {
            transaction.execute(
                "INSERT INTO file (capture_seq, client_ref, path, role, size_bytes, mtime_ns, sha256, state)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'waiting')",
                params![
                    seq,
                    file.client_ref,
                    file.path.as_os_str().as_encoded_bytes(),
                    file.role,
                    file.fingerprint.stamp.size_bytes,
                    file.fingerprint.stamp.mtime_ns,
                    file.fingerprint.sha256,
                ],
            )?;
        }
        transaction.commit()?;
        Ok(seq)
    }

    /// Notes the server's answer to an initiation. From now on bytes may be sent.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing was then.
    pub fn initiated(
        &mut self,
        seq: i64,
        capture_id: &str,
        files: &[FilePlanned],
    ) -> Result<(), JournalError> {
        let transaction = self.db.transaction()?;
        transaction.execute(
            "UPDATE capture SET capture_id = ?2 WHERE seq = ?1",
            params![seq, capture_id],
        )?;
        for file in files {
            transaction.execute(
                "UPDATE file SET asset_id = ?2, upload_id = ?3, plan = ?4 WHERE seq = ?1",
                params![file.seq, file.asset_id, file.upload_id, file.plan],
            )?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Notes that the server confirmed a file.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing was then.
    pub fn uploaded(&mut self, file_seq: i64) -> Result<(), JournalError> {
        self.db
            .prepare_cached("UPDATE file SET state = 'uploaded' WHERE seq = ?1")?
            .execute([file_seq])?;
        Ok(())
    }

    /// Its asset was deleted at the server: no run sends this file again, in whatever capture it is.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn deleted(&mut self, file_seq: i64) -> Result<(), JournalError> {
        self.db
            .prepare_cached("UPDATE file SET state = 'uploaded', is_deleted = 1 WHERE seq = ?1")?
            .execute([file_seq])?;
        Ok(())
    }

    /// Makes a capture anew, under another reference and key, since the server gave the first one up. `false`, and nothing
    /// changes, if the user gave it up as well.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing was then.
    pub fn renew(
        &mut self,
        seq: i64,
        client_ref: &str,
        idempotency_key: &str,
        request: &str,
    ) -> Result<bool, JournalError> {
        let transaction = self.db.transaction()?;
        let renewed = transaction.execute(
            "UPDATE capture SET first_ref = COALESCE(first_ref, client_ref), client_ref = ?2,
                    idempotency_key = ?3, request = ?4, capture_id = NULL
             WHERE seq = ?1 AND wish IN ('send', 'paused')",
            params![seq, client_ref, idempotency_key, request],
        )?;
        if renewed == 0 {
            return Ok(false);
        }
        transaction.execute(
            "UPDATE file SET state = 'waiting', asset_id = NULL, upload_id = NULL, plan = NULL
             WHERE capture_seq = ?1 AND state = 'uploaded' AND NOT is_deleted",
            [seq],
        )?;
        transaction.commit()?;
        Ok(true)
    }

    /// Notes another time of change for a file whose content was found to be the same.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing was then.
    pub fn touched(&mut self, file_seq: i64, stamp: Stamp) -> Result<(), JournalError> {
        self.db.execute(
            "UPDATE file SET mtime_ns = ?2 WHERE seq = ?1",
            params![file_seq, stamp.mtime_ns],
        )?;
        Ok(())
    }

    /// Drops a file: its content is no longer what the journal says.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing was then.
    pub fn drop_file(&mut self, file_seq: i64) -> Result<(), JournalError> {
        self.db.execute(
            "UPDATE file SET state = 'dropped' WHERE seq = ?1",
            [file_seq],
        )?;
        Ok(())
    }

    /// Drops all files of a capture: the server refused it.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing was then.
    pub fn drop_capture(&mut self, seq: i64) -> Result<(), JournalError> {
        self.db.execute(
            "UPDATE file SET state = 'dropped' WHERE capture_seq = ?1",
            [seq],
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::fingerprint::Fingerprint;
    use crate::journal::FileIntent;

    fn intent(reference: &str, path: &str) -> CaptureIntent {
        CaptureIntent {
            client_ref: reference.to_owned(),
            idempotency_key: format!("key of {reference}"),
            request: "{\"as\": \"it is\"}".to_owned(),
            files: vec![FileIntent {
                client_ref: "1".to_owned(),
                path: PathBuf::from(path),
                role: "still".to_owned(),
                fingerprint: Fingerprint {
                    stamp: Stamp {
                        size_bytes: 3,
                        mtime_ns: 4,
                    },
                    sha256: "aa".to_owned(),
                },
                preview: None,
            }],
        }
    }

    #[test]
    fn a_capture_reads_back_through_its_life() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("journal.db");
        let path = PathBuf::from("/photos/a.jpg");
        let mut journal = Journal::open(&at).unwrap();
        let seq = journal.intend(&intent("first", "/photos/a.jpg")).unwrap();
        drop(journal);

        let mut journal = Journal::open(&at).unwrap();
        let file = journal.file_at(&path).unwrap().unwrap();
        let capture = journal.capture(file.capture_seq).unwrap();
        assert_eq!(capture.request, "{\"as\": \"it is\"}");
        assert_eq!(
            (capture.seq, capture.capture_id, file.is_uploaded),
            (seq, None, false)
        );
        let planned = FilePlanned {
            seq: file.seq,
            asset_id: "ast_1".to_owned(),
            upload_id: None,
            plan: None,
        };
        journal.initiated(seq, "cap_1", &[planned]).unwrap();
        journal.uploaded(file.seq).unwrap();
        assert!(journal.file_at(&path).unwrap().unwrap().is_uploaded);
        assert_eq!(
            journal.capture(seq).unwrap().capture_id.as_deref(),
            Some("cap_1")
        );

        assert!(journal.renew(seq, "first.1", "another", "{}").unwrap());
        let open = journal.open_captures().unwrap().remove(0);
        assert_eq!(
            (open.client_ref.as_str(), open.first_ref.as_str()),
            ("first.1", "first")
        );
        let capture = journal.capture(seq).unwrap();
        assert_eq!(
            (capture.client_ref.as_str(), capture.capture_id),
            ("first.1", None)
        );
        assert!(!journal.files_of(seq).unwrap()[0].is_uploaded);

        journal.cancel(seq).unwrap();
        assert!(!journal.renew(seq, "first.2", "another", "{}").unwrap());
        assert_eq!(journal.capture(seq).unwrap().client_ref, "first.1");
        journal.drop_file(file.seq).unwrap();
        assert!(journal.file_at(&path).unwrap().is_none());
        let second = journal.intend(&intent("second", "/photos/a.jpg")).unwrap();
        assert_eq!(journal.file_at(&path).unwrap().unwrap().capture_seq, second);
        assert!(journal.intend(&intent("second", "/photos/b.jpg")).is_err());
        assert!(
            journal
                .file_at(&PathBuf::from("/photos/b.jpg"))
                .unwrap()
                .is_none()
        );
        journal.drop_capture(second).unwrap();
        assert!(journal.files_of(second).unwrap().is_empty());
    }
}
