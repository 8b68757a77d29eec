//! Comparing files with what is known of their bytes.

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::at_hand::How;
use crate::body::{Body, BodyReader, CHUNK_BYTES};
use crate::checksum::Checksums;
use crate::expectation::{Expectation, Hasher};
use crate::fault::Fault;
use crate::leases::ReadLease;
use crate::record::PartRecord;
use crate::sealed;

/// Files that belong together, being read.
pub(super) struct Check {
    waiting: VecDeque<Suspect>,
    current: Option<Current>,
    lease: Option<ReadLease>,
}

/// A file that is to be read. The checksums are compared if it has no sums of its own.
pub(super) enum Suspect {
    /// An object in one piece. It is open, as another may take its name.
    Whole { body: Body, checksums: Checksums },
    /// A part of an object, which stays for as long as there is a lease.
    Part { path: PathBuf, part: PartRecord },
    /// A part of an open upload, which another may replace, or that may go.
    Passing { path: PathBuf },
}

struct Current {
    path: PathBuf,
    body: BodyReader,
    hashed: Option<(Expectation, Hasher, Checksums)>,
}

impl Check {
    /// Prepares to read files, of which a lease may keep that they stay.
    pub(super) fn of(files: impl IntoIterator<Item = Suspect>, lease: Option<ReadLease>) -> Self {
        Self {
            waiting: files.into_iter().collect(),
            current: None,
            lease,
        }
    }

    /// Whether somebody waits for these files to be removed.
    pub(super) fn is_in_the_way(&self) -> bool {
        self.lease.as_ref().is_some_and(ReadLease::is_in_the_way)
    }

    /// Reads some more and tells how many bytes; `None` if all is as it should be.
    pub(super) fn go_on(&mut self) -> Result<Option<u64>, Fault> {
        let Some(current) = &mut self.current else {
            let Some(file) = self.waiting.pop_front() else {
                return Ok(None);
            };
            self.current = Current::open(file)?;
            return Ok(Some(0));
        };
        let bytes = current.body.next(CHUNK_BYTES, How::Waiting)?;
        if let Some((_, hasher, _)) = &mut current.hashed {
            hasher.update(&bytes);
        }
        if current.body.left_bytes() == 0
            && let Some(Current {
                path,
                hashed: Some((expectation, hasher, known)),
                ..
            }) = self.current.take()
        {
            let computed = expectation.verify(hasher).unwrap_or_default();
            if computed != known {
                return Err(Fault::damaged(
                    &path,
                    "its bytes have other checksums than its record says",
                ));
            }
        }
        Ok(Some(bytes.len() as u64))
    }
}

impl Current {
    /// Opens what is to be read; `None` if it has gone, as it may.
    fn open(suspect: Suspect) -> Result<Option<Self>, Fault> {
        let (body, checksums) = match suspect {
            Suspect::Whole { body, checksums } => (body, checksums),
            Suspect::Part { path, part } => (
                sealed::open_part(&path, &part, How::Waiting)?,
                part.checksums,
            ),
            Suspect::Passing { path } => match sealed::open::<PartRecord>(&path)? {
                Some(sealed) => (sealed.body, sealed.record.checksums),
                None => return Ok(None),
            },
        };
        let path = body.path().to_owned();
        body.forget();
        let hashed = (!body.has_sums()).then(|| {
            let mut expectation = Expectation::default();
            for algorithm in checksums.keys() {
                expectation.also(*algorithm);
            }
            let hasher = expectation.hasher();
            (expectation, hasher, checksums)
        });
        let whole = 0..body.bytes();
        let body = body.read(whole, How::Waiting)?;
        Ok(Some(Self { path, body, hashed }))
    }
}
