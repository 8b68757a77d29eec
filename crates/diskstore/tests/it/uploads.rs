//! ListMultipartUploads.

use std::collections::BTreeSet;
use std::path::PathBuf;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{ChecksumAlgorithm, EncodingType};

use crate::harness::*;
use crate::multipart::{complete, create, list, upload};

/// Keys with upload ids, and common prefixes with none, page by page.
async fn uploads(
    client: &Client,
    prefix: &str,
    delimiter: &str,
    page: i32,
) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let (mut key_marker, mut id_marker) = (None, None);
    loop {
        let output = client
            .list_multipart_uploads()
            .bucket(BUCKET)
            .prefix(prefix)
            .set_delimiter((!delimiter.is_empty()).then(|| delimiter.to_owned()))
            .max_uploads(page)
            .set_key_marker(key_marker)
            .set_upload_id_marker(id_marker)
            .send()
            .await
            .unwrap();
        let mut on_page: Vec<(String, String)> = output
            .uploads()
            .iter()
            .map(|u| {
                (
                    u.key().unwrap().to_owned(),
                    u.upload_id().unwrap().to_owned(),
                )
            })
            .collect();
        on_page.extend(
            output
                .common_prefixes()
                .iter()
                .map(|p| (p.prefix().unwrap().to_owned(), String::new())),
        );
        on_page.sort();
        assert!(on_page.len() <= page as usize);
        found.extend(on_page);
        if output.is_truncated() != Some(true) {
            assert_eq!(output.next_key_marker(), None);
            return found;
        }
        key_marker = output.next_key_marker;
        id_marker = output.next_upload_id_marker;
        assert!(key_marker.is_some());
    }
}

#[tokio::test]
async fn open_uploads_are_listed_in_pages() {
    let store = Running::start().await;
    let client = store.client();
    let mut expected = BTreeSet::new();
    for key in ["a", "a/b", "a/c/d", "b", "b", "b", "b/", "c/ä", "z"] {
        expected.insert((key.to_owned(), create(&client, key).await));
    }
    let expected: Vec<(String, String)> = expected.into_iter().collect();
    for page in [1, 2, 3, 1000] {
        assert_eq!(
            uploads(&client, "", "", page).await,
            expected,
            "{page} a page"
        );
        let below: Vec<_> = expected
            .iter()
            .filter(|(key, _)| key.starts_with("b"))
            .cloned()
            .collect();
        assert_eq!(uploads(&client, "b", "", page).await, below);
        let rolled = uploads(&client, "", "/", page).await;
        let keys: Vec<&str> = rolled.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(
            keys,
            ["a", "a/", "b", "b", "b", "b/", "c/", "z"],
            "{page} a page"
        );
    }
    // Those of one key in the order in which they began.
    let of_b: Vec<String> = expected
        .iter()
        .filter(|(key, _)| key == "b")
        .map(|(_, id)| id.clone())
        .collect();
    let listed = uploads(&client, "b", "/", 1).await;
    assert_eq!(
        listed[..3]
            .iter()
            .map(|(_, id)| id.clone())
            .collect::<Vec<_>>(),
        of_b
    );
}

#[tokio::test]
async fn an_uploads_entry_tells_what_it_is() {
    let store = Running::start().await;
    let client = store.client();
    let created = client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("ä b")
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .send()
        .await
        .unwrap();
    let output = client
        .list_multipart_uploads()
        .bucket(BUCKET)
        .encoding_type(EncodingType::Url);
    let output = output.send().await.unwrap();
    let upload = &output.uploads()[0];
    assert_eq!(upload.key(), Some("%C3%A4%20b"));
    assert_eq!(upload.upload_id(), created.upload_id());
    assert_eq!(
        upload.checksum_algorithm(),
        Some(&ChecksumAlgorithm::Sha256)
    );
    assert_eq!(upload.checksum_type().unwrap().as_str(), "COMPOSITE");
    assert_eq!(upload.storage_class().unwrap().as_str(), "STANDARD");
    assert!(upload.initiated().is_some() && upload.owner().is_some());
    let none = client
        .list_multipart_uploads()
        .bucket(BUCKET)
        .max_uploads(0)
        .send()
        .await
        .unwrap();
    assert!(none.uploads().is_empty());
    assert_eq!(none.is_truncated(), Some(false));
    let wrong = client
        .list_multipart_uploads()
        .bucket(BUCKET)
        .max_uploads(-1)
        .send()
        .await;
    assert_eq!(wrong.unwrap_err().code_text(), "InvalidArgument");
}

#[tokio::test]
async fn ended_uploads_are_not_listed() {
    let store = Running::start().await;
    let client = store.client();
    let (done, aborted, open) = (
        create(&client, "a/done").await,
        create(&client, "a/aborted").await,
        create(&client, "b/open").await,
    );
    let parts = [upload(&client, "a/done", &done, 1, b"x").await];
    complete!(client, "a/done", &done, &parts)
        .send()
        .await
        .unwrap();
    client
        .abort_multipart_upload()
        .bucket(BUCKET)
        .key("a/aborted")
        .upload_id(aborted)
        .send()
        .await
        .unwrap();
    let expected = vec![("b/open".to_owned(), open)];
    assert_eq!(uploads(&client, "", "", 1000).await, expected);
    // Their directory was empty, and the listing has removed it.
    assert_eq!(pending_entries(&store), ["b"]);
}

fn pending_entries(store: &Running) -> Vec<String> {
    let dir = store.root().join("buckets").join(BUCKET).join("pending");
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn entries_that_a_crash_left_are_seen_for_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let store = Running::open(settings(dir.path())).await;
    let client = store.client();
    let id = create(&client, "done").await;
    let open = create(&client, "open").await;
    let parts = [upload(&client, "done", &id, 1, b"x").await];
    complete!(client, "done", &id, &parts).send().await.unwrap();
    store.stop().await;
    // As if Complete had been cut off at its end, and a Create in its middle.
    let pending = dir.path().join("buckets").join(BUCKET).join("pending");
    std::fs::write(pending.join(format!("done={id}")), b"").unwrap();
    std::fs::write(pending.join(format!("never={}", "0".repeat(32))), b"").unwrap();
    let store = Running::open(settings(dir.path())).await;
    let client = store.client();
    assert_eq!(
        uploads(&client, "", "", 1000).await,
        [("open".to_owned(), open.clone())]
    );
    assert_eq!(pending_entries(&store), [format!("open={open}")]);
    assert_eq!(get(&client, "done").await, b"x");
    assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_upload_that_begins_under_a_listing_stays_listed() {
    let store = Running::start().await;
    let lister = store.client();
    let listing = tokio::spawn(async move {
        loop {
            uploads(&lister, "", "", 1000).await;
        }
    });
    let mut expected = BTreeSet::new();
    for n in 0..60 {
        let client = store.client();
        let key = format!("k/{n}");
        expected.insert((key.clone(), create(&client, &key).await));
    }
    listing.abort();
    let found = uploads(&store.client(), "", "", 1000).await;
    assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
}
