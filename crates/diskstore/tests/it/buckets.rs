//! Buckets come and go.

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

use crate::harness::*;
use crate::multipart::{complete, create, list, upload};
use crate::presigned::send;

async fn names(client: &aws_sdk_s3::Client) -> Vec<String> {
    let listed = client.list_buckets().send().await.unwrap();
    listed
        .buckets()
        .iter()
        .filter_map(|bucket| bucket.name().map(str::to_owned))
        .collect()
}

async fn delete(client: &aws_sdk_s3::Client, bucket: &str) -> String {
    match client.delete_bucket().bucket(bucket).send().await {
        Ok(_) => "deleted".to_owned(),
        Err(error) => error.code_text(),
    }
}

#[tokio::test]
async fn a_bucket_is_made_once_and_only_here() {
    let store = Running::start_with(|settings| settings.region = "eu-north-1".to_owned()).await;
    let client = store.client();
    let make = |place: Option<&str>| {
        let place = place.map(|place| {
            CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(place))
                .build()
        });
        let create = client.create_bucket().bucket("another");
        create.set_create_bucket_configuration(place).send()
    };
    let code = |result: Result<_, aws_sdk_s3::error::SdkError<_>>| match result {
        Ok::<aws_sdk_s3::operation::create_bucket::CreateBucketOutput, _>(_) => "made".to_owned(),
        Err(error) => Code::code_text(&error),
    };
    assert_eq!(
        code(make(Some("us-west-2")).await),
        "IllegalLocationConstraintException"
    );
    assert_eq!(code(make(Some("eu-north-1")).await), "made");
    assert_eq!(code(make(None).await), "BucketAlreadyOwnedByYou");
    let location = client.get_bucket_location().bucket("another");
    let location = location.send().await.unwrap();
    assert_eq!(
        location.location_constraint(),
        Some(&BucketLocationConstraint::EuNorth1)
    );
    let lock = client
        .create_bucket()
        .bucket("locked")
        .object_lock_enabled_for_bucket(true);
    assert_eq!(code(lock.send().await), "NotImplemented");
}

#[tokio::test]
async fn in_the_first_region_a_bucket_may_be_made_again() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "k", b"body").await;
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    assert_eq!(get(&client, "k").await, b"body");
    let location = client.get_bucket_location().bucket(BUCKET);
    let location = location.send().await.unwrap();
    let constraint = location.location_constraint().map(|place| place.as_str());
    assert_eq!(constraint.unwrap_or_default(), "");
}

#[tokio::test]
async fn buckets_are_listed_page_by_page() {
    let store = Running::start().await;
    let client = store.client();
    for n in 0..5 {
        let bucket = format!("page-{n}");
        client.create_bucket().bucket(bucket).send().await.unwrap();
    }
    let mut seen = Vec::new();
    let mut token = None;
    loop {
        let page = client
            .list_buckets()
            .prefix("page-")
            .max_buckets(2)
            .set_continuation_token(token);
        let page = page.send().await.unwrap();
        assert!(page.buckets().len() <= 2);
        seen.extend(
            page.buckets()
                .iter()
                .filter_map(|bucket| bucket.name().map(str::to_owned)),
        );
        token = page.continuation_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["page-0", "page-1", "page-2", "page-3", "page-4"]);
    let none = client.list_buckets().max_buckets(0).send().await;
    assert_eq!(none.unwrap_err().code_text(), "InvalidArgument");
}

#[tokio::test]
async fn only_an_empty_bucket_goes() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "a/b/c", b"body").await;
    assert_eq!(delete(&client, BUCKET).await, "BucketNotEmpty");
    assert_eq!(get(&client, "a/b/c").await, b"body");
    let gone = client.delete_object().bucket(BUCKET).key("a/b/c");
    gone.send().await.unwrap();
    assert_eq!(delete(&client, BUCKET).await, "deleted");
    assert_eq!(delete(&client, BUCKET).await, "NoSuchBucket");
    assert_eq!(names(&client).await, Vec::<String>::new());
    assert!(client.head_bucket().bucket(BUCKET).send().await.is_err());
    assert_eq!(store.leftovers(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn open_uploads_go_with_their_bucket() {
    let store = Running::start().await;
    let client = store.client();
    let id = create(&client, "k").await;
    let parts = [upload(&client, "k", &id, 1, &noise(1, 100_000)).await];
    assert_eq!(delete(&client, BUCKET).await, "deleted");
    assert_eq!(store.leftovers(), Vec::<std::path::PathBuf>::new());
    let error = complete!(client, "k", &id, &parts)
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "NoSuchBucket");
    // A bucket that is made anew knows nothing of them.
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    let error = complete!(client, "k", &id, &parts)
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code_text(), "NoSuchUpload");
    put(&client, "k", b"new").await;
    assert_eq!(get(&client, "k").await, b"new");
}

#[tokio::test]
async fn a_bucket_waits_for_those_who_read_what_was_in_it() {
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
    let gone = client.delete_object().bucket(BUCKET).key("k");
    gone.send().await.unwrap();
    assert_eq!(delete(&client, BUCKET).await, "OperationAborted");
    assert!(reading.body.collect().await.unwrap().to_vec() == body);
    eventually("the parts go", || store.leftovers().is_empty()).await;
    assert_eq!(delete(&client, BUCKET).await, "deleted");
}

#[tokio::test]
async fn what_a_crash_left_of_a_bucket_goes() {
    let dir = tempfile::tempdir().unwrap();
    let store = Running::open(settings(dir.path())).await;
    store
        .client()
        .create_bucket()
        .bucket("going")
        .send()
        .await
        .unwrap();
    store.stop().await;
    // As when the process died between the rename and the removal.
    let aside = dir.path().join("tmp/0123456789abcdef0123456789abcdef");
    std::fs::rename(dir.path().join("buckets/going"), &aside).unwrap();
    let store = Running::open(settings(dir.path())).await;
    assert!(!aside.exists());
    assert_eq!(names(&store.client()).await, [BUCKET]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_acknowledged_object_keeps_its_bucket() {
    let store = Running::start().await;
    let client = store.client();
    for round in 0..30_u8 {
        client
            .create_bucket()
            .bucket("shared")
            .send()
            .await
            .unwrap();
        let put = |key: &str| {
            let put = client.put_object().bucket("shared").key(key);
            tokio::spawn(put.body(vec![round].into()).send())
        };
        let writers = [put("a"), put("b"), put("c")];
        let deleted = delete(&client, "shared").await;
        let mut kept = 0;
        for writer in writers {
            match writer.await.unwrap() {
                Ok(_) => kept += 1,
                Err(error) => assert_eq!(error.code_text(), "NoSuchBucket"),
            }
        }
        let listed = client.list_objects_v2().bucket("shared").send().await;
        match deleted.as_str() {
            // Whoever was told of success found the bucket there, so it stayed.
            "deleted" => assert_eq!(kept, 0, "round {round}"),
            "BucketNotEmpty" => {
                let listed = listed.unwrap();
                assert_eq!(listed.key_count(), Some(kept));
                for object in listed.contents() {
                    let gone = client.delete_object().bucket("shared");
                    gone.key(object.key().unwrap()).send().await.unwrap();
                }
                assert_eq!(delete(&client, "shared").await, "deleted");
            }
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn what_no_bucket_has_is_said_as_tools_expect() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "k", b"x").await;
    let versioning = client.get_bucket_versioning().bucket(BUCKET);
    assert_eq!(versioning.send().await.unwrap().status(), None);
    let acl = client.get_bucket_acl().bucket(BUCKET).send().await.unwrap();
    assert_eq!(acl.grants().len(), 1);
    let acl = client.get_object_acl().bucket(BUCKET).key("k");
    assert_eq!(acl.send().await.unwrap().grants().len(), 1);
    let acl = client.get_object_acl().bucket(BUCKET).key("missing");
    assert_eq!(acl.send().await.unwrap_err().code_text(), "NoSuchKey");
    let payer = client.get_bucket_request_payment().bucket(BUCKET);
    assert!(payer.send().await.unwrap().payer().is_some());
    macro_rules! code {
        ($operation:ident) => {
            client
                .$operation()
                .bucket(BUCKET)
                .send()
                .await
                .unwrap_err()
                .code_text()
        };
    }
    assert_eq!(code!(get_bucket_policy), "NoSuchBucketPolicy");
    assert_eq!(code!(get_bucket_tagging), "NoSuchTagSet");
    assert_eq!(code!(get_bucket_website), "NoSuchWebsiteConfiguration");
    assert_eq!(
        code!(get_bucket_encryption),
        "ServerSideEncryptionConfigurationNotFoundError"
    );
    assert_eq!(
        code!(get_public_access_block),
        "NoSuchPublicAccessBlockConfiguration"
    );
    assert_eq!(
        code!(get_object_lock_configuration),
        "ObjectLockConfigurationNotFoundError"
    );
    assert_eq!(code!(get_bucket_logging), "NotImplemented");
    assert_eq!(code!(delete_bucket_policy), "NotImplemented");
    let policy = client.put_bucket_policy().bucket(BUCKET).policy("{}");
    assert_eq!(
        policy.send().await.unwrap_err().code_text(),
        "NotImplemented"
    );
}

#[tokio::test]
async fn a_name_that_no_bucket_can_have_is_refused() {
    let store = Running::start().await;
    for name in ["UPPER", "a", "a..b", "-a-", "192.168.0.1"] {
        let url = format!("{}/{name}", store.endpoint);
        let answer = send("PUT", &url, &[("content-length", "0".to_owned())], b"").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "InvalidBucketName"),
            "{name}"
        );
    }
}
