//! Presigned URLs, spoken to by a client that can misbehave.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::*;

const SHA256_OF_ABC: &str = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

/// An answer, read to its end.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn code(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let code = text
            .split_once("<Code>")
            .and_then(|(_, rest)| rest.split_once("</Code>"));
        code.map_or("", |(code, _)| code).to_owned()
    }

    /// The value of a header.
    pub fn header(&self, wanted: &str) -> Option<&str> {
        self.head.split("\r\n").skip(1).find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case(wanted).then_some(value)
        })
    }

    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .expect("a whole head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        Self {
            status: head[9..12].parse().unwrap(),
            head,
            body: bytes[end + 4..].to_vec(),
        }
    }
}

/// The host and the path of a URL.
pub fn split(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").unwrap();
    let at = rest.find('/').unwrap();
    rest.split_at(at)
}

/// Sends a request as it is told, all of the body before it reads, and reads
/// to the end.
pub async fn send(method: &str, url: &str, headers: &[(&str, String)], body: &[u8]) -> Answer {
    send_to(split(url).0, method, url, headers, body).await
}

/// The same, to an address that the URL's host does not resolve to.
pub async fn send_to(
    address: &str,
    method: &str,
    url: &str,
    headers: &[(&str, String)],
    body: &[u8],
) -> Answer {
    let (host, path) = split(url);
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    Answer::parse(&answer)
}

pub fn hour() -> PresigningConfig {
    PresigningConfig::expires_in(Duration::from_secs(3600)).unwrap()
}

/// A URL for exactly the bytes `abc`, with the headers to send along.
async fn abc_url(store: &Running, key: &str) -> PresignedRequest {
    store
        .client()
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .content_length(3)
        .checksum_sha256(SHA256_OF_ABC)
        .presigned(hour())
        .await
        .unwrap()
}

fn signed(length: &str, sha256: &str) -> Vec<(&'static str, String)> {
    vec![
        ("content-length", length.to_owned()),
        ("x-amz-checksum-sha256", sha256.to_owned()),
    ]
}

#[tokio::test]
async fn a_put_is_bound_to_its_length_and_hash() {
    let store = Running::start().await;
    let request = abc_url(&store, "k").await;
    let url = request.uri();
    assert!(url.contains("content-length"), "{url}");
    let wrong = [
        // Wrong body of the right length.
        (signed("3", SHA256_OF_ABC), &b"abd"[..], 400, "BadDigest"),
        // Another length than was signed.
        (
            signed("4", SHA256_OF_ABC),
            b"abcd",
            403,
            "SignatureDoesNotMatch",
        ),
        // Another hash than was signed.
        (
            signed("3", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
            b"abd",
            403,
            "SignatureDoesNotMatch",
        ),
        // The hash left out.
        (
            vec![("content-length", "3".to_owned())],
            b"abd",
            403,
            "SignatureDoesNotMatch",
        ),
        // No length, but chunks.
        (
            vec![
                ("transfer-encoding", "chunked".to_owned()),
                ("x-amz-checksum-sha256", SHA256_OF_ABC.to_owned()),
            ],
            b"3\r\nabc\r\n0\r\n\r\n",
            403,
            "SignatureDoesNotMatch",
        ),
    ];
    for (headers, body, status, code) in wrong {
        let answer = send("PUT", url, &headers, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
    }
    let both = [
        signed("3", SHA256_OF_ABC),
        vec![("transfer-encoding", "chunked".to_owned())],
    ]
    .concat();
    let answer = send("PUT", url, &both, b"5\r\nabcde\r\n0\r\n\r\n").await;
    assert!(answer.status >= 400, "{}", answer.head);
    let listed = store.client().list_objects_v2().bucket(BUCKET).send().await;
    assert_eq!(listed.unwrap().key_count(), Some(0));

    let answer = send("PUT", url, &signed("3", SHA256_OF_ABC), b"abc").await;
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    assert!(answer.head.to_lowercase().contains("etag: \""));
    assert_eq!(get(&store.client(), "k").await, b"abc");
    assert_eq!(store.leftovers(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn headers_cannot_be_added_to_a_url() {
    let store = Running::start().await;
    put(&store.client(), "secret", b"x").await;
    let request = abc_url(&store, "k").await;
    for (name, value) in [
        ("x-amz-meta-tenant", "other"),
        ("x-amz-copy-source", "originals/secret"),
        ("x-amz-storage-class", "STANDARD"),
    ] {
        let mut headers = signed("3", SHA256_OF_ABC);
        headers.push((name, value.to_owned()));
        let answer = send("PUT", request.uri(), &headers, b"abc").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "AccessDenied"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_body_hash_in_the_headers_is_verified() {
    let store = Running::start().await;
    let request = store
        .client()
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .content_length(3)
        .presigned(hour())
        .await
        .unwrap();
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let headers = [
        ("content-length", "3".to_owned()),
        ("x-amz-content-sha256", sha256.to_owned()),
    ];
    let answer = send("PUT", request.uri(), &headers, b"abd").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "XAmzContentSHA256Mismatch")
    );
    let answer = send("PUT", request.uri(), &headers, b"abc").await;
    assert_eq!(answer.status, 200);
}

/// A URL for three bytes with these parameters in its query.
async fn with_parameters(store: &Running, parameters: String) -> String {
    let put = store.client().put_object().bucket(BUCKET).key("k");
    let put = put.content_length(3).customize();
    let put = put.mutate_request(move |request| {
        let uri = format!("{}&{parameters}", request.uri());
        request.set_uri(uri).unwrap();
    });
    put.presigned(hour()).await.unwrap().uri().to_owned()
}

#[tokio::test]
async fn a_checksum_in_the_query_binds_as_well() {
    let store = Running::start().await;
    let sha256 = SHA256_OF_ABC
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    let url = with_parameters(&store, format!("x-amz-checksum-sha256={sha256}")).await;
    let length = [("content-length", "3".to_owned())];
    let answer = send("PUT", &url, &length, b"abd").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "BadDigest"));
    let answer = send("PUT", &url, &length, b"abc").await;
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
}

#[tokio::test]
async fn the_checksum_that_was_signed_without_a_body_binds_nothing() {
    let store = Running::start().await;
    // What the AWS SDK for JavaScript adds by default.
    let parameters = "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32";
    let url = with_parameters(&store, parameters.to_owned()).await;
    let length = [("content-length", "3".to_owned())];
    let answer = send("PUT", &url, &length, b"abc").await;
    assert_eq!(answer.status, 200, "{}", answer.code());
    assert_eq!(answer.header("x-amz-checksum-crc32"), Some("NSRBwg=="));
    let other = url.replace("AAAAAA%3D%3D", "AAAAAQ%3D%3D");
    let answer = send("PUT", &other, &length, b"abc").await;
    assert_eq!(answer.code(), "SignatureDoesNotMatch");
}

#[tokio::test]
async fn tampered_expired_and_foreign_urls_are_refused() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "k", b"body").await;
    let get = || client.get_object().bucket(BUCKET).key("k");
    let good = get().presigned(hour()).await.unwrap().uri().to_owned();
    let answer = send("GET", &good, &[], b"").await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"body"[..]));

    let other_key = good.replace("/k?", "/l?");
    let other_method = send("DELETE", &good, &[], b"").await;
    assert_eq!(other_method.status, 403);
    for url in [
        other_key,
        good.replace("X-Amz-Expires=3600", "X-Amz-Expires=3601"),
        good.replace("us-east-1", "eu-west-1"),
        format!("{good}&response-content-type=text%2Fhtml"),
    ] {
        let answer = send("GET", &url, &[], b"").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "SignatureDoesNotMatch"),
            "{url}"
        );
    }
    let long_ago = PresigningConfig::builder()
        .start_time(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000))
        .expires_in(Duration::from_secs(3600))
        .build()
        .unwrap();
    let expired = get().presigned(long_ago).await.unwrap();
    let answer = send("GET", expired.uri(), &[], b"").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "AccessDenied")
    );
    let unsigned = format!("{}/{BUCKET}/k", store.endpoint);
    let answer = send("GET", &unsigned, &[], b"").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "AccessDenied")
    );
    let foreign = good.replace(ACCESS_KEY, "somebody");
    assert_eq!(send("GET", &foreign, &[], b"").await.status, 403);
}

#[tokio::test]
async fn old_signatures_are_refused() {
    let store = Running::start().await;
    let url = format!("{}/{BUCKET}/k", store.endpoint);
    let version_2 = [("authorization", format!("AWS {ACCESS_KEY}:c2lnbmF0dXJl"))];
    let answer = send("GET", &url, &version_2, b"").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "InvalidRequest")
    );
}

#[tokio::test]
async fn an_answer_that_no_continue_preceded_is_the_connection_s_last() {
    let store = Running::start().await;
    let put = store.client().put_object().bucket(BUCKET).key("empty");
    let url = put.content_length(0).presigned(hour()).await.unwrap();
    let (host, path) = split(url.uri());
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nexpect: 100-continue\r\n\r\n"
    );
    let mut socket = TcpStream::connect(host).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let answer = Answer::parse(&answer);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), Some("close"));
}
