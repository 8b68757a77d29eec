//! DeleteObjects.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::delete_objects::{DeleteObjectsError, DeleteObjectsOutput};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use s3s::crypto::{Checksum as _, Md5};

use crate::harness::*;
use crate::multipart::{complete, create, list, upload};
use crate::signer::call;

async fn delete(
    client: &Client,
    keys: &[String],
    quiet: bool,
) -> Result<DeleteObjectsOutput, Box<SdkError<DeleteObjectsError>>> {
    let objects = keys
        .iter()
        .map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder()
        .set_objects(Some(objects.collect()))
        .quiet(quiet)
        .build()
        .unwrap();
    client
        .delete_objects()
        .bucket(BUCKET)
        .delete(delete)
        .send()
        .await
        .map_err(Box::new)
}

async fn keys(client: &Client) -> Vec<String> {
    let output = client
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    output
        .contents()
        .iter()
        .map(|object| object.key().unwrap().to_owned())
        .collect()
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

#[tokio::test]
async fn many_objects_go_at_once() {
    let store = Running::start().await;
    let client = store.client();
    let odd = [
        "a",
        "a/b",
        "a//",
        "ä 鍵+&<>\"'",
        " leading and trailing ",
        "a/b/c/d",
    ];
    for quiet in [false, true] {
        for key in odd.iter().chain(&["stays"]) {
            put(&client, key, b"x").await;
        }
        let id = create(&client, "parts").await;
        let parts = [upload(&client, "parts", &id, 1, b"one").await];
        complete!(client, "parts", &id, &parts)
            .send()
            .await
            .unwrap();
        // What is not there is as good as gone.
        let named = [owned(&odd), owned(&["parts", "none"])].concat();
        let output = delete(&client, &named, quiet).await.unwrap();
        assert!(output.errors().is_empty());
        let told: Vec<&str> = output.deleted().iter().filter_map(|d| d.key()).collect();
        if quiet {
            assert!(told.is_empty());
        } else {
            assert_eq!(told, named);
        }
        assert_eq!(keys(&client).await, ["stays"]);
        assert!(store.part_files().is_empty() && store.leftovers().is_empty());
    }
}

#[tokio::test]
async fn a_request_names_1_to_1000_objects() {
    let store = Running::start().await;
    let client = store.client();
    let many: Vec<String> = (0..1000).map(|n| format!("o/{}/{n}", n % 7)).collect();
    for key in many.iter().step_by(97) {
        put(&client, key, b"x").await;
    }
    let output = delete(&client, &many, false).await.unwrap();
    assert_eq!(output.deleted().len(), 1000);
    assert_eq!(keys(&client).await, Vec::<String>::new());
    let more = [many, owned(&["one"])].concat();
    for wrong in [&more[..], &[]] {
        let error = delete(&client, wrong, false).await.unwrap_err();
        assert_eq!(error.code_text(), "MalformedXML");
    }
}

#[tokio::test]
async fn each_object_has_its_own_outcome() {
    let store = Running::start().await;
    let client = store.client();
    let etag = put(&client, "right", b"x").await;
    put(&client, "changed", b"x").await;
    put(&client, "any", b"x").await;
    put(&client, "versioned", b"x").await;
    let object = || ObjectIdentifier::builder();
    let objects = vec![
        object().key("right").e_tag(&etag).build().unwrap(),
        object().key("changed").e_tag("\"other\"").build().unwrap(),
        object().key("any").e_tag("*").build().unwrap(),
        object().key("none").e_tag("*").build().unwrap(),
        object().key("versioned").version_id("7").build().unwrap(),
        object().key("x".repeat(1025)).build().unwrap(),
    ];
    for quiet in [true, false] {
        let wanted = Delete::builder()
            .set_objects(Some(objects.clone()))
            .quiet(quiet);
        let output = client
            .delete_objects()
            .bucket(BUCKET)
            .delete(wanted.build().unwrap())
            .send()
            .await
            .unwrap();
        let told: Vec<(&str, &str)> = output
            .errors()
            .iter()
            .map(|error| (&error.key().unwrap()[..1], error.code().unwrap()))
            .collect();
        if quiet {
            assert_eq!(
                told,
                [
                    ("c", "PreconditionFailed"),
                    ("n", "NoSuchKey"),
                    ("v", "NotImplemented"),
                    ("x", "KeyTooLongError"),
                ]
            );
        }
        assert_eq!(output.deleted().len(), 0, "all that could go has gone");
        assert_eq!(keys(&client).await, ["changed", "versioned"]);
    }
}

#[tokio::test]
async fn the_document_must_be_what_its_checksum_says() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "k", b"x").await;
    let xml = b"<Delete><Object><Key>k</Key></Object></Delete>";
    let target = format!("/{BUCKET}?delete=");
    let true_md5 = BASE64.encode(Md5::checksum(xml));
    for (headers, status, code) in [
        (vec![], 400, "InvalidRequest"),
        (vec![("content-md5", "AAAA")], 400, "InvalidDigest"),
        (
            vec![("content-md5", "kAFQmDzST7DWlj99KOF/cg==")],
            400,
            "BadDigest",
        ),
        (vec![("x-amz-checksum-crc32", "AAAAAA==")], 400, "BadDigest"),
        (
            vec![("x-amz-checksum-crc32", "AAAA")],
            400,
            "InvalidRequest",
        ),
        (
            vec![
                ("content-md5", true_md5.as_str()),
                ("x-amz-checksum-sha1", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
            ],
            400,
            "BadDigest",
        ),
    ] {
        let answer = call(&store, "POST", &target, &headers, xml).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{headers:?}"
        );
        assert_eq!(keys(&client).await, ["k"]);
    }
    for wrong in [
        &b"<Delete></Delete>"[..],
        b"<Delete><Object><Key></Key></Object></Delete>",
        b"no",
    ] {
        let md5 = BASE64.encode(Md5::checksum(wrong));
        let answer = call(&store, "POST", &target, &[("content-md5", &md5)], wrong).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "MalformedXML")
        );
    }
    let answer = call(&store, "POST", &target, &[("content-md5", &true_md5)], xml).await;
    assert_eq!(answer.status, 200);
    assert_eq!(keys(&client).await, Vec::<String>::new());
}
