//! Several keys, each with what it may do.

use std::collections::BTreeSet;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{CorsConfiguration, CorsRule, Delete, ObjectIdentifier};
use safelight_diskstore::{AccessKey, Permission};

use crate::harness::*;
use crate::presigned::{hour, send};

const SECRET: &str = "another-secret";

fn key(id: &str, may: &[Permission], prefix: &str) -> AccessKey {
    AccessKey {
        id: id.to_owned(),
        secret: SECRET.to_owned(),
        may: may.iter().copied().collect::<BTreeSet<_>>(),
        bucket: Some(BUCKET.to_owned()),
        prefix: prefix.to_owned(),
    }
}

async fn start() -> Running {
    let store = Running::start_with(|settings| {
        settings.buckets.push("others".to_owned());
        settings.keys = vec![
            key("READER", &[Permission::Read, Permission::List], "o/"),
            key("WRITER", &[Permission::Write], "in/"),
            key("REMOVER", &[Permission::Delete], ""),
            key("ADMIN", &[Permission::Admin], ""),
            AccessKey {
                bucket: None,
                ..key("ANYWHERE", &[Permission::List, Permission::Read], "")
            },
        ];
    })
    .await;
    let own = store.client();
    put(&own, "o/a", b"a").await;
    put(&own, "p/b", b"b").await;
    store
}

macro_rules! outcome {
    ($request:expr) => {
        match $request.send().await {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.code_text(),
        }
    };
}

async fn read(client: &Client, key: &str) -> String {
    outcome!(client.get_object().bucket(BUCKET).key(key))
}

async fn list(client: &Client, prefix: Option<&str>) -> String {
    let list = client.list_objects_v2().bucket(BUCKET);
    outcome!(list.set_prefix(prefix.map(str::to_owned)))
}

const DENIED: &str = "AccessDenied";

#[tokio::test]
async fn of_many_to_delete_those_elsewhere_are_refused() {
    let store = Running::start_with(|settings| {
        settings.keys = vec![key("TIDY", &[Permission::Delete], "o/")];
    })
    .await;
    let own = store.client();
    for name in ["o/a", "p/b"] {
        put(&own, name, b"x").await;
    }
    let objects =
        ["o/a", "p/b", "o/none"].map(|name| ObjectIdentifier::builder().key(name).build().unwrap());
    let delete = Delete::builder().set_objects(Some(objects.to_vec()));
    let answer = store
        .client_of("TIDY", SECRET)
        .delete_objects()
        .bucket(BUCKET)
        .delete(delete.build().unwrap())
        .send()
        .await
        .unwrap();
    let deleted: Vec<_> = answer.deleted().iter().filter_map(|d| d.key()).collect();
    assert_eq!(deleted, ["o/a", "o/none"]);
    let refused: Vec<_> = answer
        .errors()
        .iter()
        .map(|e| (e.key(), e.code()))
        .collect();
    assert_eq!(refused, [(Some("p/b"), Some(DENIED))]);
    assert_eq!(read(&own, "p/b").await, "ok");
    assert_eq!(read(&own, "o/a").await, "NoSuchKey");
}

#[tokio::test]
async fn a_copy_needs_leave_to_read_and_to_write() {
    let store = Running::start_with(|settings| {
        settings.keys = vec![
            key("COPIER", &[Permission::Read, Permission::Write], "o/"),
            key("WRITER", &[Permission::Write], "o/"),
        ];
    })
    .await;
    let own = store.client();
    put(&own, "o/a", b"a").await;
    put(&own, "p/b", b"b").await;
    for (id, from, to, expected) in [
        ("COPIER", "o/a", "o/c", "ok"),
        ("COPIER", "p/b", "o/c", DENIED),
        ("COPIER", "o/a", "p/c", DENIED),
        ("WRITER", "o/a", "o/c", DENIED),
    ] {
        let client = store.client_of(id, SECRET);
        let copy = client.copy_object().bucket(BUCKET).key(to);
        let copy = copy.copy_source(format!("{BUCKET}/{from}"));
        assert_eq!(outcome!(copy), expected, "{id}: {from} to {to}");
    }
}

#[tokio::test]
async fn a_reader_reads_and_lists_below_its_prefix() {
    let store = start().await;
    let reader = store.client_of("READER", SECRET);
    assert_eq!(read(&reader, "o/a").await, "ok");
    assert_eq!(read(&reader, "p/b").await, DENIED);
    assert_eq!(list(&reader, Some("o/")).await, "ok");
    assert_eq!(list(&reader, Some("o/a")).await, "ok");
    assert_eq!(list(&reader, Some("o")).await, DENIED);
    assert_eq!(list(&reader, None).await, DENIED);
    let put = reader.put_object().bucket(BUCKET).key("o/c");
    assert_eq!(outcome!(put), DENIED);
    let delete = reader.delete_object().bucket(BUCKET).key("o/a");
    assert_eq!(outcome!(delete), DENIED);
    let cors = reader.get_bucket_cors().bucket(BUCKET);
    assert_eq!(outcome!(cors), DENIED);
    // What tools ask for before they begin.
    assert_eq!(outcome!(reader.get_bucket_location().bucket(BUCKET)), "ok");
    assert_eq!(
        outcome!(reader.get_bucket_versioning().bucket(BUCKET)),
        "ok"
    );
    assert!(reader.head_bucket().bucket(BUCKET).send().await.is_ok());
    assert!(reader.head_bucket().bucket("others").send().await.is_err());
    let listed = reader.list_buckets().send().await.unwrap();
    let names: Vec<_> = listed.buckets().iter().filter_map(|b| b.name()).collect();
    assert_eq!(names, [BUCKET]);
}

#[tokio::test]
async fn a_prefix_cannot_be_got_round() {
    let store = start().await;
    let reader = store.client_of("READER", SECRET);
    // Signed as they are sent: neither another spelling nor asking twice helps.
    for query in ["&prefix=", "&prefix=p%2F", "&%70refix=p%2F"] {
        for first in ["", "o/"] {
            let list = reader.list_objects_v2().bucket(BUCKET);
            let list = list.set_prefix((!first.is_empty()).then(|| first.to_owned()));
            let list = list.customize().mutate_request(move |request| {
                let uri = format!("{}{query}", request.uri());
                request.set_uri(uri).unwrap();
            });
            let listed = list.send().await;
            assert!(listed.is_err(), "{first} {query}: {listed:?}");
        }
    }
    let parent = reader.get_object().bucket(BUCKET).key("o/../p/b");
    assert_eq!(outcome!(parent), "NoSuchKey");
}

#[tokio::test]
async fn a_writer_writes_below_its_prefix() {
    let store = start().await;
    let writer = store.client_of("WRITER", SECRET);
    let put = |key: &str| writer.put_object().bucket(BUCKET).key(key);
    assert_eq!(outcome!(put("in/a")), "ok");
    assert_eq!(outcome!(put("o/a")), DENIED);
    assert_eq!(read(&writer, "in/a").await, DENIED);
    assert_eq!(list(&writer, Some("in/")).await, DENIED);
    let create = writer.create_multipart_upload().bucket(BUCKET);
    let created = create.clone().key("in/b").send().await.unwrap();
    let id = created.upload_id().unwrap();
    let parts = writer.list_parts().bucket(BUCKET).key("in/b").upload_id(id);
    assert_eq!(outcome!(parts), "ok");
    let abort = writer.abort_multipart_upload().bucket(BUCKET);
    assert_eq!(outcome!(abort.key("in/b").upload_id(id)), "ok");
    assert_eq!(outcome!(create.key("o/b")), DENIED);
}

#[tokio::test]
async fn the_others_may_do_theirs() {
    let store = start().await;
    let remover = store.client_of("REMOVER", SECRET);
    assert_eq!(read(&remover, "o/a").await, DENIED);
    let delete = remover.delete_object().bucket(BUCKET).key("o/a");
    assert_eq!(outcome!(delete), "ok");
    let delete = remover.delete_object().bucket("others").key("o/a");
    assert_eq!(outcome!(delete), DENIED);

    let admin = store.client_of("ADMIN", SECRET);
    let rule = CorsRule::builder()
        .allowed_methods("GET")
        .allowed_origins("*");
    let rules = CorsConfiguration::builder().cors_rules(rule.build().unwrap());
    let rules = rules.build().unwrap();
    let cors = |bucket: &str| {
        let put = admin.put_bucket_cors().bucket(bucket);
        put.cors_configuration(rules.clone())
    };
    assert_eq!(outcome!(cors(BUCKET)), "ok");
    assert_eq!(outcome!(cors("others")), DENIED);
    assert_eq!(outcome!(admin.create_bucket().bucket("new")), DENIED);
    assert_eq!(read(&admin, "p/b").await, DENIED);
    assert_eq!(
        outcome!(admin.delete_bucket().bucket(BUCKET)),
        "BucketNotEmpty"
    );

    let anywhere = store.client_of("ANYWHERE", SECRET);
    let listed = anywhere.list_buckets().send().await.unwrap();
    assert_eq!(listed.buckets().len(), 2);
    assert_eq!(read(&anywhere, "p/b").await, "ok");
    assert_eq!(outcome!(anywhere.create_bucket().bucket("new")), DENIED);
}

#[tokio::test]
async fn a_url_may_what_its_key_may() {
    let store = start().await;
    let reader = store.client_of("READER", SECRET);
    let get = reader.get_object().bucket(BUCKET).key("o/a");
    let get = get.presigned(hour()).await.unwrap();
    let answer = send("GET", get.uri(), &[], b"").await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"a"[..]));
    let put = reader.put_object().bucket(BUCKET).key("o/a");
    let put = put.content_length(1).presigned(hour()).await.unwrap();
    let length = [("content-length", "1".to_owned())];
    let answer = send("PUT", put.uri(), &length, b"x").await;
    assert_eq!((answer.status, answer.code().as_str()), (403, DENIED));
}

#[tokio::test]
async fn who_is_not_known_is_told_so() {
    let store = start().await;
    let somebody = store.client_of("SOMEBODY", SECRET);
    assert_eq!(read(&somebody, "o/a").await, "InvalidAccessKeyId");
    let guessing = store.client_of("READER", "guess");
    assert_eq!(read(&guessing, "o/a").await, "SignatureDoesNotMatch");
}

#[tokio::test]
async fn who_signs_for_no_region_is_told_which_it_is() {
    let store = Running::start().await;
    let url = format!("{}/{BUCKET}", store.endpoint);
    let signed = [(
        "authorization",
        format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/US/s3/aws4_request, SignedHeaders=host, Signature=00"
        ),
    )];
    let answer = send("GET", &url, &signed, b"").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "AuthorizationHeaderMalformed")
    );
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.contains("<Region>us-east-1</Region>"), "{text}");
}
