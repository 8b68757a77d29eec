//! Requests signed for what cannot be a region.
//!
//! Signatures for any region hold. Some tools begin with a name that is none,
//! such as `US`, and go on with the one that they are told.

use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use s3s::Body;
use s3s::region::Region;

/// Whether a region can have this name.
pub(crate) fn is_region(name: &str) -> bool {
    Region::new(name.into()).is_ok()
}

/// Tells a client that signs for no region which one it is, as Amazon S3 does.
pub(crate) fn correction(parts: &Parts, region: &str) -> Option<Response<Body>> {
    let signed_for = parts
        .headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once("Credential=")?
        .1
        .split('/')
        .nth(2)?;
    if is_region(signed_for) {
        return None;
    }
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; the region is wrong; expecting '{region}'</Message><Region>{region}</Region></Error>"
    );
    let mut response = Response::new(Body::from(xml));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/xml"),
    );
    Some(response)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn corrected(authorization: &str) -> bool {
        let request = Request::get("/").header("authorization", authorization);
        let (parts, ()) = request.body(()).unwrap().into_parts();
        correction(&parts, "us-east-1").is_some()
    }

    #[test]
    fn only_what_is_no_region_is_corrected() {
        let signed = |region: &str| {
            format!(
                "AWS4-HMAC-SHA256 Credential=KEY/20260101/{region}/s3/aws4_request, SignedHeaders=host, Signature=00"
            )
        };
        assert!(corrected(&signed("US")));
        assert!(corrected(&signed("")));
        assert!(!corrected(&signed("eu-west-1")));
        assert!(!corrected("AWS4-HMAC-SHA256 nonsense"));
    }
}
