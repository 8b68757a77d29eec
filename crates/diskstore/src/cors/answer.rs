//! What a browser is told.

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use s3s::path::S3Path;
use s3s::{Body, S3Error, S3ErrorCode};

use super::CorsRule;
use crate::gate::error_response;
use crate::store::DiskStore;

/// What an answer depends on, for caches; as Amazon S3 writes it.
const VARY: HeaderValue = HeaderValue::from_static(
    "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
);

/// Answers a preflight.
pub(crate) fn preflight(
    store: &DiskStore,
    place: Option<&S3Path>,
    parts: &Parts,
) -> Response<Body> {
    match allowance(store, place, parts) {
        Ok(headers) => {
            let mut response = Response::new(Body::empty());
            *response.headers_mut() = headers;
            response
        }
        Err(error) => error_response(error),
    }
}

fn allowance(
    store: &DiskStore,
    place: Option<&S3Path>,
    parts: &Parts,
) -> Result<HeaderMap, S3Error> {
    let Some(origin) = text(&parts.headers, header::ORIGIN) else {
        return Err(coded(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            "Insufficient information. Origin request header needed.",
        ));
    };
    let bucket = place.and_then(S3Path::get_bucket_name);
    let Some(rules) = bucket.and_then(|bucket| store.inner.cors_rules(bucket)) else {
        return Err(forbidden("Bucket not found"));
    };
    if rules.is_empty() {
        return Err(forbidden("CORS is not enabled for this bucket."));
    }
    let method = text(&parts.headers, header::ACCESS_CONTROL_REQUEST_METHOD).ok_or_else(|| {
        coded(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            "Invalid Access-Control-Request-Method: null",
        )
    })?;
    let asked = asked_headers(&parts.headers);
    let rule = rules
        .iter()
        .find(|rule| rule.allows(origin, method, &asked))
        .ok_or_else(|| {
            forbidden(
                "This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
            )
        })?;
    let mut headers = told(rule, origin);
    if !asked.is_empty() {
        put(
            &mut headers,
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            &asked.join(", "),
        );
    }
    Ok(headers)
}

/// The headers that let a page read the answer to a request, whether that
/// succeeds or not; none if it comes from no page or one that may not.
pub(crate) fn headers(store: &DiskStore, place: Option<&S3Path>, parts: &Parts) -> HeaderMap {
    let allowed = || {
        let origin = text(&parts.headers, header::ORIGIN)?;
        let rules = store.inner.cors_rules(place?.get_bucket_name()?)?;
        let asked = asked_headers(&parts.headers);
        let rule = rules
            .iter()
            .find(|rule| rule.allows(origin, parts.method.as_str(), &asked))?;
        Some(told(rule, origin))
    };
    allowed().unwrap_or_default()
}

/// What a rule tells the browser of a page that it allows.
fn told(rule: &CorsRule, origin: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if rule.for_everybody() {
        put(&mut headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    } else {
        put(&mut headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        put(
            &mut headers,
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            "true",
        );
    }
    put(
        &mut headers,
        header::ACCESS_CONTROL_ALLOW_METHODS,
        &rule.methods.join(", "),
    );
    if !rule.expose.is_empty() {
        put(
            &mut headers,
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            &rule.expose.join(", "),
        );
    }
    if let Some(max_age_s) = rule.max_age_s {
        put(
            &mut headers,
            header::ACCESS_CONTROL_MAX_AGE,
            &max_age_s.to_string(),
        );
    }
    headers.insert(header::VARY, VARY);
    headers
}

/// The headers that the page wants to send, in lower case.
fn asked_headers(headers: &HeaderMap) -> Vec<String> {
    text(headers, header::ACCESS_CONTROL_REQUEST_HEADERS)
        .unwrap_or_default()
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn forbidden(why: &str) -> S3Error {
    coded(
        StatusCode::FORBIDDEN,
        "AccessForbidden",
        &format!("CORSResponse: {why}"),
    )
}

/// An error that s3s does not know.
fn coded(status: StatusCode, code: &'static str, message: &str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message.to_owned());
    error.set_status_code(status);
    error
}
