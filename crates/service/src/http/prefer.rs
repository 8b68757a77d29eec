//! `Prefer: wait=N` (RFC 7240), `If-None-Match` and `If-Match` (RFC 9110): what a caller knows, and how long he
//! would wait to hear of something else.

use std::time::Duration;

use http::{HeaderMap, HeaderName, header};
use safelight_model::limits;

use crate::library::Expected;

/// The header of preferences.
pub(super) const PREFER: &str = "prefer";
/// The header that says which were granted.
pub(super) const PREFERENCE_APPLIED: &str = "preference-applied";

/// How long the caller would wait: whole seconds, and no longer than the server is willing to.
/// What is not understood is ignored, as RFC 7240 has it.
pub(super) fn wait_of(headers: &HeaderMap) -> Option<Duration> {
    let preferences = headers.get_all(PREFER);
    let mut preferences = preferences
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','));
    // Of several of one name the first counts.
    let seconds = preferences.find_map(|preference| {
        let preference = preference.split(';').next().unwrap_or_default();
        let (name, value) = preference.split_once('=')?;
        let value = value.trim().trim_matches('"');
        name.trim()
            .eq_ignore_ascii_case("wait")
            .then(|| value.parse::<u32>().ok())
    })??;
    Some(Duration::from_secs(u64::from(seconds)).min(limits::LONGEST_WAIT))
}

/// The tag of something that has a revision: that, and whatever else tells one answer from another.
pub(super) fn tag(revision: i64, rest: &str) -> String {
    match rest {
        "" => format!("\"{revision}\""),
        rest => format!("\"{revision}.{rest}\""),
    }
}

/// What the caller believes the revision to be. A tag of an answer names it, whatever else has changed since (a link, a
/// rendition); what is no such tag names none.
pub(super) fn expected(headers: &HeaderMap) -> Expected {
    let Known(tags) = Known::in_header(headers, header::IF_MATCH);
    if tags.is_empty() || tags.iter().any(|tag| tag == "*") {
        return Expected::Any;
    }
    let revisions = tags.iter().filter_map(|tag| {
        let tag = tag.strip_prefix('"')?.strip_suffix('"')?;
        tag.split('.').next()?.parse().ok()
    });
    Expected::OneOf(revisions.collect())
}

/// What the caller has already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known(Vec<String>);

impl Known {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self::in_header(headers, header::IF_NONE_MATCH)
    }

    fn in_header(headers: &HeaderMap, name: HeaderName) -> Self {
        let given = headers.get_all(name);
        let tags = given
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .map(|tag| tag.trim())
            .map(|tag| tag.strip_prefix("W/").unwrap_or(tag).to_owned());
        Self(tags.filter(|tag| !tag.is_empty()).collect())
    }

    /// Whether he says anything of it.
    pub(super) fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether he has what this tag is of.
    pub(super) fn has(&self, etag: &str) -> bool {
        self.0.iter().any(|tag| tag == "*" || tag == etag)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: &'static str, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_wait_is_understood_and_bounded() {
        for (values, seconds) in [
            (&["wait=7"][..], Some(7)),
            (&["respond-async, wait=7"], Some(7)),
            (&["respond-async", "Wait = \"7\"; a=b, wait=9"], Some(7)),
            (&["wait=0"], Some(0)),
            (&["wait=100000"], Some(25)),
            (&["wait=-1"], None),
            (&["wait"], None),
            (&["await=7"], None),
            (&["wait=99999999999"], None),
            (&[], None),
        ] {
            let wait = wait_of(&headers(PREFER, values));
            assert_eq!(wait.map(|w| w.as_secs()), seconds, "{values:?}");
        }
    }

    #[test]
    fn a_tag_names_its_revision() {
        let expects = |values: &[&'static str]| expected(&headers("if-match", values));
        assert_eq!(expects(&[]), Expected::Any);
        assert_eq!(expects(&["*"]), Expected::Any);
        assert_eq!(expects(&["\"3\""]), Expected::OneOf(vec![3]));
        assert_eq!(
            expects(&["\"3.6f1a\", W/\"4.0\""]),
            Expected::OneOf(vec![3, 4])
        );
        for nothing in ["3", "\"x\"", "\"\"", "\"6f1a.3\""] {
            assert_eq!(expects(&[nothing]), Expected::OneOf(vec![]), "{nothing}");
        }
        for (revision, rest) in [(1, ""), (12, "6f1a")] {
            let mut headers = HeaderMap::new();
            headers.insert("if-match", tag(revision, rest).parse().unwrap());
            assert_eq!(expected(&headers), Expected::OneOf(vec![revision]));
        }
    }

    #[test]
    fn tags_are_compared_weakly() {
        let known = |values: &[&'static str]| Known::of(&headers("if-none-match", values));
        assert!(known(&[]).is_nothing());
        assert!(known(&["\"a\", W/\"b\""]).has("\"b\""));
        assert!(known(&["\"a\"", "\"b\""]).has("\"b\""));
        assert!(known(&["*"]).has("\"b\""));
        assert!(!known(&["\"a\""]).has("\"b\""));
    }
}
