//! Signature Version 4 by hand, for requests that no SDK would send.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::harness::*;
use crate::presigned::{Answer, send, split};

/// The SHA-256 of nothing.
pub const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A signed head, and what the signatures of its body's chunks go on from.
pub struct Signed {
    pub headers: Vec<(String, String)>,
    key: Vec<u8>,
    date: String,
    scope: String,
    /// The last signature.
    last: String,
}

pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[allow(
    clippy::disallowed_methods,
    reason = "the store checks signatures against this clock"
)]
fn now() -> String {
    let now = time::OffsetDateTime::now_utc();
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second()
    )
}

/// Signs a request whose path and query are written as they are signed.
pub fn sign(url: &str, method: &str, headers: &[(&str, &str)], payload: &str) -> Signed {
    let (host, target) = split(url);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let date = now();
    let mut all: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    all.push(("x-amz-date".to_owned(), date.clone()));
    all.push(("x-amz-content-sha256".to_owned(), payload.to_owned()));
    let mut named = all.clone();
    named.push(("host".to_owned(), host.to_owned()));
    named.sort();
    let canonical: String = named
        .iter()
        .map(|(name, value)| format!("{name}:{}\n", value.trim()))
        .collect();
    let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let request = format!("{method}\n{path}\n{query}\n{canonical}\n{names}\n{payload}");
    let day = &date[..8];
    let scope = format!("{day}/us-east-1/s3/aws4_request");
    let mut key = format!("AWS4{SECRET_KEY}").into_bytes();
    for text in [day, "us-east-1", "s3", "aws4_request"] {
        key = hmac(&key, text);
    }
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        sha256_hex(request.as_bytes())
    );
    let signature = hex::encode(hmac(&key, &text));
    all.push((
        "authorization".to_owned(),
        format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
        ),
    ));
    Signed {
        headers: all,
        key,
        date,
        scope,
        last: signature,
    }
}

impl Signed {
    fn next(&mut self, kind: &str, rest: &str) -> String {
        let (date, scope, last) = (&self.date, &self.scope, &self.last);
        let text = format!("AWS4-HMAC-SHA256-{kind}\n{date}\n{scope}\n{last}\n{rest}");
        self.last = hex::encode(hmac(&self.key, &text));
        self.last.clone()
    }

    /// A chunk with its signature; the last one is empty.
    pub fn chunk(&mut self, bytes: &[u8]) -> Vec<u8> {
        let rest = format!("{EMPTY}\n{}", sha256_hex(bytes));
        let signature = self.next("PAYLOAD", &rest);
        let mut chunk = format!("{:x};chunk-signature={signature}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        if !bytes.is_empty() {
            chunk.extend_from_slice(b"\r\n");
        }
        chunk
    }

    /// A trailer with its signature.
    pub fn trailer(&mut self, name: &str, value: &str) -> Vec<u8> {
        let hash = sha256_hex(format!("{name}:{value}\n").as_bytes());
        let signature = self.next("TRAILER", &hash);
        format!("{name}:{value}\r\nx-amz-trailer-signature:{signature}\r\n\r\n").into_bytes()
    }
}

/// Sends a request with a body whose hash is signed.
pub async fn call(
    store: &Running,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let url = format!("{}{target}", store.endpoint);
    let signed = sign(&url, method, headers, &sha256_hex(body));
    send_signed(&url, method, &signed, body).await
}

/// Sends a body behind a signed head.
pub async fn send_signed(url: &str, method: &str, signed: &Signed, body: &[u8]) -> Answer {
    let mut headers: Vec<(&str, String)> = signed
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    headers.push(("content-length", body.len().to_string()));
    send(method, url, &headers, body).await
}
