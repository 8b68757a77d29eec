//! UploadPartCopy.

use std::path::PathBuf;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedPart};

use crate::copies::in_parts;
use crate::harness::*;
use crate::multipart::{complete, create, list};

pub async fn part_copy(
    client: &Client,
    from: &str,
    to: &str,
    id: &str,
    number: i32,
    range: Option<&str>,
) -> CompletedPart {
    let output = client
        .upload_part_copy()
        .bucket(BUCKET)
        .key(to)
        .upload_id(id)
        .part_number(number)
        .copy_source(format!("{BUCKET}/{from}"))
        .set_copy_source_range(range.map(str::to_owned))
        .send()
        .await
        .unwrap();
    let result = output.copy_part_result.unwrap();
    CompletedPart::builder()
        .part_number(number)
        .set_e_tag(result.e_tag)
        .set_checksum_sha256(result.checksum_sha256)
        .build()
}

#[tokio::test]
async fn parts_are_copied_from_ranges_of_objects() {
    let store = Running::start().await;
    let client = store.client();
    let body = noise(5, 900_000);
    put(&client, "whole", &body).await;
    in_parts(&client, "parts", &body).await;
    for from in ["whole", "parts"] {
        let created = client
            .create_multipart_upload()
            .bucket(BUCKET)
            .key("to")
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .send()
            .await
            .unwrap();
        let id = created.upload_id().unwrap();
        let mut parts = Vec::new();
        let mut expected = Vec::new();
        // Across the ends of the source's parts, and all of it.
        for (at, range) in [(0, 0), (299_999, 300_001), (1, 899_999), (600_000, 600_000)]
            .iter()
            .enumerate()
        {
            let text = format!("bytes={}-{}", range.0, range.1);
            parts.push(part_copy(&client, from, "to", id, at as i32 + 1, Some(&text)).await);
            expected.extend_from_slice(&body[range.0..=range.1]);
        }
        parts.push(part_copy(&client, from, "to", id, 5, None).await);
        expected.extend_from_slice(&body);
        assert!(parts.iter().all(|part| part.checksum_sha256().is_some()));
        client
            .delete_object()
            .bucket(BUCKET)
            .key(from)
            .send()
            .await
            .unwrap();
        complete!(client, "to", id, &parts).send().await.unwrap();
        assert!(get(&client, "to").await == expected, "{from}");
    }
    assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn parts_that_cannot_be_copied_are_refused() {
    let store = Running::start().await;
    let client = store.client();
    let etag = put(&client, "from", b"12345").await;
    let id = create(&client, "to").await;
    let part = || {
        client
            .upload_part_copy()
            .bucket(BUCKET)
            .key("to")
            .upload_id(&id)
            .part_number(1)
            .copy_source(format!("{BUCKET}/from"))
    };
    for (request, code) in [
        (part().copy_source_range("bytes=0-5"), "InvalidRange"),
        (part().copy_source_range("bytes=5-9"), "InvalidRange"),
        (part().copy_source_range("bytes=3-2"), "InvalidArgument"),
        (part().copy_source_range("0-2"), "InvalidArgument"),
        (part().copy_source_range("bytes=0-"), "InvalidArgument"),
        (part().part_number(0), "InvalidArgument"),
        (part().part_number(10_001), "InvalidArgument"),
        (part().upload_id("nonsense"), "NoSuchUpload"),
        (part().key("other"), "NoSuchUpload"),
        (part().copy_source(format!("{BUCKET}/none")), "NoSuchKey"),
        (part().copy_source("another/k"), "NoSuchBucket"),
        (
            part().copy_source_if_match("\"other\""),
            "PreconditionFailed",
        ),
        (
            part().copy_source_if_none_match(&etag),
            "PreconditionFailed",
        ),
    ] {
        assert_eq!(request.send().await.unwrap_err().code_text(), code);
    }
    assert_eq!(store.part_files(), Vec::<PathBuf>::new());
    assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
    assert!(part().copy_source_if_match(&etag).send().await.is_ok());
}
