//! The HTTP client of a webhook.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};

/// A receiver has so long to answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Where messages are posted.
pub(super) struct Webhook {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    authorization: Option<HeaderValue>,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    /// It will never be taken.
    Refused(StatusCode),
    /// It may be taken later.
    Failed(StatusCode),
}

/// Why a message got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error(transparent)]
    Http(#[from] http::Error),
    #[error("{}", deepest(.0))]
    Broken(#[from] hyper_util::client::legacy::Error),
    #[error("no answer in time")]
    Silent,
}

impl Webhook {
    /// A client for one URL; `Err` says what is wrong.
    pub(super) fn to(uri: Uri, bearer: Option<&str>) -> Result<Self, &'static str> {
        let authorization = match bearer {
            Some(bearer) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {bearer}"))
                    .map_err(|_| "has a secret that no header can carry")?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let connector = HttpsConnectorBuilder::new();
        let ring = rustls::crypto::ring::default_provider();
        let connector = match uri.scheme_str() {
            Some("https") => connector
                .with_provider_and_native_roots(ring)
                .map_err(|_| "needs TLS, for which this machine has no certificates")?,
            // A machine without any certificates can still speak plain HTTP.
            _ => connector.with_tls_config(
                ClientConfig::builder_with_provider(ring.into())
                    .with_safe_default_protocol_versions()
                    .map_err(|_| "cannot be reached, since TLS is unusable")?
                    .with_root_certificates(RootCertStore::empty())
                    .with_no_client_auth(),
            ),
        };
        let connector = connector.https_or_http().enable_http1().build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            uri,
            authorization,
        })
    }

    /// Posts a message.
    pub(super) async fn post(&self, message: Bytes) -> Result<Outcome, NoAnswer> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.uri)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(message))?;
        let answer = tokio::time::timeout(ANSWER_TIME, self.client.request(request))
            .await
            .map_err(|_| NoAnswer::Silent)??;
        Ok(outcome(answer.status()))
    }
}

fn outcome(status: StatusCode) -> Outcome {
    match status.as_u16() {
        200..=299 => Outcome::Taken,
        400 | 410 | 413 | 415 | 422 => Outcome::Refused(status),
        _ => Outcome::Failed(status),
    }
}

/// The first cause, which says more than "client error".
fn deepest(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_will_never_be_taken_is_given_up() {
        let of = |status: u16| outcome(StatusCode::from_u16(status).unwrap());
        assert_eq!(of(204), Outcome::Taken);
        for status in [400, 410, 413, 415, 422] {
            assert!(matches!(of(status), Outcome::Refused(_)));
        }
        for status in [301, 401, 404, 408, 429, 500, 503] {
            assert!(matches!(of(status), Outcome::Failed(_)));
        }
    }
}
