//! Taking in a body: to a temporary file, hashed on the way.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use http::StatusCode;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3ErrorCode, S3Result, StdError, TrailingHeaders, s3_error};
use tokio::task::JoinHandle;

use crate::checksum::Checksums;
use crate::chunked::FramingError;
use crate::disk::Disk;
use crate::expectation::{Expectation, Hasher};
use crate::fault::{blocking, died, io_fault};
use crate::gate::Idle;
use crate::lanes;
use crate::pace::Pace;
use crate::store::DiskStore;
use crate::temp::Temp;

/// So much is gathered before it is hashed and written; where a thread is asked to, the next is gathered while it works.
/// This bounds the memory of a request.
const BATCH_BYTES: usize = 256 << 10;
/// The same where it is written at once: less than is read at once, so that one buffer serves again and again.
const QUICK_BATCH_BYTES: usize = 128 << 10;
/// So many batches are written before others have their turn, some milliseconds.
const TURN: u32 = 16;

/// A body that has arrived. Its last bytes are yet to be written, which [`Received::finish`] does, so that a small body
/// needs another thread once at most.
pub(crate) struct Received {
    sink: Box<Sink>,
    last: Vec<Bytes>,
    size_bytes: u64,
    expectation: Expectation,
}

/// A body on the disk, as the client meant it.
pub(crate) struct Stored {
    pub temp: Temp,
    pub size_bytes: u64,
    pub checksums: Checksums,
}

/// Where bytes go: a file, made with the first of them.
struct Sink {
    disk: Disk,
    pace: Arc<Pace>,
    path: PathBuf,
    temp: Option<Temp>,
    hasher: Hasher,
}

impl Sink {
    /// Whether writing is nothing but that, and can be expected not to wait.
    fn is_quick(&self) -> bool {
        self.temp.is_some() && self.pace.is_quick()
    }

    fn write(&mut self, batch: &[Bytes]) -> S3Result<()> {
        let pace = self.pace.clone();
        pace.timed(|| self.write_all(batch))
    }

    fn write_all(&mut self, batch: &[Bytes]) -> S3Result<()> {
        let mut temp = match self.temp.take() {
            Some(temp) => temp,
            None => Temp::create(&self.disk, self.path.clone()).map_err(io_fault)?,
        };
        for bytes in batch {
            self.hasher.update(bytes);
            temp.write(bytes).map_err(io_fault)?;
        }
        self.temp = Some(temp);
        Ok(())
    }
}

/// A sink, or the thread that is writing to it.
enum Writing {
    Idle(Box<Sink>),
    Busy(JoinHandle<S3Result<Box<Sink>>>),
}

impl Writing {
    async fn settle(self) -> S3Result<Box<Sink>> {
        match self {
            Self::Idle(sink) => Ok(sink),
            Self::Busy(task) => task.await.unwrap_or_else(|error| Err(died(error))),
        }
    }
}

/// What is known of a body's length before it comes, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Length {
    /// What the client declared; it must be exactly that.
    Declared(Option<i64>),
    /// The least and the most.
    Between(u64, u64),
}

impl Length {
    /// The least and the most, within what the store takes.
    fn bounds(self, store: &DiskStore) -> S3Result<(u64, u64)> {
        let most = store.inner.settings.max_put_bytes;
        match self {
            Self::Declared(declared) => {
                let declared = declared
                    .and_then(|length| u64::try_from(length).ok())
                    .ok_or_else(|| {
                        s3_error!(
                            MissingContentLength,
                            "You must provide the Content-Length HTTP header."
                        )
                    })?;
                if declared > most {
                    return Err(too_large());
                }
                Ok((declared, declared))
            }
            Self::Between(least, of_client) => Ok((least, of_client.min(most))),
        }
    }

    /// What to say of a body that is shorter than it may be.
    fn too_short(self) -> S3Error {
        match self {
            Self::Declared(_) => s3_error!(
                IncompleteBody,
                "You did not provide the number of bytes specified by the Content-Length HTTP header."
            ),
            Self::Between(..) => s3_error!(
                EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed size"
            ),
        }
    }

    /// What to say of a body that is longer than it may be.
    fn too_long(self) -> S3Error {
        match self {
            Self::Declared(_) => s3_error!(
                IncompleteBody,
                "The body is longer than its Content-Length."
            ),
            Self::Between(..) => too_large(),
        }
    }
}

fn too_large() -> S3Error {
    s3_error!(
        EntityTooLarge,
        "Your proposed upload exceeds the maximum allowed size."
    )
}

/// Receives a body. Nothing stays if this fails or is dropped.
pub(crate) async fn receive(
    store: &DiskStore,
    body: Option<StreamingBlob>,
    length: Length,
    trailers: Option<TrailingHeaders>,
    mut expectation: Expectation,
) -> S3Result<Received> {
    let (least, most) = length.bounds(store)?;
    let mut body = body.unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()));
    let mut batch = Batch::default();
    let mut writing = Writing::Idle(Box::new(Sink {
        disk: store.inner.disk.clone(),
        pace: store.inner.pace.clone(),
        path: store.inner.tmp_path(),
        temp: None,
        hasher: expectation.hasher(),
    }));
    let mut turn = 0;
    let (sink, last) = loop {
        let enough = match &writing {
            Writing::Idle(sink) if sink.is_quick() => QUICK_BATCH_BYTES,
            _ => BATCH_BYTES,
        };
        let more = batch.fill(&mut body, enough, most, length).await?;
        let bytes = std::mem::take(&mut batch.bytes);
        let mut sink = writing.settle().await?;
        if !more {
            break (sink, bytes);
        }
        writing = if sink.is_quick() {
            sink.write(&bytes)?;
            turn = (turn + 1) % TURN;
            if turn == 0 {
                tokio::task::yield_now().await;
            }
            Writing::Idle(sink)
        } else {
            Writing::Busy(tokio::task::spawn_blocking(move || {
                sink.write(&bytes)?;
                Ok(sink)
            }))
        };
    };
    expectation.take_trailer(trailers.and_then(|handle| handle.take()))?;
    if batch.received < least {
        return Err(length.too_short());
    }
    Ok(Received {
        sink,
        last,
        size_bytes: batch.received,
        expectation,
    })
}

impl Received {
    /// Does what is left to do with it: here, if it is small, nobody else is held up by it and the disk is quick; else
    /// on a thread that may wait.
    pub(crate) async fn settle<T: Send + 'static>(
        self,
        work: impl FnOnce(Self) -> S3Result<T> + Send + 'static,
    ) -> S3Result<T> {
        let pace = self.sink.pace.clone();
        let is_small = self.sink.temp.is_none();
        if is_small && pace.is_quick() && lanes::is_alone() {
            return pace.timed(|| work(self));
        }
        blocking(move || work(self)).await
    }

    /// Writes what is left and compares the checksums. Blocks.
    pub(crate) fn finish(mut self) -> S3Result<Stored> {
        self.sink.write(&self.last)?;
        let checksums = self.expectation.verify(self.sink.hasher)?;
        let Some(temp) = self.sink.temp else {
            return Err(s3_error!(InternalError, "The store failed."));
        };
        Ok(Stored {
            temp,
            size_bytes: self.size_bytes,
            checksums,
        })
    }
}

#[derive(Default)]
struct Batch {
    bytes: Vec<Bytes>,
    received: u64,
}

impl Batch {
    /// Gathers enough bytes; `false` when the body has ended.
    async fn fill(
        &mut self,
        body: &mut StreamingBlob,
        enough: usize,
        most: u64,
        length: Length,
    ) -> S3Result<bool> {
        let mut gathered = 0;
        while gathered < enough {
            let Some(chunk) = body.next().await else {
                return Ok(false);
            };
            let chunk = chunk.map_err(body_error)?;
            gathered += chunk.len();
            self.received += chunk.len() as u64;
            if self.received > most {
                return Err(length.too_long());
            }
            self.bytes.push(chunk);
        }
        Ok(true)
    }
}

/// Why a body's stream failed, as the client is told. The errors of s3s's
/// streams are private, so they are known by what they say.
pub(crate) fn body_error(error: StdError) -> S3Error {
    let text = error.to_string();
    if text.contains(&Idle.to_string()) {
        return s3_error!(
            RequestTimeout,
            "Your socket connection to the server was not read from or written to within the timeout period."
        );
    }
    if text.contains(&FramingError::TooLong.to_string()) {
        return s3_error!(InvalidRequest, "A signed chunk may have 8 MiB at most.");
    }
    if text.contains("Sha256Mismatch") {
        let mut mismatch = S3Error::with_message(
            S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()),
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        );
        mismatch.set_status_code(StatusCode::BAD_REQUEST);
        return mismatch;
    }
    if text.contains("SignatureMismatch") {
        return s3_error!(
            SignatureDoesNotMatch,
            "The signature of a chunk does not match."
        );
    }
    tracing::debug!(%error, "a body did not arrive");
    s3_error!(IncompleteBody, "The request body terminated unexpectedly.")
}
