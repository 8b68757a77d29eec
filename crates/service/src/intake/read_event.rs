//! The messages in which stores tell of what happens to them. Pure: nothing is looked up.
//!
//! | from | differs in |
//! |---|---|
//! | Amazon S3, Ceph, the embedded store | `Records`, events named `ObjectCreated:Put`; Ceph's sizes are texts |
//! | MinIO | `Records`, events named `s3:ObjectCreated:Put` |
//! | Amazon EventBridge | one event, `detail-type` `Object Created`, and a key that is not URL-encoded |
//!
//! Only the bucket and the key are read: what else a message says of an object is not believed.

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// Records in one message at most.
const MOST_RECORDS: usize = 1000;

/// An object that came to be, as the store says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The bucket.
    pub bucket: String,
    /// The key, as it is.
    pub key: String,
}

/// Why a message is none, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NoEvent {
    /// The place: `Records[3].s3.object.key`.
    pub field: String,
    /// What is wrong there.
    pub why: &'static str,
}

fn no_event(field: impl Into<String>, why: &'static str) -> NoEvent {
    NoEvent {
        field: field.into(),
        why,
    }
}

/// What was created according to a message. Events of other kinds are left out.
///
/// # Errors
/// If it is not a message of a store.
pub fn read_event(message: &Value) -> Result<Vec<Created>, NoEvent> {
    if !message.is_object() {
        return Err(no_event("", "a message of a store is a JSON object"));
    }
    if let Some(records) = message.get("Records") {
        let records = records
            .as_array()
            .ok_or_else(|| no_event("Records", "Records must be a list"))?;
        if records.len() > MOST_RECORDS {
            return Err(no_event("Records", "a message has at most 1000 records"));
        }
        let mut created = Vec::with_capacity(records.len());
        for (i, record) in records.iter().enumerate() {
            created.extend(read_record(record, &format!("Records[{i}]"))?);
        }
        return Ok(created);
    }
    if let Some(kind) = message.get("detail-type") {
        if kind != "Object Created" {
            return Ok(Vec::new());
        }
        let bucket = text(message, "", &["detail", "bucket", "name"])?;
        let key = text(message, "", &["detail", "object", "key"])?;
        return Ok(vec![Created {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        }]);
    }
    // What Amazon S3 sends when notifications are configured.
    if message.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    Err(no_event(
        "",
        "neither Records nor detail-type is there: this is no message of a store",
    ))
}

fn read_record(record: &Value, place: &str) -> Result<Option<Created>, NoEvent> {
    let name = text(record, place, &["eventName"])?;
    let name = name.strip_prefix("s3:").unwrap_or(name);
    if !name.starts_with("ObjectCreated:") {
        return Ok(None);
    }
    let bucket = text(record, place, &["s3", "bucket", "name"])?;
    let encoded = text(record, place, &["s3", "object", "key"])?;
    let key = percent_decode_str(&encoded.replace('+', " "))
        .decode_utf8()
        .map_err(|_| {
            no_event(
                format!("{place}.s3.object.key"),
                "the key is not URL-encoded UTF-8",
            )
        })?
        .into_owned();
    Ok(Some(Created {
        bucket: bucket.to_owned(),
        key,
    }))
}

fn text<'a>(value: &'a Value, place: &str, path: &[&str]) -> Result<&'a str, NoEvent> {
    let found = path.iter().try_fold(value, |value, name| value.get(name));
    found.and_then(Value::as_str).ok_or_else(|| {
        let field = path.join(".");
        let field = if place.is_empty() {
            field
        } else {
            format!("{place}.{field}")
        };
        no_event(field, "a text must stand here")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn record(name: &str, key: &str, size: Value) -> Value {
        json!({
            "eventName": name, "eventTime": "2026-11-28T03:00:00.000Z",
            "s3": { "bucket": { "name": "safelight" },
                    "object": { "key": key, "size": size, "eTag": "e", "sequencer": "0A" } },
        })
    }

    fn keys(message: &Value) -> Vec<String> {
        let created = read_event(message).unwrap();
        assert!(created.iter().all(|c| c.bucket == "safelight"));
        created.into_iter().map(|c| c.key).collect()
    }

    #[test]
    fn the_four_shapes_say_the_same() {
        let aws = json!({ "Records": [record("ObjectCreated:Put", "o/a+b%2B%C3%A4", json!(3))] });
        let ceph =
            json!({ "Records": [record("ObjectCreated:Put", "o/a+b%2B%C3%A4", json!("3"))] });
        let minio = json!({
            "EventName": "s3:ObjectCreated:Put", "Key": "safelight/o/a b+ä",
            "Records": [record("s3:ObjectCreated:Put", "o%2Fa+b%2B%C3%A4", json!(3))],
        });
        let bridge = json!({
            "version": "0", "detail-type": "Object Created", "source": "aws.s3",
            "detail": { "bucket": { "name": "safelight" }, "reason": "CompleteMultipartUpload",
                        "object": { "key": "o/a b+ä", "size": 3, "etag": "e" } },
        });
        for message in [aws, ceph, minio, bridge] {
            assert_eq!(keys(&message), ["o/a b+ä"], "{message}");
        }
    }

    #[test]
    fn what_is_not_created_is_left_out() {
        let removed = json!({ "eventName": "s3:ObjectRemoved:Delete" });
        let mixed = json!({ "Records": [
            removed, record("s3:ObjectCreated:CompleteMultipartUpload", "b", json!(1)),
            record("ObjectTagging:Put", "c", json!(1)), record("s3:ObjectCreated:Post", "d", json!(1)),
        ]});
        assert_eq!(keys(&mixed), ["b", "d"]);
        for nothing in [
            json!({ "Records": [] }),
            json!({ "Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "safelight" }),
            json!({ "detail-type": "Object Deleted", "detail": {} }),
        ] {
            assert!(keys(&nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn what_is_no_message_is_named() {
        let mut odd = record("ObjectCreated:Put", "a", json!(1));
        odd["s3"]["object"]["key"] = json!(7);
        let good = || record("ObjectCreated:Put", "a", json!(1));
        for (message, field) in [
            (json!([]), ""),
            (json!({}), ""),
            (json!({ "Records": {} }), "Records"),
            (json!({ "Records": vec![json!({}); 1001] }), "Records"),
            (json!({ "Records": [good(), 3] }), "Records[1].eventName"),
            (json!({ "Records": [odd] }), "Records[0].s3.object.key"),
            (
                json!({ "Records": [record("ObjectCreated:Put", "%ff", json!(1))] }),
                "Records[0].s3.object.key",
            ),
            (
                json!({ "detail-type": "Object Created", "detail": {} }),
                "detail.bucket.name",
            ),
        ] {
            assert_eq!(read_event(&message).unwrap_err().field, field, "{message}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(name in "\\PC{0,20}", key in "\\PC{0,40}|[%+a-f0-9]{0,40}") {
            let _ = read_event(&json!({ "Records": [record(&name, &key, json!(null))] }));
            let _ = read_event(&json!({ "detail-type": name, "detail": { "object": { "key": key } } }));
        }
    }
}
