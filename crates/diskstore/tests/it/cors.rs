//! What browsers ask before and read after.

use aws_sdk_s3::types::{CorsConfiguration, CorsRule};

use crate::harness::*;
use crate::presigned::{Answer, hour, send, send_to};

const PAGE: &str = "https://app.example";

async fn preflight(url: &str, origin: &str, method: &str, headers: &str) -> Answer {
    let mut sent = vec![
        ("origin", origin.to_owned()),
        ("access-control-request-method", method.to_owned()),
    ];
    if !headers.is_empty() {
        sent.push(("access-control-request-headers", headers.to_owned()));
    }
    send("OPTIONS", url, &sent, b"").await
}

async fn put_rule(store: &Running, rule: aws_sdk_s3::types::builders::CorsRuleBuilder) {
    let rules = CorsConfiguration::builder().cors_rules(rule.build().unwrap());
    store
        .client()
        .put_bucket_cors()
        .bucket(BUCKET)
        .cors_configuration(rules.build().unwrap())
        .send()
        .await
        .unwrap();
}

fn rule() -> aws_sdk_s3::types::builders::CorsRuleBuilder {
    CorsRule::builder()
        .allowed_origins("https://*.example")
        .allowed_methods("PUT")
        .allowed_methods("GET")
        .allowed_headers("content-type")
        .allowed_headers("x-amz-*")
        .expose_headers("ETag")
        .max_age_seconds(60)
}

#[tokio::test]
async fn a_bucket_without_rules_is_closed_to_pages() {
    let store = Running::start().await;
    let url = format!("{}/{BUCKET}/k", store.endpoint);
    let answer = preflight(&url, PAGE, "PUT", "").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "AccessForbidden")
    );
    let answer = send("GET", &url, &[("origin", PAGE.to_owned())], b"").await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let client = store.client();
    let get = client.get_bucket_cors().bucket(BUCKET);
    let error = get.send().await.unwrap_err();
    assert_eq!(error.code_text(), "NoSuchCORSConfiguration");
    let delete = client.delete_bucket_cors().bucket(BUCKET);
    delete.send().await.unwrap();
}

#[tokio::test]
async fn a_preflight_is_answered_by_the_rules() {
    let store = Running::start().await;
    put_rule(&store, rule()).await;
    let url = format!("{}/{BUCKET}/o/k", store.endpoint);
    let answer = preflight(&url, PAGE, "PUT", "Content-Type, x-amz-checksum-sha256").await;
    assert_eq!(answer.status, 200);
    for (name, value) in [
        ("access-control-allow-origin", PAGE),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "PUT, GET"),
        (
            "access-control-allow-headers",
            "content-type, x-amz-checksum-sha256",
        ),
        ("access-control-expose-headers", "ETag"),
        ("access-control-max-age", "60"),
        (
            "vary",
            "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
        ),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    for (origin, method, headers) in [
        ("https://app.test", "PUT", ""),
        (PAGE, "DELETE", ""),
        (PAGE, "PUT", "authorization"),
    ] {
        let answer = preflight(&url, origin, method, headers).await;
        let told = (answer.status, answer.code());
        assert_eq!(
            told,
            (403, "AccessForbidden".to_owned()),
            "{origin} {method} {headers}"
        );
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let answer = send("OPTIONS", &url, &[], b"").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "BadRequest"));
    let origin = [("origin", PAGE.to_owned())];
    let answer = send("OPTIONS", &url, &origin, b"").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "BadRequest"));
    let missing = format!("{}/missing/k", store.endpoint);
    let answer = preflight(&missing, PAGE, "PUT", "").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "AccessForbidden")
    );
}

#[tokio::test]
async fn pages_can_read_answers_and_refusals() {
    let store = Running::start().await;
    put_rule(&store, rule()).await;
    let client = store.client();
    put(&client, "k", b"body").await;
    let origin = [("origin", PAGE.to_owned())];
    let get = |key: &'static str| {
        let get = client.get_object().bucket(BUCKET).key(key);
        async { get.presigned(hour()).await.unwrap().uri().to_owned() }
    };
    let unsigned = format!("{}/{BUCKET}/k", store.endpoint);
    for (url, status) in [
        (get("k").await, 200),
        (get("missing").await, 404),
        (get("k").await.replace("/k?", "/l?"), 403),
        (unsigned, 403),
    ] {
        let answer = send("GET", &url, &origin, b"").await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
        assert_eq!(answer.header("access-control-expose-headers"), Some("ETag"));
        let elsewhere = [("origin", "https://app.test".to_owned())];
        let answer = send("GET", &url, &elsewhere, b"").await;
        assert_eq!(answer.status, status, "CORS gives or takes nobody access");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn the_settings_have_a_rule_for_buckets_without() {
    let store = Running::start_with(|settings| {
        settings.cors_origins = vec!["*".to_owned()];
        settings.hosts = vec!["store.example".to_owned()];
    })
    .await;
    // As the page of a web app would: by host, from anywhere, with a checksum.
    let host = store.virtual_host_client("store.example");
    let url = host.put_object().bucket(BUCKET).key("k").content_length(3);
    let url = url.presigned(hour()).await.unwrap().uri().to_owned();
    let asked = [
        ("origin", "null".to_owned()),
        ("access-control-request-method", "PUT".to_owned()),
        (
            "access-control-request-headers",
            "content-type,x-amz-checksum-sha256".to_owned(),
        ),
    ];
    let answer = send_to(store.address(), "OPTIONS", &url, &asked, b"").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    let sent = [
        ("origin", "null".to_owned()),
        ("content-length", "3".to_owned()),
    ];
    let answer = send_to(store.address(), "PUT", &url, &sent, b"abc").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let exposed = answer.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("ETag") && exposed.contains("x-amz-checksum-sha256"));
    // Rules of its own take its place.
    put_rule(&store, rule()).await;
    let answer = send_to(store.address(), "OPTIONS", &url, &asked, b"").await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn rules_last_and_can_be_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = Running::open(settings(dir.path())).await;
    put_rule(&store, rule().id("phones")).await;
    store.stop().await;
    let store = Running::open(settings(dir.path())).await;
    let client = store.client();
    let rules = client
        .get_bucket_cors()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    assert_eq!(rules.cors_rules(), [rule().id("phones").build().unwrap()]);
    let delete = client.delete_bucket_cors().bucket(BUCKET);
    delete.send().await.unwrap();
    let get = client.get_bucket_cors().bucket(BUCKET);
    assert!(get.send().await.is_err());
    let put = client
        .put_bucket_cors()
        .bucket("missing")
        .cors_configuration(
            CorsConfiguration::builder()
                .cors_rules(rule().build().unwrap())
                .build()
                .unwrap(),
        );
    let error = put.send().await.unwrap_err();
    assert_eq!(error.code_text(), "NoSuchBucket");
}
