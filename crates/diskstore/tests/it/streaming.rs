//! Bodies in `aws-chunked` framing, with and without signatures and trailers.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use s3s::crypto::{Checksum as _, Crc32, Crc64Nvme, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::*;
use crate::presigned::{Answer, split};
use crate::signer::{Signed, send_signed, sign};

const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// What a test changes of a request that is right.
#[derive(Default, Clone)]
struct Twist {
    /// Another length than the body has.
    declared: Option<usize>,
    /// Another trailer than was announced.
    trailer_name: Option<&'static str>,
    trailer_value: Option<String>,
    no_trailer: bool,
    /// Bytes to change in what is sent: a text and what to write for it.
    replace: Option<(&'static [u8], &'static [u8])>,
    /// How many bytes at the end are not sent.
    cut: usize,
    headers: Vec<(&'static str, &'static str)>,
}

/// Sends a body in chunks with a CRC32 in its trailer, if there are trailers.
async fn put_chunked(
    store: &Running,
    kind: &str,
    body: &[u8],
    chunk: usize,
    twist: Twist,
) -> Answer {
    let url = format!("{}/{BUCKET}/k", store.endpoint);
    let declared = twist.declared.unwrap_or(body.len()).to_string();
    let mut headers = vec![
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", declared.as_str()),
    ];
    let trails = kind.ends_with("-TRAILER");
    if trails {
        headers.push(("x-amz-trailer", "x-amz-checksum-crc32"));
    }
    headers.extend(twist.headers.clone());
    let mut signed = sign(&url, "PUT", &headers, kind);
    let mut framed = frame(&mut signed, kind, body, chunk);
    if trails && !twist.no_trailer {
        let name = twist.trailer_name.unwrap_or("x-amz-checksum-crc32");
        let value = twist.trailer_value.clone();
        let value = value.unwrap_or_else(|| BASE64.encode(Crc32::checksum(body)));
        if kind == UNSIGNED_TRAILER {
            framed.extend_from_slice(format!("{name}:{value}\r\n\r\n").as_bytes());
        } else {
            framed.extend(signed.trailer(name, &value));
        }
    } else {
        framed.extend_from_slice(b"\r\n");
    }
    if let Some((from, to)) = twist.replace {
        let at = framed.windows(from.len()).position(|window| window == from);
        let at = at.expect("what is to be replaced is there");
        framed.splice(at..at + from.len(), to.iter().copied());
    }
    framed.truncate(framed.len() - twist.cut);
    send_signed(&url, "PUT", &signed, &framed).await
}

fn frame(signed: &mut Signed, kind: &str, body: &[u8], chunk: usize) -> Vec<u8> {
    let mut framed = Vec::new();
    for bytes in body.chunks(chunk).chain([&[][..]]) {
        if kind == UNSIGNED_TRAILER {
            framed.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
            framed.extend_from_slice(bytes);
            if !bytes.is_empty() {
                framed.extend_from_slice(b"\r\n");
            }
        } else {
            framed.extend(signed.chunk(bytes));
        }
    }
    framed
}

#[tokio::test]
async fn all_framings_are_read() {
    let store = Running::start().await;
    let client = store.client();
    for kind in [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER] {
        for (length, chunk) in [(0, 1), (1, 1), (200_000, 65_536), (3_000_000, 3_000_000)] {
            let body = noise(length as u64, length);
            let answer = put_chunked(&store, kind, &body, chunk, Twist::default()).await;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            assert_eq!(answer.status, 200, "{kind} {length}: {text}");
            assert!(get(&client, "k").await == body, "{kind} {length}");
            let head = client.head_object().bucket(BUCKET).key("k").send().await;
            assert_eq!(head.unwrap().content_encoding(), None);
        }
    }
    assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn what_is_wrong_in_a_framed_body_is_found() {
    let store = Running::start().await;
    let body = noise(1, 100_000);
    let of = |twist: Twist| twist;
    let table = [
        // A chunk that was changed.
        (
            SIGNED,
            of(Twist {
                replace: Some((b"\r\n0;chunk", b"x\n0;chunk")),
                ..Twist::default()
            }),
            400,
            "IncompleteBody",
        ),
        (
            SIGNED,
            of(Twist {
                replace: Some((b"chunk-signature=", b"chunk-signature=0")),
                ..Twist::default()
            }),
            400,
            "IncompleteBody",
        ),
        // A last chunk that is missing.
        (
            SIGNED,
            of(Twist {
                cut: 2 + 84,
                ..Twist::default()
            }),
            400,
            "IncompleteBody",
        ),
        (
            UNSIGNED_TRAILER,
            of(Twist {
                cut: 37 + 3,
                ..Twist::default()
            }),
            400,
            "IncompleteBody",
        ),
        // Less or more than was declared.
        (
            SIGNED,
            of(Twist {
                declared: Some(100_001),
                ..Twist::default()
            }),
            400,
            "IncompleteBody",
        ),
        (
            UNSIGNED_TRAILER,
            of(Twist {
                declared: Some(99_999),
                ..Twist::default()
            }),
            400,
            "IncompleteBody",
        ),
        // A checksum that is not the body's.
        (
            UNSIGNED_TRAILER,
            of(Twist {
                trailer_value: Some("AAAAAA==".to_owned()),
                ..Twist::default()
            }),
            400,
            "BadDigest",
        ),
        (
            SIGNED_TRAILER,
            of(Twist {
                trailer_value: Some("AAAAAA==".to_owned()),
                ..Twist::default()
            }),
            400,
            "BadDigest",
        ),
        // One that cannot be a checksum.
        (
            UNSIGNED_TRAILER,
            of(Twist {
                trailer_value: Some("AAAA".to_owned()),
                ..Twist::default()
            }),
            400,
            "InvalidRequest",
        ),
        // A trailer that was not announced, or announced and did not come.
        (
            UNSIGNED_TRAILER,
            of(Twist {
                trailer_name: Some("x-amz-checksum-crc32c"),
                ..Twist::default()
            }),
            400,
            "MalformedTrailerError",
        ),
        (
            UNSIGNED_TRAILER,
            of(Twist {
                no_trailer: true,
                ..Twist::default()
            }),
            400,
            "MalformedTrailerError",
        ),
        // A trailer whose signature is not its own.
        (
            SIGNED_TRAILER,
            of(Twist {
                replace: Some((b"trailer-signature:", b"trailer-signature:0")),
                ..Twist::default()
            }),
            403,
            "SignatureDoesNotMatch",
        ),
        // Two checksums.
        (
            UNSIGNED_TRAILER,
            of(Twist {
                headers: vec![("x-amz-checksum-sha1", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=")],
                ..Twist::default()
            }),
            400,
            "InvalidRequest",
        ),
        (
            UNSIGNED_TRAILER,
            of(Twist {
                headers: vec![("x-amz-sdk-checksum-algorithm", "SHA256")],
                ..Twist::default()
            }),
            400,
            "InvalidRequest",
        ),
        (
            UNSIGNED_TRAILER,
            of(Twist {
                headers: vec![("content-md5", "kAFQmDzST7DWlj99KOF/cg==")],
                ..Twist::default()
            }),
            400,
            "BadDigest",
        ),
    ];
    for (at, (kind, twist, status, code)) in table.into_iter().enumerate() {
        let answer = put_chunked(&store, kind, &body, 65_536, twist).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "case {at}"
        );
    }
    let listed = store.client().list_objects_v2().bucket(BUCKET).send().await;
    assert_eq!(listed.unwrap().key_count(), Some(0));
    assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_changed_byte_breaks_the_signature_of_its_chunk() {
    let store = Running::start().await;
    let url = format!("{}/{BUCKET}/k", store.endpoint);
    let headers = [
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "3"),
    ];
    let mut signed = sign(&url, "PUT", &headers, SIGNED);
    let mut framed = frame(&mut signed, SIGNED, b"abc", 3);
    let at = framed.windows(3).position(|window| window == b"abc");
    framed[at.unwrap()] = b'x';
    let answer = send_signed(&url, "PUT", &signed, &framed).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "SignatureDoesNotMatch")
    );
}

#[tokio::test]
async fn checksums_of_framed_bodies_are_kept() {
    let store = Running::start().await;
    let url = format!("{}/{BUCKET}/k", store.endpoint);
    let body = noise(2, 70_000);
    for (name, value) in [
        (
            "x-amz-checksum-crc64nvme",
            BASE64.encode(Crc64Nvme::checksum(&body)),
        ),
        (
            "x-amz-checksum-sha256",
            BASE64.encode(Sha256::checksum(&body)),
        ),
    ] {
        let headers = [
            ("content-encoding", "gzip,aws-chunked"),
            ("x-amz-decoded-content-length", "70000"),
            ("x-amz-trailer", name),
        ];
        let mut signed = sign(&url, "PUT", &headers, SIGNED_TRAILER);
        let mut framed = frame(&mut signed, SIGNED_TRAILER, &body, 65_536);
        framed.extend(signed.trailer(name, &value));
        let answer = send_signed(&url, "PUT", &signed, &framed).await;
        assert_eq!(answer.status, 200);
        assert!(
            answer.head.contains(&format!("{name}: {value}")),
            "{}",
            answer.head
        );
        let head = store.client().head_object().bucket(BUCKET).key("k").send();
        assert_eq!(head.await.unwrap().content_encoding(), Some("gzip"));
    }
}

#[tokio::test]
async fn silence_in_a_framed_body_is_told_as_such() {
    let store = Running::start_with(|s| s.body_idle = Duration::from_millis(200)).await;
    let url = format!("{}/{BUCKET}/k", store.endpoint);
    let headers = [
        ("x-amz-decoded-content-length", "1000"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let signed = sign(&url, "PUT", &headers, UNSIGNED_TRAILER);
    let (host, path) = split(&url);
    let mut head = format!(
        "PUT {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 2000\r\n"
    );
    for (name, value) in &signed.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut socket = TcpStream::connect(host).await.unwrap();
    socket
        .write_all(format!("{head}\r\n3e8\r\nabc").as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let answer = Answer::parse(&answer);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "RequestTimeout")
    );
}
