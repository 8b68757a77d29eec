//! Multipart uploads.

use std::path::PathBuf;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::harness::*;
use crate::presigned::{hour, send};

pub async fn create(client: &Client, key: &str) -> String {
    let output = client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key(key)
        .send()
        .await
        .unwrap();
    output.upload_id.unwrap()
}

pub async fn upload(
    client: &Client,
    key: &str,
    id: &str,
    number: i32,
    body: &[u8],
) -> CompletedPart {
    let output = client
        .upload_part()
        .bucket(BUCKET)
        .key(key)
        .upload_id(id)
        .part_number(number)
        .body(body.to_vec().into())
        .send()
        .await
        .unwrap();
    CompletedPart::builder()
        .part_number(number)
        .e_tag(output.e_tag.unwrap())
        .build()
}

pub fn list(parts: &[CompletedPart]) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder()
        .set_parts(Some(parts.to_vec()))
        .build()
}

macro_rules! complete {
    ($client:expr, $key:expr, $id:expr, $parts:expr) => {
        $client
            .complete_multipart_upload()
            .bucket(BUCKET)
            .key($key)
            .upload_id($id)
            .multipart_upload(list($parts))
    };
}
pub(crate) use complete;

fn sha256(bytes: &[u8]) -> Vec<u8> {
    use s3s::crypto::{Checksum as _, Sha256};
    Sha256::checksum(bytes).to_vec()
}

#[tokio::test]
async fn unequal_parts_make_one_object() {
    let store = Running::start().await;
    for client in [store.client(), store.default_client()] {
        let sizes = [5 << 20, 1, 700_000, 0, 5 << 20, 3];
        let body = noise(5, sizes.iter().sum());
        let created = client
            .create_multipart_upload()
            .bucket(BUCKET)
            .key("o/clip")
            .content_type("video/mp4")
            .metadata("tenant", "tnt_1")
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .send()
            .await
            .unwrap();
        let id = created.upload_id().unwrap();
        let mut parts = Vec::new();
        let mut offset = 0;
        // Numbers need not be consecutive here.
        for (at, size) in sizes.iter().enumerate() {
            let number = at as i32 * 3 + 2;
            let bytes = &body[offset..offset + size];
            let output = client
                .upload_part()
                .bucket(BUCKET)
                .key("o/clip")
                .upload_id(id)
                .part_number(number)
                .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
                .body(bytes.to_vec().into())
                .send()
                .await
                .unwrap();
            parts.push(
                CompletedPart::builder()
                    .part_number(number)
                    .e_tag(output.e_tag().unwrap())
                    .set_checksum_crc64_nvme(output.checksum_crc64_nvme)
                    .build(),
            );
            offset += size;
        }
        let left_out = upload_crc64(&client, "o/clip", id, 9000).await;
        assert!(left_out.e_tag().is_some());
        let done = complete!(client, "o/clip", id, &parts)
            .mpu_object_size(body.len() as i64)
            .send()
            .await
            .unwrap();
        assert_eq!(store.part_files().len(), sizes.len());
        put(&client, "o/whole", &body).await;
        let head = |key| {
            client
                .head_object()
                .bucket(BUCKET)
                .key(key)
                .checksum_mode(ChecksumMode::Enabled)
                .send()
        };
        let (clip, whole) = (
            head("o/clip").await.unwrap(),
            head("o/whole").await.unwrap(),
        );
        assert_eq!(clip.e_tag(), done.e_tag());
        assert_eq!(clip.content_type(), Some("video/mp4"));
        assert_eq!(clip.metadata().unwrap()["tenant"], "tnt_1");
        assert_eq!(clip.content_length(), Some(body.len() as i64));
        assert_eq!(clip.checksum_type(), Some(&ChecksumType::FullObject));
        assert_eq!(clip.checksum_crc64_nvme(), done.checksum_crc64_nvme());
        if whole.checksum_crc64_nvme().is_some() {
            assert_eq!(clip.checksum_crc64_nvme(), whole.checksum_crc64_nvme());
        }
        assert!(get(&client, "o/clip").await == body);
        let edge = 5 << 20;
        for (from, to) in [
            (edge - 1, edge + 1),
            (edge, edge),
            (edge + 1, edge + 1),
            (0, body.len() - 1),
            (edge - 300_000, edge + 900_000),
            (body.len() - 4, body.len() - 1),
        ] {
            let got = client
                .get_object()
                .bucket(BUCKET)
                .key("o/clip")
                .range(format!("bytes={from}-{to}"))
                .send()
                .await
                .unwrap();
            let bytes = got.body.collect().await.unwrap().to_vec();
            assert!(bytes == body[from..=to], "{from}-{to}");
        }
        client
            .delete_object()
            .bucket(BUCKET)
            .key("o/clip")
            .send()
            .await
            .unwrap();
        assert_eq!(store.part_files(), Vec::<PathBuf>::new());
        assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
    }
}

async fn upload_crc64(client: &Client, key: &str, id: &str, number: i32) -> CompletedPart {
    let output = client
        .upload_part()
        .bucket(BUCKET)
        .key(key)
        .upload_id(id)
        .part_number(number)
        .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
        .body(b"left out".to_vec().into())
        .send()
        .await
        .unwrap();
    CompletedPart::builder()
        .e_tag(output.e_tag.unwrap())
        .build()
}

#[tokio::test]
async fn composite_checksums_are_verified_at_every_step() {
    let store = Running::start().await;
    let client = store.client();
    let bodies = [noise(1, 100_000), noise(2, 50_000)];
    let sums: Vec<String> = bodies.iter().map(|b| BASE64.encode(sha256(b))).collect();
    let created = client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("k")
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .send()
        .await
        .unwrap();
    assert_eq!(created.checksum_type(), Some(&ChecksumType::Composite));
    let id = created.upload_id().unwrap();
    let part = |number: i32, body: &[u8]| {
        client
            .upload_part()
            .bucket(BUCKET)
            .key("k")
            .upload_id(id)
            .part_number(number)
            .body(body.to_vec().into())
    };
    let wrong = part(1, &bodies[1]).checksum_sha256(&sums[0]).send().await;
    assert_eq!(wrong.unwrap_err().code_text(), "BadDigest");
    let without = part(1, &bodies[0]).send().await;
    assert_eq!(without.unwrap_err().code_text(), "InvalidRequest");
    let another = part(1, b"123456789")
        .checksum_crc32_c("4waSgw==")
        .send()
        .await;
    assert_eq!(another.unwrap_err().code_text(), "InvalidRequest");
    assert_eq!(store.part_files(), Vec::<PathBuf>::new());

    let mut parts = Vec::new();
    for (at, body) in bodies.iter().enumerate() {
        let output = part(at as i32 + 1, body)
            .checksum_sha256(&sums[at])
            .send()
            .await
            .unwrap();
        assert_eq!(output.checksum_sha256(), Some(sums[at].as_str()));
        parts.push(
            CompletedPart::builder()
                .part_number(at as i32 + 1)
                .e_tag(output.e_tag.unwrap())
                .checksum_sha256(&sums[at])
                .build(),
        );
    }
    let listed = client
        .list_parts()
        .bucket(BUCKET)
        .key("k")
        .upload_id(id)
        .send()
        .await
        .unwrap();
    assert_eq!(
        listed.checksum_algorithm(),
        Some(&ChecksumAlgorithm::Sha256)
    );
    for (at, part) in listed.parts().iter().enumerate() {
        assert_eq!(part.checksum_sha256(), Some(sums[at].as_str()));
        assert_eq!(part.size(), Some(bodies[at].len() as i64));
    }

    let mut lying = parts.clone();
    lying[1].checksum_sha256 = Some(sums[0].clone());
    let error = complete!(client, "k", id, &lying).send().await.unwrap_err();
    assert_eq!(error.code_text(), "InvalidPart");
    let mut silent = parts.clone();
    silent[1].checksum_sha256 = None;
    let error = complete!(client, "k", id, &silent)
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "InvalidRequest");
    let error = complete!(client, "k", id, &parts[1..])
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "InvalidPartOrder");
    let error = complete!(client, "k", id, &parts)
        .checksum_sha256(format!("{}-2", sums[0]))
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "BadDigest");
    let error = complete!(client, "k", id, &parts)
        .checksum_type(ChecksumType::FullObject)
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "InvalidRequest");

    let expected = BASE64.encode(sha256(&[sha256(&bodies[0]), sha256(&bodies[1])].concat()));
    let done = complete!(client, "k", id, &parts)
        .checksum_sha256(format!("{expected}-2"))
        .checksum_type(ChecksumType::Composite)
        .send()
        .await
        .unwrap();
    assert_eq!(
        done.checksum_sha256(),
        Some(format!("{expected}-2").as_str())
    );
    assert_eq!(done.checksum_type(), Some(&ChecksumType::Composite));
    assert!(get(&client, "k").await == bodies.concat());
}

#[tokio::test]
async fn full_object_crcs_are_those_of_the_bytes() {
    let store = Running::start().await;
    let client = store.client();
    // CRC32C of "123456789" is e3069283, CRC32 cbf43926.
    for (algorithm, expected) in [
        (ChecksumAlgorithm::Crc32C, "4waSgw=="),
        (ChecksumAlgorithm::Crc32, "y/Q5Jg=="),
    ] {
        let created = client
            .create_multipart_upload()
            .bucket(BUCKET)
            .key("k")
            .checksum_algorithm(algorithm.clone())
            .checksum_type(ChecksumType::FullObject)
            .send()
            .await
            .unwrap();
        let id = created.upload_id().unwrap();
        let parts = [
            upload(&client, "k", id, 1, b"1234").await,
            upload(&client, "k", id, 2, b"56789").await,
        ];
        let done = complete!(client, "k", id, &parts).send().await.unwrap();
        let told = done.checksum_crc32_c().or(done.checksum_crc32());
        assert_eq!(told, Some(expected), "{algorithm:?}");
    }
    for (algorithm, kind) in [
        (ChecksumAlgorithm::Sha256, ChecksumType::FullObject),
        (ChecksumAlgorithm::Crc64Nvme, ChecksumType::Composite),
    ] {
        let error = client
            .create_multipart_upload()
            .bucket(BUCKET)
            .key("k")
            .checksum_algorithm(algorithm)
            .checksum_type(kind)
            .send()
            .await
            .unwrap_err();
        assert_eq!(error.code_text(), "InvalidRequest");
    }
}

#[tokio::test]
async fn a_presigned_part_is_bound_to_its_hash() {
    let store = Running::start().await;
    let client = store.client();
    let created = client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("k")
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .send()
        .await
        .unwrap();
    let sum = BASE64.encode(sha256(b"abc"));
    let request = client
        .upload_part()
        .bucket(BUCKET)
        .key("k")
        .upload_id(created.upload_id().unwrap())
        .part_number(1)
        .content_length(3)
        .checksum_sha256(&sum)
        .presigned(hour())
        .await
        .unwrap();
    let headers = [
        ("content-length", "3".to_owned()),
        ("x-amz-checksum-sha256", sum),
    ];
    let wrong = send("PUT", request.uri(), &headers, b"abd").await;
    assert_eq!((wrong.status, wrong.code().as_str()), (400, "BadDigest"));
    assert_eq!(store.part_files(), Vec::<PathBuf>::new());
    let right = send("PUT", request.uri(), &headers, b"abc").await;
    assert_eq!(
        right.status,
        200,
        "{}",
        String::from_utf8_lossy(&right.body)
    );
    assert_eq!(store.part_files().len(), 1);
}

#[tokio::test]
async fn the_defaults_of_the_sdk_work() {
    let store = Running::start().await;
    let client = store.default_client();
    let id = create(&client, "k").await;
    let body = noise(9, 300_000);
    let mut parts = Vec::new();
    for (at, chunk) in body.chunks(100_000).enumerate() {
        let sent = client
            .upload_part()
            .bucket(BUCKET)
            .key("k")
            .upload_id(&id)
            .part_number(at as i32 + 1)
            .body(chunk.to_vec().into())
            .send()
            .await
            .unwrap();
        assert!(sent.checksum_crc32().is_some());
        parts.push(
            CompletedPart::builder()
                .part_number(at as i32 + 1)
                .set_e_tag(sent.e_tag)
                .set_checksum_crc32(sent.checksum_crc32)
                .build(),
        );
    }
    complete!(client, "k", &id, &parts).send().await.unwrap();
    assert!(get(&client, "k").await == body);
}

#[tokio::test]
async fn parts_are_listed_in_pages() {
    let store = Running::start().await;
    let client = store.client();
    let id = create(&client, "k").await;
    let numbers = [1, 2, 5, 9, 10, 9_999, 10_000];
    for number in numbers.iter().rev() {
        upload(&client, "k", &id, *number, &vec![7; *number as usize]).await;
    }
    let again = upload(&client, "k", &id, 5, b"again").await;
    for page in [1, 2, 3, 7, 1000] {
        let mut found = Vec::new();
        let mut marker = None;
        loop {
            let output = client
                .list_parts()
                .bucket(BUCKET)
                .key("k")
                .upload_id(&id)
                .max_parts(page)
                .set_part_number_marker(marker)
                .send()
                .await
                .unwrap();
            assert!(output.parts().len() <= page as usize);
            found.extend(output.parts().to_vec());
            if output.is_truncated() != Some(true) {
                break;
            }
            marker = output.next_part_number_marker;
        }
        let found_numbers: Vec<_> = found.iter().filter_map(|p| p.part_number()).collect();
        assert_eq!(found_numbers, numbers, "{page} a page");
        assert_eq!(found[2].size(), Some(5));
        assert_eq!(found[2].e_tag(), again.e_tag());
    }
}

#[tokio::test]
async fn complete_says_what_is_wrong() {
    let store = Running::start_with(|settings| settings.min_part_bytes = 5 << 20).await;
    let client = store.client();
    let id = create(&client, "k").await;
    let small = upload(&client, "k", &id, 1, b"small").await;
    let last = upload(&client, "k", &id, 2, b"last").await;
    let code = async |parts: &[CompletedPart]| {
        complete!(client, "k", &id, parts)
            .send()
            .await
            .unwrap_err()
            .code_text()
    };
    assert_eq!(code(&[small.clone(), last.clone()]).await, "EntityTooSmall");
    assert_eq!(
        code(&[last.clone(), small.clone()]).await,
        "InvalidPartOrder"
    );
    assert_eq!(code(&[]).await, "MalformedXML");
    let absent = CompletedPart::builder()
        .part_number(3)
        .e_tag("\"x\"")
        .build();
    assert_eq!(code(&[absent]).await, "InvalidPart");
    let other = CompletedPart::builder()
        .part_number(1)
        .e_tag("\"x\"")
        .build();
    assert_eq!(code(&[other]).await, "InvalidPart");
    let error = complete!(client, "k", &id, std::slice::from_ref(&last))
        .mpu_object_size(5)
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "InvalidRequest");
    for id in ["nonsense", "../../../etc", &"0".repeat(32)] {
        let error = complete!(client, "k", id, std::slice::from_ref(&last))
            .send()
            .await
            .unwrap_err();
        assert_eq!(error.code_text(), "NoSuchUpload");
    }
    let error = complete!(client, "another", &id, std::slice::from_ref(&last))
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "NoSuchUpload");
    for number in [0, 10_001, -1] {
        let error = client
            .upload_part()
            .bucket(BUCKET)
            .key("k")
            .upload_id(&id)
            .part_number(number)
            .send()
            .await
            .unwrap_err();
        assert_eq!(error.code_text(), "InvalidArgument", "{number}");
    }
    put(&client, "k", b"there").await;
    let error = complete!(client, "k", &id, std::slice::from_ref(&last))
        .if_none_match("*")
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "PreconditionFailed");
    assert_eq!(get(&client, "k").await, b"there");
    // Whatever failed, the upload is as it was.
    complete!(client, "k", &id, &[last]).send().await.unwrap();
    assert_eq!(get(&client, "k").await, b"last");
}

#[tokio::test]
async fn a_repeated_complete_succeeds_and_the_upload_is_closed() {
    let store = Running::start().await;
    let client = store.client();
    let id = create(&client, "k").await;
    let parts = [
        upload(&client, "k", &id, 1, b"one").await,
        upload(&client, "k", &id, 2, b"two").await,
    ];
    let first = complete!(client, "k", &id, &parts)
        .if_none_match("*")
        .send()
        .await
        .unwrap();
    let again = complete!(client, "k", &id, &parts)
        .if_none_match("*")
        .send()
        .await
        .unwrap();
    assert_eq!(first.e_tag(), again.e_tag());
    let error = complete!(client, "k", &id, &parts[..1])
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "NoSuchUpload");
    let target = || client.upload_part().bucket(BUCKET).key("k").upload_id(&id);
    let error = target().part_number(1).send().await.unwrap_err();
    assert_eq!(error.code_text(), "NoSuchUpload");
    let listed = client.list_parts().bucket(BUCKET).key("k").upload_id(&id);
    assert_eq!(listed.send().await.unwrap_err().code_text(), "NoSuchUpload");
    let abort = client
        .abort_multipart_upload()
        .bucket(BUCKET)
        .key("k")
        .upload_id(&id);
    assert_eq!(abort.send().await.unwrap_err().code_text(), "NoSuchUpload");
    assert_eq!(get(&client, "k").await, b"onetwo");
    // Once the object is another's, the upload is forgotten.
    put(&client, "k", b"else").await;
    assert_eq!(store.part_files(), Vec::<PathBuf>::new());
    let error = complete!(client, "k", &id, &parts)
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "NoSuchUpload");
    assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn an_aborted_upload_is_gone() {
    let store = Running::start().await;
    let client = store.client();
    let id = create(&client, "k").await;
    let part = upload(&client, "k", &id, 1, b"one").await;
    let abort = || {
        client
            .abort_multipart_upload()
            .bucket(BUCKET)
            .key("k")
            .upload_id(&id)
    };
    abort().send().await.unwrap();
    assert_eq!(
        abort().send().await.unwrap_err().code_text(),
        "NoSuchUpload"
    );
    let error = complete!(client, "k", &id, &[part])
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "NoSuchUpload");
    assert_eq!(store.part_files(), Vec::<PathBuf>::new());
    assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
}
