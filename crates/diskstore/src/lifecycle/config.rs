//! Lifecycle rules as S3 writes them.

use std::collections::{BTreeMap, BTreeSet};

use s3s::dto;
use s3s::{S3Result, s3_error};
use time::OffsetDateTime;

use super::rule::{DAY_US, Expiry, LifecycleRule};
use crate::clock::timestamp;
use crate::ids::Ids;
use crate::unsupported::not_implemented;

/// As on Amazon S3.
const MOST_RULES: usize = 1000;
const LONGEST_ID: usize = 255;

/// The rules that a client wants a bucket to have.
pub(crate) fn validate(
    config: dto::BucketLifecycleConfiguration,
    ids: &Ids,
) -> S3Result<Vec<LifecycleRule>> {
    if config.rules.is_empty() || config.rules.len() > MOST_RULES {
        return Err(s3_error!(
            MalformedXML,
            "A lifecycle configuration has 1 to {MOST_RULES} rules."
        ));
    }
    let mut seen = BTreeSet::new();
    let mut rules = Vec::with_capacity(config.rules.len());
    for given in config.rules {
        let rule = rule(given, ids)?;
        if !seen.insert(rule.id.clone()) {
            return Err(s3_error!(
                InvalidArgument,
                "Rule ID must be unique. Found same ID for more than one rule"
            ));
        }
        rules.push(rule);
    }
    Ok(rules)
}

fn rule(given: dto::LifecycleRule, ids: &Ids) -> S3Result<LifecycleRule> {
    let foreign = [
        (given.transitions.is_some(), "Transition"),
        (
            given.noncurrent_version_transitions.is_some(),
            "NoncurrentVersionTransition",
        ),
        (
            given.noncurrent_version_expiration.is_some(),
            "NoncurrentVersionExpiration",
        ),
    ];
    if let Some((_, what)) = foreign.into_iter().find(|(given, _)| *given) {
        return Err(not_implemented(what));
    }
    let id = given.id.unwrap_or_else(|| ids.next());
    if id.len() > LONGEST_ID {
        return Err(s3_error!(
            InvalidArgument,
            "ID length should not exceed allowed limit of {LONGEST_ID}"
        ));
    }
    let enabled = match given.status.as_str() {
        dto::ExpirationStatus::ENABLED => true,
        dto::ExpirationStatus::DISABLED => false,
        other => return Err(s3_error!(MalformedXML, "Unknown Status {other}.")),
    };
    let choice = choice(given.prefix, given.filter)?;
    let rule = LifecycleRule {
        id,
        enabled,
        prefix: choice.prefix.unwrap_or_default(),
        tags: choice.tags,
        more_bytes_than: choice.more_bytes_than,
        fewer_bytes_than: choice.fewer_bytes_than,
        expiry: expiry(given.expiration)?,
        abort_after_days: match given.abort_incomplete_multipart_upload {
            Some(abort) => Some(days(abort.days_after_initiation, "DaysAfterInitiation")?),
            None => None,
        },
    };
    if rule.expiry.is_none() && rule.abort_after_days.is_none() {
        return Err(s3_error!(
            InvalidRequest,
            "At least one action needs to be specified in a rule."
        ));
    }
    let sized = rule.more_bytes_than.is_some() || rule.fewer_bytes_than.is_some();
    if rule.abort_after_days.is_some() && (sized || !rule.tags.is_empty()) {
        return Err(s3_error!(
            InvalidRequest,
            "AbortIncompleteMultipartUpload cannot be specified with Tags or object sizes."
        ));
    }
    Ok(rule)
}

/// What the objects of a rule have in common.
#[derive(Default)]
struct Choice {
    prefix: Option<String>,
    tags: BTreeMap<String, String>,
    more_bytes_than: Option<u64>,
    fewer_bytes_than: Option<u64>,
}

impl Choice {
    fn predicates(&self) -> usize {
        usize::from(self.prefix.is_some())
            + self.tags.len()
            + usize::from(self.more_bytes_than.is_some())
            + usize::from(self.fewer_bytes_than.is_some())
    }
}

fn choice(prefix: Option<String>, filter: Option<dto::LifecycleRuleFilter>) -> S3Result<Choice> {
    let Some(filter) = filter else {
        // The older form has the prefix beside the actions.
        return Ok(Choice {
            prefix,
            ..Choice::default()
        });
    };
    if prefix.is_some() {
        return Err(s3_error!(
            MalformedXML,
            "A rule has either a Prefix or a Filter."
        ));
    }
    let single = Choice {
        prefix: filter.prefix,
        tags: tags(filter.tag.into_iter().collect())?,
        more_bytes_than: size(filter.object_size_greater_than)?,
        fewer_bytes_than: size(filter.object_size_less_than)?,
    };
    let Some(and) = filter.and else {
        if single.predicates() > 1 {
            return Err(s3_error!(
                MalformedXML,
                "A Filter has one condition, or several in an And."
            ));
        }
        return Ok(single);
    };
    let several = Choice {
        prefix: and.prefix,
        tags: tags(and.tags.unwrap_or_default())?,
        more_bytes_than: size(and.object_size_greater_than)?,
        fewer_bytes_than: size(and.object_size_less_than)?,
    };
    if single.predicates() > 0 || several.predicates() < 2 {
        return Err(s3_error!(
            MalformedXML,
            "An And has two conditions or more, and none beside it."
        ));
    }
    if let (Some(more), Some(fewer)) = (several.more_bytes_than, several.fewer_bytes_than)
        && fewer <= more
    {
        return Err(s3_error!(
            InvalidRequest,
            "ObjectSizeLessThan must be more than ObjectSizeGreaterThan."
        ));
    }
    Ok(several)
}

fn tags(given: Vec<dto::Tag>) -> S3Result<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    for tag in given {
        let key = tag.key.unwrap_or_default();
        if key.is_empty() {
            return Err(s3_error!(InvalidTag, "A tag needs a key."));
        }
        if tags.insert(key, tag.value.unwrap_or_default()).is_some() {
            return Err(s3_error!(InvalidTag, "Duplicate tag keys are not allowed."));
        }
    }
    Ok(tags)
}

fn size(given: Option<i64>) -> S3Result<Option<u64>> {
    given
        .map(|bytes| {
            u64::try_from(bytes)
                .map_err(|_| s3_error!(InvalidArgument, "An object's size is not negative."))
        })
        .transpose()
}

fn expiry(given: Option<dto::LifecycleExpiration>) -> S3Result<Option<Expiry>> {
    let Some(given) = given else {
        return Ok(None);
    };
    if given.expired_object_delete_marker.is_some() {
        return Err(not_implemented("ExpiredObjectDeleteMarker"));
    }
    match (given.days, given.date) {
        (Some(count), None) => Ok(Some(Expiry::AfterDays(days(Some(count), "Days")?))),
        (None, Some(date)) => {
            let at_us = OffsetDateTime::from(date).unix_timestamp_nanos() / 1000;
            let at_us = i64::try_from(at_us)
                .ok()
                .filter(|at_us| at_us.rem_euclid(DAY_US) == 0)
                .ok_or_else(|| s3_error!(InvalidArgument, "'Date' must be at midnight GMT"))?;
            Ok(Some(Expiry::AtUs(at_us)))
        }
        _ => Err(s3_error!(
            MalformedXML,
            "An Expiration has either Days or a Date."
        )),
    }
}

fn days(given: Option<i32>, name: &str) -> S3Result<u32> {
    given
        .and_then(|days| u32::try_from(days).ok())
        .filter(|days| *days > 0)
        .ok_or_else(|| s3_error!(InvalidArgument, "'{name}' must be a positive integer"))
}

/// The rules of a bucket for GetBucketLifecycleConfiguration.
pub(crate) fn to_dto(rules: &[LifecycleRule]) -> Vec<dto::LifecycleRule> {
    rules.iter().map(rule_dto).collect()
}

fn rule_dto(rule: &LifecycleRule) -> dto::LifecycleRule {
    let bytes = |n: Option<u64>| n.and_then(|n| i64::try_from(n).ok());
    let mut tags: Vec<dto::Tag> = rule
        .tags
        .iter()
        .map(|(key, value)| dto::Tag {
            key: Some(key.clone()),
            value: Some(value.clone()),
        })
        .collect();
    let choice = Choice {
        prefix: (!rule.prefix.is_empty()).then(|| rule.prefix.clone()),
        tags: rule.tags.clone(),
        more_bytes_than: rule.more_bytes_than,
        fewer_bytes_than: rule.fewer_bytes_than,
    };
    let filter = match choice.predicates() {
        0 => dto::LifecycleRuleFilter {
            prefix: Some(String::new()),
            ..dto::LifecycleRuleFilter::default()
        },
        1 => dto::LifecycleRuleFilter {
            prefix: choice.prefix,
            tag: tags.pop(),
            object_size_greater_than: bytes(choice.more_bytes_than),
            object_size_less_than: bytes(choice.fewer_bytes_than),
            ..dto::LifecycleRuleFilter::default()
        },
        _ => dto::LifecycleRuleFilter {
            and: Some(dto::LifecycleRuleAndOperator {
                prefix: choice.prefix,
                tags: (!tags.is_empty()).then_some(tags),
                object_size_greater_than: bytes(choice.more_bytes_than),
                object_size_less_than: bytes(choice.fewer_bytes_than),
            }),
            ..dto::LifecycleRuleFilter::default()
        },
    };
    dto::LifecycleRule {
        abort_incomplete_multipart_upload: rule.abort_after_days.map(|days| {
            dto::AbortIncompleteMultipartUpload {
                days_after_initiation: i32::try_from(days).ok(),
            }
        }),
        expiration: rule.expiry.map(|expiry| match expiry {
            Expiry::AfterDays(days) => dto::LifecycleExpiration {
                days: i32::try_from(days).ok(),
                ..dto::LifecycleExpiration::default()
            },
            Expiry::AtUs(at_us) => dto::LifecycleExpiration {
                date: Some(timestamp(at_us)),
                ..dto::LifecycleExpiration::default()
            },
        }),
        filter: Some(filter),
        id: Some(rule.id.clone()),
        noncurrent_version_expiration: None,
        noncurrent_version_transitions: None,
        prefix: None,
        status: dto::ExpirationStatus::from_static(if rule.enabled {
            dto::ExpirationStatus::ENABLED
        } else {
            dto::ExpirationStatus::DISABLED
        }),
        transitions: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rules: Vec<dto::LifecycleRule>) -> S3Result<Vec<LifecycleRule>> {
        validate(
            dto::BucketLifecycleConfiguration { rules },
            &Ids::draw().unwrap(),
        )
    }

    fn with(change: impl FnOnce(&mut dto::LifecycleRule)) -> S3Result<Vec<LifecycleRule>> {
        let mut rule = rule_dto(&LifecycleRule {
            id: "a".to_owned(),
            enabled: true,
            prefix: "tmp/".to_owned(),
            tags: BTreeMap::new(),
            more_bytes_than: None,
            fewer_bytes_than: None,
            expiry: Some(Expiry::AfterDays(1)),
            abort_after_days: None,
        });
        change(&mut rule);
        parse(vec![rule])
    }

    fn and(change: impl FnOnce(&mut dto::LifecycleRuleAndOperator)) -> dto::LifecycleRuleFilter {
        let mut and = dto::LifecycleRuleAndOperator {
            prefix: Some("tmp/".to_owned()),
            tags: Some(vec![dto::Tag {
                key: Some("k".to_owned()),
                value: Some("v".to_owned()),
            }]),
            ..dto::LifecycleRuleAndOperator::default()
        };
        change(&mut and);
        dto::LifecycleRuleFilter {
            and: Some(and),
            ..dto::LifecycleRuleFilter::default()
        }
    }

    fn date(at_us: i64) -> Option<dto::LifecycleExpiration> {
        Some(dto::LifecycleExpiration {
            date: Some(timestamp(at_us)),
            ..dto::LifecycleExpiration::default()
        })
    }

    fn abort(days: i32) -> Option<dto::AbortIncompleteMultipartUpload> {
        Some(dto::AbortIncompleteMultipartUpload {
            days_after_initiation: Some(days),
        })
    }

    #[test]
    fn rules_come_back_as_they_were_given() {
        for rules in [
            with(|_| {}).unwrap(),
            with(|r| r.filter = None).unwrap(),
            with(|r| r.abort_incomplete_multipart_upload = abort(7)).unwrap(),
            with(|r| r.expiration = date(20_000 * DAY_US)).unwrap(),
            with(|r| r.filter = Some(and(|_| {}))).unwrap(),
            with(|r| {
                r.filter = Some(and(|and| {
                    and.object_size_greater_than = Some(1);
                    and.object_size_less_than = Some(9);
                }));
            })
            .unwrap(),
        ] {
            assert_eq!(parse(to_dto(&rules)).unwrap(), rules);
        }
    }

    #[test]
    fn the_older_form_is_understood() {
        let rules = with(|rule| {
            rule.filter = None;
            rule.prefix = Some("old/".to_owned());
            rule.id = None;
        })
        .unwrap();
        assert_eq!(rules[0].prefix, "old/");
        assert!(!rules[0].id.is_empty());
    }

    #[test]
    fn nonsense_is_refused_and_what_is_missing_is_named() {
        let code =
            |result: S3Result<Vec<LifecycleRule>>| result.unwrap_err().code().as_str().to_owned();
        let expire = |days| {
            Some(dto::LifecycleExpiration {
                days: Some(days),
                ..dto::LifecycleExpiration::default()
            })
        };
        for (result, wanted) in [
            (with(|r| r.expiration = expire(0)), "InvalidArgument"),
            (with(|r| r.expiration = expire(-1)), "InvalidArgument"),
            (with(|r| r.expiration = date(1)), "InvalidArgument"),
            (with(|r| r.expiration = None), "InvalidRequest"),
            (
                with(|r| r.expiration = Some(dto::LifecycleExpiration::default())),
                "MalformedXML",
            ),
            (with(|r| r.prefix = Some(String::new())), "MalformedXML"),
            (with(|r| r.id = Some("i".repeat(256))), "InvalidArgument"),
            (
                with(|r| r.filter = Some(and(|and| and.tags = None))),
                "MalformedXML",
            ),
            (
                with(|r| {
                    r.filter = Some(and(|_| {}));
                    r.abort_incomplete_multipart_upload = abort(1);
                }),
                "InvalidRequest",
            ),
            (with(|r| r.transitions = Some(Vec::new())), "NotImplemented"),
            (parse(Vec::new()), "MalformedXML"),
        ] {
            assert_eq!(code(result), wanted);
        }
        let rule = to_dto(&with(|_| {}).unwrap());
        assert_eq!(
            code(parse([rule.clone(), rule].concat())),
            "InvalidArgument"
        );
    }
}
