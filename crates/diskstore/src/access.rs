//! Whether a request may go on: it is signed, all that could change its meaning
//! is signed, and its key may do what it asks for.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{
    CopyObjectInput, CopySource, DeleteObjectsInput, ListMultipartUploadsInput, ListObjectsInput,
    ListObjectsV2Input, UploadPartCopyInput,
};
use s3s::path::S3Path;
use s3s::{S3Request, S3Result, s3_error};

use crate::hoist::Hoisted;
use crate::keys::{Keyring, Permission, Policy, denied};
use crate::unsupported::refuse;

/// The longest life of a presigned URL in S3, in seconds.
const LONGEST_URL_S: u64 = 604_800;

/// Which of the keys that a request names its key may not touch; they are
/// refused one by one.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeniedKeys(pub HashSet<String>);

/// Refuses what is not signed, and what the key may not do.
#[derive(Clone)]
pub(crate) struct Guard {
    keys: Arc<Keyring>,
}

impl Guard {
    pub(crate) fn with(keys: Arc<Keyring>) -> Self {
        Self { keys }
    }

    fn policy_of<T>(&self, request: &S3Request<T>) -> S3Result<&Policy> {
        let credentials = request.credentials.as_ref().ok_or_else(denied)?;
        self.keys.policy(&credentials.access_key)
    }

    /// Refuses a listing that goes beyond what the key may list.
    fn check_listing<T>(
        &self,
        request: &S3Request<T>,
        bucket: &str,
        prefix: Option<&String>,
    ) -> S3Result<()> {
        let prefix = prefix.map_or("", String::as_str);
        self.policy_of(request)?
            .check_key(Permission::List, bucket, prefix)
    }

    /// Refuses to copy from where the key may not read.
    fn check_source<T>(&self, request: &S3Request<T>, source: &CopySource) -> S3Result<()> {
        match source {
            CopySource::Bucket { bucket, key, .. } => {
                self.policy_of(request)?
                    .check_key(Permission::Read, bucket, key)
            }
            CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => {
                self.policy_of(request)?.check(Permission::Read)
            }
        }
    }
}

#[async_trait::async_trait]
impl S3Auth for Guard {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        self.keys.secret(access_key).cloned()
    }
}

#[async_trait::async_trait]
impl S3Access for Guard {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        if cx.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Signature is required."));
        }
        check_signed(cx)?;
        refuse(cx.headers())?;
        let credentials = cx.credentials().ok_or_else(denied)?;
        let policy = self.keys.policy(&credentials.access_key)?;
        let Some(permission) = permission(cx.s3_op().name()) else {
            return match cx.s3_path().get_bucket_name() {
                Some(bucket) if !policy.sees(bucket) => Err(denied()),
                _ => Ok(()),
            };
        };
        match cx.s3_path() {
            S3Path::Root => policy.check(permission),
            S3Path::Bucket { bucket } if policy.sees(bucket) => policy.check(permission),
            S3Path::Bucket { .. } => Err(denied()),
            S3Path::Object { bucket, key } => policy.check_key(permission, bucket, key),
        }
    }

    async fn list_objects(&self, request: &mut S3Request<ListObjectsInput>) -> S3Result<()> {
        let input = &request.input;
        self.check_listing(request, &input.bucket, input.prefix.as_ref())
    }

    async fn list_objects_v2(&self, request: &mut S3Request<ListObjectsV2Input>) -> S3Result<()> {
        let input = &request.input;
        self.check_listing(request, &input.bucket, input.prefix.as_ref())
    }

    async fn list_multipart_uploads(
        &self,
        request: &mut S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<()> {
        let input = &request.input;
        self.check_listing(request, &input.bucket, input.prefix.as_ref())
    }

    async fn delete_objects(&self, request: &mut S3Request<DeleteObjectsInput>) -> S3Result<()> {
        let policy = self.policy_of(request)?;
        let input = &request.input;
        let is_denied = |key: &str| {
            let checked = policy.check_key(Permission::Delete, &input.bucket, key);
            checked.is_err()
        };
        let keys = input.delete.objects.iter().map(|object| &object.key);
        let denied = keys.filter(|key| is_denied(key)).cloned().collect();
        request.extensions.insert(DeniedKeys(denied));
        Ok(())
    }

    async fn copy_object(&self, request: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        self.check_source(request, &request.input.copy_source)
    }

    async fn upload_part_copy(&self, request: &mut S3Request<UploadPartCopyInput>) -> S3Result<()> {
        self.check_source(request, &request.input.copy_source)
    }
}

/// What an operation needs; `None` if any key that sees the bucket may ask.
/// Whatever is not named is for those who may administer buckets.
fn permission(operation: &str) -> Option<Permission> {
    Some(match operation {
        "HeadBucket" | "GetBucketLocation" | "GetBucketVersioning" => return None,
        "GetObject"
        | "HeadObject"
        | "GetObjectAttributes"
        | "GetObjectTagging"
        | "GetObjectAcl" => Permission::Read,
        "PutObject"
        | "CopyObject"
        | "PutObjectTagging"
        | "DeleteObjectTagging"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "UploadPartCopy"
        | "ListParts"
        | "CompleteMultipartUpload"
        | "AbortMultipartUpload" => Permission::Write,
        "DeleteObject" | "DeleteObjects" => Permission::Delete,
        "ListBuckets"
        | "ListObjects"
        | "ListObjectsV2"
        | "ListObjectVersions"
        | "ListMultipartUploads" => Permission::List,
        _ => Permission::Admin,
    })
}

/// Refuses presigned URLs that live too long, and requests with `x-amz-*`
/// headers that are not among the signed ones: whoever was handed a presigned
/// URL could otherwise add some.
fn check_signed(cx: &mut S3AccessContext<'_>) -> S3Result<()> {
    let query = cx.uri().query().unwrap_or_default();
    if let Some(expires) = parameter(query, "X-Amz-Expires")
        && expires.parse::<u64>().is_ok_and(|s| s > LONGEST_URL_S)
    {
        return Err(s3_error!(
            AuthorizationQueryParametersError,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds."
        ));
    }
    let signed = match parameter(query, "X-Amz-SignedHeaders") {
        Some(signed) => signed.into_owned(),
        None => cx
            .headers()
            .get(http::header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once("SignedHeaders="))
            .and_then(|(_, rest)| rest.split([',', ' ']).next())
            .unwrap_or_default()
            .to_owned(),
    };
    let signed: Vec<&str> = signed.split(';').collect();
    let hoisted = cx.extensions_mut().get::<Hoisted>().cloned();
    for name in cx.headers().keys() {
        let in_query = hoisted.as_ref().is_some_and(|h| h.0.contains(name));
        let name = name.as_str();
        if name.starts_with("x-amz-")
            // It can only make the check of the body stricter.
            && name != "x-amz-content-sha256"
            && !signed.contains(&name)
            && !in_query
        {
            return Err(s3_error!(
                AccessDenied,
                "There were headers present in the request which were not signed: {name}."
            ));
        }
    }
    Ok(())
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    query.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=')?;
        (found == name).then(|| percent_encoding::percent_decode_str(value).decode_utf8_lossy())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_is_for_administrators() {
        assert_eq!(permission("DeleteBucket"), Some(Permission::Admin));
        assert_eq!(permission("PutBucketCors"), Some(Permission::Admin));
        assert_eq!(permission("GetObject"), Some(Permission::Read));
        assert_eq!(permission("HeadBucket"), None);
    }
}
