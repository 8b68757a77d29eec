//! The AWS SDK for JavaScript in Chromium. Its pages come from other origins than the store, so the browser asks
//! the store what they may do.

use aws_sdk_s3::types::{CorsConfiguration, CorsRule};
use safelight_testkit::browser::{Pages, visit};
use serde_json::json;

use crate::harness::*;
use crate::presigned::{hour, send};
use crate::signer::sha256_hex;

/// Pages of an origin that nothing else has, with the scripts that lie beside this file.
async fn open() -> Pages {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/strangers/browser");
    Pages::open(vec![scripts.into()], &[]).await.unwrap()
}

/// What the SDK reads of answers, beside an object's metadata.
const EXPOSED: [&str; 9] = [
    "ETag",
    "Location",
    "Content-Range",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-checksum-type",
];

/// Gives the bucket a rule for pages of one origin that may do anything and read these headers.
async fn allow(store: &Running, origin: &str, expose: &[&str]) {
    let mut rule = CorsRule::builder()
        .allowed_origins(origin)
        .allowed_headers("*")
        .max_age_seconds(600);
    for method in ["GET", "HEAD", "PUT", "POST", "DELETE"] {
        rule = rule.allowed_methods(method);
    }
    for header in expose {
        rule = rule.expose_headers(*header);
    }
    let rules = CorsConfiguration::builder().cors_rules(rule.build().unwrap());
    let put = store.client().put_bucket_cors().bucket(BUCKET);
    let put = put.cors_configuration(rules.build().unwrap());
    put.send().await.unwrap();
}

/// Has a page use the SDK for everything that an app does, and looks at what it left.
async fn use_everything(store: &Running, pages: &mut Pages, reads_metadata: bool) {
    let plan = json!({
        "endpoint": store.endpoint,
        "bucket": BUCKET,
        "credentials": { "accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY },
        "readsMetadata": reads_metadata,
    });
    visit(pages, "everything.js", plan).await.unwrap();
    let client = store.client();
    let list = client.list_objects_v2().bucket(BUCKET).send();
    let list = list.await.unwrap();
    let left: Vec<_> = list.contents().iter().filter_map(|o| o.key()).collect();
    assert_eq!(left, ["kept"]);
    let head = client.head_object().bucket(BUCKET).key("kept").send();
    let head = head.await.unwrap();
    let kept = get(&client, "kept").await;
    assert!(kept.len() > 12 << 20);
    assert_eq!(head.metadata().unwrap()["sha256"], sha256_hex(&kept));
    let open = client.list_multipart_uploads().bucket(BUCKET).send();
    assert!(open.await.unwrap().uploads().is_empty());
}

/// Has a page try what only an allowed page can do, and sees that the browser, nobody else, kept it from that.
async fn be_refused(store: &Running, pages: &mut Pages) {
    let client = store.client();
    let stored = client.put_object().bucket(BUCKET).key("stored");
    let stored = stored.content_type("image/jpeg");
    stored.body(b"body".to_vec().into()).send().await.unwrap();
    let get_url = client.get_object().bucket(BUCKET).key("stored");
    let get_url = get_url.presigned(hour()).await.unwrap();
    let put_url = client.put_object().bucket(BUCKET).key("sent");
    let put_url = put_url.content_length(4).presigned(hour()).await.unwrap();
    let plan = json!({
        "endpoint": store.endpoint,
        "bucket": BUCKET,
        "credentials": { "accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY },
        "getUrl": get_url.uri(),
        "putUrl": put_url.uri(),
        "putBody": "body",
    });
    visit(pages, "refused.js", plan).await.unwrap();
    let missing = client.head_object().bucket(BUCKET).key("sent").send();
    assert!(missing.await.is_err(), "the page's PUT was sent");
    let length = [("content-length", "4".to_owned())];
    let answer = send("PUT", put_url.uri(), &length, b"body").await;
    assert_eq!(answer.status, 200, "{}", answer.head);
    assert_eq!(get(&client, "sent").await, b"body");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn a_page_that_the_bucket_allows() {
    let store = Running::start().await;
    let mut pages = open().await;
    let exposed = [&EXPOSED[..], &["x-amz-meta-camera", "x-amz-meta-note"]].concat();
    allow(&store, pages.origin(), &exposed).await;
    use_everything(&store, &mut pages, true).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn a_page_that_the_settings_allow() {
    let mut pages = open().await;
    let store = Running::start_with(|settings| {
        settings.cors_origins = vec![pages.origin().to_owned()];
    })
    .await;
    use_everything(&store, &mut pages, false).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn a_page_of_another_origin() {
    let store = Running::start().await;
    let allowed = open().await;
    allow(&store, allowed.origin(), &EXPOSED).await;
    be_refused(&store, &mut open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn a_page_where_nobody_allows_any() {
    let store = Running::start().await;
    be_refused(&store, &mut open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tools: make test-tools"]
async fn a_page_that_may_read_no_headers() {
    let store = Running::start().await;
    let mut pages = open().await;
    allow(&store, pages.origin(), &[]).await;
    let plan = json!({
        "endpoint": store.endpoint,
        "bucket": BUCKET,
        "credentials": { "accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY },
    });
    visit(&mut pages, "unexposed.js", plan).await.unwrap();
}
