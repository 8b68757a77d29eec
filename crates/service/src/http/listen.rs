//! Accepting connections: time for the head of a request is limited, and a stop lets running
//! requests end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::interim::{Interim, WithInterim};

/// How long a client may take to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// Most of a request that is held before somebody reads it; a head must fit in.
const HEAD_BYTES: usize = 32 * 1024;
/// Connections at once; further ones wait to be accepted. Those who wait for something to happen
/// (`max_waiting`) leave as many again for the others.
const CONNECTIONS: usize = 8192;
/// How long running requests may go on after the order to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Returns when no request has begun in the time for a head. The library's own limit begins with the
/// first bytes, so that who sends none would hold a connection for ever.
async fn stays_silent(begun: CancellationToken, head_time: Duration) {
    if tokio::time::timeout(head_time, begun.cancelled())
        .await
        .is_ok()
    {
        std::future::pending::<()>().await;
    }
}

/// A service that notes its first request, and hands the connection's queue of interim responses to those
/// whose version has them.
struct Noting<S> {
    service: S,
    begun: CancellationToken,
    interim: Interim,
}

impl<B, S: hyper::service::Service<Request<B>>> hyper::service::Service<Request<B>> for Noting<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: Request<B>) -> S::Future {
        self.begun.cancel();
        if request.version() == Version::HTTP_11 {
            request.extensions_mut().insert(self.interim.clone());
        }
        self.service.call(request)
    }
}

/// Serves `router` until told to stop; returns once requests have ended or their grace is over.
pub async fn listen(listener: TcpListener, router: Router, stop: CancellationToken) {
    accept(listener, router, stop, HEAD_TIME).await;
}

async fn accept(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    head_time: Duration,
) {
    let mut server = Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_time)
        .max_buf_size(HEAD_BYTES);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30));
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = async {
            let held = room.clone().acquire_owned().await;
            (held, listener.accept().await)
        };
        let (held, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, or a client that went away: neither ends the server.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Answers are small and whole: nothing is gained by holding them back.
        let _ = stream.set_nodelay(true);
        let begun = CancellationToken::new();
        let (stream, interim) = WithInterim::around(stream);
        let service = Noting {
            service: TowerToHyperService::new(router.clone()),
            begun: begun.clone(),
            interim,
        };
        let connection = server
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            let _held = held;
            tokio::select! {
                ended = watched => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke");
                },
                () = stays_silent(begun, head_time) => tracing::debug!("a connection asked for nothing"),
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests were still running when their grace was over");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn who_asks_for_nothing_is_let_go() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new();
        let stop = CancellationToken::new();
        let server = tokio::spawn(accept(
            listener,
            router,
            stop.clone(),
            Duration::from_millis(100),
        ));
        // Nothing, the first byte of either version's beginning, and a head without an end.
        for beginning in ["", "P", "GET / HTTP/1.1\r\n"] {
            let mut silent = TcpStream::connect(address).await.unwrap();
            silent.write_all(beginning.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let _ = silent.read_to_end(&mut answer).await;
            let answer = String::from_utf8_lossy(&answer);
            assert!(!answer.contains("200"), "{beginning:?}: {answer}");
        }
        stop.cancel();
        server.await.unwrap();
    }
}
