//! An event, and how Amazon S3 writes it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

/// Who owns everything in the store.
pub(crate) const OWNER: &str = "diskstore";
/// What stands in an event's key as it is; a space becomes `+`.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'*')
    .remove(b'/')
    .remove(b' ');

/// Something that happened to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `ObjectCreated:Put`, `ObjectCreated:Post`,
    /// `ObjectCreated:CompleteMultipartUpload`, `ObjectRemoved:Delete` or
    /// `LifecycleExpiration:Delete`.
    pub name: &'static str,
    /// When, in microseconds since 1970, UTC.
    pub at_us: i64,
    /// The region of the store.
    pub region: String,
    /// Which part of the bucket's configuration asked for it.
    pub configuration_id: String,
    /// The bucket.
    pub bucket: String,
    /// The key, as it is.
    pub key: String,
    /// The object's size in bytes, unless it was removed.
    pub size_bytes: Option<u64>,
    /// The object's ETag without quotes, unless it was removed.
    pub etag: Option<String>,
    /// Of two events of one key, the later one has the greater text.
    pub sequencer: String,
}

impl Event {
    /// The message that carries events, as Amazon S3 writes it.
    pub(super) fn message(events: &[Self]) -> Vec<u8> {
        let records: Vec<Value> = events.iter().map(Self::record).collect();
        json!({ "Records": records }).to_string().into_bytes()
    }

    fn record(&self) -> Value {
        let mut object = json!({
            "key": utf8_percent_encode(&self.key, PLAIN).to_string().replace(' ', "+"),
            "sequencer": self.sequencer,
        });
        if let (Some(size_bytes), Some(etag)) = (self.size_bytes, &self.etag) {
            object["size"] = size_bytes.into();
            object["eTag"] = etag.as_str().into();
        }
        json!({
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": self.region,
            "eventTime": self.time(),
            "eventName": self.name,
            "userIdentity": { "principalId": OWNER },
            "requestParameters": {},
            "responseElements": {},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": self.configuration_id,
                "bucket": {
                    "name": self.bucket,
                    "ownerIdentity": { "principalId": OWNER },
                    "arn": format!("arn:aws:s3:::{}", self.bucket),
                },
                "object": object,
            },
        })
    }

    /// RFC 3339 with milliseconds.
    fn time(&self) -> String {
        let layout = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.at_us) * 1000)
            .ok()
            .and_then(|at| at.format(layout).ok())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_as_amazon_does() {
        let put = Event {
            name: "ObjectCreated:Put",
            at_us: 1_700_000_000_123_456,
            region: "us-east-1".to_owned(),
            configuration_id: "all".to_owned(),
            bucket: "photos".to_owned(),
            key: "o/a b+ä.jpg".to_owned(),
            size_bytes: Some(3),
            etag: Some("e".to_owned()),
            sequencer: "0A".to_owned(),
        };
        let gone = Event {
            name: "ObjectRemoved:Delete",
            at_us: 0,
            size_bytes: None,
            etag: None,
            ..put.clone()
        };
        let message: Value = serde_json::from_slice(&Event::message(&[put, gone])).unwrap();
        let record = &message["Records"][0];
        assert_eq!(record["eventName"], "ObjectCreated:Put");
        assert_eq!(record["eventTime"], "2023-11-14T22:13:20.123Z");
        assert_eq!(record["s3"]["bucket"]["name"], "photos");
        let object =
            json!({ "key": "o/a+b%2B%C3%A4.jpg", "sequencer": "0A", "size": 3, "eTag": "e" });
        assert_eq!(record["s3"]["object"], object);
        let object = json!({ "key": "o/a+b%2B%C3%A4.jpg", "sequencer": "0A" });
        assert_eq!(message["Records"][1]["s3"]["object"], object);
        assert_eq!(
            message["Records"][1]["eventTime"],
            "1970-01-01T00:00:00.000Z"
        );
    }
}
