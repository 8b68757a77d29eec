//! What the store does not do, it says; what is so anyway, it accepts.

use aws_sdk_s3::types::ObjectCannedAcl;

use crate::harness::*;
use crate::signer::call;

#[tokio::test]
async fn wishes_that_would_not_be_fulfilled_are_refused() {
    let store = Running::start().await;
    put(&store.client(), "there", b"x").await;
    let wishes = [
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "key"),
        ("x-amz-server-side-encryption-bucket-key-enabled", "true"),
        ("x-amz-server-side-encryption-context", "e30="),
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-server-side-encryption-customer-key", "a2V5"),
        ("x-amz-server-side-encryption-customer-key-md5", "a2V5"),
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-object-lock-legal-hold", "ON"),
        (
            "x-amz-object-lock-retain-until-date",
            "2030-01-01T00:00:00Z",
        ),
        ("x-amz-acl", "public-read"),
        ("x-amz-acl", "public-read-write"),
        ("x-amz-acl", "authenticated-read"),
        ("x-amz-acl", "aws-exec-read"),
        ("x-amz-acl", "log-delivery-write"),
        ("x-amz-grant-read", "uri=\"x\""),
        ("x-amz-grant-read-acp", "uri=\"x\""),
        ("x-amz-grant-write-acp", "uri=\"x\""),
        ("x-amz-grant-full-control", "id=\"x\""),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-storage-class", "GLACIER"),
        ("x-amz-website-redirect-location", "/"),
        ("x-amz-write-offset-bytes", "3"),
        ("x-amz-expected-bucket-owner", "111122223333"),
        ("x-amz-source-expected-bucket-owner", "111122223333"),
        ("x-amz-mfa", "serial 123456"),
        ("x-amz-security-token", "token"),
        ("x-amz-what-comes-next", "yes"),
    ];
    let key = format!("/{BUCKET}/there");
    let copied = format!("{BUCKET}/there");
    for (name, value) in wishes {
        for (method, target, more) in [
            ("PUT", key.clone(), vec![]),
            (
                "PUT",
                format!("/{BUCKET}/copy"),
                vec![("x-amz-copy-source", copied.as_str())],
            ),
            ("POST", format!("{key}?uploads="), vec![]),
            ("GET", key.clone(), vec![]),
            ("HEAD", key.clone(), vec![]),
            ("DELETE", key.clone(), vec![]),
        ] {
            let headers = [more, vec![(name, value)]].concat();
            let answer = call(&store, method, &target, &headers, b"").await;
            assert_eq!(answer.status, 501, "{method} with {name}: {value}");
            if method != "HEAD" {
                assert_eq!(answer.code(), "NotImplemented", "{method} with {name}");
            }
        }
    }
    assert_eq!(get(&store.client(), "there").await, b"x");
}

#[tokio::test]
async fn wishes_that_are_fulfilled_anyway_are_accepted() {
    let store = Running::start().await;
    for (name, value) in [
        ("x-amz-acl", "private"),
        ("x-amz-acl", "bucket-owner-full-control"),
        ("x-amz-acl", "bucket-owner-read"),
        ("x-amz-storage-class", "STANDARD"),
        ("x-amz-request-payer", "requester"),
        ("x-amz-user-agent", "aws-sdk-js/3"),
        ("x-amz-meta-anything", "else"),
    ] {
        let target = format!("/{BUCKET}/k");
        let answer = call(&store, "PUT", &target, &[(name, value)], b"x").await;
        assert_eq!(answer.status, 200, "{name}: {value}");
    }
}

#[tokio::test]
async fn operations_that_are_not_there_are_named_as_such() {
    let store = Running::start().await;
    put(&store.client(), "k", b"x").await;
    for (method, target) in [
        ("GET", "?versions"),
        ("GET", "?accelerate"),
        ("GET", "?logging"),
        ("GET", "/k?legal-hold"),
        ("GET", "/k?retention"),
        ("GET", "/k?torrent"),
    ] {
        let (path, query) = target.split_once('?').unwrap();
        let target = format!("/{BUCKET}{path}?{query}=");
        let answer = call(&store, method, &target, &[], b"").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (501, "NotImplemented"),
            "{target}"
        );
    }
    let target = format!("/{BUCKET}/copy");
    let source = format!("{BUCKET}/k");
    let headers = [
        ("x-amz-copy-source", source.as_str()),
        ("x-amz-copy-source-range", "bytes=0-0"),
    ];
    let answer = call(&store, "PUT", &target, &headers, b"").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (501, "NotImplemented")
    );
    let versioning = store.client().get_bucket_versioning().bucket(BUCKET);
    assert_eq!(versioning.send().await.unwrap().status(), None);
    let versioned = store.client().get_object().bucket(BUCKET).key("k");
    let error = versioned.clone().version_id("v1").send().await.unwrap_err();
    assert_eq!(error.code_text(), "NotImplemented");
    assert!(versioned.version_id("null").send().await.is_ok());
}

#[tokio::test]
async fn acls_say_that_the_owner_has_full_control() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "k", b"x").await;
    let object = client
        .get_object_acl()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    let bucket = client.get_bucket_acl().bucket(BUCKET).send().await.unwrap();
    assert_eq!(object.owner(), bucket.owner());
    for grants in [object.grants(), bucket.grants()] {
        assert_eq!(grants.len(), 1);
        assert_eq!(grants[0].permission().unwrap().as_str(), "FULL_CONTROL");
        let grantee = grants[0].grantee().unwrap();
        assert_eq!(grantee.r#type().as_str(), "CanonicalUser");
        assert_eq!(grantee.id(), object.owner().unwrap().id());
    }
    let missing = client
        .get_object_acl()
        .bucket(BUCKET)
        .key("none")
        .send()
        .await;
    assert_eq!(missing.unwrap_err().code_text(), "NoSuchKey");
    let missing = client.get_bucket_acl().bucket("another").send().await;
    assert_eq!(missing.unwrap_err().code_text(), "NoSuchBucket");
    let change = client
        .put_object_acl()
        .bucket(BUCKET)
        .key("k")
        .acl(ObjectCannedAcl::PublicRead)
        .send()
        .await;
    assert_eq!(change.unwrap_err().code_text(), "NotImplemented");
}
