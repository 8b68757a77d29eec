//! CopyObject.

use std::path::PathBuf;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::copy_object::builders::CopyObjectFluentBuilder;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedPart, MetadataDirective,
    TaggingDirective,
};

use crate::harness::*;
use crate::multipart::{complete, create, list, upload};
use crate::tags::{retag, tags_of};

pub fn copy(client: &Client, from: &str, to: &str) -> CopyObjectFluentBuilder {
    client
        .copy_object()
        .bucket(BUCKET)
        .key(to)
        .copy_source(format!("{BUCKET}/{from}"))
}

/// An object of three parts.
pub async fn in_parts(client: &Client, key: &str, body: &[u8]) {
    let id = create(client, key).await;
    let mut parts = Vec::new();
    for (at, chunk) in body.chunks(body.len().div_ceil(3)).enumerate() {
        parts.push(upload(client, key, &id, at as i32 + 1, chunk).await);
    }
    complete!(client, key, &id, &parts).send().await.unwrap();
}

#[tokio::test]
async fn a_copy_has_all_that_its_source_has() {
    let store = Running::start().await;
    let client = store.client();
    for length in [0, 1, 5000, 300_000, 40_000_000] {
        let body = noise(length as u64, length);
        let put = client
            .put_object()
            .bucket(BUCKET)
            .key("from")
            .content_type("image/jpeg")
            .cache_control("no-store")
            .metadata("a", "Ä")
            .tagging("t=1")
            .body(body.clone().into())
            .send()
            .await
            .unwrap();
        let copied = copy(&client, "from", "to/there").send().await.unwrap();
        let result = copied.copy_object_result().unwrap();
        assert_eq!(result.e_tag(), put.e_tag());
        assert!(result.last_modified().is_some());
        assert_eq!(result.checksum_crc64_nvme(), put.checksum_crc64_nvme());
        assert_eq!(result.checksum_type(), Some(&ChecksumType::FullObject));
        // What becomes of the source does not matter.
        client
            .delete_object()
            .bucket(BUCKET)
            .key("from")
            .send()
            .await
            .unwrap();
        let got = client
            .get_object()
            .bucket(BUCKET)
            .key("to/there")
            .send()
            .await
            .unwrap();
        assert_eq!(got.content_type(), Some("image/jpeg"));
        assert_eq!(got.cache_control(), Some("no-store"));
        assert_eq!(got.metadata().unwrap().len(), 1);
        assert_eq!(got.tag_count(), Some(1));
        assert!(
            got.body.collect().await.unwrap().to_vec() == body,
            "{length}"
        );
    }
    assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_copy_of_parts_is_in_one_piece() {
    let store = Running::start().await;
    let client = store.client();
    let body = noise(9, 1_000_001);
    in_parts(&client, "from", &body).await;
    copy(&client, "from", "to").send().await.unwrap();
    client
        .delete_object()
        .bucket(BUCKET)
        .key("from")
        .send()
        .await
        .unwrap();
    assert_eq!(store.part_files(), Vec::<PathBuf>::new());
    assert!(get(&client, "to").await == body);
}

#[tokio::test]
async fn directives_choose_what_is_copied() {
    let store = Running::start().await;
    let client = store.client();
    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("from")
        .content_type("image/jpeg")
        .metadata("a", "1")
        .tagging("t=1")
        .body(b"x".to_vec().into());
    put.send().await.unwrap();
    // Without a directive to replace them, what else is said does not count.
    copy(&client, "from", "same")
        .content_type("text/plain")
        .metadata("b", "2")
        .tagging("u=2")
        .send()
        .await
        .unwrap();
    copy(&client, "from", "other")
        .metadata_directive(MetadataDirective::Replace)
        .tagging_directive(TaggingDirective::Replace)
        .content_type("text/plain")
        .metadata("b", "2")
        .tagging("u=2")
        .send()
        .await
        .unwrap();
    copy(&client, "from", "bare")
        .metadata_directive(MetadataDirective::Replace)
        .tagging_directive(TaggingDirective::Replace)
        .send()
        .await
        .unwrap();
    for (key, kind, metadata, tag) in [
        ("same", "image/jpeg", Some("a"), Some("t")),
        ("other", "text/plain", Some("b"), Some("u")),
        ("bare", "application/octet-stream", None, None),
    ] {
        let head = client
            .head_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
        assert_eq!(head.content_type(), Some(kind), "{key}");
        let names: Vec<&String> = head.metadata().unwrap().keys().collect();
        assert_eq!(names, Vec::from_iter(metadata), "{key}");
        let tags: Vec<String> = tags_of(&client, key).await.into_keys().collect();
        assert_eq!(tags, Vec::from_iter(tag), "{key}");
    }
    for wrong in [
        copy(&client, "from", "to").metadata_directive("ELSE".into()),
        copy(&client, "from", "to").tagging_directive("ELSE".into()),
    ] {
        assert_eq!(
            wrong.send().await.unwrap_err().code_text(),
            "InvalidArgument"
        );
    }
    let replace = || copy(&client, "from", "to").metadata_directive(MetadataDirective::Replace);
    let error = replace()
        .metadata("k", "v".repeat(2048))
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "MetadataTooLarge");
    let replace = copy(&client, "from", "to").tagging_directive(TaggingDirective::Replace);
    let error = replace.tagging("a=1&a=2").send().await.unwrap_err();
    assert_eq!(error.code_text(), "InvalidTag");
}

#[tokio::test]
async fn an_object_is_copied_onto_itself_to_change_it() {
    let store = Running::start().await;
    let client = store.client();
    let body = noise(3, 600_000);
    for whole in [true, false] {
        if whole {
            put(&client, "k", &body).await;
        } else {
            in_parts(&client, "k", &body).await;
        }
        retag(&client, "k", &[("t", "1")]).await;
        let error = copy(&client, "k", "k").send().await.unwrap_err();
        assert_eq!(error.code_text(), "InvalidRequest");
        let before = client
            .head_object()
            .bucket(BUCKET)
            .key("k")
            .send()
            .await
            .unwrap();
        let parts = store.part_files();
        let replaced = copy(&client, "k", "k")
            .metadata_directive(MetadataDirective::Replace)
            .content_type("image/png")
            .metadata("mtime", "1")
            .send()
            .await
            .unwrap();
        // The bytes stay in their files.
        assert_eq!(store.part_files(), parts);
        let after = client
            .head_object()
            .bucket(BUCKET)
            .key("k")
            .send()
            .await
            .unwrap();
        assert_eq!(after.content_type(), Some("image/png"));
        assert_eq!(after.e_tag(), before.e_tag());
        assert_eq!(
            replaced.copy_object_result().unwrap().e_tag(),
            before.e_tag()
        );
        assert_eq!(tags_of(&client, "k").await.len(), 1);
        assert!(get(&client, "k").await == body);
        // A new checksum is computed over the bytes.
        let summed = copy(&client, "k", "k")
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .send()
            .await
            .unwrap();
        assert!(
            summed
                .copy_object_result()
                .unwrap()
                .checksum_sha256()
                .is_some()
        );
        assert!(get(&client, "k").await == body);
        assert_eq!(store.part_files(), Vec::<PathBuf>::new());
        assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn checksums_are_kept_or_computed() {
    let store = Running::start().await;
    let client = store.client();
    let body = noise(4, 700_000);
    let sums = async |key: &str| {
        let head = client
            .head_object()
            .bucket(BUCKET)
            .key(key)
            .checksum_mode(ChecksumMode::Enabled);
        let head = head.send().await.unwrap();
        let sums = [
            head.checksum_crc32(),
            head.checksum_crc32_c(),
            head.checksum_crc64_nvme(),
            head.checksum_sha1(),
            head.checksum_sha256(),
        ];
        (
            sums.map(|sum| sum.map(str::to_owned)),
            head.checksum_type().cloned(),
        )
    };
    let algorithms = [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256,
    ];
    // What each is, by a put of the same bytes.
    let mut expected = Vec::new();
    for algorithm in &algorithms {
        let put = client.put_object().bucket(BUCKET).key(algorithm.as_str());
        let put = put
            .checksum_algorithm(algorithm.clone())
            .body(body.clone().into());
        put.send().await.unwrap();
        expected.push(sums(algorithm.as_str()).await.0);
    }
    in_parts(&client, "parts", &body).await;
    let created = client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("composite")
        .checksum_algorithm(ChecksumAlgorithm::Sha1)
        .send()
        .await
        .unwrap();
    let id = created.upload_id().unwrap();
    let part = client
        .upload_part()
        .bucket(BUCKET)
        .key("composite")
        .upload_id(id)
        .part_number(1);
    let part = part
        .checksum_algorithm(ChecksumAlgorithm::Sha1)
        .body(body.clone().into());
    let part = part.send().await.unwrap();
    let part = CompletedPart::builder()
        .part_number(1)
        .set_e_tag(part.e_tag)
        .set_checksum_sha1(part.checksum_sha1)
        .build();
    complete!(client, "composite", id, &[part])
        .send()
        .await
        .unwrap();
    assert_eq!(sums("composite").await.1, Some(ChecksumType::Composite));

    let sources = algorithms
        .iter()
        .map(ChecksumAlgorithm::as_str)
        .chain(["parts", "composite"]);
    for from in sources {
        // The kind of the source is kept, but over all bytes.
        copy(&client, from, "to").send().await.unwrap();
        let kept = match from {
            "composite" => &expected[3],
            "parts" => &expected[2],
            _ => &sums(from).await.0,
        };
        let (found, kind) = sums("to").await;
        assert_eq!(
            (&found, kind),
            (kept, Some(ChecksumType::FullObject)),
            "{from}"
        );
        for (algorithm, expected) in algorithms.iter().zip(&expected) {
            let copied = copy(&client, from, "to").checksum_algorithm(algorithm.clone());
            copied.send().await.unwrap();
            assert_eq!(&sums("to").await.0, expected, "{from} to {algorithm:?}");
        }
    }
    let unknown = copy(&client, "parts", "to").checksum_algorithm("CRC7".into());
    assert_eq!(
        unknown.send().await.unwrap_err().code_text(),
        "InvalidRequest"
    );
    assert!(get(&client, "to").await == body);
}
