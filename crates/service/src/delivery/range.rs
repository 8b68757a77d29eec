//! Ranges and conditions (RFC 9110, sections 13 and 14). One range at a time.

use http::{HeaderMap, header};

/// Which bytes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    /// All of them.
    Whole,
    /// From `first` to `last`, both included.
    Part {
        /// The first byte.
        first: u64,
        /// The last byte.
        last: u64,
    },
    /// There are no such bytes.
    Unsatisfiable,
}

/// Whether the caller has this already: `If-None-Match` names it.
pub(super) fn is_fresh(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .any(|list| {
            list.split(',')
                .map(str::trim)
                .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag)
        })
}

/// Which bytes of `size` are wanted. A range of another form than one of bytes is ignored, as the
/// RFC allows; so is one whose `If-Range` names another version.
pub(super) fn read(headers: &HeaderMap, etag: &str, size: u64) -> Range {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    if text(header::IF_RANGE).is_some_and(|condition| condition != etag) {
        return Range::Whole;
    }
    let Some(spec) = text(header::RANGE).and_then(|r| r.strip_prefix("bytes=")) else {
        return Range::Whole;
    };
    let Some((first, last)) = spec.split_once('-') else {
        return Range::Whole;
    };
    match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first > last => Range::Whole,
        (Ok(first), _) if first >= size => Range::Unsatisfiable,
        (Ok(first), Ok(last)) => Range::Part {
            first,
            last: last.min(size - 1),
        },
        (Ok(first), Err(_)) if last.trim().is_empty() => Range::Part {
            first,
            last: size - 1,
        },
        (Err(_), Ok(0)) if first.is_empty() => Range::Unsatisfiable,
        (Err(_), Ok(suffix)) if first.is_empty() && size > 0 => Range::Part {
            first: size.saturating_sub(suffix),
            last: size - 1,
        },
        _ => Range::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranged(value: &str) -> Range {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, value.parse().unwrap());
        read(&headers, "\"e\"", 10)
    }

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        assert_eq!(ranged("bytes=0-3"), Range::Part { first: 0, last: 3 });
        assert_eq!(ranged("bytes=4-"), Range::Part { first: 4, last: 9 });
        assert_eq!(ranged("bytes=-3"), Range::Part { first: 7, last: 9 });
        assert_eq!(ranged("bytes=-30"), Range::Part { first: 0, last: 9 });
        assert_eq!(ranged("bytes=5-50"), Range::Part { first: 5, last: 9 });
        assert_eq!(ranged("bytes=10-"), Range::Unsatisfiable);
        assert_eq!(ranged("bytes=-0"), Range::Unsatisfiable);
        for ignored in ["bytes=5-3", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b"] {
            assert_eq!(ranged(ignored), Range::Whole, "{ignored}");
        }
    }

    #[test]
    fn conditions_name_versions() {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, "\"a\", W/\"e\"".parse().unwrap());
        assert!(is_fresh(&headers, "\"e\"") && !is_fresh(&headers, "\"x\""));
        headers.insert(header::RANGE, "bytes=0-3".parse().unwrap());
        headers.insert(header::IF_RANGE, "\"old\"".parse().unwrap());
        assert_eq!(read(&headers, "\"e\"", 10), Range::Whole);
    }
}
