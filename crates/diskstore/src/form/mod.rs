//! PostObject: an upload by a browser's form, allowed by a policy that somebody
//! with a key has signed.
//!
//! The library that speaks S3 would read such a form into memory, so it is read
//! here: the fields first, which are checked, then the file, which goes to the
//! disk as it comes and is published as by PutObject.

mod answer;
mod fields;
mod parts;
mod policy;
mod signature;

use http::request::Parts;
use http::{Method, Response, header};
use s3s::dto::StreamingBlob;
use s3s::path::S3Path;
use s3s::{Body, S3Result, s3_error};
use time::OffsetDateTime;

use self::fields::Fields;
use self::policy::Policy;
use crate::clock::now_us;
use crate::events::Cause;
use crate::keys::Permission;
use crate::ops::put;
use crate::receive::Length;
use crate::store::DiskStore;
use crate::unsupported::refuse;

/// Whether a request is such an upload.
pub(crate) fn is_form(parts: &Parts) -> bool {
    parts.method == Method::POST
        && content_type(parts)
            .trim_start()
            .to_ascii_lowercase()
            .starts_with("multipart/form-data")
}

/// Answers such an upload.
pub(crate) async fn post_object(
    store: &DiskStore,
    place: Option<&S3Path>,
    parts: &Parts,
    body: Body,
) -> S3Result<Response<Body>> {
    let Some(S3Path::Bucket { bucket }) = place else {
        return Err(s3_error!(
            MethodNotAllowed,
            "A form is posted to a bucket; its field 'key' names the object."
        ));
    };
    let boundary = parts::boundary(content_type(parts)).ok_or_else(parts::malformed)?;
    let head = parts::read_head(body, &boundary).await?;
    let fields = Fields::gather(head.fields, bucket, head.file_name.as_deref())?;
    let key = fields.key()?;
    let now = OffsetDateTime::from_unix_timestamp_nanos(i128::from(now_us()) * 1000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let access_key = signature::verify(&fields, &store.inner.keys, now)?;
    let policy = Policy::parse(fields.require("Policy")?)?;
    policy.check(&fields, now)?;
    store
        .inner
        .keys
        .policy(access_key)?
        .check_key(Permission::Write, bucket, key)?;
    let (least, most) = policy.length_range(store.inner.settings.max_put_bytes);
    let file = StreamingBlob::from(head.file.into_body());
    let request = fields.request(file)?;
    refuse(&request.headers)?;
    let stored = put(store, request, Length::Between(least, most), Cause::Post).await?;
    answer::stored(&fields, &stored.output)
}

fn content_type(parts: &Parts) -> &str {
    parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
