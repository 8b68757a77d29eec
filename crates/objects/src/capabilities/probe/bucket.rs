//! What the bucket has besides objects: copies, tags, and its owner's rules, which are only read.

use aws_sdk_s3::types::{ExpirationStatus, LifecycleRule, Tag, Tagging};
use bytes::Bytes;

use super::answer::{Answer, settled};
use super::request::Put;
use super::{Failure, Probe};
use crate::capabilities::{BucketRule, Lifecycle, Support};

const BODY: &[u8] = b"to be copied";
/// Prefixes of what Safelight keeps: originals and renditions.
const KEPT: [&str; 2] = ["o/", "r/"];

impl Probe<'_> {
    pub(super) async fn copy(&self) -> Result<Support, Failure> {
        let (from, to) = (self.key()?, self.key()?);
        let put = Put {
            body: Bytes::from_static(BODY),
            ..Put::default()
        };
        self.put(&from, put).await?;
        let outcome = self
            .objects
            .inner
            .client
            .copy_object()
            .bucket(&self.objects.inner.bucket)
            .key(to.as_str())
            .copy_source(format!("{}/{from}", self.objects.inner.bucket))
            .send()
            .await;
        if let Err(answer) = settled("copy object", outcome)? {
            return Ok(answer.support());
        }
        let copied = match self.objects.get(&to, None, None).await? {
            Some(read) => read.bytes().await?,
            None => Bytes::new(),
        };
        Ok(if copied == BODY {
            Support::Yes
        } else {
            Support::No
        })
    }

    pub(super) async fn tagging(&self) -> Result<Support, Failure> {
        let key = self.key()?;
        let put = Put {
            body: Bytes::from_static(BODY),
            ..Put::default()
        };
        self.put(&key, put).await?;
        // Key and value are given, so that this cannot fail.
        let Ok(tag) = Tag::builder().key("probe").value("1").build() else {
            return Ok(Support::Unknown);
        };
        let Ok(tags) = Tagging::builder().tag_set(tag).build() else {
            return Ok(Support::Unknown);
        };
        let client = &self.objects.inner.client;
        let outcome = client
            .put_object_tagging()
            .bucket(&self.objects.inner.bucket)
            .key(key.as_str())
            .tagging(tags)
            .send()
            .await;
        if let Err(answer) = settled("put object tagging", outcome)? {
            return Ok(answer.support());
        }
        let outcome = client
            .get_object_tagging()
            .bucket(&self.objects.inner.bucket)
            .key(key.as_str())
            .send()
            .await;
        Ok(match settled("get object tagging", outcome)? {
            Ok(answer) if answer.tag_set.iter().any(|tag| tag.key() == "probe") => Support::Yes,
            Ok(_) => Support::No,
            Err(answer) => answer.support(),
        })
    }

    pub(super) async fn notifications(&self) -> Result<Support, Failure> {
        let outcome = self
            .objects
            .inner
            .client
            .get_bucket_notification_configuration()
            .bucket(&self.objects.inner.bucket)
            .send()
            .await;
        Ok(
            match settled("get bucket notification configuration", outcome)? {
                Ok(_) => Support::Yes,
                Err(answer) => answer.support(),
            },
        )
    }

    pub(super) async fn cors(&self) -> Result<BucketRule, Failure> {
        let outcome = self
            .objects
            .inner
            .client
            .get_bucket_cors()
            .bucket(&self.objects.inner.bucket)
            .send()
            .await;
        Ok(match settled("get bucket cors", outcome)? {
            Ok(answer) if answer.cors_rules().is_empty() => BucketRule::Unset,
            Ok(_) => BucketRule::Set,
            Err(answer) => without_rules(&answer, "NoSuchCORSConfiguration"),
        })
    }

    pub(super) async fn lifecycle(&self) -> Result<Lifecycle, Failure> {
        let outcome = self
            .objects
            .inner
            .client
            .get_bucket_lifecycle_configuration()
            .bucket(&self.objects.inner.bucket)
            .send()
            .await;
        Ok(
            match settled("get bucket lifecycle configuration", outcome)? {
                Ok(answer) => read_rules(answer.rules()),
                Err(answer) => Lifecycle {
                    abort_incomplete: without_rules(&answer, "NoSuchLifecycleConfiguration"),
                    ..Lifecycle::default()
                },
            },
        )
    }
}

/// What it means that a bucket's rules cannot be read.
fn without_rules(answer: &Answer, none_set: &str) -> BucketRule {
    match answer.support() {
        _ if answer.code == none_set => BucketRule::Unset,
        Support::Unknown => BucketRule::Unknown,
        Support::Yes | Support::No => BucketRule::Unsupported,
    }
}

/// What rules do to uploads and to what Safelight keeps. Rules that go by tags are left aside:
/// Safelight sets none.
fn read_rules(rules: &[LifecycleRule]) -> Lifecycle {
    let mut found = Lifecycle {
        abort_incomplete: BucketRule::Unset,
        ..Lifecycle::default()
    };
    for rule in rules {
        let prefix = prefix_of(rule);
        let (true, Some(prefix)) = (*rule.status() == ExpirationStatus::Enabled, prefix) else {
            continue;
        };
        let meets = |kept: &str| kept.starts_with(prefix) || prefix.starts_with(kept);
        let days = rule
            .abort_incomplete_multipart_upload()
            .and_then(|abort| abort.days_after_initiation());
        if let Some(days) = days.filter(|_| meets(KEPT[0])) {
            found.abort_incomplete = BucketRule::Set;
            let least = found.abort_after_days.map_or(days, |least| least.min(days));
            found.abort_after_days = Some(least);
        }
        let expires = rule
            .expiration()
            .is_some_and(|e| e.days().is_some() || e.date().is_some());
        found.removes_objects |= expires && KEPT.into_iter().any(meets);
    }
    found
}

/// The prefix that a rule is for, empty for all; `None` if it goes by tags.
fn prefix_of(rule: &LifecycleRule) -> Option<&str> {
    let filter = rule.filter();
    let both = filter.and_then(|filter| filter.and());
    if filter.is_some_and(|filter| filter.tag().is_some())
        || both.is_some_and(|both| !both.tags().is_empty())
    {
        return None;
    }
    #[allow(deprecated, reason = "rules of old still have it")]
    let own = rule.prefix();
    let filtered = filter.and_then(|filter| filter.prefix());
    Some(
        filtered
            .or_else(|| both.and_then(|both| both.prefix()))
            .or(own)
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{
        AbortIncompleteMultipartUpload, LifecycleExpiration, LifecycleRuleFilter,
    };

    use super::*;

    fn rule(prefix: &str, abort_days: Option<i32>, expire_days: Option<i32>) -> LifecycleRule {
        let abort = abort_days.map(|days| {
            AbortIncompleteMultipartUpload::builder()
                .days_after_initiation(days)
                .build()
        });
        let expiration = expire_days.map(|days| LifecycleExpiration::builder().days(days).build());
        LifecycleRule::builder()
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix(prefix).build())
            .set_abort_incomplete_multipart_upload(abort)
            .set_expiration(expiration)
            .build()
            .unwrap()
    }

    #[test]
    fn rules_are_read_for_what_they_do_to_originals() {
        let none = read_rules(&[]);
        assert_eq!(none.abort_incomplete, BucketRule::Unset);
        let aborts = read_rules(&[rule("", Some(8), None), rule("o/", Some(9), None)]);
        assert_eq!(aborts.abort_incomplete, BucketRule::Set);
        assert_eq!(aborts.abort_after_days, Some(8));
        assert!(!aborts.removes_objects);
        for harmless in [rule("x/", Some(1), Some(1)), rule("logs", None, Some(30))] {
            assert_eq!(read_rules(&[harmless]), none);
        }
        for harmful in ["", "o", "o/ten_1/", "r/"] {
            assert!(
                read_rules(&[rule(harmful, None, Some(30))]).removes_objects,
                "{harmful:?}"
            );
        }
        let mut off = rule("", Some(1), Some(1));
        off.status = ExpirationStatus::Disabled;
        assert_eq!(read_rules(&[off]), none);
    }
}
