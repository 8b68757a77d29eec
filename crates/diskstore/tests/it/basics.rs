//! Buckets, and single objects with their headers, ranges and conditions.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::ChecksumAlgorithm;

use crate::harness::*;

#[tokio::test]
async fn buckets_are_made_once_and_listed() {
    let store = Running::start().await;
    let client = store.client();
    for _ in 0..2 {
        client
            .create_bucket()
            .bucket("another")
            .send()
            .await
            .unwrap();
    }
    let listed = client.list_buckets().send().await.unwrap();
    let names: Vec<_> = listed.buckets().iter().filter_map(|b| b.name()).collect();
    assert_eq!(names, ["another", BUCKET]);
    assert!(listed.buckets()[0].creation_date().is_some());
    let head = client.head_bucket().bucket(BUCKET).send().await.unwrap();
    assert_eq!(head.bucket_region(), Some("us-east-1"));
    assert!(client.head_bucket().bucket("missing").send().await.is_err());
    let error = client
        .put_object()
        .bucket("missing")
        .key("k")
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "NoSuchBucket");
}

#[tokio::test]
async fn an_object_comes_back_with_what_was_said_of_it() {
    let store = Running::start().await;
    for client in [store.client(), store.default_client()] {
        for len in [0, 1, 100_000, 3_000_000] {
            let body = noise(len as u64, len);
            let put = client
                .put_object()
                .bucket(BUCKET)
                .key("o/picture")
                .content_type("image/jpeg")
                .content_disposition("inline")
                .content_encoding("identity")
                .content_language("de")
                .cache_control("no-store")
                .expires(DateTime::from_secs(1_900_000_000))
                .metadata("tenant", "tnt_1")
                .metadata("name", "Äpfel")
                .body(body.clone().into())
                .send()
                .await
                .unwrap();
            let head = client
                .head_object()
                .bucket(BUCKET)
                .key("o/picture")
                .send()
                .await
                .unwrap();
            assert_eq!(head.content_length(), Some(len as i64));
            let got = client
                .get_object()
                .bucket(BUCKET)
                .key("o/picture")
                .send()
                .await
                .unwrap();
            assert_eq!(head.e_tag(), put.e_tag());
            assert_eq!(got.e_tag(), put.e_tag());
            assert_eq!(got.content_type(), Some("image/jpeg"));
            assert_eq!(got.content_disposition(), Some("inline"));
            assert_eq!(got.content_encoding(), Some("identity"));
            assert_eq!(got.content_language(), Some("de"));
            assert_eq!(got.cache_control(), Some("no-store"));
            assert!(got.expires_string().unwrap().contains("2030"));
            assert_eq!(got.metadata().unwrap()["tenant"], "tnt_1");
            assert_eq!(got.accept_ranges(), Some("bytes"));
            assert!(got.last_modified().is_some());
            assert_eq!(got.body.collect().await.unwrap().to_vec(), body);
        }
    }
    assert_eq!(store.leftovers(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn every_write_gets_a_new_etag() {
    let store = Running::start().await;
    let client = store.client();
    let first = put(&client, "k", b"same").await;
    let second = put(&client, "k", b"same").await;
    assert_ne!(first, second);
    let hashed = client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .body(b"same".to_vec().into())
        .send()
        .await
        .unwrap();
    // Tools that find 32 digits alone compare them with the content's MD5.
    for etag in [&first, &second, hashed.e_tag.as_ref().unwrap()] {
        assert!(etag.trim_matches('"').ends_with("-1"), "{etag}");
    }
}

#[tokio::test]
async fn ranges_are_cut_as_http_says() {
    let store = Running::start().await;
    let client = store.client();
    let body = noise(7, 700_000);
    put(&client, "k", &body).await;
    for (range, expected) in [
        ("bytes=0-0", 0..1),
        ("bytes=5-300000", 5..300_001),
        ("bytes=699999-", 699_999..700_000),
        ("bytes=600000-9999999", 600_000..700_000),
        ("bytes=-3", 699_997..700_000),
        ("bytes=-9999999", 0..700_000),
    ] {
        let got = client
            .get_object()
            .bucket(BUCKET)
            .key("k")
            .range(range)
            .send()
            .await
            .unwrap();
        let header = format!("bytes {}-{}/700000", expected.start, expected.end - 1);
        assert_eq!(got.content_range(), Some(header.as_str()), "{range}");
        assert_eq!(got.content_length(), Some(expected.len() as i64));
        let bytes = got.body.collect().await.unwrap().to_vec();
        assert!(bytes == body[expected], "{range}");
    }
    for range in ["bytes=700000-", "bytes=-0"] {
        let error = client
            .get_object()
            .bucket(BUCKET)
            .key("k")
            .range(range)
            .send()
            .await
            .unwrap_err();
        assert_eq!(error.code_text(), "InvalidRange", "{range}");
    }
    put(&client, "empty", b"").await;
    let error = client
        .get_object()
        .bucket(BUCKET)
        .key("empty")
        .range("bytes=-5")
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "InvalidRange");
}

#[tokio::test]
async fn reads_have_conditions() {
    let store = Running::start().await;
    let client = store.client();
    let etag = put(&client, "k", b"body").await;
    let modified = client
        .head_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap()
        .last_modified
        .unwrap();
    let before = DateTime::from_secs(modified.secs() - 100);
    let get = || client.get_object().bucket(BUCKET).key("k");
    assert!(get().if_match(&etag).send().await.is_ok());
    assert!(get().if_match("*").send().await.is_ok());
    assert!(get().if_none_match("\"other\"").send().await.is_ok());
    assert!(get().if_modified_since(before).send().await.is_ok());
    assert!(get().if_unmodified_since(modified).send().await.is_ok());
    let failed = get().if_match("\"other\"").send().await.unwrap_err();
    assert_eq!(failed.code_text(), "PreconditionFailed");
    let failed = get().if_unmodified_since(before).send().await.unwrap_err();
    assert_eq!(failed.code_text(), "PreconditionFailed");
    // If-Match, where given, outranks the date.
    let both = get().if_match(&etag).if_unmodified_since(before);
    assert!(both.send().await.is_ok());
    for request in [
        get().if_none_match(&etag),
        get().if_none_match("*"),
        get().if_modified_since(modified),
    ] {
        let error = request.send().await.unwrap_err();
        let response = error.raw_response().unwrap();
        assert_eq!(response.status().as_u16(), 304);
        assert_eq!(response.headers().get("etag"), Some(etag.as_str()));
    }
}

#[tokio::test]
async fn deleting_is_final_and_may_be_repeated() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "a/b", b"x").await;
    for _ in 0..2 {
        client
            .delete_object()
            .bucket(BUCKET)
            .key("a/b")
            .send()
            .await
            .unwrap();
    }
    let error = client
        .get_object()
        .bucket(BUCKET)
        .key("a/b")
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "NoSuchKey");
    assert!(
        client
            .head_object()
            .bucket(BUCKET)
            .key("a/b")
            .send()
            .await
            .is_err()
    );
    let objects = store.root().join("buckets").join(BUCKET).join("objects");
    assert_eq!(std::fs::read_dir(objects).unwrap().count(), 0);
}

#[tokio::test]
async fn a_store_opened_again_has_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = Running::open(settings(dir.path())).await;
    put(&store.client(), "k", b"kept").await;
    store.stop().await;
    let store = Running::open(settings(dir.path())).await;
    assert_eq!(get(&store.client(), "k").await, b"kept");
    use std::os::unix::fs::PermissionsExt as _;
    let mut seen = 0;
    for path in files_below(dir.path()) {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 3);
}
