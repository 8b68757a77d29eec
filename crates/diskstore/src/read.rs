//! Giving out the bytes of an object.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::Stream;
use s3s::dto::StreamingBlob;

use crate::at_hand::How;
use crate::body::{BodyReader, CHUNK_BYTES};
use crate::fault::Fault;
use crate::leases::ReadLease;
use crate::record::{ObjectRecord, PartRecord};
use crate::sealed::{self, Sealed};
use crate::store::DiskStore;
use crate::temp::Temp;
use crate::upload::part_path;

/// So much is copied at a time: whole blocks, or they could not be shared.
const STEP_BYTES: u64 = 16 << 20;

/// Bytes of an object that will be read, held against deletion.
pub(crate) struct Reading {
    /// What is open.
    current: Option<BodyReader>,
    /// Part files with the ranges that come after, last first.
    waiting: Vec<Waiting>,
    _lease: Option<ReadLease>,
}

struct Waiting {
    path: PathBuf,
    /// What the object's record says of it.
    part: PartRecord,
    range: Range<u64>,
}

impl Reading {
    /// Prepares to read a range. Call it under the key's lock.
    pub(crate) fn begin(
        store: &DiskStore,
        bucket: &str,
        path: &Path,
        object: Sealed<ObjectRecord>,
        range: Range<u64>,
        how: How,
    ) -> Result<(ObjectRecord, Self), Fault> {
        let Sealed { body, record } = object;
        let Some(manifest) = &record.manifest else {
            if body.bytes() != record.size_bytes {
                return Err(Fault::damaged(
                    path,
                    "its body has another size than its record says",
                ));
            }
            let reading = Self {
                current: Some(body.read(range, how)?),
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
                waiting.push(Waiting {
                    path: part_path(&dir, part.number),
                    part: part.clone(),
                    range: wanted.start - offset..wanted.end - offset,
                });
            }
            offset = end;
        }
        waiting.reverse();
        let reading = Self {
            current: None,
            waiting,
            _lease: Some(store.inner.leases.hold(&manifest.upload_id)),
        };
        Ok((record, reading))
    }

    /// What is to be read next; `None` at the end.
    fn ready(&mut self, how: How) -> Result<Option<&mut BodyReader>, Fault> {
        while self
            .current
            .as_ref()
            .is_none_or(|body| body.left_bytes() == 0)
        {
            let Some(Waiting { path, part, range }) = self.waiting.last() else {
                return Ok(None);
            };
            let body = sealed::open_part(path, part, how)?;
            self.current = Some(body.read(range.clone(), how)?);
            self.waiting.pop();
        }
        Ok(self.current.as_mut())
    }

    /// The next bytes; `None` at the end. After an error they are still the next.
    pub(crate) fn next(&mut self, how: How) -> Result<Option<Bytes>, Fault> {
        match self.ready(how)? {
            Some(body) => Ok(Some(body.next(CHUNK_BYTES, how)?)),
            None => Ok(None),
        }
    }

    /// Appends the next bytes to a file, shows them, and tells how many; 0 at the end. Where the file system can, none
    /// are copied but both files share them. Blocks.
    pub(crate) fn copy_some(
        &mut self,
        to: &mut Temp,
        seen: impl FnMut(&[u8]),
    ) -> Result<u64, Fault> {
        match self.ready(How::Waiting)? {
            Some(body) => body.copy(to, STEP_BYTES, seen),
            None => Ok(0),
        }
    }

    /// The bytes, as an answer has them, once the first are read, so that what is wrong with them can still be said.
    pub(crate) fn into_blob(mut self, how: How) -> Result<StreamingBlob, Fault> {
        let first = self.next(how)?.unwrap_or_default();
        if self.waiting.is_empty()
            && self
                .current
                .as_ref()
                .is_none_or(|body| body.left_bytes() == 0)
        {
            return Ok(StreamingBlob::from(s3s::Body::from(first)));
        }
        Ok(StreamingBlob::wrap(self.into_stream(first)))
    }

    /// These bytes and the rest, read on threads that may block unless the system has them in its memory: then a
    /// thread would cost more than reading them does.
    fn into_stream(self, first: Bytes) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
        let state = (Some(first), self);
        futures::stream::try_unfold(state, |(first, mut reading)| async move {
            if let Some(first) = first {
                return Ok(Some((first, (None, reading))));
            }
            let next = match reading.next(How::AtHand) {
                Err(fault) if fault.would_block() => {
                    let task = tokio::task::spawn_blocking(move || {
                        let bytes = reading.next(How::Waiting)?;
                        Ok::<_, Fault>(bytes.map(|bytes| (bytes, (None, reading))))
                    });
                    task.await.map_err(io::Error::other)?
                }
                next => next.map(|bytes| bytes.map(|bytes| (bytes, (None, reading)))),
            };
            match next {
                Ok(next) => Ok(next),
                Err(fault) => {
                    // The answer has begun, so all that the client can be told is that it breaks off. Before that it
                    // gets what came before.
                    tracing::error!(error = %fault, "the store failed");
                    tokio::task::yield_now().await;
                    Err(io::Error::other("the rest cannot be read"))
                }
            }
        })
    }
}
