//! Web pages as clients (Fetch standard, section 3.3). Any origin may: the gateway knows no cookies, so whoever has an
//! address or a token could use it outside of a browser as well.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// What pages may see of answers.
const EXPOSED: &str = "location, upload-offset, upload-length, upload-defer-length, upload-metadata, upload-expires, \
     upload-complete, upload-incomplete, upload-limit, upload-draft-interop-version, tus-resumable, tus-version, \
     tus-extension, tus-max-size, tus-checksum-algorithm, request-id, retry-after";
const METHODS: &str = "OPTIONS, HEAD, POST, PUT, PATCH, DELETE";

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
        preflight: is_preflight.then(|| wanted.cloned().unwrap_or(HeaderValue::from_static("*"))),
    })
}

/// Lets the page have the answer.
pub(super) fn allow(asked: Asked, headers: &mut HeaderMap) {
    let mut put = |name: HeaderName, value| headers.insert(name, value);
    put(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
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
