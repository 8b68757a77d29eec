//! Comparing files with what is known of their bytes.

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::body::{BodyReader, CHUNK_BYTES};
use crate::checksum::Checksums;
use crate::expectation::{Expectation, Hasher};
use crate::fault::Fault;
use crate::leases::ReadLease;
use crate::sealed;

/// Files that belong together, being read.
pub(super) struct Check {
    waiting: VecDeque<Suspect>,
    current: Option<Current>,
    _lease: Option<ReadLease>,
}

/// A file that is to be read.
pub(super) struct Suspect {
    pub path: PathBuf,
    pub size_bytes: u64,
    /// Of its bytes. They are compared if it has no sums of its own.
    pub checksums: Checksums,
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
            _lease: lease,
        }
    }

    /// Reads some more and tells how many bytes; `None` if all is as it should be.
    pub(super) fn go_on(&mut self) -> Result<Option<u64>, Fault> {
        let Some(current) = &mut self.current else {
            let Some(file) = self.waiting.pop_front() else {
                return Ok(None);
            };
            self.current = Some(Current::open(file)?);
            return Ok(Some(0));
        };
        let bytes = current.body.next(CHUNK_BYTES)?;
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
    fn open(file: Suspect) -> Result<Self, Fault> {
        let path = file.path;
        let body =
            sealed::open_body(&path)?.ok_or_else(|| Fault::damaged(&path, "it is missing"))?;
        if body.bytes() != file.size_bytes {
            return Err(Fault::damaged(
                &path,
                "its body has another size than its record says",
            ));
        }
        let hashed = (!body.has_sums()).then(|| {
            let mut expectation = Expectation::default();
            for algorithm in file.checksums.keys() {
                expectation.also(*algorithm);
            }
            let hasher = expectation.hasher();
            (expectation, hasher, file.checksums)
        });
        let body = body.read(0..file.size_bytes)?;
        Ok(Self { path, body, hashed })
    }
}
