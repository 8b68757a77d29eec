//! Conditional writes and deletions.

use std::path::PathBuf;

use crate::harness::*;
use crate::multipart::{complete, create, list, upload};

/// What a key holds before a conditional write.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Before {
    Nothing,
    /// An object whose ETag the condition names as `"current"`.
    Object,
}

/// Conditions, what was there, and the code of the answer; `Ok` if it is done.
const WRITES: [(Option<&str>, Option<&str>, Before, &str); 12] = [
    (None, None, Before::Nothing, "Ok"),
    (None, None, Before::Object, "Ok"),
    (None, Some("*"), Before::Nothing, "Ok"),
    (None, Some("*"), Before::Object, "PreconditionFailed"),
    (Some("current"), None, Before::Object, "Ok"),
    (Some("other"), None, Before::Object, "PreconditionFailed"),
    (Some("*"), None, Before::Object, "Ok"),
    (Some("other"), None, Before::Nothing, "NoSuchKey"),
    (Some("*"), None, Before::Nothing, "NoSuchKey"),
    (
        Some("current"),
        Some("*"),
        Before::Object,
        "PreconditionFailed",
    ),
    (None, Some("other"), Before::Nothing, "NotImplemented"),
    (None, Some("other"), Before::Object, "NotImplemented"),
];

fn named(condition: Option<&str>, current: &str) -> Option<String> {
    condition.map(|condition| match condition {
        "current" => current.to_owned(),
        "other" => "\"0123456789abcdef0123456789abcdef\"".to_owned(),
        any => any.to_owned(),
    })
}

fn status(code: &str) -> u16 {
    match code {
        "PreconditionFailed" => 412,
        "NoSuchKey" => 404,
        _ => 501,
    }
}

#[tokio::test]
async fn writes_have_conditions() {
    let store = Running::start().await;
    let client = store.client();
    for (case, (if_match, if_none_match, before, code)) in WRITES.into_iter().enumerate() {
        for how in ["put", "complete", "copy"] {
            let key = format!("{how}/{case}");
            let current = match before {
                Before::Object => put(&client, &key, b"before").await,
                Before::Nothing => String::new(),
            };
            let if_match = named(if_match, &current);
            let if_none_match = named(if_none_match, &current);
            let (found, answered) = match how {
                "put" => {
                    let request = client.put_object().bucket(BUCKET).key(&key);
                    let request = request.body(b"after".to_vec().into());
                    let sent = request
                        .set_if_match(if_match)
                        .set_if_none_match(if_none_match)
                        .send()
                        .await;
                    outcome(sent)
                }
                "complete" => {
                    let id = create(&client, &key).await;
                    let parts = [upload(&client, &key, &id, 1, b"after").await];
                    let request = complete!(client, &key, &id, &parts);
                    let sent = request
                        .set_if_match(if_match)
                        .set_if_none_match(if_none_match)
                        .send()
                        .await;
                    if sent.is_err() {
                        // The upload is as it was.
                        let open = client.list_parts().bucket(BUCKET).key(&key).upload_id(&id);
                        assert_eq!(open.send().await.unwrap().parts().len(), 1);
                        client
                            .abort_multipart_upload()
                            .bucket(BUCKET)
                            .key(&key)
                            .upload_id(&id)
                            .send()
                            .await
                            .unwrap();
                    }
                    outcome(sent)
                }
                _ => {
                    put(&client, "from", b"after").await;
                    let request = client.copy_object().bucket(BUCKET).key(&key);
                    let request = request.copy_source(format!("{BUCKET}/from"));
                    let sent = request
                        .set_if_match(if_match)
                        .set_if_none_match(if_none_match)
                        .send()
                        .await;
                    outcome(sent)
                }
            };
            assert_eq!(found, code, "case {case}, {how}");
            if code == "Ok" {
                assert_eq!(get(&client, &key).await, b"after");
            } else {
                assert_eq!(answered, Some(status(code)), "case {case}, {how}");
                match before {
                    Before::Object => assert_eq!(get(&client, &key).await, b"before"),
                    Before::Nothing => {
                        assert!(
                            client
                                .head_object()
                                .bucket(BUCKET)
                                .key(&key)
                                .send()
                                .await
                                .is_err()
                        );
                    }
                }
            }
        }
    }
    assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
}

fn outcome<T, E: aws_sdk_s3::error::ProvideErrorMetadata>(
    sent: Result<T, aws_sdk_s3::error::SdkError<E, aws_sdk_s3::config::http::HttpResponse>>,
) -> (String, Option<u16>) {
    match sent {
        Ok(_) => ("Ok".to_owned(), None),
        Err(error) => (
            error.code_text(),
            error
                .raw_response()
                .map(|response| response.status().as_u16()),
        ),
    }
}

#[tokio::test]
async fn deletions_have_conditions() {
    let store = Running::start().await;
    let client = store.client();
    for (case, (if_match, before, code)) in [
        (None, Before::Object, "Ok"),
        (None, Before::Nothing, "Ok"),
        (Some("current"), Before::Object, "Ok"),
        (Some("*"), Before::Object, "Ok"),
        (Some("other"), Before::Object, "PreconditionFailed"),
        (Some("other"), Before::Nothing, "NoSuchKey"),
        (Some("*"), Before::Nothing, "NoSuchKey"),
    ]
    .into_iter()
    .enumerate()
    {
        let key = format!("k/{case}");
        let current = match before {
            Before::Object => put(&client, &key, b"before").await,
            Before::Nothing => String::new(),
        };
        let request = client.delete_object().bucket(BUCKET).key(&key);
        let (found, answered) =
            outcome(request.set_if_match(named(if_match, &current)).send().await);
        assert_eq!(found, code, "case {case}");
        if code != "Ok" {
            assert_eq!(answered, Some(status(code)));
        }
        let there = client
            .head_object()
            .bucket(BUCKET)
            .key(&key)
            .send()
            .await
            .is_ok();
        assert_eq!(
            there,
            code != "Ok" && before == Before::Object,
            "case {case}"
        );
    }
}

#[tokio::test]
async fn a_weak_etag_matches_nothing() {
    let store = Running::start().await;
    let client = store.client();
    let etag = put(&client, "k", b"before").await;
    let request = client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .if_match(format!("W/{etag}"));
    assert_eq!(
        request.send().await.unwrap_err().code_text(),
        "PreconditionFailed"
    );
    let request = client
        .delete_object()
        .bucket(BUCKET)
        .key("k")
        .if_match(format!("W/{etag}"));
    assert_eq!(
        request.send().await.unwrap_err().code_text(),
        "PreconditionFailed"
    );
}
