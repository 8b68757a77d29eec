//! What a copy is made of: conditions on it, and changes to it meanwhile.

use std::path::PathBuf;

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::ChecksumAlgorithm;

use crate::copies::{copy, in_parts};
use crate::harness::*;
use crate::multipart::{complete, create, list, upload};
use crate::part_copies::part_copy;

#[tokio::test]
async fn sources_and_targets_have_conditions() {
    let store = Running::start().await;
    let client = store.client();
    let etag = put(&client, "from", b"body").await;
    let modified = client
        .head_object()
        .bucket(BUCKET)
        .key("from")
        .send()
        .await
        .unwrap();
    let modified = modified.last_modified.unwrap();
    let before = DateTime::from_secs(modified.secs() - 100);
    let copy = || copy(&client, "from", "to");
    for (at, request) in [
        copy().copy_source_if_match(&etag),
        copy().copy_source_if_none_match("\"other\""),
        copy().copy_source_if_modified_since(before),
        copy().copy_source_if_unmodified_since(modified),
        copy()
            .copy_source_if_match(&etag)
            .copy_source_if_unmodified_since(before),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(request.send().await.is_ok(), "case {at}");
    }
    for (at, request) in [
        copy().copy_source_if_match("\"other\""),
        copy().copy_source_if_none_match(&etag),
        copy().copy_source_if_modified_since(modified),
        copy().copy_source_if_unmodified_since(before),
        copy()
            .copy_source_if_none_match(&etag)
            .copy_source_if_modified_since(before),
        copy().if_none_match("*"),
        copy().if_match("\"other\""),
    ]
    .into_iter()
    .enumerate()
    {
        let error = request.send().await.unwrap_err();
        assert_eq!(error.code_text(), "PreconditionFailed", "case {at}");
        assert_eq!(error.raw_response().unwrap().status().as_u16(), 412);
    }
    assert!(copy().if_match(&etag).send().await.is_ok());
    assert!(copy().key("fresh").if_none_match("*").send().await.is_ok());
    let missing = copy().key("none").if_match("*").send().await.unwrap_err();
    assert_eq!(missing.code_text(), "NoSuchKey");
    assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn sources_that_cannot_be_copied_are_refused() {
    let store = Running::start_with(|settings| settings.max_put_bytes = 1000).await;
    let client = store.client();
    let from = |source: &str| {
        client
            .copy_object()
            .bucket(BUCKET)
            .key("to")
            .copy_source(source)
    };
    for (source, code) in [
        (format!("{BUCKET}/none"), "NoSuchKey"),
        ("another/k".to_owned(), "NoSuchBucket"),
        (format!("{BUCKET}/"), "InvalidArgument"),
        (BUCKET.to_owned(), "InvalidArgument"),
        (format!("{BUCKET}/k?versionId=7"), "NotImplemented"),
        (
            "arn:aws:s3:us-east-1:123456789012:accesspoint/abc/object/k".to_owned(),
            "NotImplemented",
        ),
    ] {
        let error = from(&source).send().await.unwrap_err();
        assert_eq!(error.code_text(), code, "{source}");
    }
    let id = create(&client, "large").await;
    let parts = [
        upload(&client, "large", &id, 1, &[1; 1000]).await,
        upload(&client, "large", &id, 2, &[2; 1000]).await,
    ];
    complete!(client, "large", &id, &parts)
        .send()
        .await
        .unwrap();
    let error = from(&format!("{BUCKET}/large")).send().await.unwrap_err();
    assert_eq!(error.code_text(), "InvalidRequest");
    // Part by part it can be.
    let id = create(&client, "to").await;
    let mut copied = Vec::new();
    for (number, range) in [(1, "bytes=0-999"), (2, "bytes=1000-1999")] {
        copied.push(part_copy(&client, "large", "to", &id, number, Some(range)).await);
    }
    complete!(client, "to", &id, &copied).send().await.unwrap();
    assert!(get(&client, "to").await == [[1; 1000], [2; 1000]].concat());
}

#[tokio::test]
async fn keys_of_any_form_are_copied() {
    let store = Running::start().await;
    let client = store.client();
    for key in [
        "a b",
        "a+b",
        "ä/鍵",
        "a?b&c=d",
        "100%",
        "%41",
        "a//b/",
        "?versionId=1",
    ] {
        put(&client, key, key.as_bytes()).await;
        let encoded: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
        copy(&client, &encoded, "to").send().await.unwrap();
        assert_eq!(get(&client, "to").await, key.as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_source_may_change_while_it_is_copied() {
    let store = Running::start().await;
    let client = store.client();
    let bodies = [noise(1, 3_000_000), noise(2, 2_000_000)];
    for round in 0..12 {
        if round % 2 == 0 {
            put(&client, "from", &bodies[0]).await;
        } else {
            in_parts(&client, "from", &bodies[0]).await;
        }
        let copies = (0..4).map(|n| {
            let client = store.client();
            tokio::spawn(async move {
                let to = format!("to{n}");
                copy(&client, "from", &to)
                    .checksum_algorithm(ChecksumAlgorithm::Sha1)
                    .send()
                    .await
                    .map_err(|error| error.code_text())
                    .map(|_| to)
            })
        });
        let copies: Vec<_> = copies.collect();
        if round % 3 == 0 {
            client
                .delete_object()
                .bucket(BUCKET)
                .key("from")
                .send()
                .await
                .unwrap();
        } else {
            put(&client, "from", &bodies[1]).await;
        }
        for copy in copies {
            match copy.await.unwrap() {
                Ok(to) => assert!(bodies.contains(&get(&client, &to).await)),
                Err(code) => assert_eq!((code.as_str(), round % 3), ("NoSuchKey", 0)),
            }
        }
        eventually("the parts go", || store.part_files().is_empty()).await;
        eventually("the notes go", || store.leftovers().is_empty()).await;
    }
}
