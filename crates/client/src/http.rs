//! The transport over HTTP.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use safelight_model::limits;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::transport::{
    Answer, ApiRequest, FilePut, Method, OnSent, PutMethod, Transport, TransportError,
};

/// A connection that is not made within this is not made.
const CONNECT: Duration = Duration::from_secs(10);
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

/// HTTP with rustls; the system's certificates where it has any.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    base_url: String,
    client: reqwest::Client,
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

impl HttpTransport {
    /// A transport to the server at `base_url` (without a slash at its end) and to whatever URLs
    /// that server gives out. Proxies of the environment are used, except for a server on this machine.
    ///
    /// # Errors
    /// [`TransportError::Malformed`] when `base_url` is no HTTP URL or the machine's TLS set-up is unusable.
    pub fn to(base_url: &str) -> Result<Self, TransportError> {
        let malformed = |detail: String| TransportError::Malformed(detail);
        let url = reqwest::Url::parse(base_url)
            .map_err(|e| malformed(format!("`{base_url}` is not a URL: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(malformed(format!(
                "`{base_url}` does not begin with http:// or https://"
            )));
        }
        // Only the first call in a process takes effect; a provider that an app installed stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("safelight-client/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT)
                .redirect(reqwest::redirect::Policy::none());
            match url.host_str() {
                Some("localhost" | "127.0.0.1" | "[::1]") => builder.no_proxy(),
                _ => builder,
            }
        };
        // A machine without any certificates can still speak plain HTTP.
        let client = builder()
            .build()
            .or_else(|_| builder().tls_certs_only([]).build())
            .map_err(|e| malformed(deepest(&e)))?;
        Ok(Self {
            base_url: base_url.to_owned(),
            client,
        })
    }

    /// Reads `url` into a file beside `into`, then gives it that name. Returns the bytes written.
    ///
    /// # Errors
    /// When the bytes do not come whole or cannot be written; nothing stands under `into` then
    /// that did not stand there before.
    pub async fn download(&self, url: &str, into: &Path) -> Result<u64, DownloadError> {
        let sent = tokio::time::timeout(STALL, self.client.get(url).send());
        let mut response = sent.await.map_err(|_| stalled())?.map_err(broken)?;
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
            while let Some(chunk) = tokio::time::timeout(STALL, response.chunk())
                .await
                .map_err(|_| stalled())?
                .map_err(broken)?
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
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = self
            .client
            .request(method, format!("{}{}", self.base_url, request.path))
            // The server answers within its own limit; a little more lets that answer arrive.
            .timeout(limits::REQUEST_TIME + Duration::from_secs(5));
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder
                .header(reqwest::header::CONTENT_TYPE, "application/json")
                .body(body);
        }
        answer(builder.send().await.map_err(broken)?).await
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
            PutMethod::Put => reqwest::Method::PUT,
            PutMethod::Patch => reqwest::Method::PATCH,
        };
        let mut builder = self
            .client
            .request(method, &put.url)
            .header(reqwest::header::CONTENT_LENGTH, put.size_bytes)
            .body(reqwest::Body::wrap_stream(bytes));
        for (name, value) in &put.headers {
            if !name.eq_ignore_ascii_case("content-length") {
                builder = builder.header(name, value);
            }
        }
        let sending = builder.send();
        tokio::pin!(sending);
        let mut seen = u64::MAX;
        let response = loop {
            tokio::select! {
                response = &mut sending => break response.map_err(broken)?,
                () = tokio::time::sleep(STALL) => {
                    let now = moved.load(Ordering::Relaxed);
                    if now == seen {
                        return Err(stalled());
                    }
                    seen = now;
                }
            }
        };
        tokio::time::timeout(STALL, answer(response))
            .await
            .map_err(|_| stalled())?
    }

    async fn look(
        &self,
        url: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Result<Answer, TransportError> {
        let mut builder = self.client.head(url).timeout(STALL);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        answer(builder.send().await.map_err(broken)?).await
    }
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

async fn answer(mut response: reqwest::Response) -> Result<Answer, TransportError> {
    let count = |name: &str| {
        let value = response.headers().get(name)?;
        value.to_str().ok()?.trim().parse().ok()
    };
    let retry_after = count("retry-after").map(Duration::from_secs);
    let upload_offset = count("upload-offset");
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
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

/// The error without its URL, which may carry a signature.
fn broken(error: reqwest::Error) -> TransportError {
    let detail = deepest(&error);
    if error.is_builder() {
        TransportError::Malformed(detail)
    } else if error.is_connect() {
        TransportError::Unreachable(detail)
    } else {
        TransportError::Broken(detail)
    }
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
