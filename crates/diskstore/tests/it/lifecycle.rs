//! What becomes of objects and uploads with time, which is handed in.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus,
    LifecycleExpiration, LifecycleRule, LifecycleRuleAndOperator, LifecycleRuleFilter, Tag,
    Transition,
};
use safelight_diskstore::LifecycleStep;

use crate::harness::*;
use crate::multipart::{complete, create, list, upload};

const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

fn rule(prefix: &str) -> aws_sdk_s3::types::builders::LifecycleRuleBuilder {
    LifecycleRule::builder()
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix(prefix).build())
}

fn after(days: i32) -> LifecycleExpiration {
    LifecycleExpiration::builder().days(days).build()
}

async fn configure(client: &Client, rules: Vec<LifecycleRule>) -> Result<(), String> {
    let config = BucketLifecycleConfiguration::builder().set_rules(Some(rules));
    let put = client
        .put_bucket_lifecycle_configuration()
        .bucket(BUCKET)
        .lifecycle_configuration(config.build().unwrap());
    put.send()
        .await
        .map(drop)
        .map_err(|error| error.code_text())
}

/// When the object was written, by the store's clock, rounded down.
async fn written_us(client: &Client, key: &str) -> i64 {
    let head = client.head_object().bucket(BUCKET).key(key);
    head.send().await.unwrap().last_modified().unwrap().secs() * 1_000_000
}

/// A whole pass in steps of one, and what it did.
async fn pass(store: &Running, at_us: i64) -> LifecycleStep {
    let mut pass = store.store.lifecycle_pass(at_us);
    let mut sum = LifecycleStep::default();
    while !sum.done {
        let step = pass.step(1).await;
        assert!(step.examined <= 1);
        sum.examined += step.examined;
        sum.expired += step.expired;
        sum.aborted += step.aborted;
        sum.failed += step.failed;
        sum.done = step.done;
    }
    assert_eq!(sum.failed, 0);
    sum
}

async fn keys(client: &Client) -> Vec<String> {
    let listed = client
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    listed
        .contents()
        .iter()
        .filter_map(|object| object.key().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn objects_go_when_their_days_are_over() {
    let store = Running::start().await;
    let client = store.client();
    for key in ["tmp/a", "tmp/b/c", "keep/a"] {
        put(&client, key, b"body").await;
    }
    let id = create(&client, "tmp/multi").await;
    let parts = [upload(&client, "tmp/multi", &id, 1, &noise(1, 100_000)).await];
    complete!(client, "tmp/multi", &id, &parts)
        .send()
        .await
        .unwrap();
    let rules = vec![rule("tmp/").expiration(after(3)).build().unwrap()];
    configure(&client, rules).await.unwrap();
    let written_us = written_us(&client, "tmp/a").await;
    let early = pass(&store, written_us + 3 * DAY_US - 1).await;
    assert_eq!((early.expired, early.examined), (0, 3));
    assert_eq!(keys(&client).await.len(), 4);
    // Days are counted to the next midnight.
    let late = pass(&store, written_us + 4 * DAY_US + DAY_US / 2).await;
    assert_eq!((late.expired, late.examined), (3, 3));
    assert_eq!(keys(&client).await, ["keep/a"]);
    eventually("the parts go", || store.part_files().is_empty()).await;
}

#[tokio::test]
async fn only_objects_with_the_rule_s_tag_go() {
    let store = Running::start().await;
    let client = store.client();
    for (key, tags) in [("a", ""), ("b", "keep=no&x=y"), ("c", "keep=yes")] {
        let put = client.put_object().bucket(BUCKET).key(key).tagging(tags);
        put.send().await.unwrap();
    }
    let tag = Tag::builder().key("keep").value("no").build().unwrap();
    let filter = LifecycleRuleFilter::builder().tag(tag).build();
    let tagged = rule("").filter(filter).expiration(after(1));
    configure(&client, vec![tagged.build().unwrap()])
        .await
        .unwrap();
    let written_us = written_us(&client, "a").await;
    assert_eq!(pass(&store, written_us + 3 * DAY_US).await.expired, 1);
    assert_eq!(keys(&client).await, ["a", "c"]);
}

#[tokio::test]
async fn open_uploads_go_when_their_days_are_over() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "clock", b"x").await;
    let old = create(&client, "up/old").await;
    upload(&client, "up/old", &old, 1, b"part").await;
    let other = create(&client, "other").await;
    let done = create(&client, "up/done").await;
    let parts = [upload(&client, "up/done", &done, 1, b"part").await];
    complete!(client, "up/done", &done, &parts)
        .send()
        .await
        .unwrap();
    let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(7);
    let abort = rule("up/").abort_incomplete_multipart_upload(abort.build());
    configure(&client, vec![abort.build().unwrap()])
        .await
        .unwrap();
    let begun_us = written_us(&client, "clock").await;
    assert_eq!(pass(&store, begun_us + 7 * DAY_US - 1).await.aborted, 0);
    assert_eq!(pass(&store, begun_us + 9 * DAY_US).await.aborted, 1);
    let gone = client
        .list_parts()
        .bucket(BUCKET)
        .key("up/old")
        .upload_id(old);
    assert_eq!(gone.send().await.unwrap_err().code_text(), "NoSuchUpload");
    let stays = client
        .list_parts()
        .bucket(BUCKET)
        .key("other")
        .upload_id(other);
    assert_eq!(stays.send().await.unwrap().parts().len(), 0);
    assert_eq!(get(&client, "up/done").await, b"part");
}

#[tokio::test]
async fn what_is_written_meanwhile_stays() {
    let store = Running::start().await;
    let client = store.client();
    for key in ["a", "b", "c"] {
        put(&client, key, b"old").await;
    }
    let date = LifecycleExpiration::builder().date(DateTime::from_secs(0));
    let rules = vec![rule("").expiration(date.build()).build().unwrap()];
    configure(&client, rules).await.unwrap();
    // The rule is true of whatever there is. A pass that began before a write
    // may not take what was written, though, also if it is the same bytes.
    let writers: Vec<_> = (0..4_u64)
        .map(|writer| {
            let client = client.clone();
            tokio::spawn(async move {
                for round in 0..25_u64 {
                    let key = ["a", "b", "c"][(round % 3) as usize];
                    let body = if round % 2 == 0 {
                        vec![7]
                    } else {
                        vec![writer as u8; 9]
                    };
                    put(&client, key, &body).await;
                }
            })
        })
        .collect();
    let mut expired = 0;
    while !writers.iter().all(|writer| writer.is_finished()) {
        expired += pass(&store, 1).await.expired;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(expired > 0, "the pass had nothing to do");
    // Between passes nothing goes.
    put(&client, "a", b"new").await;
    assert_eq!(get(&client, "a").await, b"new");
    pass(&store, 1).await;
    assert_eq!(keys(&client).await, Vec::<String>::new());
}

#[tokio::test]
async fn rules_choose_by_size_and_can_be_taken_back() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "small", &[0; 10]).await;
    put(&client, "large", &[0; 1000]).await;
    let filter = LifecycleRuleFilter::builder().object_size_greater_than(100);
    let large = rule("").filter(filter.build()).expiration(after(1));
    let tag = Tag::builder().key("a").value("b").build().unwrap();
    let and = LifecycleRuleAndOperator::builder().prefix("").tags(tag);
    let filter = LifecycleRuleFilter::builder().and(and.build());
    let tagged = rule("").filter(filter.build()).expiration(after(1));
    let rules = vec![large.build().unwrap(), tagged.build().unwrap()];
    configure(&client, rules).await.unwrap();
    let late = written_us(&client, "small").await + 9 * DAY_US;
    let mut begun = store.store.lifecycle_pass(late);
    let get = client.get_bucket_lifecycle_configuration().bucket(BUCKET);
    assert_eq!(get.clone().send().await.unwrap().rules().len(), 2);
    client
        .delete_bucket_lifecycle()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    let error = get.send().await.unwrap_err();
    assert_eq!(error.code_text(), "NoSuchLifecycleConfiguration");
    // Not even a pass that has begun goes by rules that are gone.
    let step = begun.step(1000).await;
    assert_eq!((step.expired, step.done), (0, true));
    let large = rule("").filter(
        LifecycleRuleFilter::builder()
            .object_size_greater_than(100)
            .build(),
    );
    let large = large.expiration(after(1)).build().unwrap();
    configure(&client, vec![large]).await.unwrap();
    assert_eq!(pass(&store, late).await.expired, 1);
    assert_eq!(keys(&client).await, ["small"]);
}

#[tokio::test]
async fn rules_last_and_what_is_missing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = Running::open(settings(dir.path())).await;
    let client = store.client();
    let kept = rule("tmp/").id("one").expiration(after(3)).build().unwrap();
    configure(&client, vec![kept.clone()]).await.unwrap();
    let transition = rule("")
        .expiration(after(1))
        .transitions(Transition::builder().days(1).build());
    assert_eq!(
        configure(&client, vec![transition.build().unwrap()]).await,
        Err("NotImplemented".to_owned())
    );
    assert_eq!(
        configure(
            &client,
            vec![rule("").expiration(after(0)).build().unwrap()]
        )
        .await,
        Err("InvalidArgument".to_owned())
    );
    drop(client);
    store.stop().await;
    let store = Running::open(settings(dir.path())).await;
    let client = store.client();
    let get = client.get_bucket_lifecycle_configuration().bucket(BUCKET);
    assert_eq!(get.send().await.unwrap().rules(), [kept]);
}
