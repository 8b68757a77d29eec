//! GetObjectAttributes, and reading parts by their numbers.

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, CompletedPart, ObjectAttributes};

use crate::harness::*;
use crate::multipart::{complete, list};
use crate::signer::call;
use crate::tags::retag;

/// Parts 1, 2 and 5 of these sizes.
const SIZES: [usize; 3] = [300_000, 0, 70_000];
const NUMBERS: [i32; 3] = [1, 2, 5];

/// An object of three parts, with its bytes and its parts' checksums.
async fn in_parts(store: &Running) -> (Vec<u8>, Vec<String>) {
    let client = store.client();
    let created = client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("parts")
        .checksum_algorithm(ChecksumAlgorithm::Crc32C)
        .checksum_type(aws_sdk_s3::types::ChecksumType::FullObject)
        .send()
        .await
        .unwrap();
    let id = created.upload_id().unwrap();
    let body = noise(8, SIZES.iter().sum());
    let (mut parts, mut sums, mut from) = (Vec::new(), Vec::new(), 0);
    for (size, number) in SIZES.into_iter().zip(NUMBERS) {
        let part = client
            .upload_part()
            .bucket(BUCKET)
            .key("parts")
            .upload_id(id)
            .part_number(number)
            .checksum_algorithm(ChecksumAlgorithm::Crc32C)
            .body(body[from..from + size].to_vec().into())
            .send()
            .await
            .unwrap();
        sums.push(part.checksum_crc32_c().unwrap().to_owned());
        parts.push(
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(part.e_tag)
                .build(),
        );
        from += size;
    }
    complete!(client, "parts", id, &parts).send().await.unwrap();
    (body, sums)
}

#[tokio::test]
async fn attributes_are_told_on_demand() {
    let store = Running::start().await;
    let client = store.client();
    let (_, sums) = in_parts(&store).await;
    let head = client
        .head_object()
        .bucket(BUCKET)
        .key("parts")
        .checksum_mode(ChecksumMode::Enabled);
    let head = head.send().await.unwrap();
    let ask = |key: &'static str| client.get_object_attributes().bucket(BUCKET).key(key);
    let all = [
        ObjectAttributes::Etag,
        ObjectAttributes::Checksum,
        ObjectAttributes::ObjectParts,
        ObjectAttributes::ObjectSize,
        ObjectAttributes::StorageClass,
    ];
    let told = ask("parts")
        .set_object_attributes(Some(all.to_vec()))
        .send()
        .await
        .unwrap();
    assert_eq!(told.e_tag(), head.e_tag());
    assert_eq!(told.last_modified(), head.last_modified());
    assert_eq!(told.object_size(), Some(370_000));
    assert_eq!(told.storage_class().unwrap().as_str(), "STANDARD");
    let checksum = told.checksum().unwrap();
    assert_eq!(checksum.checksum_crc32_c(), head.checksum_crc32_c());
    assert_eq!(checksum.checksum_type().unwrap().as_str(), "FULL_OBJECT");
    let parts = told.object_parts().unwrap();
    assert_eq!(parts.total_parts_count(), Some(3));
    assert_eq!(parts.is_truncated(), Some(false));
    for (at, part) in parts.parts().iter().enumerate() {
        assert_eq!(part.part_number(), Some(NUMBERS[at]));
        assert_eq!(part.size(), Some(SIZES[at] as i64));
        assert_eq!(part.checksum_crc32_c(), Some(sums[at].as_str()));
    }
    let size_only = ask("parts")
        .object_attributes(ObjectAttributes::ObjectSize)
        .send()
        .await
        .unwrap();
    assert_eq!(size_only.object_size(), Some(370_000));
    assert!(size_only.e_tag().is_none() && size_only.checksum().is_none());
    assert!(size_only.object_parts().is_none() && size_only.storage_class().is_none());

    put(&client, "whole", b"x").await;
    retag(&client, "whole", &[("a", "1")]).await;
    let told = ask("whole")
        .set_object_attributes(Some(all.to_vec()))
        .send()
        .await
        .unwrap();
    assert!(told.object_parts().is_none());
    assert!(told.checksum().unwrap().checksum_crc64_nvme().is_some());
    let missing = ask("none")
        .object_attributes(ObjectAttributes::Etag)
        .send()
        .await;
    assert_eq!(missing.unwrap_err().code_text(), "NoSuchKey");
    let wrong = ask("whole").object_attributes("Else".into()).send().await;
    assert_eq!(wrong.unwrap_err().code_text(), "InvalidArgument");
    let target = format!("/{BUCKET}/whole?attributes=");
    let headers = [("x-amz-object-attributes", "ETag, ObjectSize")];
    let answer = call(&store, "GET", &target, &headers, b"").await;
    let text = String::from_utf8(answer.body).unwrap();
    assert!(
        text.contains("<ObjectSize>1</ObjectSize>") && text.contains("<ETag>"),
        "{text}"
    );
}

#[tokio::test]
async fn parts_are_told_in_pages() {
    let store = Running::start().await;
    let client = store.client();
    in_parts(&store).await;
    for length in [1, 2, 3] {
        let (mut found, mut marker) = (Vec::new(), None);
        loop {
            let told = client
                .get_object_attributes()
                .bucket(BUCKET)
                .key("parts")
                .object_attributes(ObjectAttributes::ObjectParts)
                .max_parts(length)
                .set_part_number_marker(marker)
                .send()
                .await
                .unwrap();
            let parts = told.object_parts().unwrap();
            assert!(parts.parts().len() <= length as usize);
            found.extend(parts.parts().iter().filter_map(|part| part.part_number()));
            marker = parts.next_part_number_marker().map(str::to_owned);
            if parts.is_truncated() != Some(true) {
                break;
            }
        }
        assert_eq!(found, NUMBERS);
    }
}

#[tokio::test]
async fn a_part_is_read_by_its_number() {
    let store = Running::start().await;
    let client = store.client();
    let (body, sums) = in_parts(&store).await;
    let mut from = 0;
    for ((size, number), sum) in SIZES.into_iter().zip(NUMBERS).zip(&sums) {
        let get = client
            .get_object()
            .bucket(BUCKET)
            .key("parts")
            .part_number(number);
        let got = get
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .unwrap();
        let head = client
            .head_object()
            .bucket(BUCKET)
            .key("parts")
            .part_number(number);
        let head = head
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .unwrap();
        let range = format!("bytes {from}-{}/370000", (from + size).max(1) - 1);
        let range = (size > 0).then_some(range.as_str());
        assert_eq!(got.content_range(), range);
        assert_eq!(head.content_range(), range);
        assert_eq!(got.parts_count(), Some(3));
        assert_eq!(head.parts_count(), Some(3));
        assert_eq!(head.content_length(), Some(size as i64));
        assert_eq!(got.checksum_crc32_c(), Some(sum.as_str()));
        assert_eq!(head.checksum_crc32_c(), Some(sum.as_str()));
        assert!(got.body.collect().await.unwrap().to_vec() == body[from..from + size]);
        from += size;
    }
    let target = format!("/{BUCKET}/parts?partNumber=1");
    assert_eq!(call(&store, "HEAD", &target, &[], b"").await.status, 206);
    put(&client, "whole", b"whole").await;
    for tagged in [false, true] {
        if tagged {
            retag(&client, "whole", &[("a", "1")]).await;
        }
        let got = client
            .get_object()
            .bucket(BUCKET)
            .key("whole")
            .part_number(1);
        let got = got
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .unwrap();
        assert_eq!(got.content_range(), Some("bytes 0-4/5"));
        assert_eq!(got.parts_count(), None);
        assert!(got.checksum_crc64_nvme().is_some());
        assert_eq!(got.body.collect().await.unwrap().to_vec(), b"whole");
    }
    for (key, number, status, code) in [
        ("parts", 3, 416, "InvalidPartNumber"),
        ("parts", 6, 416, "InvalidPartNumber"),
        ("whole", 2, 416, "InvalidPartNumber"),
        ("whole", 0, 400, "InvalidArgument"),
        ("whole", 10_001, 400, "InvalidArgument"),
        ("none", 1, 404, "NoSuchKey"),
    ] {
        let error = client
            .get_object()
            .bucket(BUCKET)
            .key(key)
            .part_number(number)
            .send()
            .await
            .unwrap_err();
        assert_eq!(error.raw_response().unwrap().status().as_u16(), status);
        assert_eq!(error.code_text(), code, "{key} {number}");
        assert!(
            client
                .head_object()
                .bucket(BUCKET)
                .key(key)
                .part_number(number)
                .send()
                .await
                .is_err()
        );
    }
    let both = client
        .get_object()
        .bucket(BUCKET)
        .key("parts")
        .part_number(1)
        .range("bytes=0-1");
    assert_eq!(both.send().await.unwrap_err().code_text(), "InvalidRequest");
}
