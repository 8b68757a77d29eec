//! Requests as phones send them: presigned, with whatever headers and body.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpRequest;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector;
use bytes::Bytes;

use super::answer::Answer;
use super::{Failure, Probe, TTL};
use crate::presign::{Request, Signer};
use crate::{ObjectKey, StoreError, connect};

/// How long a store may be silent about one request.
const PATIENCE: Duration = Duration::from_secs(60);
const OPERATION: &str = "presigned request";

/// Sends requests that are signed already.
#[derive(Debug)]
pub(super) struct Sender {
    connector: Connector,
}

/// A presigned PUT that is to be tried.
#[derive(Debug, Default)]
pub(super) struct Put<'a> {
    /// Of a multipart upload: number and the store's id.
    pub part: Option<(i64, &'a str)>,
    /// Signed and sent, besides the length.
    pub headers: &'a [(&'a str, &'a str)],
    /// The length that is signed; the body's own where none is named.
    pub signed_length: Option<usize>,
    pub body: Bytes,
}

impl Sender {
    pub(super) fn to(signer: &Signer) -> Self {
        Self {
            connector: connect::connector(signer.is_plain(), PATIENCE),
        }
    }

    async fn put(
        &self,
        url: &str,
        headers: &BTreeMap<String, String>,
        body: Bytes,
    ) -> Result<(Answer, Option<String>), StoreError> {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request
            .set_method("PUT")
            .and_then(|()| request.set_uri(url))
            .map_err(|e| StoreError::unsendable(OPERATION, e))?;
        for (name, value) in headers {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        let response = self
            .connector
            .call(request)
            .await
            .map_err(|e| StoreError::broken_off(OPERATION, e))?;
        let status = response.status().as_u16();
        let etag = response.headers().get("etag").map(str::to_owned);
        let body = ByteStream::new(response.into_body())
            .collect()
            .await
            .map_err(|e| StoreError::broken_off(OPERATION, e))?
            .into_bytes();
        let code = code_in(&String::from_utf8_lossy(&body)).to_owned();
        let answer = Answer { status, code };
        if answer.is_passing() {
            return Err(StoreError::nonsense(OPERATION, &answer.to_string()));
        }
        Ok((answer, etag))
    }
}

impl Probe<'_> {
    /// What the store answers to this PUT, and the ETag that it gave.
    pub(super) async fn put(
        &self,
        key: &ObjectKey,
        put: Put<'_>,
    ) -> Result<(Answer, Option<String>), Failure> {
        self.go_on()?;
        let headers: BTreeMap<String, String> = put
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let number = put.part.map(|(number, _)| number.to_string());
        let query: Vec<(&str, &str)> = match (&number, put.part) {
            (Some(number), Some((_, upload))) => {
                vec![("partNumber", number.as_str()), ("uploadId", upload)]
            }
            _ => Vec::new(),
        };
        let length = put.signed_length.unwrap_or(put.body.len());
        let signed = self.objects.inner.signer.sign(&Request {
            method: "PUT",
            key: key.as_str(),
            query: &query,
            headers: &headers,
            length_bytes: u64::try_from(length).ok(),
            now: self.clock.now(),
            ttl: TTL,
        })?;
        Ok(self.sender.put(&signed.url, &headers, put.body).await?)
    }
}

/// The code of an error answer.
fn code_in(body: &str) -> &str {
    body.split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"))
        .map_or("", |(code, _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_from_error_answers() {
        let body = "<Error><Code>NoSuchUpload</Code><Message>gone</Message></Error>";
        assert_eq!(code_in(body), "NoSuchUpload");
        for none in ["", "<html>", "<Code>", "</Code><Code>"] {
            assert_eq!(code_in(none), "");
        }
    }
}
