//! Keys of any form.

use std::collections::BTreeMap;
use std::path::Path;

use aws_sdk_s3::types::EncodingType;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::harness::*;

fn zoo() -> Vec<String> {
    let mut keys: Vec<String> = [
        "a",
        "a/b",
        "a/",
        "a//b",
        "/",
        "//",
        "///",
        "/a",
        ".",
        "..",
        "../..",
        "../../etc/passwd",
        "./a",
        "a/./b",
        "a/../b",
        "%",
        "%2e",
        "%2F",
        "a=",
        "a+",
        "a%",
        "A",
        "a.",
        ".a",
        " a ",
        "a b",
        "a+b",
        "a&b=c?d#e",
        "\\",
        "..\\..",
        "con",
        "~",
        "-",
        "tab\there",
        "line\nbreak",
        "\u{1}",
        "\u{7f}",
        "é",
        "e\u{301}",
        "ключ",
        "鍵",
        "🔑",
        "\u{10ffff}",
        "a\u{200b}",
        "<xml>&amp;\"'",
        "upload",
        "format",
        "tmp",
    ]
    .map(str::to_owned)
    .to_vec();
    for length in [63, 64, 65, 127, 128, 255, 256, 1024] {
        keys.push("x".repeat(length));
        keys.push("É".repeat(length / 2));
    }
    keys.push("/".repeat(1024));
    keys.push("../".repeat(341));
    keys
}

async fn round_trip(store: &Running, outside: &Path, keys: &[String]) {
    let client = store.client();
    let before = files_below(outside).len();
    let mut model = BTreeMap::new();
    for (at, key) in keys.iter().enumerate() {
        let body = format!("{at} {key}").into_bytes();
        let sent = client
            .put_object()
            .bucket(BUCKET)
            .key(key)
            .body(body.clone().into());
        let sent = sent.send().await;
        assert!(sent.is_ok(), "{key:?}: {sent:?}");
        model.insert(key.clone(), body);
    }
    for (key, body) in &model {
        assert!(get(&client, key).await == *body, "{key:?}");
    }
    let mut listed = Vec::new();
    let mut token = None;
    loop {
        let page = client
            .list_objects_v2()
            .bucket(BUCKET)
            .max_keys(7)
            .encoding_type(EncodingType::Url)
            .set_continuation_token(token)
            .send()
            .await
            .unwrap();
        for object in page.contents() {
            let key = percent_encoding::percent_decode_str(object.key().unwrap());
            listed.push(key.decode_utf8().unwrap().into_owned());
        }
        token = page.next_continuation_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(listed, model.keys().cloned().collect::<Vec<_>>());
    assert_eq!(files_below(outside).len(), before);
    for key in model.keys() {
        client
            .delete_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
        let gone = client.head_object().bucket(BUCKET).key(key).send().await;
        assert!(gone.is_err(), "{key:?}");
    }
    let objects = store.root().join("buckets").join(BUCKET).join("objects");
    assert_eq!(files_below(&objects).len(), 0);
    assert_eq!(std::fs::read_dir(objects).unwrap().count(), 0);
}

/// A store in a directory whose other contents must not change.
async fn fenced() -> (tempfile::TempDir, Running) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("outside")).unwrap();
    let store = Running::open(settings(&dir.path().join("a/b/store"))).await;
    (dir, store)
}

#[tokio::test]
async fn the_zoo_stays_in_its_cage() {
    let (dir, store) = fenced().await;
    round_trip(&store, &dir.path().join("outside"), &zoo()).await;
    let mut entries: Vec<_> = std::fs::read_dir(dir.path().join("a/b"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    entries.sort();
    assert_eq!(entries, ["store"]);
    let entries = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(entries, 2);
}

#[tokio::test]
async fn a_key_of_1025_bytes_is_too_long() {
    let store = Running::start().await;
    let error = store
        .client()
        .put_object()
        .bucket(BUCKET)
        .key("x".repeat(1025))
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "KeyTooLongError");
}

#[test]
fn odd_keys_come_back() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let piece = prop_oneof![
        Just("/".to_owned()),
        Just("..".to_owned()),
        Just(".".to_owned()),
        "[ -~]{1,3}",
        "\\PC{1,3}",
        "[a-c]{60,70}",
    ];
    let key = prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat());
    // The SDK takes a key of nothing but white space for none.
    let key = key.prop_filter("not blank", |key| !key.trim().is_empty());
    let strategy = prop::collection::btree_set(key, 1..12);
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 16,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&strategy, |keys| {
            let keys: Vec<String> = keys.into_iter().collect();
            runtime.block_on(async {
                let (dir, store) = fenced().await;
                round_trip(&store, &dir.path().join("outside"), &keys).await;
            });
            Ok(())
        })
        .unwrap();
}
