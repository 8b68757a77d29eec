//! Presigned URLs to read and remove objects, and headers in the query of one.

use crate::harness::*;
use crate::presigned::{hour, send};

/// A presigned request for each way to look at or remove an object.
async fn of_object(store: &Running, method: &str, key: &str) -> String {
    let client = store.client();
    let request = match method {
        "GET" => {
            client
                .get_object()
                .bucket(BUCKET)
                .key(key)
                .presigned(hour())
                .await
        }
        "HEAD" => {
            let request = client.head_object().bucket(BUCKET).key(key);
            return request.presigned(hour()).await.unwrap().uri().to_owned();
        }
        _ => {
            let request = client.delete_object().bucket(BUCKET).key(key);
            return request.presigned(hour()).await.unwrap().uri().to_owned();
        }
    };
    request.unwrap().uri().to_owned()
}

#[tokio::test]
async fn get_head_and_delete_are_bound_to_their_object_and_method() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "k", b"body").await;
    put(&client, "other", b"other").await;
    let methods = ["GET", "HEAD", "DELETE"];
    for signed in methods {
        let url = of_object(&store, signed, "k").await;
        for method in methods.into_iter().chain(["PUT", "POST"]) {
            if method != signed {
                let answer = send(method, &url, &[("content-length", "0".to_owned())], b"").await;
                assert_eq!(answer.status, 403, "{method} with a URL for {signed}");
            }
        }
        for wrong in [
            url.replace("/k?", "/other?"),
            url.replace(&format!("/{BUCKET}/"), "/another/"),
            url.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200"),
            format!("{url}&versionId=null"),
            format!("{url}&tagging="),
            format!("{url}&acl="),
            format!("{url}&uploadId=0"),
            format!("{url}&partNumber=1"),
            format!("{url}&response-content-type=text%2Fhtml"),
            format!("{url}&x-amz-checksum-mode=ENABLED"),
        ] {
            let answer = send(signed, &wrong, &[], b"").await;
            assert_eq!(answer.status, 403, "{signed} {wrong}");
        }
        let added = [("x-amz-checksum-mode", "ENABLED".to_owned())];
        assert_eq!(send(signed, &url, &added, b"").await.status, 403);
    }
    let answer = send("GET", &of_object(&store, "GET", "k").await, &[], b"").await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"body"[..]));
    let answer = send("HEAD", &of_object(&store, "HEAD", "k").await, &[], b"").await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.to_lowercase().contains("content-length: 4") && answer.body.is_empty());
    let url = of_object(&store, "DELETE", "k").await;
    for _ in 0..2 {
        assert_eq!(send("DELETE", &url, &[], b"").await.status, 204);
    }
    let answer = send("GET", &of_object(&store, "GET", "k").await, &[], b"").await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "NoSuchKey"));
    assert_eq!(get(&client, "other").await, b"other");
}

#[tokio::test]
async fn what_is_signed_along_is_what_counts() {
    let store = Running::start().await;
    let client = store.client();
    let etag = put(&client, "k", b"body").await;
    let get = || client.get_object().bucket(BUCKET).key("k");
    let named = get()
        .response_content_type("text/plain")
        .response_content_disposition("attachment; filename=\"a b\"")
        .presigned(hour())
        .await
        .unwrap();
    let answer = send("GET", named.uri(), &[], b"").await;
    let head = answer.head.to_lowercase();
    assert!(head.contains("content-type: text/plain"), "{head}");
    assert!(
        head.contains("content-disposition: attachment; filename=\"a b\""),
        "{head}"
    );

    let pinned = get().if_match(&etag).presigned(hour()).await.unwrap();
    let with = [("if-match", etag.clone())];
    assert_eq!(send("GET", pinned.uri(), &with, b"").await.status, 200);
    for without in [vec![], vec![("if-match", "\"other\"".to_owned())]] {
        assert_eq!(send("GET", pinned.uri(), &without, b"").await.status, 403);
    }
    let part = get().range("bytes=1-2").presigned(hour()).await.unwrap();
    let with = [("range", "bytes=1-2".to_owned())];
    let answer = send("GET", part.uri(), &with, b"").await;
    assert_eq!((answer.status, answer.body.as_slice()), (206, &b"od"[..]));
    let more = [("range", "bytes=0-3".to_owned())];
    assert_eq!(send("GET", part.uri(), &more, b"").await.status, 403);
}

/// A presigned PUT of three bytes with these parameters in its query.
async fn with_query(store: &Running, more: &[(&str, &str)]) -> String {
    let more: String = more.iter().map(|(k, v)| format!("&{k}={v}")).collect();
    let request = store
        .client()
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .content_length(3)
        .customize()
        .mutate_request(move |request| {
            let uri = format!("{}{more}", request.uri());
            request.set_uri(uri).unwrap();
        })
        .presigned(hour())
        .await
        .unwrap();
    request.uri().to_owned()
}

#[tokio::test]
async fn headers_in_the_query_count_like_headers() {
    let store = Running::start().await;
    let client = store.client();
    let length = [("content-length", "3".to_owned())];
    let url = with_query(
        &store,
        &[
            ("x-amz-tagging", "a%3D1%26b%3D2"),
            ("x-amz-meta-note", "a%20b"),
            ("x-amz-acl", "private"),
            ("x-amz-storage-class", "STANDARD"),
        ],
    )
    .await;
    assert_eq!(send("PUT", &url, &length, b"abc").await.status, 200);
    let head = client
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(head.tag_count(), Some(2));
    assert_eq!(head.metadata().unwrap()["note"], "a b");
    for (name, value) in [
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-acl", "public-read"),
        ("X-Amz-Storage-Class", "GLACIER"),
    ] {
        let url = with_query(&store, &[(name, value)]).await;
        let answer = send("PUT", &url, &length, b"abc").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (501, "NotImplemented"),
            "{name}"
        );
    }
    // Not even a header that says something else can be added.
    let url = with_query(&store, &[("x-amz-tagging", "a%3D1")]).await;
    let twice = [length[0].clone(), ("x-amz-tagging", "c=3".to_owned())];
    let answer = send("PUT", &url, &twice, b"abc").await;
    assert!((400..=403).contains(&answer.status), "{}", answer.status);
    // A hash of the body that stands there holds.
    let url = with_query(&store, &[("X-Amz-Content-Sha256", &"0".repeat(64))]).await;
    assert!(send("PUT", &url, &length, b"abc").await.status >= 400);
}
