//! A phone: plain HTTP with presigned URLs, no knowledge of S3.

use std::sync::OnceLock;

use reqwest::{Client, StatusCode};
use safelight_objects::Presigned;

/// What a request came back with.
pub struct Reply {
    /// The status; `None` where the store closed the connection before it had read the body, as some
    /// do that refuse early.
    pub status: Option<StatusCode>,
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
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) if error.is_request() && !error.is_connect() && !error.is_timeout() => {
            return Reply {
                status: None,
                etag: None,
                content_type: None,
                body: error.to_string().into_bytes(),
            };
        }
        Err(error) => panic!("{error}"),
    };
    let header = |name: &str| {
        answer
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let (etag, content_type) = (header("etag"), header("content-type"));
    Reply {
        status: Some(answer.status()),
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
