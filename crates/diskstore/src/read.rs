//! Giving out the bytes of an object.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use futures::Stream;

use crate::leases::ReadLease;
use crate::record::ObjectRecord;
use crate::sealed::Sealed;
use crate::store::DiskStore;
use crate::upload::part_path;

/// So much is read at a time.
const CHUNK_BYTES: u64 = 256 << 10;
/// So much is copied at a time: whole blocks, or they could not be shared.
const STEP_BYTES: u64 = 16 << 20;

/// Bytes of an object that will be read, held against deletion.
pub(crate) struct Reading {
    /// What is open, and how much of it is left.
    current: Option<(File, u64)>,
    /// Part files with the ranges that come after, last first.
    waiting: Vec<(PathBuf, Range<u64>)>,
    _lease: Option<ReadLease>,
}

impl Reading {
    /// Prepares to read a range. Call it under the key's lock.
    pub(crate) fn begin(
        store: &DiskStore,
        bucket: &str,
        object: Sealed<ObjectRecord>,
        range: Range<u64>,
    ) -> io::Result<(ObjectRecord, Self)> {
        let Sealed {
            mut file,
            record,
            body_bytes,
        } = object;
        let Some(manifest) = &record.manifest else {
            if body_bytes != record.size_bytes {
                return Err(io::Error::other(
                    "an object has another size than its record says",
                ));
            }
            file.seek(SeekFrom::Start(range.start))?;
            let reading = Self {
                current: Some((file, range.end - range.start)),
                waiting: Vec::new(),
                _lease: None,
            };
            return Ok((record, reading));
        };
        let dir = store.inner.upload_dir(bucket, &manifest.upload_id);
        let mut waiting = Vec::new();
        let mut offset = 0;
        for part in &manifest.parts {
            let end = offset + part.size_bytes;
            let wanted = range.start.max(offset)..range.end.min(end);
            if wanted.start < wanted.end {
                waiting.push((
                    part_path(&dir, part.number),
                    wanted.start - offset..wanted.end - offset,
                ));
            }
            offset = end;
        }
        waiting.reverse();
        let mut reading = Self {
            current: None,
            waiting,
            _lease: Some(store.inner.leases.hold(&manifest.upload_id)),
        };
        reading.open_next()?;
        Ok((record, reading))
    }

    fn open_next(&mut self) -> io::Result<()> {
        self.current = match self.waiting.pop() {
            Some((path, range)) => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(range.start))?;
                Some((file, range.end - range.start))
            }
            None => None,
        };
        Ok(())
    }

    /// The next bytes; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let Some((file, left)) = &mut self.current else {
                return Ok(None);
            };
            if *left == 0 {
                self.open_next()?;
                continue;
            }
            let wanted = (*left).min(CHUNK_BYTES);
            let mut bytes = Vec::with_capacity(wanted as usize);
            let got = file.take(wanted).read_to_end(&mut bytes)? as u64;
            if got < wanted {
                return Err(shorter());
            }
            *left -= got;
            return Ok(Some(bytes.into()));
        }
    }

    /// Appends the next bytes to a file, and tells how many; 0 at the end. Where
    /// the file system can, none are copied but both files share them.
    pub(crate) fn copy_some(&mut self, to: &mut File) -> io::Result<u64> {
        loop {
            let Some((file, left)) = &mut self.current else {
                return Ok(0);
            };
            if *left == 0 {
                self.open_next()?;
                continue;
            }
            // On Linux this is copy_file_range, which clones where that works.
            let copied = io::copy(&mut file.take((*left).min(STEP_BYTES)), to)?;
            if copied == 0 {
                return Err(shorter());
            }
            *left -= copied;
            return Ok(copied);
        }
    }

    /// The bytes, read on threads that may block.
    pub(crate) fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
        futures::stream::try_unfold(self, |mut reading| async move {
            let task = tokio::task::spawn_blocking(move || {
                let bytes = reading.next()?;
                Ok::<_, io::Error>(bytes.map(|bytes| (bytes, reading)))
            });
            task.await.map_err(io::Error::other)?
        })
    }
}

fn shorter() -> io::Error {
    tracing::error!("a file of an object is shorter than its record says");
    io::ErrorKind::UnexpectedEof.into()
}
