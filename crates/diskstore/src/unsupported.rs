//! Refusing what the store would have to ignore.
//!
//! A header that this store has never heard of may ask for something, and
//! storing bytes without it would break a promise. So the list here is of what
//! is understood, and all other `x-amz-*` headers are refused.

use http::HeaderMap;
use s3s::{S3Error, S3Result, s3_error};

/// Headers that some operation reads, or that are fulfilled by doing nothing:
/// nobody is charged, and there is nothing whose retention could be bypassed.
const UNDERSTOOD: [&str; 34] = [
    "x-amz-bypass-governance-retention",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-mode",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-checksum-type",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-unmodified-since",
    "x-amz-copy-source-range",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-id-2",
    "x-amz-max-parts",
    "x-amz-metadata-directive",
    "x-amz-mp-object-size",
    "x-amz-object-attributes",
    "x-amz-optional-object-attributes",
    "x-amz-part-number-marker",
    "x-amz-request-id",
    "x-amz-request-payer",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-skip-destination-validation",
    "x-amz-tagging",
    "x-amz-tagging-directive",
    "x-amz-te",
    "x-amz-trailer",
    "x-amz-user-agent",
];

/// Headers with the values that say what is so anyway: there is one owner, who
/// has full control, and one class of storage.
const HARMLESS: [(&str, &[&str]); 4] = [
    (
        "x-amz-acl",
        &["private", "bucket-owner-full-control", "bucket-owner-read"],
    ),
    ("x-amz-bucket-object-lock-enabled", &["false", "False"]),
    ("x-amz-object-ownership", &["BucketOwnerEnforced"]),
    ("x-amz-storage-class", &["STANDARD"]),
];

/// Refuses requests with headers whose wish this store would not fulfil.
pub(crate) fn refuse(headers: &HeaderMap) -> S3Result<()> {
    for (name, value) in headers {
        let name = name.as_str();
        if !name.starts_with("x-amz-")
            || name.starts_with("x-amz-meta-")
            || UNDERSTOOD.contains(&name)
        {
            continue;
        }
        let harmless = HARMLESS
            .iter()
            .find(|(known, _)| *known == name)
            .is_some_and(|(_, values)| values.iter().any(|known| value == *known));
        if !harmless {
            return Err(not_implemented(name));
        }
    }
    Ok(())
}

/// Refuses a version of an object, of which there is only one.
pub(crate) fn refuse_version(version_id: Option<&str>) -> S3Result<()> {
    match version_id {
        None | Some("null") => Ok(()),
        Some(_) => Err(not_implemented("versionId")),
    }
}

/// The answer to a parameter that is not supported.
pub(crate) fn not_implemented(what: &str) -> S3Error {
    s3_error!(NotImplemented, "This store does not implement {what}.")
}
