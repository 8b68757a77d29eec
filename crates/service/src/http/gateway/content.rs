//! The content of a request, and what becomes of it when nobody wants it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::{HeaderMap, header};

/// So many bytes of content that nobody wants are read, so that its sender gets to see the answer.
const DRAINED_BYTES: usize = 1024 * 1024;
/// And for so long.
const DRAINED_FOR: Duration = Duration::from_secs(2);

/// The content of a request as it comes.
pub(super) struct Content {
    stream: BodyDataStream,
    /// The client sends nothing before it is asked to, which reading does.
    awaits: bool,
}

impl Content {
    pub(super) fn of(headers: &HeaderMap, body: Body) -> Self {
        Self {
            stream: body.into_data_stream(),
            awaits: headers.contains_key(header::EXPECT),
        }
    }

    /// Reads some of what is left, unless that would have the client send it.
    pub(super) async fn drain(&mut self) {
        if self.awaits {
            return;
        }
        let mut left = DRAINED_BYTES;
        let reading = async {
            while let Some(Ok(chunk)) = self.stream.next().await {
                left = left.saturating_sub(chunk.len());
                if left == 0 {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(DRAINED_FOR, reading).await;
    }
}

impl Stream for Content {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.awaits = false;
        self.stream.poll_next_unpin(cx)
    }
}
