//! Checksums of single objects.

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};

use crate::harness::*;

const SHA256_OF_ABC: &str = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

#[tokio::test]
async fn true_checksums_are_stored_and_told() {
    let store = Running::start().await;
    let client = store.client();
    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .checksum_sha256(SHA256_OF_ABC)
        .body(b"abc".to_vec().into())
        .send()
        .await
        .unwrap();
    assert_eq!(put.checksum_sha256(), Some(SHA256_OF_ABC));
    let head = || client.head_object().bucket(BUCKET).key("k");
    assert_eq!(head().send().await.unwrap().checksum_sha256(), None);
    let told = head()
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    assert_eq!(told.checksum_sha256(), Some(SHA256_OF_ABC));
    assert_eq!(told.checksum_type().unwrap().as_str(), "FULL_OBJECT");
    let get = || {
        client
            .get_object()
            .bucket(BUCKET)
            .key("k")
            .checksum_mode(ChecksumMode::Enabled)
    };
    assert_eq!(
        get().send().await.unwrap().checksum_sha256(),
        Some(SHA256_OF_ABC)
    );
    let part = get().range("bytes=0-1").send().await.unwrap();
    assert_eq!(part.checksum_sha256(), None);
}

#[tokio::test]
async fn wrong_checksums_store_nothing() {
    let store = Running::start().await;
    let client = store.client();
    let put = || {
        client
            .put_object()
            .bucket(BUCKET)
            .key("k")
            .body(b"abd".to_vec().into())
    };
    for request in [
        put().checksum_sha256(SHA256_OF_ABC),
        put().checksum_sha1("qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
        put().checksum_crc32("NSRBwg=="),
        put().checksum_crc32_c("NktLfg=="),
        put().checksum_crc64_nvme("AAAAAAAAAAA="),
        put().content_md5("kAFQmDzST7DWlj99KOF/cg=="),
    ] {
        let error = request.send().await.unwrap_err();
        assert_eq!(error.code_text(), "BadDigest");
        assert_eq!(error.raw_response().unwrap().status().as_u16(), 400);
    }
    for request in [
        put().checksum_sha256("AAAA"),
        put().checksum_sha256("not base64"),
    ] {
        let error = request.send().await.unwrap_err();
        assert_eq!(error.code_text(), "InvalidRequest");
    }
    let error = put().content_md5("AAAA").send().await.unwrap_err();
    assert_eq!(error.code_text(), "InvalidDigest");
    let listed = client
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    assert_eq!(listed.key_count(), Some(0));
    assert_eq!(store.leftovers(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn the_same_bodies_with_true_checksums_are_taken() {
    let store = Running::start().await;
    let client = store.client();
    let put = || {
        client
            .put_object()
            .bucket(BUCKET)
            .key("k")
            .body(b"abc".to_vec().into())
    };
    for request in [
        put().checksum_sha1("qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
        put().checksum_crc32("NSRBwg=="),
        put().checksum_crc32_c("Nks/tw=="),
        put().content_md5("kAFQmDzST7DWlj99KOF/cg=="),
    ] {
        let result = request.send().await;
        assert!(result.is_ok(), "{result:?}");
    }
}

#[tokio::test]
async fn checksums_in_trailers_are_taken() {
    let store = Running::start().await;
    let client = store.default_client();
    let body = noise(3, 2_500_000);
    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256,
    ] {
        let put = client
            .put_object()
            .bucket(BUCKET)
            .key("k")
            .checksum_algorithm(algorithm.clone())
            .body(body.clone().into())
            .send()
            .await
            .unwrap();
        let told = [
            put.checksum_crc32(),
            put.checksum_crc32_c(),
            put.checksum_crc64_nvme(),
            put.checksum_sha1(),
            put.checksum_sha256(),
        ];
        assert_eq!(told.iter().flatten().count(), 1, "{algorithm:?}");
        assert!(get(&client, "k").await == body);
    }
}

#[tokio::test]
async fn an_object_without_a_checksum_gets_a_crc64nvme() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "k", b"123456789").await;
    let head = client
        .head_object()
        .bucket(BUCKET)
        .key("k")
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    // ae8b14860a799888
    assert_eq!(head.checksum_crc64_nvme(), Some("rosUhgp5mIg="));
}
