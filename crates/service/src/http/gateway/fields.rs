//! Header fields of upload protocols: structured items (RFC 9651), digests (RFC 9530), file names.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;

use crate::intake::append::digest::{Algorithm, Expected};

/// The text of a field that came once.
#[must_use]
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?.to_str().ok()?.trim();
    all.next().is_none().then_some(first)
}

/// An item without its parameters.
fn bare(item: &str) -> &str {
    item.split(';').next().unwrap_or_default().trim()
}

/// A boolean item: `?1` or `?0`. `Err` when it is there and is none.
pub(super) fn boolean(headers: &HeaderMap, name: &str) -> Result<Option<bool>, String> {
    if !headers.contains_key(name) {
        return Ok(None);
    }
    match text(headers, name).map(bare) {
        Some("?1") => Ok(Some(true)),
        Some("?0") => Ok(Some(false)),
        _ => Err(format!("{name} must be ?1 or ?0")),
    }
}

/// An item that is a count of bytes. `Err` when it is there and is none.
pub(super) fn count(headers: &HeaderMap, name: &str) -> Result<Option<i64>, String> {
    if !headers.contains_key(name) {
        return Ok(None);
    }
    text(headers, name)
        .map(bare)
        // Fifteen digits are the most that an integer item has.
        .filter(|t| (1..=15).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|t| t.parse().ok())
        .map(Some)
        .ok_or_else(|| format!("{name} must be a number of bytes"))
}

/// The digests of a dictionary such as `sha-256=:…:, sha-512=:…:`, by the algorithms that are known here. `Err`
/// when one of those is not a digest.
fn digests(headers: &HeaderMap, name: &str) -> Result<Vec<(Algorithm, Vec<u8>)>, String> {
    let mut found = Vec::new();
    for value in headers.get_all(name) {
        let wrong = || format!("{name} must be a dictionary such as sha-256=:…:");
        for member in value.to_str().map_err(|_| wrong())?.split(',') {
            let (key, value) = member.split_once('=').ok_or_else(wrong)?;
            let algorithm = match key.trim() {
                "sha-256" => Algorithm::Sha256,
                "sha-512" => Algorithm::Sha512,
                _ => continue,
            };
            let bytes = bare(value)
                .strip_prefix(':')
                .and_then(|v| v.strip_suffix(':'))
                .and_then(|v| BASE64_STANDARD.decode(v).ok())
                .filter(|v| v.len() == algorithm.digest_bytes())
                .ok_or_else(wrong)?;
            found.push((algorithm, bytes));
        }
    }
    Ok(found)
}

/// What the content of this request must come to, by `Content-Digest`.
pub(super) fn content_digest(headers: &HeaderMap) -> Result<Option<Expected>, String> {
    let mut all = digests(headers, "content-digest")?;
    Ok(all
        .pop()
        .map(|(algorithm, wanted)| Expected::of(algorithm, wanted)))
}

/// The SHA-256 of the whole file in hex, by `Repr-Digest`.
pub(super) fn repr_sha256(headers: &HeaderMap) -> Result<Option<String>, String> {
    let all = digests(headers, "repr-digest")?;
    let sha256 = all.into_iter().find(|(a, _)| *a == Algorithm::Sha256);
    Ok(sha256.map(|(_, bytes)| hex::encode(bytes)))
}

/// The file name of a `Content-Disposition` (RFC 6266); the extended form wins.
#[must_use]
pub(super) fn filename(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("content-disposition")?;
    let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
    let parameter = |name: &str| {
        value.split(';').skip(1).find_map(|p| {
            let (key, value) = p.split_once('=')?;
            (key.trim().eq_ignore_ascii_case(name)).then(|| value.trim().to_owned())
        })
    };
    if let Some(extended) = parameter("filename*") {
        let encoded = extended.splitn(3, '\'').nth(2)?.to_owned();
        let decoded = percent_encoding::percent_decode_str(&encoded).decode_utf8_lossy();
        return Some(decoded.into_owned());
    }
    crate::http::request::unquote(&parameter("filename")?)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn of(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
                (HeaderName::from_static(name), value)
            })
            .collect()
    }

    #[test]
    fn items_read_back_and_others_are_refused() {
        let headers = of(&[
            ("a", "?1"),
            ("b", "?0;x=1"),
            ("c", "yes"),
            ("d", " 17 "),
            ("e", "-1"),
        ]);
        assert_eq!(boolean(&headers, "a"), Ok(Some(true)));
        assert_eq!(boolean(&headers, "b"), Ok(Some(false)));
        assert!(boolean(&headers, "c").is_err());
        assert_eq!(boolean(&headers, "z"), Ok(None));
        assert_eq!(count(&headers, "d"), Ok(Some(17)));
        assert!(count(&headers, "e").is_err() && count(&headers, "a").is_err());
        let twice: HeaderMap = [("a", "1"), ("a", "2")]
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
            .into_iter()
            .fold(HeaderMap::new(), |mut all, (n, v)| {
                all.append(n, v);
                all
            });
        assert!(count(&twice, "a").is_err());
    }

    #[test]
    fn digests_are_those_of_the_specification() {
        // RFC 9530, appendix B: {"hello": "world"} and a line feed.
        let hello = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        let mut digest = content_digest(&of(&[("content-digest", hello)]))
            .unwrap()
            .unwrap();
        digest.count(b"{\"hello\": ");
        digest.count(b"\"world\"}\n");
        assert!(digest.clone().holds());
        digest.count(b"!");
        assert!(!digest.holds());
        let both = format!("id-md5=:AA==:, {hello}");
        let found = repr_sha256(&of(&[("repr-digest", &both)])).unwrap();
        assert!(found.unwrap().starts_with("44aff4ab2d7c3250"));
        assert_eq!(repr_sha256(&of(&[("repr-digest", "unixsum=1")])), Ok(None));
        for wrong in ["sha-256=:AA==:", "sha-256", "sha-256=AA=="] {
            assert!(
                repr_sha256(&of(&[("repr-digest", wrong)])).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn file_names_come_in_two_forms() {
        let name = |value| filename(&of(&[("content-disposition", value)]));
        assert_eq!(
            name("attachment; filename=\"a b.jpg\"").as_deref(),
            Some("a b.jpg")
        );
        assert_eq!(name("attachment; filename=a.jpg").as_deref(), Some("a.jpg"));
        let both = "attachment; filename=\"x\"; filename*=UTF-8''%C3%A4.jpg";
        assert_eq!(name(both).as_deref(), Some("ä.jpg"));
        assert_eq!(name("inline"), None);
    }
}
