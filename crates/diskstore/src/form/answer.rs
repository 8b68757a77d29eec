//! What a browser gets when its form was taken.

use http::{HeaderValue, Response, StatusCode, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{ETag, PostResponse, PutObjectOutput};
use s3s::xml::{Serialize as _, Serializer};
use s3s::{Body, S3Error, S3Result, s3_error};

use super::fields::Fields;

/// What a URL's part shows as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The answer that the form asks for: a redirect, or an empty document, or one
/// that says where the object is.
pub(super) fn stored(fields: &Fields, output: &PutObjectOutput) -> S3Result<Response<Body>> {
    let (bucket, key) = (fields.require("bucket")?, fields.key()?);
    let etag = match &output.e_tag {
        Some(ETag::Strong(etag) | ETag::Weak(etag)) => format!("\"{etag}\""),
        None => String::new(),
    };
    let location = format!("/{bucket}/{}", encode(key));
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::ETAG, value(&etag)?);
    for (name, checksum) in [
        ("x-amz-checksum-crc32", &output.checksum_crc32),
        ("x-amz-checksum-crc32c", &output.checksum_crc32c),
        ("x-amz-checksum-crc64nvme", &output.checksum_crc64nvme),
        ("x-amz-checksum-sha1", &output.checksum_sha1),
        ("x-amz-checksum-sha256", &output.checksum_sha256),
    ] {
        if let Some(checksum) = checksum {
            headers.insert(name, value(checksum)?);
        }
    }
    if let Some(target) = redirect(fields) {
        let with = if target.contains('?') { '&' } else { '?' };
        let query = format!(
            "bucket={}&key={}&etag={}",
            encode(bucket),
            encode(key),
            encode(&etag)
        );
        headers.insert(header::LOCATION, value(&format!("{target}{with}{query}"))?);
        *response.status_mut() = StatusCode::SEE_OTHER;
        return Ok(response);
    }
    headers.insert(header::LOCATION, value(&location)?);
    let status = fields.get("success_action_status").map(String::as_str);
    *response.status_mut() = match status {
        Some("200") => StatusCode::OK,
        Some("201") => StatusCode::CREATED,
        _ => StatusCode::NO_CONTENT,
    };
    if response.status() == StatusCode::CREATED {
        let document = PostResponse {
            location: &location,
            bucket,
            key,
            etag: &etag,
        };
        let mut xml = Vec::new();
        let mut serializer = Serializer::new(&mut xml);
        serializer
            .decl()
            .and_then(|()| document.serialize(&mut serializer))
            .map_err(|_| failed())?;
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/xml"),
        );
        *response.body_mut() = Body::from(xml);
    }
    Ok(response)
}

/// Where the browser is to go; nowhere if that is no absolute URL.
fn redirect(fields: &Fields) -> Option<&str> {
    let target = fields
        .get("success_action_redirect")
        .or_else(|| fields.get("redirect"))?;
    let uri: Uri = target.parse().ok()?;
    matches!(uri.scheme_str(), Some("http" | "https")).then_some(target)
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

fn value(text: &str) -> S3Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|_| failed())
}

fn failed() -> S3Error {
    s3_error!(InternalError, "The store failed.")
}
