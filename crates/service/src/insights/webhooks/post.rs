//! Sends a message: resolves the name, refuses what is private, connects to the very address that was looked at, and
//! follows no redirects. No cookies, no proxies; of an answer only its head counts.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::ConfigBuilderExt as _;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use safelight_model::address;
use safelight_model::clock::Micros;
use safelight_model::codes::Code;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::check_url::Target;

/// From the look-up of the name to the head of the answer, as the Standard Webhooks specification advises (15 to 30 s).
pub const ANSWER_TIME: Duration = Duration::from_secs(15);
/// For one address, of those that a name has.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Addresses of a name that are tried.
const ADDRESSES: usize = 4;
/// For the body of an answer, which nobody reads, …
const BODY_TIME: Duration = Duration::from_secs(2);
/// … and as much of it at most; then the connection is closed.
const BODY_BYTES: usize = 16 * 1024;
/// The head of an answer at most.
const HEAD_BYTES: usize = 16 * 1024;

/// Who sends.
const USER_AGENT: &str = concat!("Safelight/", env!("CARGO_PKG_VERSION"));

/// What sends messages. Clones share it.
#[derive(Clone)]
pub struct Poster {
    tls: TlsConnector,
    allow_private: bool,
}

/// A connection to an endpoint, kept between messages of one turn.
pub struct Line {
    sender: SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

/// A message, signed.
#[derive(Clone, Debug)]
pub struct Message {
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`.
    pub timestamp_s: i64,
    /// `webhook-signature`.
    pub signature: String,
    /// The CloudEvent.
    pub body: Bytes,
}

/// What an endpoint answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What it says by `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// How long it wants to be left alone. Only of 429 and 503: others may say it too, and mean something else.
    #[must_use]
    pub fn asked(&self) -> Option<Duration> {
        self.retry_after
            .filter(|_| matches!(self.status, 429 | 503))
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The name stands for private addresses only.
    #[error("{0} is not an address of the public internet")]
    Refused(IpAddr),
    /// There is no such name, nobody listens, TLS failed, or the connection broke.
    #[error("{0}")]
    Unreachable(String),
    /// Nothing came in time.
    #[error("no answer within {} s", ANSWER_TIME.as_secs())]
    Timeout,
}

impl PostError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Refused(_) => Code::WebhookAddressRefused,
            Self::Unreachable(_) => Code::WebhookUnreachable,
            Self::Timeout => Code::WebhookTimeout,
        }
    }
}

fn unreachable(error: &dyn std::error::Error) -> PostError {
    let mut cause = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    PostError::Unreachable(cause.to_string())
}

impl Poster {
    /// One that trusts the certificates of this machine.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn start(allow_private: bool) -> Result<Self, rustls::Error> {
        let builder = || {
            let ring = Arc::new(rustls::crypto::ring::default_provider());
            ClientConfig::builder_with_provider(ring).with_safe_default_protocol_versions()
        };
        let config = match builder()?.with_native_roots() {
            Ok(config) => config.with_no_client_auth(),
            Err(error) => {
                tracing::warn!(%error, "this machine has no certificates: webhooks over TLS will fail");
                builder()?
                    .with_root_certificates(RootCertStore::empty())
                    .with_no_client_auth()
            }
        };
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            allow_private,
        })
    }

    /// Sends a message, over the line from before if there is one.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn post(
        &self,
        target: &Target,
        line: &mut Option<Line>,
        message: &Message,
        now: Micros,
    ) -> Result<Answer, PostError> {
        let sent = tokio::time::timeout(ANSWER_TIME, self.send(target, line.take(), message));
        let (response, mut used) = sent.await.map_err(|_| PostError::Timeout)??;
        let (head, body) = response.into_parts();
        let answer = Answer {
            status: head.status.as_u16(),
            retry_after: retry_after(&head.headers, now),
        };
        // A connection can be used again once all of the answer was read.
        let free = async { read_away(body).await && used.sender.ready().await.is_ok() };
        let is_free = tokio::time::timeout(BODY_TIME, free).await;
        if is_free.unwrap_or(false) {
            *line = Some(used);
        }
        Ok(answer)
    }

    async fn send(
        &self,
        target: &Target,
        kept: Option<Line>,
        message: &Message,
    ) -> Result<(http::Response<Incoming>, Line), PostError> {
        if let Some(mut line) = kept {
            // It may have been closed meanwhile: that says nothing about the endpoint.
            if let Ok(response) = line.sender.send_request(request(target, message)?).await {
                return Ok((response, line));
            }
        }
        let mut line = self.connect(target).await?;
        let response = line.sender.send_request(request(target, message)?).await;
        Ok((response.map_err(|e| unreachable(&e))?, line))
    }

    async fn connect(&self, target: &Target) -> Result<Line, PostError> {
        let stream = self.reach(target).await?;
        if !target.is_https {
            return handshake(stream).await;
        }
        let name = ServerName::try_from(target.host.trim_end_matches('.').to_owned())
            .map_err(|e| unreachable(&e))?;
        let stream = self.tls.connect(name, stream).await;
        handshake(stream.map_err(|e| unreachable(&e))?).await
    }

    /// Connects to one of the addresses of a host that may be connected to, and to no other.
    async fn reach(&self, target: &Target) -> Result<TcpStream, PostError> {
        let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
        let found: Vec<SocketAddr> = found.map_err(|e| unreachable(&e))?.collect();
        let may = |a: &&SocketAddr| self.allow_private || address::is_public(a.ip());
        let mut last = match found.first() {
            None => return Err(PostError::Unreachable("the name has no address".to_owned())),
            Some(first) => PostError::Refused(first.ip()),
        };
        for address in found.iter().filter(may).take(ADDRESSES) {
            match tokio::time::timeout(CONNECT_TIME, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // One small request at a time: nothing is gained by waiting for more.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => last = unreachable(&error),
                Err(_) => last = PostError::Timeout,
            }
        }
        Err(last)
    }
}

async fn handshake<S>(stream: S) -> Result<Line, PostError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|e| unreachable(&e))?;
    let driver = tokio::spawn(async move {
        // What breaks it, its sender is told too.
        let _ = connection.await;
    });
    Ok(Line {
        sender,
        _driver: AbortOnDropHandle::new(driver),
    })
}

fn request(target: &Target, message: &Message) -> Result<Request<Full<Bytes>>, PostError> {
    Request::builder()
        .method(Method::POST)
        .uri(&target.path)
        .header(header::HOST, &target.authority)
        .header(header::USER_AGENT, USER_AGENT)
        .header(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )
        .header("webhook-id", &message.id)
        .header("webhook-timestamp", message.timestamp_s)
        .header("webhook-signature", &message.signature)
        .body(Full::new(message.body.clone()))
        .map_err(|e| unreachable(&e))
}

/// Whether a body was read to its end.
async fn read_away(mut body: Incoming) -> bool {
    let mut left = BODY_BYTES;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        let length = frame.data_ref().map_or(0, Bytes::len);
        if length > left {
            return false;
        }
        left -= length;
    }
    true
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: Micros) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let now = Duration::from_micros(u64::try_from(now.0).unwrap_or(0));
    Some(at.duration_since(UNIX_EPOCH).ok()?.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Micros(784_111_777_000_000);
        let of = |text: &'static str| {
            let headers = [(header::RETRY_AFTER, HeaderValue::from_static(text))];
            retry_after(&headers.into_iter().collect(), now)
        };
        assert_eq!(of("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            of("Sun, 06 Nov 1994 08:50:37 GMT"),
            Some(Duration::from_secs(60))
        );
        assert_eq!(of("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        for wrong in ["", "soon", "-1"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
