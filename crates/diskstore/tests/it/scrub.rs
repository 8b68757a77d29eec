//! Reading all of the store, while it is used and across processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_s3::Client;

use crate::damage::scrub;
use crate::harness::*;
use crate::multipart::{complete, create, list, upload};

#[tokio::test]
async fn what_nobody_needs_is_removed() {
    let store = Running::start().await;
    let client = store.client();
    let id = create(&client, "k").await;
    let part = upload(&client, "k", &id, 1, b"x").await;
    complete!(client, "k", &id, &[part]).send().await.unwrap();
    // As a crash can leave it: a part that Complete left out, and the entry of the upload.
    let kept = store.part_files().remove(0);
    std::fs::copy(&kept, kept.with_file_name("00002")).unwrap();
    let entry = store
        .root()
        .join(format!("buckets/{BUCKET}/pending/k={id}"));
    std::fs::write(&entry, b"").unwrap();
    let found = scrub(&store).await;
    assert_eq!((found.leftovers, found.damaged, found.failed), (1, 0, 0));
    assert_eq!(store.part_files(), [kept]);
    assert!(!entry.exists());
    assert_eq!(get(&client, "k").await, b"x");
}

#[tokio::test]
async fn a_scrub_goes_on_where_it_was_left() {
    let dir = tempfile::tempdir().unwrap();
    let store = Running::open(settings(dir.path())).await;
    let client = store.client();
    let body = noise(1, 1 << 20);
    for n in 0..300 {
        put(&client, &format!("k{n:03}"), &body).await;
    }
    assert_eq!(store.store.last_scrub(), None);
    let mut pass = store.store.scrub_pass(7);
    // More than what is read before it is noted where the pass is.
    assert!(!pass.step(257 << 20).await.done);
    let before = pass.state().clone();
    assert!(before.examined > 200 && !before.done);
    drop((pass, client));
    store.stop().await;
    let store = Running::open(settings(dir.path())).await;
    let mut pass = store.store.scrub_pass(8);
    assert_eq!(*pass.state(), before);
    while !pass.step(64 << 20).await.done {}
    let after = pass.state();
    assert_eq!((after.begun_us, after.examined, after.damaged), (7, 300, 0));
    assert!(after.bytes >= 300 << 20);
    assert_eq!(store.store.last_scrub().as_ref(), Some(after));
    assert_eq!(store.store.scrub_pass(9).state().begun_us, 9);
}

/// Writes until it is told to stop: objects of changing sizes, tags, parts that replace each other, uploads that end.
async fn keep_writing(client: Client, done: Arc<AtomicBool>) {
    let mut n = 0;
    while !done.load(Ordering::Relaxed) {
        n += 1;
        let key = format!("k{}", n % 3);
        put(&client, &key, &noise(n, (n as usize * 7919) % 200_000)).await;
        let tags = client.put_object_tagging().bucket(BUCKET).key(&key);
        let tag = aws_sdk_s3::types::Tag::builder()
            .key("n")
            .value(n.to_string());
        let set = aws_sdk_s3::types::Tagging::builder().tag_set(tag.build().unwrap());
        tags.tagging(set.build().unwrap()).send().await.unwrap();
        let id = create(&client, "parts").await;
        for size in [100, 70_000, 3] {
            upload(&client, "parts", &id, 1, &noise(n, size)).await;
        }
        let part = upload(&client, "parts", &id, 2, &noise(n, 80_000)).await;
        complete!(client, "parts", &id, &[part])
            .send()
            .await
            .unwrap();
        if n % 5 == 0 {
            let delete = client.delete_object().bucket(BUCKET).key("parts");
            delete.send().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrub_blames_nobody_who_writes_meanwhile() {
    let store = Running::start().await;
    let done = Arc::default();
    let writing = tokio::spawn(keep_writing(store.client(), Arc::clone(&done)));
    for _ in 0..40 {
        let found = scrub(&store).await;
        assert_eq!((found.damaged, found.failed), (0, 0), "{found:?}");
    }
    done.store(true, Ordering::Relaxed);
    writing.await.unwrap();
    assert!(scrub(&store).await.examined >= 3);
}
