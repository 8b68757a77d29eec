//! Makes connections: straight or through a proxy of the environment, within a time, and so that little waits in the system's
//! send buffer.
//!
//! The system takes megabytes of what is to be sent before it has left. On a slow link these are many seconds in which nothing
//! is known of what the link carries: neither whether more connections carry more, nor how far a file is. So the system is told
//! to take no more than a little beyond what is under way (`TCP_NOTSENT_LOWAT`; what is under way is not
//! limited by it). Where the system has no such option, it takes as much as it likes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower_service::Service;

/// A connection that is not made within this is not made.
const CONNECT: Duration = Duration::from_secs(10);
/// A silent connection is asked so often whether it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const KEEP_ALIVE_RETRIES: u32 = 3;
/// After this without any sign of life it has ended.
#[cfg(any(target_os = "android", target_os = "linux"))]
const DEAD: Duration = Duration::from_secs(30);
/// What may wait unsent, in bytes: what a link of 1 Mbit/s carries in an eighth of a second, and one of which more is
/// known to pass a hundred times of it.
const LITTLE: u32 = 16 * 1024;
const MUCH: u32 = 512 * 1024;
/// A link that takes so much so soon is quick.
const QUICK_BYTES: usize = 512 * 1024;
const QUICK: Duration = Duration::from_millis(250);
/// Said of a proxy that is itself spoken to over TLS or SOCKS.
const NO_SUCH_PROXY: &str =
    "the environment names a proxy of another kind than http://, and no other is spoken to";

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes TCP connections, through proxies where the environment says so.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    tcp: HttpConnector,
    proxies: Arc<Matcher>,
}

impl Dial {
    pub(crate) fn through(proxies: Arc<Matcher>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_keepalive(Some(KEEP_ALIVE));
        tcp.set_keepalive_interval(Some(KEEP_ALIVE));
        tcp.set_keepalive_retries(Some(KEEP_ALIVE_RETRIES));
        #[cfg(any(target_os = "android", target_os = "linux"))]
        tcp.set_tcp_user_timeout(Some(DEAD));
        Self { tcp, proxies }
    }

    /// What a proxy on the way to `url` is to be shown, where requests themselves go to it.
    pub(crate) fn shown_to_proxy(&self, url: &Uri) -> Option<HeaderValue> {
        if url.scheme_str() != Some("http") {
            return None;
        }
        let proxy = self.proxies.intercept(url)?;
        proxy
            .basic_auth()
            .filter(|_| is_spoken(proxy.uri()))
            .cloned()
    }

    async fn dial(mut self, url: Uri) -> Result<Wire, BoxError> {
        let Some(proxy) = self.proxies.intercept(&url) else {
            return Ok(Wire::over(self.tcp.call(url).await?, false));
        };
        if !is_spoken(proxy.uri()) {
            // Another kind would be told in clear what is meant for it alone.
            return Err(NO_SUCH_PROXY.into());
        }
        if url.scheme_str() != Some("https") {
            return Ok(Wire::over(self.tcp.call(proxy.uri().clone()).await?, true));
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp);
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        Ok(Wire::over(tunnel.call(url).await?, false))
    }
}

/// Whether this kind of proxy is spoken to.
fn is_spoken(proxy: &Uri) -> bool {
    proxy.scheme_str() == Some("http")
}

impl Service<Uri> for Dial {
    type Response = Wire;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Wire, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        Box::pin(self.clone().dial(url))
    }
}

/// Gives up what is not connected in time, whatever layer it is that hangs.
#[derive(Clone, Debug)]
pub(crate) struct InTime<C>(pub(crate) C);

impl<C> Service<Uri> for InTime<C>
where
    C: Service<Uri, Error = BoxError>,
    C::Future: Send + 'static,
    C::Response: 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<C::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(CONNECT, self.0.call(url));
        Box::pin(async move {
            let late = |_| BoxError::from("no connection within 10 s");
            connecting.await.map_err(late)?
        })
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TokioIo<TcpStream>,
    is_proxied: bool,
    unsent: Unsent,
}

impl Wire {
    fn over(stream: TokioIo<TcpStream>, is_proxied: bool) -> Self {
        let unsent = Unsent::default();
        let wire = Self {
            stream,
            is_proxied,
            unsent,
        };
        wire.let_wait(LITTLE);
        wire
    }

    /// Has the system take so much more than what is under way.
    #[cfg(any(target_os = "android", target_os = "linux"))]
    fn let_wait(&self, most_bytes: u32) {
        // Without it the client only knows less.
        let _ = socket2::SockRef::from(self.stream.inner()).set_tcp_notsent_lowat(most_bytes);
    }

    #[cfg(not(any(target_os = "android", target_os = "linux")))]
    #[allow(clippy::unused_self, reason = "does something elsewhere")]
    fn let_wait(&self, _most_bytes: u32) {}

    fn wrote(&mut self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written
            && let Some(most_bytes) = self.unsent.wrote(*bytes, Instant::now())
        {
            self.let_wait(most_bytes);
        }
    }
}

/// How much may wait unsent.
#[derive(Debug, Default)]
struct Unsent {
    is_much: bool,
    since: Option<Instant>,
    bytes: usize,
}

impl Unsent {
    /// So many bytes were taken. Returns how much may wait from now on, if that is another number.
    fn wrote(&mut self, bytes: usize, now: Instant) -> Option<u32> {
        let since = *self.since.get_or_insert(now);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes < QUICK_BYTES {
            return None;
        }
        (self.since, self.bytes) = (None, 0);
        let is_quick = now.saturating_duration_since(since) < QUICK;
        let was_much = std::mem::replace(&mut self.is_much, is_quick);
        (is_quick != was_much).then_some(if is_quick { MUCH } else { LITTLE })
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.is_proxied)
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_may_wait_where_much_leaves_soon() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut unsent = Unsent::default();
        assert_eq!(unsent.wrote(QUICK_BYTES - 1, at(0)), None);
        assert_eq!(unsent.wrote(1, at(200)), Some(MUCH));
        assert_eq!(unsent.wrote(QUICK_BYTES, at(300)), None, "as before");
        assert_eq!(unsent.wrote(1, at(400)), None);
        assert_eq!(unsent.wrote(QUICK_BYTES, at(4_000)), Some(LITTLE));
        assert_eq!(unsent.wrote(1, at(4_100)), None);
        assert_eq!(unsent.wrote(QUICK_BYTES, at(8_000)), None);
    }

    #[cfg(any(target_os = "android", target_os = "linux"))]
    #[tokio::test]
    async fn the_system_keeps_little_that_has_not_left() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let dial = Dial::through(Arc::new(Matcher::builder().build()));
        let wire = dial.dial(url.parse().unwrap()).await.unwrap();
        let socket = socket2::SockRef::from(wire.stream.inner());
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), LITTLE);
        assert!(!wire.connected().is_proxied());
    }

    #[tokio::test]
    async fn a_proxy_is_spoken_to_in_the_servers_stead() {
        let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://me:secret@{}/", proxy.local_addr().unwrap());
        let matcher = Matcher::builder().all(address).no("direct.test").build();
        let dial = Dial::through(Arc::new(matcher));
        let far: Uri = "http://far.test/x".parse().unwrap();
        let wire = dial.clone().dial(far.clone()).await.unwrap();
        assert!(wire.connected().is_proxied());
        assert!(dial.shown_to_proxy(&far).is_some());
        for url in ["https://far.test/x", "http://direct.test/x"] {
            assert_eq!(dial.shown_to_proxy(&url.parse().unwrap()), None, "{url}");
        }
    }
}
