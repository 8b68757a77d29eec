//! `x-amz-*` headers that stand in the query of a presigned URL.
//!
//! Some signers put all headers there. S3 reads them as headers, and as all of
//! a query is signed, so are they.

use http::request::Parts;
use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

/// What makes a URL presigned, in lower case. The rest is about the request.
const OF_THE_SIGNATURE: [&str; 6] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// The CRC-32 of no bytes, as a header.
const CRC32_OF_NOTHING: (&str, &[u8]) = ("x-amz-checksum-crc32", b"AAAAAA==");

/// The headers of a request that came in its query.
#[derive(Debug, Clone)]
pub(crate) struct Hoisted(pub Vec<HeaderName>);

/// Whether the query is that of a presigned URL.
pub(crate) fn is_presigned(query: Option<&str>) -> bool {
    pairs(query).any(|(name, _)| name == "X-Amz-Signature")
}

/// Makes such parameters headers.
pub(crate) fn hoist(parts: &mut Parts) {
    if !is_presigned(parts.uri.query()) {
        return;
    }
    let mut hoisted = Vec::new();
    for (name, value) in pairs(parts.uri.query()) {
        let name = name.to_ascii_lowercase();
        if !name.starts_with("x-amz-") || OF_THE_SIGNATURE.contains(&name.as_str()) {
            continue;
        }
        let value = value.replace('+', " ");
        let value: Vec<u8> = percent_decode_str(&value).collect();
        // The AWS SDK for JavaScript signs this unasked when it does not have the
        // body yet, so it says nothing of the body. Amazon S3 ignores it, too.
        if (name.as_str(), value.as_slice()) == CRC32_OF_NOTHING {
            continue;
        }
        let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_bytes(&value),
        ) else {
            continue;
        };
        // Where it is a header as well, the two are read as one header given
        // twice, which is refused where it matters.
        parts.headers.append(&name, value);
        hoisted.push(name);
    }
    parts.extensions.insert(Hoisted(hoisted));
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hoisted(uri: &str) -> Parts {
        let (mut parts, ()) = http::Request::get(uri).body(()).unwrap().into_parts();
        hoist(&mut parts);
        parts
    }

    #[test]
    fn only_what_is_about_the_request_becomes_a_header() {
        let parts = hoisted(
            "/b/k?X-Amz-Date=1&X-Amz-Signature=2&x-amz-acl=private&X-Amz-Tagging=a%3Db%26c&partNumber=1",
        );
        let names: Vec<&str> = parts.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-amz-acl", "x-amz-tagging"]);
        assert_eq!(parts.headers["x-amz-tagging"], "a=b&c");
        assert_eq!(
            parts.extensions.get::<Hoisted>().map(|h| h.0.len()),
            Some(2)
        );
    }

    #[test]
    fn the_checksum_of_a_body_that_the_signer_did_not_have_is_none() {
        let parts = hoisted(
            "/b/k?X-Amz-Signature=2&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32",
        );
        let names: Vec<&str> = parts.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-amz-sdk-checksum-algorithm"]);
        let parts = hoisted("/b/k?X-Amz-Signature=2&x-amz-checksum-crc32=AAAAAQ%3D%3D");
        assert_eq!(parts.headers["x-amz-checksum-crc32"], "AAAAAQ==");
    }

    #[test]
    fn a_query_without_a_signature_stays_one() {
        let parts = hoisted("/b/k?x-amz-acl=private");
        assert!(parts.headers.is_empty() && parts.extensions.get::<Hoisted>().is_none());
    }
}
