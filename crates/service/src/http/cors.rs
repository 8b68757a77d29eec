//! Web pages as clients (Fetch standard, section 3.3). Any origin may: the server knows no cookies, so whoever has an
//! address or a token could use it outside of a browser as well.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

/// What pages may see of answers, beside the few headers that they always may.
const EXPOSED: &str = "location, upload-offset, upload-length, upload-defer-length, upload-metadata, upload-expires, \
     upload-complete, upload-incomplete, upload-limit, upload-draft-interop-version, tus-resumable, tus-version, \
     tus-extension, tus-max-size, tus-checksum-algorithm, request-id, retry-after, etag, idempotency-replayed, \
     preference-applied, accept-ranges, content-range, content-disposition";
const METHODS: &str = "OPTIONS, GET, HEAD, POST, PUT, PATCH, DELETE";
const ANY: HeaderValue = HeaderValue::from_static("*");

/// What a request from a page asks for.
#[derive(Debug)]
pub(super) struct Asked {
    /// The headers that it is going to send, where this is a preflight.
    preflight: Option<HeaderValue>,
}

/// What this request asks for, if it comes from a page.
pub(super) fn asked(method: &Method, headers: &HeaderMap) -> Option<Asked> {
    headers.get(header::ORIGIN)?;
    let is_preflight =
        method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
    Some(Asked {
        preflight: is_preflight.then(|| wanted.cloned().unwrap_or(ANY)),
    })
}

/// Lets the page have the answer.
pub(super) fn allow(asked: Asked, headers: &mut HeaderMap) {
    let mut put = |name: HeaderName, value| headers.insert(name, value);
    put(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    put(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(EXPOSED),
    );
    if let Some(wanted) = asked.preflight {
        put(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static(METHODS),
        );
        put(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
        put(
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static("86400"),
        );
    }
}

/// Lets pages use the API and read pictures. Surrounds everything else, so that they can read why they were refused;
/// a preflight has no credential and is answered here.
pub(super) async fn pages(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_picture = path.starts_with("/m/");
    if !is_picture && !path.starts_with("/v1/") {
        return next.run(request).await;
    }
    let page = asked(request.method(), request.headers());
    let mut response = match &page {
        Some(page) if page.preflight.is_some() => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    match page {
        Some(page) => allow(page, response.headers_mut()),
        // Caches keep pictures, and give what an `<img>` got to a script as well.
        None if is_picture => {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
        }
        None => {}
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_answered_and_nobody_else_is() {
        let mut headers = HeaderMap::new();
        assert!(asked(&Method::PATCH, &headers).is_none());
        headers.insert("origin", HeaderValue::from_static("https://app.example"));
        let mut answer = HeaderMap::new();
        allow(asked(&Method::PATCH, &headers).unwrap(), &mut answer);
        assert_eq!(answer["access-control-allow-origin"], "*");
        assert!(!answer.contains_key("access-control-allow-methods"));
        headers.insert(
            "access-control-request-method",
            HeaderValue::from_static("PATCH"),
        );
        let wanted = HeaderValue::from_static("upload-offset,tus-resumable");
        headers.insert("access-control-request-headers", wanted.clone());
        allow(asked(&Method::OPTIONS, &headers).unwrap(), &mut answer);
        assert_eq!(answer["access-control-allow-headers"], wanted);
    }
}
