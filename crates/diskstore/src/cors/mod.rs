//! Which web pages may use a bucket: its CORS rules.
//!
//! A browser asks with an unsigned `OPTIONS` before it sends what a page wants
//! (the preflight), and shows the page an answer only if that says so. A rule
//! gives nobody access: every request still has to be signed.

mod answer;
mod config;

pub(crate) use answer::{headers, preflight};
pub(crate) use config::{to_dto, validate};

use serde::{Deserialize, Serialize};

/// How long a browser may rely on a preflight under the rule of the settings,
/// in seconds.
const DEFAULT_MAX_AGE_S: i32 = 3600;
/// What a page may read of an answer under the rule of the settings, beyond
/// what browsers show anyway.
const DEFAULT_EXPOSED: [&str; 10] = [
    "ETag",
    "Location",
    "Content-Range",
    "x-amz-request-id",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-checksum-type",
];

/// One rule of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CorsRule {
    pub id: Option<String>,
    /// Origins, each with one `*` at most.
    pub origins: Vec<String>,
    pub methods: Vec<String>,
    /// Headers that a page may send, each with one `*` at most.
    pub headers: Vec<String>,
    /// Headers of an answer that a page may read.
    pub expose: Vec<String>,
    pub max_age_s: Option<i32>,
}

impl CorsRule {
    /// The rule for buckets that have none of their own: pages of these origins
    /// may send whatever is signed, and read what they need of the answer.
    pub(crate) fn for_origins(origins: &[String]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            id: None,
            origins: origins.to_vec(),
            methods: owned(&["GET", "HEAD", "PUT", "POST", "DELETE"]),
            headers: owned(&["*"]),
            expose: owned(&DEFAULT_EXPOSED),
            max_age_s: Some(DEFAULT_MAX_AGE_S),
        }
    }

    /// Whether a page of this origin may send such a request.
    fn allows(&self, origin: &str, method: &str, headers: &[String]) -> bool {
        self.methods.iter().any(|allowed| allowed == method)
            && self.origins.iter().any(|allowed| covers(allowed, origin))
            && headers.iter().all(|header| {
                self.headers
                    .iter()
                    .any(|allowed| covers(&allowed.to_ascii_lowercase(), header))
            })
    }

    /// Whether pages of every origin are allowed.
    fn for_everybody(&self) -> bool {
        self.origins.iter().any(|origin| origin == "*")
    }
}

/// Whether a pattern with one `*` at most stands for a text.
fn covers(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        Some((before, after)) => {
            text.len() >= before.len() + after.len()
                && text.starts_with(before)
                && text.ends_with(after)
        }
        None => pattern == text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_stands_for_anything() {
        for (pattern, text, fits) in [
            ("*", "https://a.example", true),
            ("https://*.example", "https://a.example", true),
            ("https://*.example", "https://.example", true),
            ("https://*.example", "http://a.example", false),
            ("https://a.example", "https://a.example", true),
            ("https://a.example", "https://a.example:8080", false),
            ("ab*ba", "aba", false),
            ("x-amz-*", "x-amz-date", true),
            ("", "", true),
        ] {
            assert_eq!(covers(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn origin_method_and_headers_must_all_be_allowed() {
        let mut rule = CorsRule::for_origins(&["https://a.example".to_owned()]);
        rule.methods = vec!["PUT".to_owned()];
        rule.headers = vec!["Content-*".to_owned()];
        let headers = ["content-type".to_owned()];
        assert!(rule.allows("https://a.example", "PUT", &headers));
        assert!(rule.allows("https://a.example", "PUT", &[]));
        assert!(!rule.allows("https://b.example", "PUT", &headers));
        assert!(!rule.allows("https://a.example", "GET", &headers));
        assert!(!rule.allows("https://a.example", "PUT", &["x-amz-date".to_owned()]));
    }
}
