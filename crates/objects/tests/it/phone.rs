//! A phone: plain HTTP with presigned URLs, no knowledge of S3.

use std::sync::OnceLock;

use reqwest::{Client, StatusCode};
use safelight_objects::Presigned;

/// What a request came back with.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The `etag`, verbatim.
    pub etag: Option<String>,
    /// The media type.
    pub content_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

fn client() -> Client {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        let ring = rustls::crypto::ring::default_provider();
        assert!(ring.install_default().is_ok());
    });
    Client::new()
}

async fn reply(request: reqwest::RequestBuilder) -> Reply {
    let answer = request.send().await.unwrap();
    let header = |name: &str| {
        answer
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let (etag, content_type) = (header("etag"), header("content-type"));
    Reply {
        status: answer.status(),
        etag,
        content_type,
        body: answer.bytes().await.unwrap().to_vec(),
    }
}

/// Sends `body` with exactly the headers that the URL demands.
pub async fn put(to: &Presigned, body: impl Into<Vec<u8>>) -> Reply {
    let mut request = client().put(&to.url).body(body.into());
    for (name, value) in &to.headers {
        request = request.header(name, value);
    }
    reply(request).await
}

/// Reads a URL.
pub async fn get(from: &Presigned) -> Reply {
    reply(client().get(&from.url)).await
}
