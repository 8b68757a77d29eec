//! Clients that are slow, gone or in each other's way.

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::*;
use crate::multipart::{complete, create, list, upload};
use crate::presigned::{Answer, hour, send, split};
use crate::tags::{retag, tags_of};

/// Connects and sends the head of a PUT of so many bytes, and some of them.
async fn half_a_put(store: &Running, key: &str, declared: usize, sent: &[u8]) -> TcpStream {
    let request = store
        .client()
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .content_length(declared as i64)
        .presigned(hour())
        .await
        .unwrap();
    let (host, path) = split(request.uri());
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {declared}\r\n\r\n"
    );
    let mut socket = TcpStream::connect(host).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(sent).await.unwrap();
    socket
}

#[tokio::test]
async fn a_client_that_falls_silent_is_told_and_leaves_nothing() {
    let store = Running::start_with(|s| s.body_idle = Duration::from_millis(200)).await;
    let mut socket = half_a_put(&store, "k", 2_000_000, &noise(1, 1_000_000)).await;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let answer = Answer::parse(&answer);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "RequestTimeout")
    );
    eventually("nothing is left", || store.leftovers().is_empty()).await;
}

#[tokio::test]
async fn a_client_that_disappears_leaves_nothing() {
    let store = Running::start().await;
    let socket = half_a_put(&store, "k", 2_000_000, &noise(1, 1_000_000)).await;
    eventually("its bytes arrive", || !store.leftovers().is_empty()).await;
    drop(socket);
    eventually("nothing is left", || store.leftovers().is_empty()).await;
    let listed = store.client().list_objects_v2().bucket(BUCKET).send().await;
    assert_eq!(listed.unwrap().key_count(), Some(0));
}

#[tokio::test]
async fn a_slow_writer_holds_up_nobody() {
    let store = Running::start().await;
    let client = store.client();
    let body = noise(1, 600_000);
    let mut slow = half_a_put(&store, "k", body.len(), &body[..500_000]).await;
    eventually("its bytes arrive", || !store.leftovers().is_empty()).await;
    put(&client, "k", b"quick").await;
    assert_eq!(get(&client, "k").await, b"quick");
    slow.write_all(&body[500_000..]).await.unwrap();
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).await.unwrap();
    assert_eq!(Answer::parse(&answer).status, 200);
    assert!(get(&client, "k").await == body);
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_sends_first() {
    let store = Running::start().await;
    let url = format!("{}/{BUCKET}/k", store.endpoint);
    let body = noise(1, 5 << 20);
    let length = [("content-length", body.len().to_string())];
    let answer = send("PUT", &url, &length, &body).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "AccessDenied")
    );
}

#[tokio::test]
async fn too_much_is_refused() {
    let store = Running::start_with(|settings| settings.max_put_bytes = 10).await;
    let error = store
        .client()
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .body(vec![0; 11].into())
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "EntityTooLarge");
}

#[tokio::test]
async fn a_read_that_has_begun_gets_the_old_bytes() {
    let store = Running::start().await;
    let client = store.client();
    let (one, two) = (noise(1, 6 << 20), noise(2, 6 << 20));
    let old = [one.clone(), two.clone()].concat();
    let read = async || {
        client
            .get_object()
            .bucket(BUCKET)
            .key("k")
            .send()
            .await
            .unwrap()
    };
    for change in [
        "overwrite",
        "delete",
        "overwrite a single",
        "delete a single",
    ] {
        if change.ends_with("single") {
            put(&client, "k", &old).await;
        } else {
            let id = create(&client, "k").await;
            let parts = [
                upload(&client, "k", &id, 1, &one).await,
                upload(&client, "k", &id, 2, &two).await,
            ];
            complete!(client, "k", &id, &parts).send().await.unwrap();
        }
        // More than the buffers between hold, so the store is still reading.
        let reading = read().await;
        if change.starts_with("delete") {
            client
                .delete_object()
                .bucket(BUCKET)
                .key("k")
                .send()
                .await
                .unwrap();
        } else {
            put(&client, "k", b"new").await;
            assert_eq!(get(&client, "k").await, b"new");
        }
        let bytes = reading.body.collect().await.unwrap().to_vec();
        assert!(bytes == old, "{change}");
        eventually("the parts go", || store.part_files().is_empty()).await;
        eventually("the notes go", || store.leftovers().is_empty()).await;
    }
}

#[tokio::test]
async fn an_upload_whose_object_was_deleted_under_a_reader_stays_closed() {
    let store = Running::start().await;
    let client = store.client();
    let id = create(&client, "k").await;
    let body = noise(1, 12 << 20);
    let parts = [upload(&client, "k", &id, 1, &body).await];
    complete!(client, "k", &id, &parts).send().await.unwrap();
    let reading = client
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    client
        .delete_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    let error = complete!(client, "k", &id, &parts)
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "NoSuchUpload");
    let part = client
        .upload_part()
        .bucket(BUCKET)
        .key("k")
        .upload_id(&id)
        .part_number(1);
    assert_eq!(part.send().await.unwrap_err().code_text(), "NoSuchUpload");
    assert!(reading.body.collect().await.unwrap().to_vec() == body);
    eventually("the parts go", || store.part_files().is_empty()).await;
}

#[tokio::test]
async fn stopping_lets_requests_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = Running::open(settings(dir.path())).await;
    let body = noise(1, 600_000);
    let mut socket = half_a_put(&store, "k", body.len(), &body[..500_000]).await;
    eventually("its bytes arrive", || !store.leftovers().is_empty()).await;
    let endpoint = store.endpoint.clone();
    let stopping = tokio::spawn(store.stop());
    let host = endpoint.strip_prefix("http://").unwrap();
    // No new connection is taken; the running request may end.
    while TcpStream::connect(host).await.is_ok() {
        tokio::task::yield_now().await;
    }
    socket.write_all(&body[500_000..]).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    assert_eq!(Answer::parse(&answer).status, 200);
    stopping.await.unwrap();
    let store = Running::open(settings(dir.path())).await;
    assert!(get(&store.client(), "k").await == body);
}

/// A directory with a multipart object, closed; with the id of its upload.
async fn closed_with_parts(dir: &std::path::Path) -> (Vec<u8>, String) {
    let store = Running::open(settings(dir)).await;
    let client = store.client();
    let id = create(&client, "k").await;
    let body = noise(4, 100_000);
    let parts = [upload(&client, "k", &id, 1, &body).await];
    complete!(client, "k", &id, &parts).send().await.unwrap();
    drop(client);
    store.stop().await;
    (body, id)
}

#[tokio::test]
async fn a_crash_before_the_record_went_leaves_the_object() {
    let dir = tempfile::tempdir().unwrap();
    let (body, id) = closed_with_parts(dir.path()).await;
    std::fs::write(dir.path().join(format!("tmp/doom.{BUCKET}.{id}")), b"").unwrap();
    let store = Running::open(settings(dir.path())).await;
    assert!(get(&store.client(), "k").await == body);
    assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_crash_after_the_record_went_leaves_nothing() {
    for half_closed in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (_, id) = closed_with_parts(dir.path()).await;
        let bucket = dir.path().join("buckets").join(BUCKET);
        std::fs::write(dir.path().join(format!("tmp/doom.{BUCKET}.{id}")), b"").unwrap();
        std::fs::remove_file(bucket.join("objects/k=")).unwrap();
        if half_closed {
            let upload = bucket
                .join("uploads")
                .join(&id[30..])
                .join(&id)
                .join("upload");
            std::fs::remove_file(upload).unwrap();
        }
        let store = Running::open(settings(dir.path())).await;
        assert_eq!(store.part_files(), Vec::<PathBuf>::new());
        assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
    }
}

/// A directory with an object in one piece whose record was rewritten, closed;
/// with the id of the directory that its bytes went to.
async fn closed_with_tags(dir: &std::path::Path) -> (Vec<u8>, String) {
    let store = Running::open(settings(dir)).await;
    let client = store.client();
    let body = noise(5, 100_000);
    put(&client, "k", &body).await;
    retag(&client, "k", &[("a", "1")]).await;
    let part = store.part_files().remove(0);
    let id = part.parent().unwrap().file_name().unwrap();
    let id = id.to_str().unwrap().to_owned();
    drop(client);
    store.stop().await;
    (body, id)
}

#[tokio::test]
async fn a_crash_after_tags_were_published_leaves_them() {
    let dir = tempfile::tempdir().unwrap();
    let (body, id) = closed_with_tags(dir.path()).await;
    std::fs::write(dir.path().join(format!("tmp/doom.{BUCKET}.{id}")), b"").unwrap();
    let store = Running::open(settings(dir.path())).await;
    assert!(get(&store.client(), "k").await == body);
    assert_eq!(tags_of(&store.client(), "k").await.len(), 1);
    assert_eq!(store.part_files().len(), 1);
    assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_crash_before_tags_were_published_leaves_the_object_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (body, id) = closed_with_tags(dir.path()).await;
    let bucket = dir.path().join("buckets").join(BUCKET);
    // The bytes have their second name, and the old record still its own.
    let part = bucket
        .join("uploads")
        .join(&id[30..])
        .join(&id)
        .join("00001");
    std::fs::remove_file(bucket.join("objects/k=")).unwrap();
    std::fs::hard_link(&part, bucket.join("objects/k=")).unwrap();
    std::fs::write(dir.path().join(format!("tmp/doom.{BUCKET}.{id}")), b"").unwrap();
    let store = Running::open(settings(dir.path())).await;
    assert!(get(&store.client(), "k").await == body);
    assert_eq!(tags_of(&store.client(), "k").await.len(), 0);
    assert_eq!(store.part_files(), Vec::<PathBuf>::new());
    assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
    // And can be tagged.
    retag(&store.client(), "k", &[("b", "2")]).await;
    assert!(get(&store.client(), "k").await == body);
}

#[tokio::test]
async fn tags_change_under_a_reader_without_disturbing_it() {
    let store = Running::start().await;
    let client = store.client();
    let body = noise(6, 12 << 20);
    put(&client, "k", &body).await;
    for tags in [&[("a", "1")][..], &[("b", "2")], &[]] {
        let reading = client
            .get_object()
            .bucket(BUCKET)
            .key("k")
            .send()
            .await
            .unwrap();
        retag(&client, "k", tags).await;
        assert!(reading.body.collect().await.unwrap().to_vec() == body);
    }
    let reading = client
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    put(&client, "k", b"new").await;
    assert!(reading.body.collect().await.unwrap().to_vec() == body);
    eventually("the old bytes go", || store.part_files().is_empty()).await;
    eventually("the notes go", || store.leftovers().is_empty()).await;
}

#[tokio::test]
async fn what_was_being_written_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let (body, _) = closed_with_parts(dir.path()).await;
    let tmp = dir.path().join("tmp");
    std::fs::write(tmp.join("0123456789abcdef0123456789abcdef"), b"half").unwrap();
    std::fs::create_dir(tmp.join("fedcba9876543210fedcba9876543210")).unwrap();
    std::fs::write(tmp.join("fedcba9876543210fedcba9876543210/upload"), b"half").unwrap();
    let store = Running::open(settings(dir.path())).await;
    assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 0);
    assert!(get(&store.client(), "k").await == body);
}
