//! Tags and user metadata of objects.

use std::collections::BTreeMap;
use std::path::PathBuf;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{Tag, Tagging};

use crate::harness::*;
use crate::multipart::{complete, create, list, upload};
use crate::signer::call;

pub fn tagging(tags: &[(&str, &str)]) -> Tagging {
    let tags = tags
        .iter()
        .map(|(key, value)| Tag::builder().key(*key).value(*value).build().unwrap());
    Tagging::builder()
        .set_tag_set(Some(tags.collect()))
        .build()
        .unwrap()
}

pub async fn retag(client: &Client, key: &str, tags: &[(&str, &str)]) {
    client
        .put_object_tagging()
        .bucket(BUCKET)
        .key(key)
        .tagging(tagging(tags))
        .send()
        .await
        .unwrap();
}

pub async fn tags_of(client: &Client, key: &str) -> BTreeMap<String, String> {
    let output = client
        .get_object_tagging()
        .bucket(BUCKET)
        .key(key)
        .send()
        .await
        .unwrap();
    output
        .tag_set()
        .iter()
        .map(|tag| (tag.key().to_owned(), tag.value().to_owned()))
        .collect()
}

fn pairs(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
    tags.iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

/// The files that hold an object: its record's, and those of its bytes.
fn inodes(store: &Running) -> Vec<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let bucket = store.root().join("buckets").join(BUCKET);
    let mut inodes: Vec<u64> = files_below(&bucket.join("objects"))
        .into_iter()
        .chain(store.part_files())
        .map(|path| std::fs::metadata(path).unwrap().ino())
        .collect();
    inodes.sort_unstable();
    inodes
}

#[tokio::test]
async fn tags_come_with_an_object_and_are_changed_later() {
    let store = Running::start().await;
    let client = store.client();
    let body = noise(1, 300_000);
    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .tagging("kind=photo&note=%C3%A4+b%2Fc")
        .metadata("m", "1")
        .body(body.clone().into())
        .send()
        .await
        .unwrap();
    assert_eq!(
        tags_of(&client, "k").await,
        pairs(&[("kind", "photo"), ("note", "ä b/c")])
    );
    let read = async || {
        client
            .get_object()
            .bucket(BUCKET)
            .key("k")
            .send()
            .await
            .unwrap()
    };
    let before = read().await;
    assert_eq!(before.tag_count(), Some(2));
    let bodies = inodes(&store);
    for tags in [
        &[("a", "1"), ("b", ""), ("c", "3")][..],
        &[("kind", "else")],
        &[],
    ] {
        retag(&client, "k", tags).await;
        assert_eq!(tags_of(&client, "k").await, pairs(tags));
        let now = read().await;
        assert_eq!(
            now.tag_count(),
            (!tags.is_empty()).then_some(tags.len() as i32)
        );
        // All else is as it was, and the bytes are in the file that they were in.
        assert_eq!(now.e_tag(), put.e_tag());
        assert_eq!(now.last_modified(), before.last_modified());
        assert_eq!(now.metadata(), before.metadata());
        assert!(now.body.collect().await.unwrap().to_vec() == body);
        assert!(inodes(&store).contains(&bodies[0]));
        assert_eq!(store.part_files().len(), 1);
        assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
    }
    retag(&client, "k", &[("a", "1")]).await;
    client
        .delete_object_tagging()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(tags_of(&client, "k").await, pairs(&[]));
    client
        .delete_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(inodes(&store), Vec::<u64>::new());
    assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn tags_go_with_their_object() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "k", b"old").await;
    retag(&client, "k", &[("a", "1")]).await;
    put(&client, "k", b"new").await;
    assert_eq!(tags_of(&client, "k").await, pairs(&[]));
    assert_eq!(get(&client, "k").await, b"new");
    assert_eq!(store.part_files(), Vec::<PathBuf>::new());
    for request in ["get", "put", "delete"] {
        let code = match request {
            "get" => client
                .get_object_tagging()
                .bucket(BUCKET)
                .key("none")
                .send()
                .await
                .unwrap_err()
                .code_text(),
            "put" => client
                .put_object_tagging()
                .bucket(BUCKET)
                .key("none")
                .tagging(tagging(&[]))
                .send()
                .await
                .unwrap_err()
                .code_text(),
            _ => client
                .delete_object_tagging()
                .bucket(BUCKET)
                .key("none")
                .send()
                .await
                .unwrap_err()
                .code_text(),
        };
        assert_eq!(code, "NoSuchKey", "{request}");
    }
}

#[tokio::test]
async fn an_uploads_tags_are_those_of_its_object() {
    let store = Running::start().await;
    let client = store.client();
    let created = client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("k")
        .tagging("a=1")
        .send()
        .await
        .unwrap();
    let id = created.upload_id().unwrap();
    let parts = [
        upload(&client, "k", id, 1, b"one").await,
        upload(&client, "k", id, 2, b"two").await,
    ];
    let done = complete!(client, "k", id, &parts).send().await.unwrap();
    assert_eq!(tags_of(&client, "k").await, pairs(&[("a", "1")]));
    retag(&client, "k", &[("b", "2")]).await;
    assert_eq!(tags_of(&client, "k").await, pairs(&[("b", "2")]));
    assert_eq!(get(&client, "k").await, b"onetwo");
    // It is still the object that the upload made.
    let again = complete!(client, "k", id, &parts).send().await.unwrap();
    assert_eq!(again.e_tag(), done.e_tag());
    assert_eq!(tags_of(&client, "k").await, pairs(&[("b", "2")]));
    assert_eq!(store.part_files().len(), 2);
}

#[tokio::test]
async fn an_object_without_bytes_is_tagged_as_well() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "k", b"").await;
    for tags in [&[("a", "1")][..], &[("b", "2")]] {
        retag(&client, "k", tags).await;
        assert_eq!(tags_of(&client, "k").await, pairs(tags));
        assert_eq!(get(&client, "k").await, b"");
    }
    assert_eq!(store.part_files(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn tags_out_of_bounds_are_refused() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "k", b"x").await;
    let long = "x".repeat(257);
    let eleven: Vec<String> = (0..11).map(|n| format!("k{n}")).collect();
    let eleven: Vec<(&str, &str)> = eleven.iter().map(|key| (key.as_str(), "")).collect();
    for (tags, code) in [
        (&eleven[..], "BadRequest"),
        (&[("", "v")], "InvalidTag"),
        (&[(&long[..129], "v")], "InvalidTag"),
        (&[("k", long.as_str())], "InvalidTag"),
        (&[("k", "1"), ("k", "2")], "InvalidTag"),
        (&[("aws:k", "1")], "InvalidTag"),
        (&[("k", "<")], "InvalidTag"),
    ] {
        let request = client
            .put_object_tagging()
            .bucket(BUCKET)
            .key("k")
            .tagging(tagging(tags));
        assert_eq!(
            request.send().await.unwrap_err().code_text(),
            code,
            "{tags:?}"
        );
    }
    for (header, code) in [("a=1&a=2", "InvalidTag"), ("a=%FF", "InvalidArgument")] {
        let request = client.put_object().bucket(BUCKET).key("k").tagging(header);
        assert_eq!(
            request.send().await.unwrap_err().code_text(),
            code,
            "{header}"
        );
    }
    assert_eq!(tags_of(&client, "k").await, pairs(&[]));
    // As on Amazon S3, the document comes with a checksum.
    let xml = b"<Tagging><TagSet></TagSet></Tagging>";
    let target = format!("/{BUCKET}/k?tagging=");
    let answer = call(&store, "PUT", &target, &[], xml).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "InvalidRequest")
    );
    let md5 = [("content-md5", "kAFQmDzST7DWlj99KOF/cg==")];
    let answer = call(&store, "PUT", &target, &md5, xml).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "BadDigest"));
}

#[tokio::test]
async fn metadata_comes_back_whatever_it_is_made_of() {
    let store = Running::start().await;
    let client = store.client();
    let values = [
        ("plain", "text"),
        ("utf8", "Äpfel, 鍵 und 🔑"),
        ("empty", ""),
        ("long", &"ä".repeat(500)),
        ("punctuation", "a;b,c=\"d\" %20+"),
    ];
    let id = create(&client, "parts").await;
    for key in ["k", "parts"] {
        if key == "k" {
            let request = client.put_object().bucket(BUCKET).key(key);
            values
                .iter()
                .fold(request, |request, (name, value)| {
                    request.metadata(*name, *value)
                })
                .send()
                .await
                .unwrap();
        } else {
            let request = client.create_multipart_upload().bucket(BUCKET).key(key);
            let created = values
                .iter()
                .fold(request, |request, (name, value)| {
                    request.metadata(*name, *value)
                })
                .send()
                .await
                .unwrap();
            let id = created.upload_id().unwrap();
            let parts = [upload(&client, key, id, 1, b"x").await];
            complete!(client, key, id, &parts).send().await.unwrap();
        }
        let head = client
            .head_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
        let told = head.metadata().unwrap();
        assert_eq!(told.len(), values.len());
        for (name, value) in values {
            assert_eq!(decode_2047(&told[name]), value, "{key} {name}");
        }
    }
    client
        .abort_multipart_upload()
        .bucket(BUCKET)
        .key("parts")
        .upload_id(id)
        .send()
        .await
        .unwrap();
}

/// What Amazon S3 and this store write for a value that is not ASCII.
pub fn decode_2047(value: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    if !value.starts_with("=?UTF-8?B?") {
        return value.to_owned();
    }
    let bytes: Vec<u8> = value
        .split(' ')
        .flat_map(|word| {
            let text = word
                .strip_prefix("=?UTF-8?B?")
                .unwrap()
                .strip_suffix("?=")
                .unwrap();
            BASE64.decode(text).unwrap()
        })
        .collect();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn metadata_has_a_limit() {
    let store = Running::start().await;
    let client = store.client();
    let put = |bytes: usize| {
        let value = "v".repeat(bytes - 4);
        client
            .put_object()
            .bucket(BUCKET)
            .key("k")
            .metadata("name", value)
    };
    assert!(put(2048).send().await.is_ok());
    let error = put(2049).send().await.unwrap_err();
    assert_eq!(error.code_text(), "MetadataTooLarge");
    let create = client.create_multipart_upload().bucket(BUCKET).key("k");
    let error = create
        .metadata("name", "v".repeat(2048))
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "MetadataTooLarge");
}
