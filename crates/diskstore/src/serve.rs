//! Listening.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::access::Guard;
use crate::gate;
use crate::lanes::Lanes;
use crate::store::DiskStore;

/// A client has so long for the head of a request, also between two.
const HEADER_TIME: Duration = Duration::from_secs(30);
/// A client that takes nothing for so long is given up, in milliseconds.
const UNREAD_MS: u32 = 120_000;
/// Running requests have so long to end after the signal to stop.
const GRACE: Duration = Duration::from_secs(10);
/// And then the events that wait have so long to be sent.
const EVENT_GRACE: Duration = Duration::from_secs(5);
/// So much of a body is read at once at most; it is held as long as it is being written.
const READ_BYTES: usize = 192 << 10;
/// More connections wait in the listener's queue.
const MOST_CONNECTIONS: usize = 8192;
/// The pause after the system refused a connection, for lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the store until `shutdown` ends; then no new request is taken,
/// running ones get ten seconds and the events that wait another five. Events
/// are sent by the first call for a store.
///
/// # Errors
/// If its threads cannot be started; the listener's passing errors are waited out.
pub async fn serve(
    store: DiskStore,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    // What serves is compiled here, once, and not by each crate that hands in a future of its own.
    serve_until(store, listener, pin!(shutdown)).await
}

async fn serve_until(
    store: DiskStore,
    listener: TcpListener,
    mut shutdown: Pin<&mut (dyn Future<Output = ()> + Send)>,
) -> std::io::Result<()> {
    let service = service(&store);
    let lanes = Lanes::open()?;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .max_buf_size(READ_BYTES)
        .header_read_timeout(HEADER_TIME);
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    let (stop_events, stopping) = watch::channel(false);
    let mut senders = JoinSet::new();
    for outbox in store.inner.events.take_outboxes() {
        senders.spawn(outbox.send_all(store.inner.settings.event_retry, stopping.clone()));
    }
    loop {
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, stream) = tokio::select! {
            () = shutdown.as_mut() => break,
            (permit, accepted) = accepted => match accepted {
                Ok((stream, _)) => (permit, stream),
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        prepare(&stream);
        let (store, service) = (store.clone(), service.clone());
        let answer =
            service_fn(move |request| gate::answer(store.clone(), service.clone(), request));
        while connections.try_join_next().is_some() {}
        let Some((place, lane)) = lanes.place() else {
            continue;
        };
        // From here on it is read and written on that thread only.
        let (http, watcher) = (http.clone(), graceful.watcher());
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                continue;
            }
        };
        let serving = async move {
            let _held = (permit, place);
            let stream = TokioIo::new(TcpStream::from_std(stream)?);
            let connection = watcher.watch(http.serve_connection(stream, answer));
            connection.await.map_err(std::io::Error::other)
        };
        let serving = async move {
            if let Err(error) = serving.await {
                tracing::debug!(%error, "a connection ended early");
            }
        };
        connections.spawn_on(serving, lane);
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests were cut off because they did not end in time");
    }
    connections.shutdown().await;
    let _ = stop_events.send(true);
    let sent = async { while senders.join_next().await.is_some() {} };
    if tokio::time::timeout(EVENT_GRACE, sent).await.is_err() {
        tracing::warn!("events that a webhook did not take in time are lost");
    }
    Ok(())
}

fn service(store: &DiskStore) -> S3Service {
    let mut builder = S3ServiceBuilder::new(store.clone());
    let guard = Guard::with(Arc::clone(&store.inner.keys));
    builder.set_auth(guard.clone());
    builder.set_access(guard);
    builder.set_host(store.inner.hosts.clone());
    builder.build()
}

fn prepare(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, UNREAD_MS) {
        tracing::debug!(%error, "no TCP_USER_TIMEOUT");
    }
}
