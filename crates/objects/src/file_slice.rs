//! Bytes of a file that are sent without being held in memory.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::{Stream, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use md5::{Digest as _, Md5};

use crate::StoreError;

/// Bytes read from the file at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// A range of a file. It must not change while it is sent; clones share the file.
#[derive(Clone, Debug)]
pub struct FileSlice {
    file: Arc<File>,
    start: u64,
    length: u64,
}

impl FileSlice {
    /// `length` bytes of `file` from `start` on.
    #[must_use]
    pub fn of(file: Arc<File>, start: u64, length: u64) -> Self {
        Self {
            file,
            start,
            length,
        }
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size_bytes(&self) -> i64 {
        i64::try_from(self.length).unwrap_or(i64::MAX)
    }

    fn chunk_at(&self, position: u64) -> std::io::Result<Bytes> {
        let left = self.length.saturating_sub(position);
        let mut chunk = vec![0; CHUNK_BYTES.min(usize::try_from(left).unwrap_or(CHUNK_BYTES))];
        self.file
            .read_exact_at(&mut chunk, self.start.saturating_add(position))?;
        Ok(chunk.into())
    }

    /// The MD5 as `content-md5` wants it. The store refuses other bytes.
    pub(crate) async fn md5(&self, operation: &'static str) -> Result<String, StoreError> {
        let slice = self.clone();
        let summed = tokio::task::spawn_blocking(move || {
            let (mut sum, mut position) = (Md5::new(), 0);
            while position < slice.length {
                let chunk = slice.chunk_at(position)?;
                position += chunk.len() as u64;
                sum.update(&chunk);
            }
            Ok::<_, std::io::Error>(BASE64_STANDARD.encode(sum.finalize()))
        });
        summed
            .await
            .map_err(|e| StoreError::unsendable(operation, e))?
            .map_err(|e| StoreError::unsendable(operation, e))
    }

    /// The bytes as a body that can be sent again.
    pub(crate) fn body(&self) -> ByteStream {
        let slice = self.clone();
        ByteStream::new(SdkBody::retryable(move || {
            SdkBody::from_body_1_x(StreamBody::new(frames(slice.clone())))
        }))
    }
}

type Frames = std::io::Result<Frame<Bytes>>;

fn frames(slice: FileSlice) -> impl Stream<Item = Frames> + Send + Sync {
    stream::try_unfold(0, move |position| {
        let slice = slice.clone();
        async move {
            if position >= slice.length {
                return Ok(None);
            }
            let read = tokio::task::spawn_blocking(move || slice.chunk_at(position));
            let chunk = read.await.map_err(std::io::Error::other)??;
            let next = position + chunk.len() as u64;
            Ok(Some((Frame::data(chunk), next)))
        }
    })
}
