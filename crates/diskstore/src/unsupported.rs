//! Refusing what the store would have to ignore.

use http::HeaderMap;
use s3s::{S3Error, S3Result, s3_error};

/// Headers with which a client asks for something that this store does not do;
/// storing its bytes without would break a promise.
const REFUSED: [&str; 12] = [
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-tagging",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-retain-until-date",
    "x-amz-website-redirect-location",
    "x-amz-write-offset-bytes",
    "x-amz-grant-read",
    "x-amz-grant-full-control",
    "x-amz-copy-source",
];

/// Refuses requests with such headers.
pub(crate) fn refuse(headers: &HeaderMap) -> S3Result<()> {
    for name in REFUSED {
        if headers.contains_key(name) {
            return Err(not_implemented(name));
        }
    }
    let other_than = |name: &str, plain: &str| {
        headers
            .get(name)
            .is_some_and(|value| value.as_bytes() != plain.as_bytes())
    };
    if other_than("x-amz-acl", "private") {
        return Err(not_implemented("x-amz-acl"));
    }
    if other_than("x-amz-storage-class", "STANDARD") {
        return Err(not_implemented("x-amz-storage-class"));
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
