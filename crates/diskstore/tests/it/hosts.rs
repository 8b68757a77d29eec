//! Buckets in the host's name and in the path.

use crate::harness::*;
use crate::presigned::{hour, send_to};

const NAME: &str = "store.example";

#[tokio::test]
async fn a_url_of_either_style_works() {
    let store = Running::start_with(|settings| settings.hosts = vec![NAME.to_owned()]).await;
    let path = store.client();
    let host = store.virtual_host_client(NAME);
    for (n, (client, style)) in [(&path, "path"), (&host, "host")].into_iter().enumerate() {
        let key = format!("o/{style} ä+");
        let body = noise(n as u64, 1000);
        let put = client
            .put_object()
            .bucket(BUCKET)
            .key(&key)
            .content_length(1000);
        let put = put.presigned(hour()).await.unwrap();
        assert_eq!(
            put.uri().starts_with(&format!("http://{BUCKET}.{NAME}:")),
            style == "host",
            "{}",
            put.uri()
        );
        let length = [("content-length", "1000".to_owned())];
        let answer = send_to(store.address(), "PUT", put.uri(), &length, &body).await;
        assert_eq!(answer.status, 200, "{style}: {}", answer.code());
        // It is the same object by whichever style it is asked for.
        for reader in [&path, &host] {
            let get = reader.get_object().bucket(BUCKET).key(&key);
            let get = get.presigned(hour()).await.unwrap();
            let answer = send_to(store.address(), "GET", get.uri(), &[], b"").await;
            assert_eq!(answer.status, 200, "{style}: {}", answer.code());
            assert!(answer.body == body);
        }
    }
}

#[tokio::test]
async fn a_bucket_itself_is_asked_for_by_its_host() {
    let store = Running::start_with(|settings| settings.hosts = vec![NAME.to_owned()]).await;
    put(&store.client(), "k", b"x").await;
    let host = store.virtual_host_client(NAME);
    let head = host.head_object().bucket(BUCKET).key("k");
    let head = head.presigned(hour()).await.unwrap();
    // What was signed for the bucket's host does not hold for another.
    let answer = send_to(store.address(), "HEAD", head.uri(), &[], b"").await;
    assert_eq!(answer.status, 200);
    let elsewhere = head.uri().replace(BUCKET, "elsewhere");
    let answer = send_to(store.address(), "HEAD", &elsewhere, &[], b"").await;
    assert_eq!(answer.status, 403);
    let missing = host.get_object().bucket("missing").key("k");
    let missing = missing.presigned(hour()).await.unwrap();
    let answer = send_to(store.address(), "GET", missing.uri(), &[], b"").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (404, "NoSuchBucket")
    );
}

#[tokio::test]
async fn an_unknown_host_names_no_bucket() {
    let store = Running::start_with(|settings| settings.hosts = vec![NAME.to_owned()]).await;
    put(&store.client(), "k", b"x").await;
    let port = store.address().rsplit_once(':').unwrap().1;
    let client = client(
        &format!("http://proxy.elsewhere:{port}"),
        aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired,
    );
    let get = client.get_object().bucket(BUCKET).key("k");
    let get = get.presigned(hour()).await.unwrap();
    let answer = send_to(store.address(), "GET", get.uri(), &[], b"").await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"x"[..]));
}
