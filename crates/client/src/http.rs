//! The transport over HTTP.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::http::header::{
    ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT,
};
use ::http::{Request, Response, Uri};
use bytes::Bytes;
use futures::TryStreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use safelight_model::limits;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::dial::{Dial, InTime};
use crate::transport::{
    Answer, ApiRequest, FilePut, Method, OnSent, PutMethod, Transport, TransportError,
};

/// A transfer in which nothing moves for this long is stalled.
const STALL: Duration = Duration::from_secs(30);
/// What is read of a file at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// What is handed over at a time at first. The HTTP library takes 16 of these before it has sent any: with larger ones,
/// small files would count as handed over long before they have left.
const FIRST_CHUNK_BYTES: usize = 4 * 1024;
/// A link that takes so much so soon is quick, and is handed all that was read.
const QUICK_BYTES: u64 = 512 * 1024;
const QUICK: Duration = Duration::from_millis(250);
/// Longest body that is read of an answer.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// HTTP/1.1 with rustls; the system's certificates where it has any. Requests that are under way at once have a connection each:
/// streams of one connection share what that one carries.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    base_url: String,
    dial: Dial,
    client: Client<InTime<HttpsConnector<Dial>>, Body>,
}

/// Why a download failed.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The bytes did not come.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The other side refused.
    #[error("the server answered {status}")]
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// The bytes could not be written.
    #[error("cannot write: {0}")]
    Write(#[source] std::io::Error),
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || matches!(host, "127.0.0.1" | "[::1]")
}

impl HttpTransport {
    /// A transport to the server at `base_url` (without a slash at its end) and to whatever URLs
    /// that server gives out. Proxies of the environment are used, except for a server on this machine.
    ///
    /// # Errors
    /// [`TransportError::Malformed`] when `base_url` is no HTTP URL or the machine's TLS set-up is unusable.
    pub fn to(base_url: &str) -> Result<Self, TransportError> {
        let url: Uri = base_url
            .parse()
            .map_err(|e| TransportError::Malformed(format!("`{base_url}` is not a URL: {e}")))?;
        check(&url).map_err(|why| TransportError::Malformed(format!("`{base_url}` {why}")))?;
        // Only the first call in a process takes effect; a provider that an app installed stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let proxies = match url.host() {
            Some(host) if is_this_machine(host) => Matcher::builder().build(),
            _ => Matcher::from_env(),
        };
        let dial = Dial::through(Arc::new(proxies));
        let tls = tls().map_err(|e| TransportError::Malformed(e.to_string()))?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(dial.clone());
        let client = Client::builder(TokioExecutor::new())
            // What hyper holds counts as moved.
            .http1_max_buf_size(64 * 1024)
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .build(InTime(connector));
        Ok(Self {
            base_url: base_url.to_owned(),
            dial,
            client,
        })
    }

    /// Sends a request to `url`, and returns with the answer's head.
    async fn send(
        &self,
        method: ::http::Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Result<Response<Incoming>, TransportError> {
        let malformed = |detail: &dyn std::fmt::Display| {
            // Without the URL, which may carry a signature.
            TransportError::Malformed(detail.to_string())
        };
        let url: Uri = url.parse().map_err(|e| malformed(&e))?;
        check(&url).map_err(|why| malformed(&format!("its URL {why}")))?;
        let shown_to_proxy = self.dial.shown_to_proxy(&url);
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = url;
        let all = request.headers_mut();
        let agent = concat!("safelight-client/", env!("CARGO_PKG_VERSION"));
        all.insert(USER_AGENT, HeaderValue::from_static(agent));
        all.insert(ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(shown) = shown_to_proxy {
            all.insert(PROXY_AUTHORIZATION, shown);
        }
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| malformed(&e))?;
            let value = HeaderValue::from_str(value).map_err(|e| malformed(&e))?;
            all.insert(name, value);
        }
        self.client.request(request).await.map_err(|e| {
            if e.is_connect() {
                TransportError::Unreachable(deepest(&e))
            } else {
                broken(&e)
            }
        })
    }

    /// Reads `url` into a file beside `into`, then gives it that name. Returns the bytes written.
    ///
    /// # Errors
    /// When the bytes do not come whole or cannot be written; nothing stands under `into` then
    /// that did not stand there before.
    pub async fn download(&self, url: &str, into: &Path) -> Result<u64, DownloadError> {
        let sent = timeout(STALL, self.send(::http::Method::GET, url, &[], empty()));
        let mut response = sent.await.map_err(|_| stalled())??;
        if !response.status().is_success() {
            return Err(DownloadError::Refused {
                status: response.status().as_u16(),
            });
        }
        let mut name = std::ffi::OsString::from(".");
        name.push(into.file_name().unwrap_or_default());
        name.push(format!(".{}.part", std::process::id()));
        let part = into.with_file_name(name);
        let written = async {
            let mut file = tokio::fs::File::create(&part)
                .await
                .map_err(DownloadError::Write)?;
            let mut written = 0;
            while let Some(chunk) = timeout(STALL, chunk(&mut response))
                .await
                .map_err(|_| stalled())??
            {
                file.write_all(&chunk).await.map_err(DownloadError::Write)?;
                written += chunk.len() as u64;
            }
            file.sync_all().await.map_err(DownloadError::Write)?;
            tokio::fs::rename(&part, into)
                .await
                .map_err(DownloadError::Write)?;
            Ok(written)
        }
        .await;
        if written.is_err() {
            // It may not exist; that it is gone is all that matters.
            let _ = tokio::fs::remove_file(&part).await;
        }
        written
    }
}

#[async_trait::async_trait]
impl Transport for HttpTransport {
    async fn call(&self, request: ApiRequest) -> Result<Answer, TransportError> {
        let method = match request.method {
            Method::Get => ::http::Method::GET,
            Method::Post => ::http::Method::POST,
            Method::Delete => ::http::Method::DELETE,
        };
        let url = format!("{}{}", self.base_url, request.path);
        let headers = request.headers.iter().map(|(n, v)| (*n, v.as_str()));
        let mut headers: Vec<(&str, &str)> = headers.collect();
        let body = match request.body {
            Some(body) => {
                headers.push((CONTENT_TYPE.as_str(), "application/json"));
                Full::from(body)
                    .map_err(|never| match never {})
                    .boxed_unsync()
            }
            None => empty(),
        };
        // The server answers within its own limit; a little more lets that answer arrive.
        let within = limits::REQUEST_TIME + Duration::from_secs(5);
        in_time(within, async {
            answer(self.send(method, &url, &headers, body).await?).await
        })
        .await
    }

    async fn put(&self, put: FilePut, on_sent: OnSent) -> Result<Answer, TransportError> {
        let mut file = tokio::fs::File::open(&put.path)
            .await
            .map_err(TransportError::File)?;
        file.seek(std::io::SeekFrom::Start(put.offset))
            .await
            .map_err(TransportError::File)?;
        let moved = Arc::new(AtomicU64::new(0));
        let counted = moved.clone();
        let bytes = chunks(file.take(put.size_bytes)).inspect_ok(move |chunk| {
            counted.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            on_sent(chunk.len() as u64);
        });
        let method = match put.method {
            PutMethod::Put => ::http::Method::PUT,
            PutMethod::Patch => ::http::Method::PATCH,
        };
        let length = put.size_bytes.to_string();
        let headers = put.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let mut headers: Vec<(&str, &str)> = headers
            .filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"))
            .collect();
        headers.push((CONTENT_LENGTH.as_str(), &length));
        let body = StreamBody::new(bytes.map_ok(Frame::data)).boxed_unsync();
        let sending = self.send(method, &put.url, &headers, body);
        tokio::pin!(sending);
        let mut seen = u64::MAX;
        let response = loop {
            tokio::select! {
                response = &mut sending => break response?,
                () = tokio::time::sleep(STALL) => {
                    let now = moved.load(Ordering::Relaxed);
                    if now == seen {
                        return Err(stalled());
                    }
                    seen = now;
                }
            }
        };
        timeout(STALL, answer(response))
            .await
            .map_err(|_| stalled())?
    }

    async fn look(
        &self,
        url: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Result<Answer, TransportError> {
        in_time(STALL, async {
            let sent = self.send(::http::Method::HEAD, url, headers, empty());
            answer(sent.await?).await
        })
        .await
    }
}

/// What speaks TLS: with the system's certificates, or where it has none, with no server at all. Plain HTTP needs none.
fn tls() -> Result<ClientConfig, rustls::Error> {
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let begin = || {
        let builder = ClientConfig::builder_with_provider(provider.clone());
        builder.with_safe_default_protocol_versions()
    };
    if let Ok(config) = begin()?.with_platform_verifier() {
        return Ok(config.with_no_client_auth());
    }
    let nobody = RootCertStore::empty();
    Ok(begin()?
        .with_root_certificates(nobody)
        .with_no_client_auth())
}

/// Why nothing can be sent to `url`.
fn check(url: &Uri) -> Result<(), &'static str> {
    match url.scheme_str() {
        Some("http" | "https") if url.host().is_some_and(|host| !host.is_empty()) => Ok(()),
        Some("http" | "https") => Err("names no server"),
        _ => Err("does not begin with http:// or https://"),
    }
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

async fn in_time<T>(
    within: Duration,
    work: impl Future<Output = Result<T, TransportError>>,
) -> Result<T, TransportError> {
    let late = |_| TransportError::Broken(format!("no answer within {} s", within.as_secs()));
    timeout(within, work).await.map_err(late)?
}

/// What `from` holds, in chunks that are small until the link has shown that it is quick.
fn chunks(
    from: impl tokio::io::AsyncRead + Send + Unpin + 'static,
) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send {
    let begun = Instant::now();
    let read = tokio_util::io::ReaderStream::with_capacity(from, CHUNK_BYTES);
    let state = (read, Bytes::new(), 0_u64, FIRST_CHUNK_BYTES);
    futures::stream::try_unfold(
        state,
        move |(mut read, mut rest, mut gone, mut most)| async move {
            if rest.is_empty() {
                match read.try_next().await? {
                    Some(chunk) => rest = chunk,
                    None => return Ok(None),
                }
            }
            let chunk = rest.split_to(rest.len().min(most));
            let before = gone;
            gone += chunk.len() as u64;
            if before < QUICK_BYTES && gone >= QUICK_BYTES && begun.elapsed() < QUICK {
                most = CHUNK_BYTES;
            }
            Ok(Some((chunk, (read, rest, gone, most))))
        },
    )
}

/// The next bytes of the answer's body.
async fn chunk(response: &mut Response<Incoming>) -> Result<Option<Bytes>, TransportError> {
    while let Some(frame) = response.frame().await {
        if let Ok(bytes) = frame.map_err(|e| broken(&e))?.into_data() {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

async fn answer(mut response: Response<Incoming>) -> Result<Answer, TransportError> {
    let count = |name: &str| {
        let value = response.headers().get(name)?;
        value.to_str().ok()?.trim().parse().ok()
    };
    let retry_after = count("retry-after").map(Duration::from_secs);
    let upload_offset = count("upload-offset");
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = chunk(&mut response).await? {
        let room = MAX_ANSWER_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(Answer {
        status,
        retry_after,
        upload_offset,
        body,
    })
}

fn stalled() -> TransportError {
    TransportError::Broken(format!("nothing moved for {} s", STALL.as_secs()))
}

fn broken(error: &dyn std::error::Error) -> TransportError {
    TransportError::Broken(deepest(error))
}

/// The text of the cause at the bottom, which says what happened and names no URL.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_small_file_is_handed_over_in_small_chunks_and_whole() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
        let handed: Vec<Bytes> = chunks(std::io::Cursor::new(bytes.clone()))
            .try_collect()
            .await
            .unwrap();
        assert!(handed.iter().all(|c| c.len() <= FIRST_CHUNK_BYTES));
        assert_eq!(handed.concat(), bytes);
    }
}
