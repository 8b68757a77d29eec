//! Transfers that failed, until the server is told of them.

use rusqlite::params;

use super::{Journal, JournalError};

/// So many are kept: of a long time without any network the last ones tell enough.
const KEPT: i64 = 200;

impl Journal {
    /// Keeps a report, JSON. Of too many the oldest goes.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing was then.
    pub fn keep_report(&mut self, report: &str) -> Result<(), JournalError> {
        let transaction = self.db.transaction()?;
        transaction.execute("INSERT INTO transfer (report) VALUES (?1)", [report])?;
        let seq = transaction.last_insert_rowid();
        transaction.execute("DELETE FROM transfer WHERE seq <= ?1", [seq - KEPT])?;
        transaction.commit()?;
        Ok(())
    }

    /// The oldest reports, with the number that each is forgotten by.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn reports(&self, most: usize) -> Result<Vec<(i64, String)>, JournalError> {
        let mut statement = self
            .db
            .prepare_cached("SELECT seq, report FROM transfer ORDER BY seq LIMIT ?1")?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = statement.query_map([most], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Forgets reports: the server was told.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing was then.
    pub fn forget_reports(&mut self, seqs: &[i64]) -> Result<(), JournalError> {
        let transaction = self.db.transaction()?;
        for seq in seqs {
            transaction.execute("DELETE FROM transfer WHERE seq = ?1", params![seq])?;
        }
        transaction.commit()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_kept_until_they_were_told_of() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&dir.path().join("journal.db")).unwrap();
        for i in 0..KEPT + 3 {
            journal.keep_report(&i.to_string()).unwrap();
        }
        let first = journal.reports(2).unwrap();
        assert_eq!(first[0].1, "3");
        journal.forget_reports(&[first[0].0, first[1].0]).unwrap();
        assert_eq!(journal.reports(1).unwrap()[0].1, "5");
        assert_eq!(journal.reports(1_000).unwrap().len(), 198);
    }
}
