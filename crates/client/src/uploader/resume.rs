//! Finds what the journal knows of the files named.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Failure, FileOutcome, Known, WorkFile};
use crate::fingerprint::{Fingerprint, Stamp};
use crate::journal::{Journal, JournalError};

/// The files named, by what is to be done with them.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) known: Vec<Known>,
    pub(super) fresh: Vec<PathBuf>,
    pub(super) failed: Vec<FileOutcome>,
}

/// Looks up each path. A file that changed before it had arrived is dropped from the journal and
/// reported; one that changed afterwards is a fresh one.
pub(super) fn find(journal: &mut Journal, paths: &[PathBuf]) -> Result<Found, JournalError> {
    let mut found = Found::default();
    let mut known: BTreeMap<i64, Vec<WorkFile>> = BTreeMap::new();
    for path in paths {
        let Some(mut row) = journal.file_at(path)? else {
            found.fresh.push(path.clone());
            continue;
        };
        match compare(path, &row.fingerprint) {
            Ok(Sameness::Same) => {}
            Ok(Sameness::Touched(stamp)) => {
                journal.touched(row.seq, stamp)?;
                row.fingerprint.stamp = stamp;
            }
            Ok(Sameness::Changed) if row.is_uploaded => {
                found.fresh.push(path.clone());
                continue;
            }
            Ok(Sameness::Changed) => {
                journal.drop_file(row.seq)?;
                let failure = Failure::changed();
                found
                    .failed
                    .push(FileOutcome::failed(path.clone(), failure));
                continue;
            }
            Err(error) => {
                let failure = Failure::unreadable(&error);
                found
                    .failed
                    .push(FileOutcome::failed(path.clone(), failure));
                continue;
            }
        }
        // Of what was given up nothing is sent, whether there are copies or not.
        let is_lost = !row.is_uploaded && row.is_copy_lost();
        if is_lost && !journal.is_cancelling(row.capture_seq)? {
            // Its capture asks for the copy's bytes: it is sent as another one.
            journal.drop_file(row.seq)?;
            found.fresh.push(path.clone());
            continue;
        }
        known.entry(row.capture_seq).or_default().push(WorkFile {
            path: path.clone(),
            row,
        });
    }
    found.known = known
        .into_iter()
        .map(|(seq, files)| Known { seq, files })
        .collect();
    Ok(found)
}

enum Sameness {
    Same,
    /// Another time of change, the same content.
    Touched(Stamp),
    Changed,
}

fn compare(path: &Path, before: &Fingerprint) -> std::io::Result<Sameness> {
    let stamp = Stamp::of(path)?;
    if stamp == before.stamp {
        return Ok(Sameness::Same);
    }
    if stamp.size_bytes != before.stamp.size_bytes {
        return Ok(Sameness::Changed);
    }
    let now = Fingerprint::of(path)?;
    Ok(if now.sha256 == before.sha256 {
        Sameness::Touched(now.stamp)
    } else {
        Sameness::Changed
    })
}
