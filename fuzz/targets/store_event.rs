//! Events of object stores, in every form that is understood.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight_fuzz::plant;
use safelight_service::intake::read_event::read_event;

const SEEDS: [&str; 4] = [
    r#"{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"o%2Fa+b","size":3,"eTag":"x"}}}]}"#,
    r#"{"EventName":"s3:ObjectCreated:CompleteMultipartUpload","Key":"b/o/a","Records":[{"eventName":"s3:ObjectCreated:CompleteMultipartUpload","s3":{"bucket":{"name":"b"},"object":{"key":"o%2Fa"}}}]}"#,
    r#"{"source":"aws.s3","detail-type":"Object Created","detail":{"bucket":{"name":"b"},"object":{"key":"o/a","size":3},"reason":"PutObject"}}"#,
    r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}"#,
];

fn seeds() -> impl Iterator<Item = Vec<u8>> {
    SEEDS.iter().map(|text| text.as_bytes().to_vec())
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    if let Ok(message) = serde_json::from_slice(bytes) {
        let _ = read_event(&message);
    }
});
