//! ListObjectsV2 and its predecessor against a model.

use std::collections::BTreeSet;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{CommonPrefix, EncodingType, Object};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::harness::*;

/// Keys and common prefixes in the order of their bytes, a page at a time.
async fn list(
    client: &Client,
    prefix: &str,
    delimiter: &str,
    start_after: &str,
    page: i32,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut token = None;
    loop {
        let output = client
            .list_objects_v2()
            .bucket(BUCKET)
            .prefix(prefix)
            .set_delimiter((!delimiter.is_empty()).then(|| delimiter.to_owned()))
            .start_after(start_after)
            .max_keys(page)
            .encoding_type(EncodingType::Url)
            .set_continuation_token(token)
            .send()
            .await
            .unwrap();
        let on_page = on_page(output.contents(), output.common_prefixes());
        assert!(on_page.len() <= page as usize);
        assert_eq!(output.key_count(), Some(on_page.len() as i32));
        found.extend(on_page);
        token = output.next_continuation_token().map(str::to_owned);
        assert_eq!(output.is_truncated(), Some(token.is_some()));
        if token.is_none() {
            return found;
        }
    }
}

/// The keys and common prefixes of a page, in order.
fn on_page(objects: &[Object], common: &[CommonPrefix]) -> Vec<String> {
    let keys = objects.iter().map(|o| decode(o.key().unwrap()));
    let prefixes = common.iter().map(|p| decode(p.prefix().unwrap()));
    let mut names: Vec<String> = keys.chain(prefixes).collect();
    names.sort();
    names
}

/// The same by the first version, from a marker on.
async fn list_v1(
    client: &Client,
    prefix: &str,
    delimiter: &str,
    marker: &str,
    page: i32,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut marker = marker.to_owned();
    loop {
        let output = client
            .list_objects()
            .bucket(BUCKET)
            .prefix(prefix)
            .set_delimiter((!delimiter.is_empty()).then(|| delimiter.to_owned()))
            .marker(&marker)
            .max_keys(page)
            .encoding_type(EncodingType::Url)
            .send()
            .await
            .unwrap();
        assert_eq!(output.marker().map(decode), Some(marker));
        let on_page = on_page(output.contents(), output.common_prefixes());
        assert!(on_page.len() <= page as usize);
        found.extend(on_page);
        let truncated = output.is_truncated() == Some(true);
        assert_eq!(
            output.next_marker().is_some(),
            truncated && !delimiter.is_empty()
        );
        if !truncated {
            return found;
        }
        // Without a delimiter clients go on from the last key.
        marker = match output.next_marker() {
            Some(next) => decode(next),
            None => found.last().unwrap().clone(),
        };
    }
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .unwrap()
        .into_owned()
}

/// What is listed of these keys, from all keys after one on.
pub fn model(
    keys: &BTreeSet<String>,
    prefix: &str,
    delimiter: &str,
    start_after: &str,
) -> Vec<String> {
    let mut found = BTreeSet::new();
    for key in keys {
        if !key.starts_with(prefix) || key.as_str() <= start_after {
            continue;
        }
        let cut = (!delimiter.is_empty())
            .then(|| key[prefix.len()..].find(delimiter))
            .flatten();
        found.insert(match cut {
            Some(at) => key[..prefix.len() + at + delimiter.len()].to_owned(),
            None => key.clone(),
        });
    }
    found.into_iter().collect()
}

fn key() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => Just("/".to_owned()),
        3 => Just("a".to_owned()),
        1 => Just("b-".to_owned()),
        1 => Just("!".to_owned()),
        1 => Just("Z".to_owned()),
        1 => Just("é".to_owned()),
        1 => Just("x".repeat(63)),
    ];
    prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

#[test]
fn listing_agrees_with_a_sorted_set() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let strategy = (
        prop::collection::btree_set(key(), 1..25),
        key(),
        0_usize..4,
        prop_oneof![Just(""), Just("/"), Just("a/"), Just("é")],
        prop_oneof![Just(String::new()), key()],
        1_i32..6,
    );
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&strategy, |(keys, prefix, cut, delimiter, after, page)| {
            runtime.block_on(async {
                let store = Running::start().await;
                let client = store.client();
                for key in &keys {
                    put(&client, key, b"").await;
                }
                let prefix: String = prefix.chars().take(cut).collect();
                let found = list(&client, &prefix, delimiter, &after, page).await;
                prop_assert_eq!(found, model(&keys, &prefix, delimiter, &after));
                // Here the marker counts among keys and common prefixes alike.
                let mut expected = model(&keys, &prefix, delimiter, "");
                expected.retain(|name| *name > after);
                let found = list_v1(&client, &prefix, delimiter, &after, page).await;
                prop_assert_eq!(found, expected);
                Ok(())
            })
        })
        .unwrap();
}

#[tokio::test]
async fn owners_are_listed_on_demand() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "a", b"1").await;
    let first = client.list_objects().bucket(BUCKET).send().await.unwrap();
    let owner = first.contents()[0].owner().unwrap();
    assert!(owner.id().is_some() && owner.display_name().is_some());
    let second = client.list_objects_v2().bucket(BUCKET);
    let plain = second.clone().send().await.unwrap();
    assert_eq!(plain.contents()[0].owner(), None);
    let owned = second.fetch_owner(true).send().await.unwrap();
    assert_eq!(owned.contents()[0].owner(), Some(owner));
    let wrong = client
        .list_objects()
        .bucket(BUCKET)
        .encoding_type("else".into());
    assert_eq!(
        wrong.send().await.unwrap_err().code_text(),
        "InvalidArgument"
    );
}

#[tokio::test]
async fn a_page_may_be_empty_and_a_token_must_be_ours() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "a", b"12").await;
    let none = client
        .list_objects_v2()
        .bucket(BUCKET)
        .max_keys(0)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (none.key_count(), none.is_truncated()),
        (Some(0), Some(false))
    );
    let error = client
        .list_objects_v2()
        .bucket(BUCKET)
        .continuation_token("nonsense")
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "InvalidArgument");
    let listed = client
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    let object = &listed.contents()[0];
    assert_eq!((object.key(), object.size()), (Some("a"), Some(2)));
    assert!(object.e_tag().is_some() && object.last_modified().is_some());
}
