//! What was measured of links, by their kind.

use rusqlite::{OptionalExtension, params};
use safelight_model::clock::Micros;

use super::{Journal, JournalError};
use crate::gauge::Measured;

impl Journal {
    /// Notes what was measured of a link of this kind.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing was then.
    pub fn measured(&mut self, kind: &str, link: Measured, at: Micros) -> Result<(), JournalError> {
        self.db.execute(
            "INSERT INTO link (kind, uplink_kbps, round_trip_ms, breaks, measured_at)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (kind) DO UPDATE SET uplink_kbps = excluded.uplink_kbps,
                 round_trip_ms = excluded.round_trip_ms, breaks = excluded.breaks,
                 measured_at = excluded.measured_at",
            params![
                kind,
                link.uplink_kbps,
                link.round_trip_ms,
                link.breaks,
                at.0
            ],
        )?;
        Ok(())
    }

    /// What was measured of a link of this kind since `since`.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn link(&self, kind: &str, since: Micros) -> Result<Option<Measured>, JournalError> {
        Ok(self
            .db
            .query_row(
                "SELECT uplink_kbps, round_trip_ms, breaks FROM link WHERE kind = ?1 AND measured_at >= ?2",
                params![kind, since.0],
                |row| {
                    Ok(Measured {
                        uplink_kbps: row.get(0)?,
                        round_trip_ms: row.get(1)?,
                        breaks: row.get(2)?,
                    })
                },
            )
            .optional()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts_for_each_kind_and_ages() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&dir.path().join("journal.db")).unwrap();
        let slow = Measured {
            uplink_kbps: Some(300),
            round_trip_ms: None,
            breaks: true,
        };
        journal
            .measured("2g", Measured::default(), Micros(5))
            .unwrap();
        journal.measured("2g", slow, Micros(10)).unwrap();
        assert_eq!(journal.link("2g", Micros(10)).unwrap(), Some(slow));
        assert_eq!(journal.link("2g", Micros(11)).unwrap(), None);
        assert_eq!(journal.link("wifi", Micros(0)).unwrap(), None);
    }
}
