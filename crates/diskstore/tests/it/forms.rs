//! Uploads by a browser's form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use safelight_diskstore::{AccessKey, Permission};
use serde_json::{Value, json};
use sha2::Sha256;
use time::macros::format_description;
use time::{Duration, OffsetDateTime};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::harness::*;
use crate::presigned::{Answer, send, send_to};

const BOUNDARY: &str = "----WebKitFormBoundaryx7";

#[allow(
    clippy::disallowed_methods,
    reason = "the store checks dates against this clock"
)]
fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

/// A form as somebody with a key makes it and a browser sends it.
struct Form {
    access_key: &'static str,
    secret_key: &'static str,
    /// What is in the policy beside the signature's own conditions.
    conditions: Vec<Value>,
    expires_in: Duration,
    fields: Vec<(&'static str, String)>,
    file: Vec<u8>,
    /// Fields after the file.
    after: Vec<(&'static str, String)>,
}

impl Form {
    fn to(key: &str, file: &[u8]) -> Self {
        Self {
            access_key: ACCESS_KEY,
            secret_key: SECRET_KEY,
            conditions: vec![
                json!({ "bucket": BUCKET }),
                json!(["starts-with", "$key", "in/"]),
            ],
            expires_in: Duration::hours(1),
            fields: vec![("key", key.to_owned())],
            file: file.to_vec(),
            after: Vec::new(),
        }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.conditions
            .push(json!(["eq", format!("${name}"), value]));
        self.fields.push((name, value.to_owned()));
        self
    }

    fn sized(mut self, min: u64, max: u64) -> Self {
        self.conditions
            .push(json!(["content-length-range", min, max]));
        self
    }

    /// All fields, signed.
    fn signed(&self) -> Vec<(&'static str, String)> {
        let at = now();
        let day = at
            .format(format_description!("[year][month][day]"))
            .unwrap();
        let date = at
            .format(format_description!(
                "[year][month][day]T[hour][minute][second]Z"
            ))
            .unwrap();
        let credential = format!("{}/{day}/us-east-1/s3/aws4_request", self.access_key);
        let own = [
            ("x-amz-algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("x-amz-credential", credential),
            ("x-amz-date", date),
        ];
        let mut conditions = self.conditions.clone();
        conditions.extend(own.iter().map(|(name, value)| json!({ *name: value })));
        let expiration = (at + self.expires_in)
            .format(format_description!(
                "[year]-[month]-[day]T[hour]:[minute]:[second]Z"
            ))
            .unwrap();
        let policy = json!({ "expiration": expiration, "conditions": conditions });
        let policy = BASE64.encode(policy.to_string());
        let mut key = format!("AWS4{}", self.secret_key).into_bytes();
        for text in [day.as_str(), "us-east-1", "s3", "aws4_request"] {
            key = mac(&key, text);
        }
        let signature = hex::encode(mac(&key, &policy));
        let mut fields = self.fields.clone();
        fields.extend(own);
        fields.push(("policy", policy));
        fields.push(("x-amz-signature", signature));
        fields
    }

    fn body(&self, fields: &[(&'static str, String)]) -> Vec<u8> {
        let mut body = Vec::new();
        let field = |body: &mut Vec<u8>, name: &str, value: &str| {
            let part = format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
            body.extend_from_slice(part.as_bytes());
        };
        for (name, value) in fields {
            field(&mut body, name, value);
        }
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"IMG 1.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&self.file);
        body.extend_from_slice(b"\r\n");
        for (name, value) in &self.after {
            field(&mut body, name, value);
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        body
    }

    async fn post(&self, store: &Running) -> Answer {
        post(store, &self.body(&self.signed())).await
    }
}

fn headers(body: &[u8]) -> Vec<(&'static str, String)> {
    vec![
        (
            "content-type",
            format!("multipart/form-data; boundary={BOUNDARY}"),
        ),
        ("content-length", body.len().to_string()),
        ("origin", "https://app.example".to_owned()),
    ]
}

async fn post(store: &Running, body: &[u8]) -> Answer {
    let url = format!("{}/{BUCKET}", store.endpoint);
    send("POST", &url, &headers(body), body).await
}

async fn start() -> Running {
    Running::start_with(|settings| settings.cors_origins = vec!["*".to_owned()]).await
}

/// Nothing was stored and nothing is left of what came.
async fn nothing_is_kept(store: &Running) {
    eventually("nothing is left", || store.leftovers().is_empty()).await;
    let listed = store.client().list_objects_v2().bucket(BUCKET).send().await;
    assert_eq!(listed.unwrap().key_count(), Some(0));
}

#[tokio::test]
async fn a_form_becomes_an_object() {
    let store = start().await;
    for size in [0, 1, 300_000, 3_000_000] {
        let mut form = Form::to("in/${filename}", &noise(size, size as usize))
            .with("Content-Type", "image/jpeg")
            .with("Cache-Control", "no-store")
            .with("x-amz-meta-Tenant", "tnt_1")
            .with("acl", "private")
            .sized(0, 4_000_000);
        form.after.push(("submit", "Upload".to_owned()));
        let answer = form.post(&store).await;
        assert_eq!(answer.status, 204, "{}", answer.code());
        assert_eq!(
            answer.header("location"),
            Some("/originals/in%2FIMG%201.jpg")
        );
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        let client = store.client();
        assert!(get(&client, "in/IMG 1.jpg").await == form.file);
        let head = client.head_object().bucket(BUCKET).key("in/IMG 1.jpg");
        let head = head.send().await.unwrap();
        assert_eq!(head.e_tag(), answer.header("etag"));
        assert_eq!(head.content_type(), Some("image/jpeg"));
        assert_eq!(head.cache_control(), Some("no-store"));
        assert_eq!(head.metadata().unwrap()["tenant"], "tnt_1");
    }
    assert_eq!(store.leftovers(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn the_answer_is_what_the_form_asks_for() {
    let store = start().await;
    let answered = |name: &'static str, value: &'static str| {
        let form = Form::to("in/a&b", b"x").with(name, value);
        let store = &store;
        async move { form.post(store).await }
    };
    let answer = answered("success_action_status", "201").await;
    assert_eq!(answer.status, 201);
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.contains("<PostResponse><Location>/originals/in%2Fa%26b</Location><Bucket>originals</Bucket><Key>in/a&amp;b</Key><ETag>"), "{text}");
    assert_eq!(answered("success_action_status", "200").await.status, 200);
    assert_eq!(answered("success_action_status", "404").await.status, 204);
    for name in ["success_action_redirect", "redirect"] {
        let answer = answered(name, "https://app.example/done?x=1").await;
        assert_eq!(answer.status, 303);
        let location = answer.header("location").unwrap();
        let wanted = "https://app.example/done?x=1&bucket=originals&key=in%2Fa%26b&etag=%22";
        assert!(location.starts_with(wanted), "{location}");
    }
    assert_eq!(
        answered("success_action_redirect", "/relative")
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn what_the_policy_does_not_allow_is_refused() {
    let store = start().await;
    let expired = Form {
        expires_in: Duration::seconds(-1),
        ..Form::to("in/a", b"abc")
    };
    let mut uncovered = Form::to("in/a", b"abc");
    uncovered.fields.push(("x-amz-meta-a", "b".to_owned()));
    let mut elsewhere = Form::to("in/a", b"abc");
    elsewhere.conditions[0] = json!({ "bucket": "others" });
    let mut nowhere = Form::to("in/a", b"abc");
    nowhere.conditions.remove(0);
    let mut absent = Form::to("in/a", b"abc");
    absent.conditions.push(json!(["eq", "$acl", "private"]));
    let mut unreadable = Form::to("in/a", b"abc");
    unreadable.conditions.push(json!({}));
    let stranger = Form {
        access_key: "somebody",
        ..Form::to("in/a", b"abc")
    };
    let forger = Form {
        secret_key: "guess",
        ..Form::to("in/a", b"abc")
    };
    for (form, status, code) in [
        (Form::to("out/a", b"abc"), 403, "AccessDenied"),
        (expired, 403, "AccessDenied"),
        (uncovered, 403, "AccessDenied"),
        (elsewhere, 403, "AccessDenied"),
        (nowhere, 403, "AccessDenied"),
        (absent, 403, "AccessDenied"),
        (unreadable, 400, "InvalidPolicyDocument"),
        (stranger, 403, "InvalidAccessKeyId"),
        (forger, 403, "SignatureDoesNotMatch"),
        (Form::to("in/a", b"abc").sized(0, 2), 400, "EntityTooLarge"),
        (Form::to("in/a", b"abc").sized(4, 9), 400, "EntityTooSmall"),
        (Form::to("in/a", b"").sized(1, 9), 400, "EntityTooSmall"),
        (
            Form::to("in/a", &noise(1, 2_000_000)).sized(0, 1_000_000),
            400,
            "EntityTooLarge",
        ),
        (
            Form::to("in/a", b"abc").with("acl", "public-read"),
            501,
            "NotImplemented",
        ),
        (
            Form::to("in/a", b"abc").with("x-amz-server-side-encryption", "AES256"),
            501,
            "NotImplemented",
        ),
        (
            Form::to("in/a", b"abc").with("x-amz-checksum-crc32", "AAAAAA=="),
            400,
            "BadDigest",
        ),
        (
            Form::to("in/a", b"abc").with("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA=="),
            400,
            "BadDigest",
        ),
    ] {
        let answer = form.post(&store).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
    nothing_is_kept(&store).await;
}

#[tokio::test]
async fn limits_of_size_are_inclusive_and_checksums_hold() {
    let store = start().await;
    for (form, key) in [
        (Form::to("in/a", b"abc").sized(3, 3), "in/a"),
        (
            Form::to("in/b", b"abc").with(
                "x-amz-checksum-sha256",
                "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
            ),
            "in/b",
        ),
    ] {
        let answer = form.post(&store).await;
        assert_eq!(answer.status, 204, "{}", answer.code());
        assert_eq!(get(&store.client(), key).await, b"abc");
    }
}

#[tokio::test]
async fn what_is_no_form_is_refused() {
    let store = start().await;
    let form = Form::to("in/a", b"abc");
    let signed = form.signed();
    let whole = form.body(&signed);
    // The key after the file.
    let late = Form {
        after: vec![("key", "in/a".to_owned())],
        ..Form::to("in/a", b"abc")
    };
    let without = |name: &str| {
        let fields: Vec<_> = signed.iter().filter(|(n, _)| *n != name).cloned().collect();
        form.body(&fields)
    };
    let unsigned = form.body(&form.fields);
    let mut bloated = signed.clone();
    bloated.insert(0, ("x-ignore-a", "x".repeat(30_000)));
    let no_file = {
        let end = whole
            .windows(11)
            .position(|w| w == b"name=\"file\"")
            .unwrap();
        let head = String::from_utf8(whole[..end].to_vec()).unwrap();
        format!("{head}name=\"photo\"\r\n\r\nabc\r\n--{BOUNDARY}--\r\n").into_bytes()
    };
    for (body, status, code) in [
        (late.body(&signed[1..]), 400, "InvalidArgument"),
        (without("key"), 400, "InvalidArgument"),
        (without("policy"), 400, "InvalidArgument"),
        (without("x-amz-signature"), 400, "InvalidArgument"),
        (without("x-amz-date"), 400, "InvalidArgument"),
        (unsigned, 403, "AccessDenied"),
        (no_file, 400, "InvalidArgument"),
        (form.body(&bloated), 400, "MaxPostPreDataLengthExceeded"),
        (b"no form at all".to_vec(), 400, "MalformedPOSTRequest"),
        (Vec::new(), 400, "MalformedPOSTRequest"),
        (whole[..whole.len() - 20].to_vec(), 400, "IncompleteBody"),
    ] {
        let answer = post(&store, &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
    }
    let url = format!("{}/{BUCKET}", store.endpoint);
    let mut bare = headers(&whole);
    bare[0].1 = "multipart/form-data".to_owned();
    let answer = send("POST", &url, &bare, &whole).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "MalformedPOSTRequest")
    );
    let answer = send("POST", &format!("{url}/in/a"), &headers(&whole), &whole).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (405, "MethodNotAllowed")
    );
    let url = format!("{}/missing", store.endpoint);
    let mut missing = Form::to("in/a", b"abc");
    missing.conditions[0] = json!({ "bucket": "missing" });
    let body = missing.body(&missing.signed());
    let answer = send("POST", &url, &headers(&body), &body).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (404, "NoSuchBucket")
    );
    nothing_is_kept(&store).await;
}

#[tokio::test]
async fn a_form_that_breaks_off_leaves_nothing() {
    let store = start().await;
    let form = Form::to("in/a", &noise(1, 1_000_000));
    let body = form.body(&form.signed());
    let mut head = format!("POST /{BUCKET} HTTP/1.1\r\nhost: {}\r\n", store.address());
    for (name, value) in headers(&body) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut socket = TcpStream::connect(store.address()).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(b"\r\n").await.unwrap();
    socket.write_all(&body[..900_000]).await.unwrap();
    eventually("its bytes arrive", || !store.leftovers().is_empty()).await;
    drop(socket);
    nothing_is_kept(&store).await;
}

#[tokio::test]
async fn a_form_may_be_sent_to_the_buckets_host() {
    let store = Running::start_with(|settings| {
        settings.hosts = vec!["store.example".to_owned()];
    })
    .await;
    let form = Form::to("in/a", b"abc");
    let body = form.body(&form.signed());
    let url = format!("http://{BUCKET}.store.example/");
    let answer = send_to(store.address(), "POST", &url, &headers(&body), &body).await;
    assert_eq!(answer.status, 204, "{}", answer.code());
    assert_eq!(get(&store.client(), "in/a").await, b"abc");
}

#[tokio::test]
async fn a_form_may_what_its_key_may() {
    let store = Running::start_with(|settings| {
        settings.keys = ["WRITER", "READER"]
            .map(|id| AccessKey {
                id: id.to_owned(),
                secret: "another-secret".to_owned(),
                may: [if id == "WRITER" {
                    Permission::Write
                } else {
                    Permission::Read
                }]
                .into(),
                bucket: None,
                prefix: "in/a".to_owned(),
            })
            .to_vec();
    })
    .await;
    for (access_key, key, status) in [
        ("WRITER", "in/a", 204),
        ("WRITER", "in/b", 403),
        ("READER", "in/a", 403),
    ] {
        let form = Form {
            access_key,
            secret_key: "another-secret",
            ..Form::to(key, b"abc")
        };
        let answer = form.post(&store).await;
        assert_eq!(
            answer.status,
            status,
            "{access_key} {key}: {}",
            answer.code()
        );
    }
}
