//! Reads an object, whole or in part, as a stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures::Stream;

use crate::{ObjectKey, Objects, StoreError, StoreErrorKind};

const OPERATION: &str = "get object";

/// An object being read.
#[derive(Debug)]
pub struct ObjectRead {
    /// The length of the whole object.
    pub size_bytes: i64,
    /// The length of what the stream yields.
    pub length_bytes: i64,
    /// The object's ETag, verbatim.
    pub etag: String,
    /// Its media type, where one was stored.
    pub content_type: Option<String>,
    /// The bytes. A stream that ends without an error yielded exactly `length_bytes`.
    pub stream: ObjectStream,
}

/// The bytes of an object as they arrive; dropping it ends the request.
pub struct ObjectStream {
    body: ByteStream,
    missing_bytes: i64,
    ended: bool,
}

impl fmt::Debug for ObjectStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStream")
            .field("missing_bytes", &self.missing_bytes)
            .finish_non_exhaustive()
    }
}

impl Stream for ObjectStream {
    type Item = Result<Bytes, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = match Pin::new(&mut self.body).poll_next(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(next) => next,
        };
        match next {
            Some(Ok(chunk)) => {
                let length = i64::try_from(chunk.len()).unwrap_or(i64::MAX);
                self.missing_bytes = self.missing_bytes.saturating_sub(length);
                return Poll::Ready(Some(Ok(chunk)));
            }
            Some(Err(e)) => {
                self.ended = true;
                return Poll::Ready(Some(Err(StoreError::broken_off(OPERATION, e))));
            }
            None => self.ended = true,
        }
        Poll::Ready((self.missing_bytes != 0).then(|| {
            Err(StoreError::nonsense(
                OPERATION,
                "the body is not as long as announced",
            ))
        }))
    }
}

impl ObjectRead {
    /// Reads everything into memory: for objects whose length the caller has checked.
    ///
    /// # Errors
    /// [`StoreError`] when the body breaks off.
    pub async fn bytes(self) -> Result<Bytes, StoreError> {
        let collected = self
            .stream
            .body
            .collect()
            .await
            .map_err(|e| StoreError::broken_off(OPERATION, e))?
            .into_bytes();
        if i64::try_from(collected.len()).ok() != Some(self.length_bytes) {
            return Err(StoreError::nonsense(
                OPERATION,
                "the body is not as long as announced",
            ));
        }
        Ok(collected)
    }
}

impl Objects {
    /// Whether the object under `key` is there and is the one of this ETag.
    ///
    /// # Errors
    /// [`StoreError`], if that could not be found out.
    pub async fn is_there(&self, key: &ObjectKey, etag: &str) -> Result<bool, StoreError> {
        match self.get(key, Some((0, Some(0))), Some(etag)).await {
            Ok(read) => Ok(read.is_some()),
            Err(error) => match error.kind() {
                StoreErrorKind::PreconditionFailed | StoreErrorKind::Damaged => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// Opens the object under `key`; `None` when there is none. `range` is the first byte and the
    /// last, both counted in, or to the end. With `if_match` an object with another ETag is
    /// refused as [`StoreErrorKind::PreconditionFailed`].
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreErrorKind::RangeNotSatisfiable`] when the object ends before the
    /// range begins.
    pub async fn get(
        &self,
        key: &ObjectKey,
        range: Option<(u64, Option<u64>)>,
        if_match: Option<&str>,
    ) -> Result<Option<ObjectRead>, StoreError> {
        let store = self.capabilities();
        let range = range.map(|(first, last)| match last {
            Some(last) => format!("bytes={first}-{last}"),
            None => format!("bytes={first}-"),
        });
        let asked = self
            .inner
            .client
            .get_object()
            .bucket(&self.inner.bucket)
            .key(key.as_str())
            .set_range(range)
            .set_if_match(
                if_match
                    .filter(|_| store.sends_if_match())
                    .map(str::to_owned),
            )
            .send()
            .await;
        let answer = match asked.map_err(|e| StoreError::of(OPERATION, e)) {
            Ok(answer) => answer,
            Err(e) if *e.kind() == StoreErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let (Some(length_bytes), Some(etag)) = (answer.content_length, answer.e_tag) else {
            return Err(StoreError::nonsense(
                OPERATION,
                "the answer lacks a length or an ETag",
            ));
        };
        if let Some(wanted) = if_match.filter(|_| !store.trusts_if_match())
            && wanted != etag
        {
            return Err(StoreError::other_object(OPERATION, wanted, &etag));
        }
        let size_bytes = match &answer.content_range {
            None => length_bytes,
            Some(text) => whole_length(text)
                .ok_or_else(|| StoreError::nonsense(OPERATION, "the range has no whole length"))?,
        };
        Ok(Some(ObjectRead {
            size_bytes,
            length_bytes,
            etag,
            content_type: answer.content_type,
            stream: ObjectStream {
                body: answer.body,
                missing_bytes: length_bytes,
                ended: false,
            },
        }))
    }
}

/// The length of the whole object in a `content-range` such as `bytes 0-9/100`.
fn whole_length(content_range: &str) -> Option<i64> {
    content_range.rsplit_once('/')?.1.parse().ok()
}
