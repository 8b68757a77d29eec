//! Uploads of originals in whose place smaller copies are sent. Nothing was sent of them, and the server is to end them; they
//! stand here, from the moment their capture is made anew, until it has.

use rusqlite::{Row, params};

use super::{Journal, JournalError};

/// An upload that the server is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superseded {
    /// The upload.
    pub upload_id: String,
    /// The asset that is sent in its asset's place, if the server has named it yet.
    pub by_asset_id: Option<String>,
}

impl Journal {
    /// Those of the capture `seq`.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn superseded_of(&self, seq: i64) -> Result<Vec<Superseded>, JournalError> {
        let mut statement = self.db.prepare_cached(
            "SELECT s.upload_id, CASE WHEN f.state <> 'dropped' THEN f.asset_id END
               FROM superseded AS s JOIN file AS f ON f.seq = s.file_seq
              WHERE f.capture_seq = ?1 ORDER BY f.seq",
        )?;
        let rows = statement.query_map([seq], superseded)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Those that no answer is to come for: what is sent in their place is known, or nothing is any more.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn superseded_for_good(&self) -> Result<Vec<Superseded>, JournalError> {
        let mut statement = self.db.prepare_cached(
            "SELECT s.upload_id, CASE WHEN f.state <> 'dropped' THEN f.asset_id END
               FROM superseded AS s JOIN file AS f ON f.seq = s.file_seq JOIN capture AS c ON c.seq = f.capture_seq
              WHERE f.asset_id IS NOT NULL OR f.state = 'dropped' OR c.wish IN ('cancelling', 'cancelled')
              ORDER BY f.seq",
        )?;
        let rows = statement.query_map([], superseded)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Notes that the server has ended these.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing was then.
    pub fn forget_superseded(&mut self, upload_ids: &[String]) -> Result<(), JournalError> {
        let transaction = self.db.transaction()?;
        for upload_id in upload_ids {
            transaction.execute(
                "DELETE FROM superseded WHERE upload_id = ?1",
                params![upload_id],
            )?;
        }
        transaction.commit()?;
        Ok(())
    }
}

fn superseded(row: &Row<'_>) -> rusqlite::Result<Superseded> {
    Ok(Superseded {
        upload_id: row.get(0)?,
        by_asset_id: row.get(1)?,
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::fingerprint::{Fingerprint, Stamp};
    use crate::journal::{CaptureIntent, Copied, FileIntent, FilePlanned, Renewal};

    #[test]
    fn what_copies_replace_is_remembered_until_the_server_has_ended_it() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("journal.db");
        let mut journal = Journal::open(&at).unwrap();
        let fingerprint = Fingerprint {
            stamp: Stamp {
                size_bytes: 3,
                mtime_ns: 4,
            },
            sha256: "aa".to_owned(),
        };
        let seq = journal
            .intend(&CaptureIntent {
                client_ref: "first".to_owned(),
                idempotency_key: "key".to_owned(),
                request: "{}".to_owned(),
                files: ["/a", "/b", "/c"]
                    .map(|name| FileIntent {
                        client_ref: name.to_owned(),
                        path: PathBuf::from(name),
                        role: "still".to_owned(),
                        fingerprint: fingerprint.clone(),
                        preview: None,
                    })
                    .into(),
            })
            .unwrap();
        let files: Vec<i64> = journal
            .files_of(seq)
            .unwrap()
            .iter()
            .map(|f| f.seq)
            .collect();
        let planned = |place: usize, asset_id: &str, upload_id: Option<&str>| FilePlanned {
            seq: files[place],
            asset_id: asset_id.to_owned(),
            upload_id: upload_id.map(str::to_owned),
            plan: None,
        };
        let first = [
            planned(0, "ast_a", Some("upl_a")),
            planned(1, "ast_b", Some("upl_b")),
            planned(2, "ast_c", None),
        ];
        journal.initiated(seq, "cap_1", &first).unwrap();
        let copy = Copied {
            path: journal.copies().join("x"),
            fingerprint,
        };
        let renewal = Renewal {
            client_ref: "first.1".to_owned(),
            idempotency_key: "another".to_owned(),
            request: "{}".to_owned(),
        };
        let copies = [(files[0], copy)];
        assert!(journal.copied(seq, &files, &[], None).unwrap());
        assert_eq!(journal.superseded_of(seq).unwrap(), [], "no copy was made");
        assert!(
            journal
                .copied(seq, &files, &copies, Some(&renewal))
                .unwrap()
        );
        drop(journal);

        let mut journal = Journal::open(&at).unwrap();
        let one = |upload: &str, by: Option<&str>| Superseded {
            upload_id: upload.to_owned(),
            by_asset_id: by.map(str::to_owned),
        };
        assert_eq!(
            journal.superseded_of(seq).unwrap(),
            [one("upl_a", None), one("upl_b", None)]
        );
        assert_eq!(journal.superseded_for_good().unwrap(), []);
        let second = [
            planned(0, "ast_x", Some("upl_x")),
            planned(1, "ast_y", None),
        ];
        journal.initiated(seq, "cap_2", &second).unwrap();
        journal.drop_file(files[1]).unwrap();
        let both = [one("upl_a", Some("ast_x")), one("upl_b", None)];
        assert_eq!(journal.superseded_of(seq).unwrap(), both);
        assert_eq!(journal.superseded_for_good().unwrap(), both);
        journal.forget_superseded(&["upl_a".to_owned()]).unwrap();
        assert_eq!(journal.superseded_of(seq).unwrap(), both[1..]);
        assert_eq!(journal.superseded_of(seq + 1).unwrap(), []);
    }
}
