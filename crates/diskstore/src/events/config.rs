//! A bucket's notification configuration.

use std::collections::BTreeSet;

use s3s::dto;
use s3s::{S3Error, S3Result, s3_error};
use serde::{Deserialize, Serialize};

use super::{Cause, Events};
use crate::ids::Ids;
use crate::unsupported::not_implemented;

/// As on Amazon S3.
const MOST: usize = 100;

/// Which events of a bucket go to a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub id: String,
    pub arn: String,
    /// Names such as `s3:ObjectCreated:Put` or `s3:ObjectCreated:*`.
    pub events: Vec<String>,
    /// What the key must begin with.
    pub prefix: Option<String>,
    /// What the key must end with.
    pub suffix: Option<String>,
}

impl Subscription {
    /// Whether the target is to be told.
    pub(super) fn wants(&self, cause: Cause, key: &str) -> bool {
        let fits = |affix: &Option<String>, test: fn(&str, &str) -> bool| {
            affix.as_deref().is_none_or(|affix| test(key, affix))
        };
        self.events.iter().any(|pattern| names(pattern, cause))
            && fits(&self.prefix, |key, prefix| key.starts_with(prefix))
            && fits(&self.suffix, |key, suffix| key.ends_with(suffix))
    }
}

/// Whether an event's name in a configuration means this cause.
fn names(pattern: &str, cause: Cause) -> bool {
    let Some(pattern) = pattern.strip_prefix("s3:") else {
        return false;
    };
    match pattern.strip_suffix('*') {
        Some(kind) => kind.ends_with(':') && cause.event_name().starts_with(kind),
        None => pattern == cause.event_name(),
    }
}

/// What a client wants to be told of.
pub(crate) fn validate(
    config: dto::NotificationConfiguration,
    events: &Events,
    ids: &Ids,
) -> S3Result<Vec<Subscription>> {
    let foreign = [
        (config.event_bridge_configuration.is_some(), "EventBridge"),
        (
            config.lambda_function_configurations.is_some(),
            "CloudFunctionConfiguration",
        ),
        (config.topic_configurations.is_some(), "TopicConfiguration"),
    ];
    if let Some((_, what)) = foreign.into_iter().find(|(given, _)| *given) {
        return Err(not_implemented(what));
    }
    let queues = config.queue_configurations.unwrap_or_default();
    if queues.len() > MOST {
        return Err(s3_error!(
            InvalidArgument,
            "A bucket has {MOST} notification configurations at most."
        ));
    }
    let mut seen = BTreeSet::new();
    let mut subscriptions = Vec::new();
    for queue in queues {
        let subscription = subscription(queue, events, ids)?;
        if !seen.insert(subscription.id.clone()) {
            return Err(s3_error!(
                InvalidArgument,
                "Same ID used for multiple configurations. IDs must be unique."
            ));
        }
        subscriptions.push(subscription);
    }
    Ok(subscriptions)
}

fn subscription(
    queue: dto::QueueConfiguration,
    events: &Events,
    ids: &Ids,
) -> S3Result<Subscription> {
    if !events.knows(&queue.queue_arn) {
        return Err(s3_error!(
            InvalidArgument,
            "Unable to validate the following destination configurations: the server's settings name no target {}",
            queue.queue_arn
        ));
    }
    if queue.events.is_empty() {
        return Err(s3_error!(
            MalformedXML,
            "A QueueConfiguration needs an Event."
        ));
    }
    let names_of: Vec<String> = queue
        .events
        .iter()
        .map(|event| event.as_ref().to_owned())
        .collect();
    for name in &names_of {
        if !Cause::ALL.into_iter().any(|cause| names(name, cause)) {
            return Err(s3_error!(
                InvalidArgument,
                "The event {name} is not supported for notifications"
            ));
        }
    }
    let mut subscription = Subscription {
        id: queue
            .id
            .filter(|id| !id.is_empty())
            .unwrap_or_else(|| ids.next()),
        arn: queue.queue_arn,
        events: names_of,
        prefix: None,
        suffix: None,
    };
    let rules = queue
        .filter
        .and_then(|filter| filter.key)
        .and_then(|key| key.filter_rules)
        .unwrap_or_default();
    for rule in rules {
        let name = rule
            .name
            .as_ref()
            .map(|name| name.as_str().to_ascii_lowercase());
        let affix = match name.as_deref() {
            Some(dto::FilterRuleName::PREFIX) => &mut subscription.prefix,
            Some(dto::FilterRuleName::SUFFIX) => &mut subscription.suffix,
            _ => return Err(filter_rules()),
        };
        if affix.replace(rule.value.unwrap_or_default()).is_some() {
            return Err(filter_rules());
        }
    }
    Ok(subscription)
}

fn filter_rules() -> S3Error {
    s3_error!(
        InvalidArgument,
        "filter rule name must be either prefix or suffix, each once at most"
    )
}

/// The configuration of a bucket for GetBucketNotificationConfiguration.
pub(crate) fn to_dto(subscriptions: &[Subscription]) -> Vec<dto::QueueConfiguration> {
    let rule = |name: &'static str, value: &Option<String>| {
        value.as_ref().map(|value| dto::FilterRule {
            name: Some(dto::FilterRuleName::from_static(name)),
            value: Some(value.clone()),
        })
    };
    subscriptions
        .iter()
        .map(|subscription| {
            let rules: Vec<dto::FilterRule> = [
                rule(dto::FilterRuleName::PREFIX, &subscription.prefix),
                rule(dto::FilterRuleName::SUFFIX, &subscription.suffix),
            ]
            .into_iter()
            .flatten()
            .collect();
            let filter = (!rules.is_empty()).then_some(dto::NotificationConfigurationFilter {
                key: Some(dto::S3KeyFilter {
                    filter_rules: Some(rules),
                }),
            });
            dto::QueueConfiguration {
                events: subscription
                    .events
                    .iter()
                    .map(|name| dto::Event::from(name.clone()))
                    .collect(),
                filter,
                id: Some(subscription.id.clone()),
                queue_arn: subscription.arn.clone(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{EventTarget, Receiver};

    fn parse(change: impl FnOnce(&mut dto::QueueConfiguration)) -> S3Result<Vec<Subscription>> {
        let target = EventTarget {
            name: "hook".to_owned(),
            receiver: Receiver::Channel(tokio::sync::mpsc::channel(1).0),
        };
        let mut queue = dto::QueueConfiguration {
            events: vec![dto::Event::from("s3:ObjectCreated:*".to_owned())],
            filter: None,
            id: None,
            queue_arn: target.arn(),
        };
        change(&mut queue);
        validate(
            dto::NotificationConfiguration {
                queue_configurations: Some(vec![queue]),
                ..dto::NotificationConfiguration::default()
            },
            &Events::to(&[target]).unwrap(),
            &Ids::draw().unwrap(),
        )
    }

    fn filter(rules: &[(&'static str, &str)]) -> Option<dto::NotificationConfigurationFilter> {
        let rules = rules.iter().map(|(name, value)| dto::FilterRule {
            name: Some(dto::FilterRuleName::from_static(name)),
            value: Some((*value).to_owned()),
        });
        Some(dto::NotificationConfigurationFilter {
            key: Some(dto::S3KeyFilter {
                filter_rules: Some(rules.collect()),
            }),
        })
    }

    #[test]
    fn names_and_keys_choose() {
        let all = parse(|_| {}).unwrap();
        assert!(all[0].wants(Cause::Put, "a") && all[0].wants(Cause::Complete, "a"));
        assert!(!all[0].wants(Cause::Delete, "a"));
        let some = parse(|queue| {
            queue.events = vec![dto::Event::from("s3:ObjectRemoved:Delete".to_owned())];
            queue.filter = filter(&[("Prefix", "o/"), ("suffix", ".jpg")]);
        })
        .unwrap();
        assert!(some[0].wants(Cause::Delete, "o/a.jpg"));
        for other in ["o/a.png", "r/a.jpg"] {
            assert!(!some[0].wants(Cause::Delete, other));
        }
        assert!(!some[0].wants(Cause::Expire, "o/a.jpg"));
    }

    #[test]
    fn a_configuration_comes_back_as_it_was_given() {
        let given = parse(|queue| queue.filter = filter(&[("prefix", "o/")])).unwrap();
        let again = parse(|queue| *queue = to_dto(&given).remove(0)).unwrap();
        assert_eq!(again, given);
    }

    #[test]
    fn nonsense_is_refused() {
        let code =
            |result: S3Result<Vec<Subscription>>| result.unwrap_err().code().as_str().to_owned();
        let event = |name: &str| vec![dto::Event::from(name.to_owned())];
        for name in ["s3:ObjectCreated", "ObjectCreated:*", "s3:Object*", "s3:*"] {
            assert_eq!(
                code(parse(|queue| queue.events = event(name))),
                "InvalidArgument",
                "{name}"
            );
        }
        assert_eq!(code(parse(|queue| queue.events.clear())), "MalformedXML");
        assert_eq!(
            code(parse(|queue| queue.queue_arn = "arn:aws:sqs:::x".to_owned())),
            "InvalidArgument"
        );
        assert_eq!(
            code(parse(
                |queue| queue.filter = filter(&[("prefix", "a"), ("prefix", "b")])
            )),
            "InvalidArgument"
        );
        assert_eq!(
            code(parse(|queue| queue.filter = filter(&[("infix", "a")]))),
            "InvalidArgument"
        );
    }
}
