//! One rule, and what is due by it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::record::ObjectRecord;

pub(super) const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

/// One rule of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LifecycleRule {
    pub id: String,
    pub enabled: bool,
    /// What the key must begin with.
    pub prefix: String,
    /// Tags that the object must have, all of them.
    pub tags: BTreeMap<String, String>,
    /// The object must have more bytes.
    pub more_bytes_than: Option<u64>,
    /// The object must have fewer bytes.
    pub fewer_bytes_than: Option<u64>,
    /// When objects go.
    pub expiry: Option<Expiry>,
    /// Open uploads go so many days after they were begun.
    pub abort_after_days: Option<u32>,
}

/// When an object goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Expiry {
    /// So many days after it was written.
    AfterDays(u32),
    /// At a moment, in microseconds since 1970.
    AtUs(i64),
}

impl LifecycleRule {
    /// Whether an object is to go.
    pub(super) fn expires(&self, object: &ObjectRecord, at_us: i64) -> bool {
        let due = match self.expiry {
            Some(Expiry::AfterDays(days)) => due_us(object.modified_us, days) <= at_us,
            Some(Expiry::AtUs(moment_us)) => moment_us <= at_us,
            None => false,
        };
        due && self.enabled && self.covers(object)
    }

    /// Whether an upload is to go that was begun at a time.
    pub(super) fn aborts(&self, key: &str, initiated_us: i64, at_us: i64) -> bool {
        self.enabled
            && key.starts_with(&self.prefix)
            && self
                .abort_after_days
                .is_some_and(|days| due_us(initiated_us, days) <= at_us)
    }

    fn covers(&self, object: &ObjectRecord) -> bool {
        object.key.starts_with(&self.prefix)
            && self.more_bytes_than.is_none_or(|n| object.size_bytes > n)
            && self.fewer_bytes_than.is_none_or(|n| object.size_bytes < n)
            && object.tags.include(&self.tags)
    }
}

/// So many days after a moment, rounded up to midnight UTC, as Amazon S3 does.
fn due_us(from_us: i64, days: u32) -> i64 {
    let exact = from_us.saturating_add(i64::from(days).saturating_mul(DAY_US));
    match exact.rem_euclid(DAY_US) {
        0 => exact,
        over => exact.saturating_add(DAY_US - over),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::{Checksums, Coverage};
    use crate::record::Attributes;
    use crate::tags::Tags;

    const HOUR_US: i64 = DAY_US / 24;

    fn rule() -> LifecycleRule {
        LifecycleRule {
            id: "x".to_owned(),
            enabled: true,
            prefix: "tmp/".to_owned(),
            tags: BTreeMap::new(),
            more_bytes_than: None,
            fewer_bytes_than: None,
            expiry: Some(Expiry::AfterDays(3)),
            abort_after_days: Some(1),
        }
    }

    fn object(key: &str, size_bytes: u64) -> ObjectRecord {
        ObjectRecord {
            key: key.to_owned(),
            size_bytes,
            etag: String::new(),
            modified_us: 10 * HOUR_US,
            attributes: Attributes::default(),
            tags: Tags::default(),
            checksums: Checksums::new(),
            coverage: Coverage::FullObject,
            manifest: None,
        }
    }

    #[test]
    fn days_end_at_midnight() {
        assert_eq!(due_us(0, 3), 3 * DAY_US);
        assert_eq!(due_us(10 * HOUR_US, 3), 4 * DAY_US);
        assert_eq!(due_us(-1, 1), DAY_US);
        assert_eq!(due_us(i64::MAX, u32::MAX), i64::MAX);
        let object = object("tmp/a", 1);
        assert!(!rule().expires(&object, 4 * DAY_US - 1));
        assert!(rule().expires(&object, 4 * DAY_US));
        assert!(!rule().aborts("tmp/a", 10 * HOUR_US, 2 * DAY_US - 1));
        assert!(rule().aborts("tmp/a", 10 * HOUR_US, 2 * DAY_US));
        assert!(!rule().aborts("a", 10 * HOUR_US, 2 * DAY_US));
    }

    #[test]
    fn only_what_the_rule_chooses_goes() {
        let late = i64::MAX;
        let sized = LifecycleRule {
            more_bytes_than: Some(10),
            fewer_bytes_than: Some(20),
            expiry: Some(Expiry::AtUs(DAY_US)),
            ..rule()
        };
        for (size_bytes, goes) in [(10, false), (11, true), (19, true), (20, false)] {
            assert_eq!(sized.expires(&object("tmp/a", size_bytes), late), goes);
        }
        assert!(!sized.expires(&object("tmp/a", 11), DAY_US - 1));
        assert!(!rule().expires(&object("keep/a", 1), late));
        let off = LifecycleRule {
            enabled: false,
            ..rule()
        };
        assert!(!off.expires(&object("tmp/a", 1), late) && !off.aborts("tmp/a", 0, late));
        let tagged = LifecycleRule {
            tags: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            ..rule()
        };
        let with = |tags: &str| ObjectRecord {
            tags: Tags::of_header(Some(tags)).unwrap(),
            ..object("tmp/a", 1)
        };
        for (tags, goes) in [("", false), ("a=c", false), ("a=b&c=d", true)] {
            assert_eq!(tagged.expires(&with(tags), late), goes, "{tags}");
        }
    }
}
