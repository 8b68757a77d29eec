//! What the client makes of stores that fail, lie or fall silent.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use safelight_model::codes::Code;
use safelight_objects::{
    Capabilities, ChecksumAlgorithm, CompleteError, ObjectKey, Objects, Part, PutOptions,
    StoreError, StoreErrorKind, Treatment,
};
use tokio::net::TcpListener;

use crate::canned::{Answer, Canned, answer, error_body, settings};
use crate::odd_store::{OddStore, Oddities};

fn key() -> ObjectKey {
    ObjectKey::parse("x/ten_1/abc").unwrap()
}

fn part() -> Part {
    Part {
        number: 1,
        size_bytes: 5,
        etag: "\"odd, but theirs\"".to_owned(),
        sha256_hex: None,
    }
}

fn retried_soon(error: &StoreError) {
    assert_eq!(error.kind(), &StoreErrorKind::Unavailable, "{error}");
    assert!(error.retry().is_some());
    assert_eq!(error.code(), Code::StoreUnavailable);
}

#[tokio::test]
async fn a_dead_store_is_unavailable() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let objects = Objects::connect(
        settings(&format!("http://{address}")),
        Capabilities::embedded(),
    )
    .unwrap();
    retried_soon(&objects.probe().await.unwrap_err());
    retried_soon(&objects.head(&key()).await.unwrap_err());
    retried_soon(&objects.get(&key(), None, None).await.unwrap_err());
    retried_soon(&objects.list_parts(&key(), "u").await.unwrap_err());
    match objects.complete(&key(), "u", &[part()]).await.unwrap_err() {
        CompleteError::Store(error) => retried_soon(&error),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_silent_store_is_unavailable_in_time() {
    let store = Canned::start(vec![Answer::Silence]).await;
    let mut short = settings(&store.endpoint);
    short.request_timeout = Duration::from_millis(100);
    short.complete_timeout = Duration::from_millis(100);
    let objects = Objects::connect(short, Capabilities::embedded()).unwrap();
    retried_soon(&objects.head(&key()).await.unwrap_err());
    match objects.complete(&key(), "u", &[part()]).await.unwrap_err() {
        CompleteError::Store(error) => retried_soon(&error),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_error_in_a_200_of_complete_is_an_error() {
    let padding = " \n".repeat(1000);
    let declared = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
    let bare = "<Error><Code>InternalError</Code><Message>told so</Message></Error>";
    for body in [
        error_body("InternalError"),
        format!("{declared}{padding}{bare}"),
        format!("{padding}{bare}"),
        format!("{padding}{declared}{bare}"),
        String::new(),
        "<CompleteMultipartUploadResult/>".to_owned(),
    ] {
        let store = Canned::start(vec![answer("200 OK", "", &body)]).await;
        match store.objects().complete(&key(), "u", &[part()]).await {
            Err(CompleteError::Store(error)) => retried_soon(&error),
            other => panic!("{body:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn complete_tells_gone_from_refused() {
    for (status, code) in [
        ("404 Not Found", "NoSuchUpload"),
        ("200 OK", "NoSuchUpload"),
    ] {
        let store = Canned::start(vec![answer(status, "", &error_body(code))]).await;
        let error = store
            .objects()
            .complete(&key(), "u", &[part()])
            .await
            .unwrap_err();
        assert!(matches!(error, CompleteError::Gone), "{error}");
    }
    let store = Canned::start(vec![answer(
        "400 Bad Request",
        "",
        &error_body("EntityTooSmall"),
    )])
    .await;
    let error = store
        .objects()
        .complete(&key(), "u", &[part()])
        .await
        .unwrap_err();
    assert!(
        matches!(&error, CompleteError::Refused { reason } if reason == "EntityTooSmall"),
        "{error}"
    );
    let missing = error_body("NoSuchBucket");
    let store = Canned::start(vec![answer("404 Not Found", "", &missing)]).await;
    match store.objects().complete(&key(), "u", &[part()]).await {
        Err(CompleteError::Store(e)) => assert_eq!(e.kind(), &StoreErrorKind::NoBucket),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn etags_and_padding_come_through_complete_unchanged() {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>{}<CompleteMultipartUploadResult>\
         <ETag>&quot;odd-2&quot;</ETag></CompleteMultipartUploadResult>",
        " ".repeat(500)
    );
    let store = Canned::start(vec![answer("200 OK", "", &body)]).await;
    let done = store
        .objects()
        .complete(&key(), "u", &[part()])
        .await
        .unwrap();
    assert_eq!(done.etag, "\"odd-2\"");
    let asked = store.asked().pop().unwrap();
    assert!(asked.contains("odd, but theirs"), "{asked}");
}

#[tokio::test]
async fn refusals_have_kinds_codes_and_waits() {
    let put = async |status: &str, headers: &str, code: &str| {
        let store = Canned::start(vec![answer(status, headers, &error_body(code))]).await;
        store
            .objects()
            .put(&key(), Bytes::from_static(b"x"), PutOptions::default())
            .await
            .unwrap_err()
    };
    let busy = put("503 Slow Down", "retry-after: 7\r\n", "SlowDown").await;
    assert_eq!(busy.kind(), &StoreErrorKind::SlowDown);
    assert_eq!(busy.retry(), Some(Duration::from_secs(7)));
    let full = put("507 Insufficient Storage", "", "InsufficientCapacity").await;
    assert_eq!(
        (full.kind(), full.code()),
        (&StoreErrorKind::Full, Code::DiskFull)
    );
    let denied = put("403 Forbidden", "", "InvalidAccessKeyId").await;
    assert_eq!(denied.kind(), &StoreErrorKind::Denied);
    assert!(denied.to_string().contains("InvalidAccessKeyId: told so"));
    assert!(std::error::Error::source(&denied).is_some());
    let strange = put("400 Bad Request", "", "KeyTooLongError").await;
    assert_eq!(
        (strange.kind(), strange.retry(), strange.code()),
        (
            &StoreErrorKind::Invalid("KeyTooLongError".to_owned()),
            None,
            Code::Internal
        )
    );
}

#[tokio::test]
async fn a_passing_failure_is_tried_again_by_itself() {
    let store = Canned::start(vec![
        answer("500 Oh", "", &error_body("InternalError")),
        answer("200 OK", "etag: \"e\"\r\n", ""),
    ])
    .await;
    let etag = store
        .objects()
        .put(&key(), Bytes::from_static(b"hello"), PutOptions::default())
        .await
        .unwrap();
    assert_eq!(etag, "\"e\"");
    let asked = store.asked();
    assert_eq!(asked.len(), 2);
    // The checksum stands in a header; nothing that only AWS understands is sent.
    let sent = asked[1].to_lowercase();
    // echo -n hello | openssl dgst -sha256 -binary | base64
    let hash = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=".to_lowercase();
    assert!(
        sent.contains(&format!("x-amz-checksum-sha256: {hash}")),
        "{sent}"
    );
    for foreign in ["aws-chunked", "x-amz-trailer", "crc32", "crc64"] {
        assert!(!sent.contains(foreign), "{sent}");
    }
    assert!(sent.ends_with("\r\n\r\nhello"), "{sent}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error() {
    let torn = "HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: 100\r\n\r\nonly this";
    let store = Canned::start(vec![Answer::Bytes(torn.to_owned())]).await;
    let objects = store.objects();
    let mut read = objects.get(&key(), None, None).await.unwrap().unwrap();
    assert_eq!((read.size_bytes, read.length_bytes), (100, 100));
    let mut last = None;
    while let Some(chunk) = read.stream.next().await {
        last = Some(chunk);
    }
    retried_soon(&last.unwrap().unwrap_err());
    let read = objects.get(&key(), None, None).await.unwrap().unwrap();
    retried_soon(&read.bytes().await.unwrap_err());
}

#[tokio::test]
async fn list_parts_follows_pages_and_refuses_nonsense() {
    let page = |numbers: &[u32], more: bool| {
        let parts: String = numbers
            .iter()
            .map(|n| {
                format!(
                    "<Part><PartNumber>{n}</PartNumber><ETag>&quot;e{n}&quot;</ETag>\
                     <Size>{n}</Size></Part>"
                )
            })
            .collect();
        let next = numbers.last().copied().unwrap_or(0);
        answer(
            "200 OK",
            "",
            &format!(
                "<ListPartsResult><NextPartNumberMarker>{next}</NextPartNumberMarker>\
                 <IsTruncated>{more}</IsTruncated>{parts}</ListPartsResult>"
            ),
        )
    };
    let store = Canned::start(vec![page(&[1, 2], true), page(&[5], false)]).await;
    let parts = store
        .objects()
        .list_parts(&key(), "u")
        .await
        .unwrap()
        .unwrap();
    let numbers: Vec<i64> = parts.iter().map(|part| part.number).collect();
    assert_eq!(numbers, [1, 2, 5]);
    assert_eq!(parts[2].etag, "\"e5\"");
    assert!(store.asked()[1].contains("part-number-marker=2"));

    for endless in [vec![page(&[1, 2], true)], vec![page(&[], true)]] {
        let store = Canned::start(endless).await;
        retried_soon(&store.objects().list_parts(&key(), "u").await.unwrap_err());
    }
}

#[tokio::test]
async fn a_store_that_lost_its_bucket_is_not_an_empty_one() {
    let store = Canned::start(vec![answer("404 Not Found", "", "")]).await;
    let error = store.objects().head(&key()).await.unwrap_err();
    assert_eq!(error.kind(), &StoreErrorKind::NoBucket);
    assert!(error.retry().is_some());
    let gone = error_body("NoSuchBucket");
    let store = Canned::start(vec![answer("404 Not Found", "", &gone)]).await;
    let objects = store.objects();
    let lost = |e: StoreError| assert_eq!(e.kind(), &StoreErrorKind::NoBucket);
    lost(objects.get(&key(), None, None).await.unwrap_err());
    lost(objects.list_parts(&key(), "u").await.unwrap_err());
    lost(objects.delete(&key()).await.unwrap_err());
    lost(objects.abort(&key(), "u").await.unwrap_err());
}

#[tokio::test]
async fn a_store_that_ignores_conditions_is_not_believed() {
    let other = answer("200 OK", "etag: \"other\"\r\n", "other bytes");
    let store = Canned::start(vec![other]).await;
    let unprobed = Objects::connect(settings(&store.endpoint), Capabilities::unprobed()).unwrap();
    let error = unprobed.get(&key(), None, Some("\"pinned\"")).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), &StoreErrorKind::PreconditionFailed, "{error}");
    let itself = unprobed.get(&key(), None, Some("\"other\"")).await;
    assert!(itself.unwrap().is_some());
    let asked = store.asked().pop().unwrap().to_lowercase();
    assert!(asked.contains("if-match: \"other\""), "{asked}");

    let mut refusing = Capabilities::unprobed();
    refusing.get_if_match = Treatment::Refused;
    let refusing = Objects::connect(settings(&store.endpoint), refusing).unwrap();
    let error = refusing.get(&key(), None, Some("\"pinned\"")).await;
    assert_eq!(
        error.unwrap_err().kind(),
        &StoreErrorKind::PreconditionFailed
    );
    let asked = store.asked().pop().unwrap().to_lowercase();
    assert!(!asked.contains("if-match"), "{asked}");
}

#[tokio::test]
async fn own_objects_carry_a_checksum_that_the_store_checks() {
    let sent = async |capabilities| {
        let store = Canned::start(vec![answer("200 OK", "etag: \"e\"\r\n", "")]).await;
        let objects = Objects::connect(settings(&store.endpoint), capabilities).unwrap();
        let body = Bytes::from_static(b"123456789");
        objects
            .put(&key(), body, PutOptions::default())
            .await
            .unwrap();
        store.asked().pop().unwrap().to_lowercase()
    };
    let none = sent(Capabilities::unprobed()).await;
    assert!(!none.contains("checksum"), "{none}");
    let mut crc = Capabilities::unprobed();
    crc.put_checksums = [(ChecksumAlgorithm::Crc32c, Treatment::Enforced)].into();
    let crc = sent(crc).await;
    // The check value of the catalogues, e3069283.
    assert!(crc.contains("x-amz-checksum-crc32c: 4wasgw=="), "{crc}");
    assert!(!crc.contains("x-amz-checksum-sha256"), "{crc}");
    assert!(!crc.contains("trailer"), "{crc}");
}

/// Parts of one size with gaps in their numbers are taken by a store that wants them equal and large, and parts that
/// were left behind are no trouble.
#[tokio::test]
async fn a_strict_store_takes_what_is_appended() {
    let strict = Oddities {
        min_part_bytes: 5 << 20,
        equal_parts: true,
        ..Oddities::default()
    };
    let store = OddStore::start(strict).await;
    crate::suite::appended(&store.objects(Capabilities::unprobed())).await;
    assert_eq!(store.holds(), (0, 0));
}
