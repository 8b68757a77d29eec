//! Every checksum algorithm at every step, as a table.

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedPart};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use s3s::crypto::{Checksum, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};

use crate::harness::*;
use crate::multipart::{complete, list};

const ALL: [ChecksumAlgorithm; 5] = [
    ChecksumAlgorithm::Crc32,
    ChecksumAlgorithm::Crc32C,
    ChecksumAlgorithm::Crc64Nvme,
    ChecksumAlgorithm::Sha1,
    ChecksumAlgorithm::Sha256,
];

/// A digest. That these are right is tested with their published check values.
fn digest(algorithm: &ChecksumAlgorithm, bytes: &[u8]) -> Vec<u8> {
    fn of<C: Checksum>(bytes: &[u8]) -> Vec<u8> {
        C::checksum(bytes).as_ref().to_vec()
    }
    match algorithm {
        ChecksumAlgorithm::Crc32 => of::<Crc32>(bytes),
        ChecksumAlgorithm::Crc32C => of::<Crc32c>(bytes),
        ChecksumAlgorithm::Crc64Nvme => of::<Crc64Nvme>(bytes),
        ChecksumAlgorithm::Sha1 => of::<Sha1>(bytes),
        ChecksumAlgorithm::Sha256 => of::<Sha256>(bytes),
        other => panic!("{other:?}"),
    }
}

fn sum(algorithm: &ChecksumAlgorithm, bytes: &[u8]) -> String {
    BASE64.encode(digest(algorithm, bytes))
}

/// Sets the checksum of this algorithm in a request.
macro_rules! with_sum {
    ($request:expr, $algorithm:expr, $value:expr) => {{
        let (request, value) = ($request, $value);
        match $algorithm {
            ChecksumAlgorithm::Crc32 => request.checksum_crc32(value),
            ChecksumAlgorithm::Crc32C => request.checksum_crc32_c(value),
            ChecksumAlgorithm::Crc64Nvme => request.checksum_crc64_nvme(value),
            ChecksumAlgorithm::Sha1 => request.checksum_sha1(value),
            _ => request.checksum_sha256(value),
        }
    }};
}

/// The checksums in an answer, in the order of [`ALL`].
macro_rules! sums_in {
    ($answer:expr) => {
        [
            $answer.checksum_crc32(),
            $answer.checksum_crc32_c(),
            $answer.checksum_crc64_nvme(),
            $answer.checksum_sha1(),
            $answer.checksum_sha256(),
        ]
        .map(|sum| sum.map(str::to_owned))
    };
}

/// Only this algorithm's checksum.
fn only(algorithm: &ChecksumAlgorithm, value: &str) -> [Option<String>; 5] {
    ALL.map(|one| (one == *algorithm).then(|| value.to_owned()))
}

#[tokio::test]
async fn an_object_has_the_checksum_that_was_chosen() {
    let store = Running::start().await;
    let body = noise(1, 100_000);
    for algorithm in ALL {
        let expected = only(&algorithm, &sum(&algorithm, &body));
        for (how, client) in [
            ("header", store.client()),
            ("trailer", store.default_client()),
        ] {
            let put = client
                .put_object()
                .bucket(BUCKET)
                .key("k")
                .body(body.clone().into());
            let put = match how {
                "header" => with_sum!(put, algorithm, sum(&algorithm, &body)),
                _ => put.checksum_algorithm(algorithm.clone()),
            };
            let put = put.send().await.unwrap();
            assert_eq!(sums_in!(put), expected, "{algorithm:?} by {how}");
            assert_eq!(put.checksum_type(), Some(&ChecksumType::FullObject));
            let head = || client.head_object().bucket(BUCKET).key("k");
            assert_eq!(
                sums_in!(head().send().await.unwrap()),
                [None, None, None, None, None]
            );
            let told = head()
                .checksum_mode(ChecksumMode::Enabled)
                .send()
                .await
                .unwrap();
            assert_eq!(sums_in!(told), expected);
            let got = client
                .get_object()
                .bucket(BUCKET)
                .key("k")
                .checksum_mode(ChecksumMode::Enabled);
            let whole = got.clone().send().await.unwrap();
            assert_eq!(sums_in!(whole), expected);
            let some = got.clone().range("bytes=1-2").send().await.unwrap();
            assert_eq!(sums_in!(some), [None, None, None, None, None]);
            let all = got.range("bytes=0-").send().await.unwrap();
            assert_eq!(sums_in!(all), expected);
        }
        let wrong = store
            .client()
            .put_object()
            .bucket(BUCKET)
            .key("k")
            .body(b"else".to_vec().into());
        let wrong = with_sum!(wrong, algorithm, sum(&algorithm, &body));
        assert_eq!(wrong.send().await.unwrap_err().code_text(), "BadDigest");
        for malformed in ["AAA=", "not base64", ""] {
            let put = store.client().put_object().bucket(BUCKET).key("k");
            let error = with_sum!(put, algorithm, malformed)
                .send()
                .await
                .unwrap_err();
            assert_eq!(
                error.code_text(),
                "InvalidRequest",
                "{algorithm:?} {malformed:?}"
            );
        }
    }
    assert!(get(&store.client(), "k").await == body);
}

/// What kinds of checksums a multipart upload can have, after the table in the
/// user guide of Amazon S3.
fn exists(algorithm: &ChecksumAlgorithm, kind: &ChecksumType) -> bool {
    match algorithm {
        ChecksumAlgorithm::Crc64Nvme => *kind == ChecksumType::FullObject,
        ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256 => *kind == ChecksumType::Composite,
        _ => true,
    }
}

#[tokio::test]
async fn every_kind_of_multipart_checksum_is_verified_and_told() {
    let store = Running::start().await;
    let client = store.client();
    let bodies = [noise(1, 200_000), noise(2, 1), noise(3, 50_000)];
    for algorithm in ALL {
        for kind in [
            None,
            Some(ChecksumType::Composite),
            Some(ChecksumType::FullObject),
        ] {
            let created = client
                .create_multipart_upload()
                .bucket(BUCKET)
                .key("k")
                .checksum_algorithm(algorithm.clone())
                .set_checksum_type(kind.clone())
                .send()
                .await;
            if kind.as_ref().is_some_and(|kind| !exists(&algorithm, kind)) {
                assert_eq!(created.unwrap_err().code_text(), "InvalidRequest");
                continue;
            }
            let created = created.unwrap();
            let kind = kind.unwrap_or(match algorithm {
                ChecksumAlgorithm::Crc64Nvme => ChecksumType::FullObject,
                _ => ChecksumType::Composite,
            });
            assert_eq!(created.checksum_algorithm(), Some(&algorithm));
            assert_eq!(created.checksum_type(), Some(&kind));
            let id = created.upload_id().unwrap();
            check(&store, id, &algorithm, &kind, &bodies).await;
        }
    }
}

async fn check(
    store: &Running,
    id: &str,
    algorithm: &ChecksumAlgorithm,
    kind: &ChecksumType,
    bodies: &[Vec<u8>],
) {
    let client = store.client();
    let case = format!("{algorithm:?} {kind:?}");
    let part = |number: i32| {
        client
            .upload_part()
            .bucket(BUCKET)
            .key("k")
            .upload_id(id)
            .part_number(number)
    };
    let lying = with_sum!(
        part(1).body(b"else".to_vec().into()),
        algorithm,
        sum(algorithm, &bodies[0])
    );
    assert_eq!(
        lying.send().await.unwrap_err().code_text(),
        "BadDigest",
        "{case}"
    );
    let other = if *algorithm == ChecksumAlgorithm::Sha1 {
        ALL[0].clone()
    } else {
        ALL[3].clone()
    };
    let foreign = with_sum!(
        part(1).body(b"else".to_vec().into()),
        other,
        sum(&other, b"else")
    );
    assert_eq!(
        foreign.send().await.unwrap_err().code_text(),
        "InvalidRequest",
        "{case}"
    );
    let silent = part(1).body(bodies[0].clone().into()).send().await;
    assert_eq!(silent.is_ok(), *kind == ChecksumType::FullObject, "{case}");

    let mut parts = Vec::new();
    for (at, body) in bodies.iter().enumerate() {
        let number = at as i32 + 1;
        let value = sum(algorithm, body);
        let sent = with_sum!(part(number).body(body.clone().into()), algorithm, &value);
        let sent = sent.send().await.unwrap();
        assert_eq!(sums_in!(sent), only(algorithm, &value), "{case}");
        let listed = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag);
        parts.push(with_sum!(listed, algorithm, value).build());
    }
    let told = client
        .list_parts()
        .bucket(BUCKET)
        .key("k")
        .upload_id(id)
        .send()
        .await
        .unwrap();
    assert_eq!(told.checksum_algorithm(), Some(algorithm));
    assert_eq!(told.checksum_type(), Some(kind));
    for (part, body) in told.parts().iter().zip(bodies) {
        assert_eq!(
            sums_in!(part),
            only(algorithm, &sum(algorithm, body)),
            "{case}"
        );
    }

    let whole = bodies.concat();
    let expected = if *kind == ChecksumType::FullObject {
        sum(algorithm, &whole)
    } else {
        let joined: Vec<u8> = bodies
            .iter()
            .flat_map(|body| digest(algorithm, body))
            .collect();
        format!("{}-{}", sum(algorithm, &joined), bodies.len())
    };
    let wrong = with_sum!(
        complete!(client, "k", id, &parts),
        algorithm,
        sum(algorithm, b"else")
    );
    assert_eq!(
        wrong.send().await.unwrap_err().code_text(),
        "BadDigest",
        "{case}"
    );
    let other_kind = match kind {
        ChecksumType::FullObject => ChecksumType::Composite,
        _ => ChecksumType::FullObject,
    };
    let wrong = complete!(client, "k", id, &parts).checksum_type(other_kind);
    assert_eq!(
        wrong.send().await.unwrap_err().code_text(),
        "InvalidRequest",
        "{case}"
    );
    let right = with_sum!(complete!(client, "k", id, &parts), algorithm, &expected);
    let done = right.checksum_type(kind.clone()).send().await.unwrap();
    assert_eq!(sums_in!(done), only(algorithm, &expected), "{case}");
    assert_eq!(done.checksum_type(), Some(kind), "{case}");

    let head = client
        .head_object()
        .bucket(BUCKET)
        .key("k")
        .checksum_mode(ChecksumMode::Enabled);
    let head = head.send().await.unwrap();
    assert_eq!(sums_in!(head), only(algorithm, &expected), "{case}");
    assert_eq!(head.checksum_type(), Some(kind), "{case}");
    let part = client.get_object().bucket(BUCKET).key("k").part_number(2);
    let part = part
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    assert_eq!(
        sums_in!(part),
        only(algorithm, &sum(algorithm, &bodies[1])),
        "{case}"
    );
    assert!(get(&client, "k").await == whole, "{case}");
}

#[tokio::test]
async fn an_md5_makes_the_etag_of_those_who_have_credentials() {
    use s3s::crypto::Md5;
    let store = Running::start().await;
    let client = store.client();
    let md5 = |bytes: &[u8]| Md5::checksum(bytes).to_vec();
    let quoted = |bytes: &[u8]| format!("\"{}\"", hex::encode(md5(bytes)));
    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .body(b"abc".to_vec().into());
    let put = put
        .content_md5(BASE64.encode(md5(b"abc")))
        .send()
        .await
        .unwrap();
    assert_eq!(put.e_tag(), Some(quoted(b"abc").as_str()));
    let plain = crate::harness::put(&client, "k", b"abc").await;
    assert!(plain.contains('-'), "{plain} could be taken for an MD5");

    let id = crate::multipart::create(&client, "k").await;
    let mut parts = Vec::new();
    for (at, body) in [b"one", b"two"].iter().enumerate() {
        let part = client
            .upload_part()
            .bucket(BUCKET)
            .key("k")
            .upload_id(&id)
            .part_number(at as i32 + 1);
        let part = part
            .content_md5(BASE64.encode(md5(*body)))
            .body(body.to_vec().into());
        let part = part.send().await.unwrap();
        assert_eq!(part.e_tag(), Some(quoted(*body).as_str()));
        parts.push(
            CompletedPart::builder()
                .part_number(at as i32 + 1)
                .set_e_tag(part.e_tag)
                .build(),
        );
    }
    let done = complete!(client, "k", &id, &parts).send().await.unwrap();
    let joined = hex::encode(md5(&[md5(b"one"), md5(b"two")].concat()));
    assert_eq!(done.e_tag(), Some(format!("\"{joined}-2\"").as_str()));

    // Whoever was handed a URL could have two bodies with one MD5.
    let url = client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .content_length(3);
    let url = url.presigned(crate::presigned::hour()).await.unwrap();
    let headers = [
        ("content-length", "3".to_owned()),
        ("content-md5", BASE64.encode(md5(b"abc"))),
    ];
    let answer = crate::presigned::send("PUT", url.uri(), &headers, b"abd").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "BadDigest"));
    let answer = crate::presigned::send("PUT", url.uri(), &headers, b"abc").await;
    assert_eq!(answer.status, 200);
    assert!(!answer.head.contains(&quoted(b"abc")), "{}", answer.head);
}
