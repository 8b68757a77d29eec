//! Interim responses (1xx) on HTTP/1.1, which hyper's server cannot send by itself.
//!
//! A response of class 1xx is bytes on the connection before those of the final response, and nothing else
//! (RFC 9110, section 15.2). So the connection's stream is wrapped: a handler queues the bytes, and the wrapper
//! writes them as soon as nothing of hyper's own is half written. What is queued before a handler returns
//! stands before its response on the wire.
//!
//! On HTTP/2 a request has no queue, and no interim response is sent: they are hints by definition.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<u8>,
    /// The connection's task, to be woken when something is queued.
    task: Option<Waker>,
}

/// Where the handler of a request puts interim responses. An extension of requests on HTTP/1.1.
#[derive(Clone, Debug, Default)]
pub struct Interim(Arc<Mutex<Queue>>);

impl Interim {
    /// Has an interim response sent. Headers that could not stand in one are left out.
    pub fn send(&self, status: StatusCode, reason: &str, headers: &HeaderMap) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue
            .waiting
            .extend(format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).bytes());
        for (name, value) in headers {
            queue.waiting.extend(name.as_str().bytes());
            queue.waiting.extend(b": ");
            queue.waiting.extend(value.as_bytes());
            queue.waiting.extend(b"\r\n");
        }
        queue.waiting.extend(b"\r\n");
        if let Some(task) = queue.task.take() {
            task.wake();
        }
    }
}

/// A connection whose handlers may send interim responses.
#[derive(Debug)]
pub struct WithInterim<S> {
    stream: S,
    interim: Interim,
    /// Bytes of hyper's were offered, and not all that it holds is known to have gone out.
    is_mid_write: bool,
}

impl<S: AsyncWrite + Unpin> WithInterim<S> {
    /// Wraps a connection; the queue goes to its requests.
    pub fn around(stream: S) -> (Self, Interim) {
        let interim = Interim::default();
        let wrapped = Self {
            stream,
            interim: interim.clone(),
            is_mid_write: false,
        };
        (wrapped, interim)
    }

    /// Writes what waits, unless hyper is in the midst of something.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut queue = self
            .interim
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if queue.task.as_ref().is_none_or(|t| !t.will_wake(cx.waker())) {
            queue.task = Some(cx.waker().clone());
        }
        if self.is_mid_write {
            return Poll::Ready(Ok(()));
        }
        let mut any = false;
        while !queue.waiting.is_empty() {
            let (next, _) = queue.waiting.as_slices();
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, next))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            queue.waiting.drain(..count);
            any = true;
        }
        drop(queue);
        if any {
            // What is not flushed here goes out with the next flush.
            let _ = Pin::new(&mut self.stream).poll_flush(cx)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WithInterim<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A peer that takes nothing in must not keep us from reading what it sends.
        if let Poll::Ready(Err(error)) = self.poll_interim(cx) {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WithInterim<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx))?;
        self.is_mid_write = true;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Hyper flushes once it has written all it holds.
        self.is_mid_write = false;
        ready!(self.poll_interim(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx))?;
        self.is_mid_write = true;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const PROMISE: &str = "HTTP/1.1 104 Upload Resumption Supported\r\nlocation: /u\r\n\r\n";

    fn promise(interim: &Interim) {
        let mut headers = HeaderMap::new();
        headers.insert("location", HeaderValue::from_static("/u"));
        let status = StatusCode::from_u16(104).unwrap();
        interim.send(status, "Upload Resumption Supported", &headers);
    }

    #[tokio::test]
    async fn what_is_queued_goes_out_while_the_connection_reads() {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let (mut near, interim) = WithInterim::around(near);
        let reading = tokio::spawn(async move {
            let mut byte = [0];
            near.read_exact(&mut byte).await.unwrap();
            near.write_all(b"final").await.unwrap();
            near.flush().await.unwrap();
        });
        tokio::task::yield_now().await;
        promise(&interim);
        let mut got = vec![0; PROMISE.len()];
        far.read_exact(&mut got).await.unwrap();
        assert_eq!(String::from_utf8(got).unwrap(), PROMISE);
        far.write_all(b"x").await.unwrap();
        reading.await.unwrap();
        let mut rest = String::new();
        far.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "final");
    }

    #[tokio::test]
    async fn it_never_stands_inside_of_what_is_half_written() {
        let (near, mut far) = tokio::io::duplex(3);
        let (mut near, interim) = WithInterim::around(near);
        let writing = tokio::spawn(async move {
            near.write_all(b"first response").await.unwrap();
            near.flush().await.unwrap();
            near.write_all(b"second response").await.unwrap();
            near.flush().await.unwrap();
        });
        tokio::task::yield_now().await;
        // Three bytes of the first response are in the pipe.
        promise(&interim);
        let mut got = String::new();
        far.read_to_string(&mut got).await.unwrap();
        writing.await.unwrap();
        assert_eq!(got, format!("first response{PROMISE}second response"));
    }
}
