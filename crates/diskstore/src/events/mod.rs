//! Telling others what happens to objects.
//!
//! The settings name targets; a bucket's notification configuration says which
//! events of which keys go to which of them, by a name in the form of an ARN,
//! as Amazon S3 wants it: `arn:safelight:sqs::NAME:webhook` for a webhook,
//! `arn:safelight:sqs::NAME:channel` for a channel in this process.
//!
//! An event leaves after its change is on the disk and never holds that up. A
//! webhook's events wait in a queue in memory and are sent until they are taken,
//! in order, each once or more often. They are lost if the process dies, if the
//! queue is full, or if the receiver refuses them for good; so an event is a
//! doorbell, and who relies on it must look for itself now and then.

mod config;
mod deliver;
mod message;
mod target;
mod webhook;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

pub(crate) use config::{Subscription, to_dto, validate};
pub use message::Event;
pub(crate) use message::OWNER;
pub use target::{EventTarget, InvalidTarget, Receiver, Watch};
use tokio::sync::mpsc;

pub(crate) use self::deliver::Outbox;
use self::webhook::Webhook;
use crate::clock::now_us;
use crate::record::ObjectRecord;
use crate::store::Inner;

/// So many events wait for a webhook at most.
const QUEUED: usize = 4096;

/// Why an object came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Put,
    Post,
    Copy,
    Complete,
    Delete,
    /// By a lifecycle rule.
    Expire,
}

impl Cause {
    const ALL: [Self; 6] = [
        Self::Put,
        Self::Post,
        Self::Copy,
        Self::Complete,
        Self::Delete,
        Self::Expire,
    ];

    /// The name of its event, without the `s3:` that configurations have.
    pub(crate) fn event_name(self) -> &'static str {
        match self {
            Self::Put => "ObjectCreated:Put",
            Self::Post => "ObjectCreated:Post",
            Self::Copy => "ObjectCreated:Copy",
            Self::Complete => "ObjectCreated:CompleteMultipartUpload",
            Self::Delete => "ObjectRemoved:Delete",
            Self::Expire => "LifecycleExpiration:Delete",
        }
    }
}

/// The targets of a store, and the order of what they are told.
pub(crate) struct Events {
    /// By ARN.
    targets: BTreeMap<String, Sink>,
    outboxes: Mutex<Vec<Outbox>>,
    last: AtomicI64,
}

/// The way to a target.
struct Sink {
    sender: mpsc::Sender<Event>,
    lost: AtomicU64,
}

impl Events {
    /// Events to these targets.
    pub(crate) fn to(targets: &[EventTarget]) -> Result<Self, InvalidTarget> {
        let mut sinks = BTreeMap::new();
        let mut outboxes = Vec::new();
        for target in targets {
            let arn = target.checked_arn()?;
            let sender = match &target.receiver {
                Receiver::Webhook { url, bearer } => {
                    let webhook = Webhook::to(target.uri(url)?, bearer.as_deref())
                        .map_err(|reason| InvalidTarget::of(&target.name, reason))?;
                    let (sender, queue) = mpsc::channel(QUEUED);
                    outboxes.push(Outbox {
                        arn: arn.clone(),
                        queue,
                        webhook,
                    });
                    sender
                }
                Receiver::Channel(sender) => sender.clone(),
            };
            let lost = AtomicU64::new(0);
            if sinks.insert(arn, Sink { sender, lost }).is_some() {
                return Err(InvalidTarget::twice(&target.name));
            }
        }
        Ok(Self {
            targets: sinks,
            outboxes: Mutex::new(outboxes),
            last: AtomicI64::new(0),
        })
    }

    /// Whether there is a target of this name.
    pub(crate) fn knows(&self, arn: &str) -> bool {
        self.targets.contains_key(arn)
    }

    /// What is to be sent, for whoever sends it; once.
    pub(crate) fn take_outboxes(&self) -> Vec<Outbox> {
        let mut outboxes = self.outboxes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut outboxes)
    }

    /// The time of an event, in microseconds since 1970, later than that of any
    /// before.
    fn next_us(&self) -> i64 {
        let now_us = now_us();
        let next = |last: i64| now_us.max(last.saturating_add(1));
        let last = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(next(last))
            })
            .unwrap_or_default();
        next(last)
    }

    fn send(&self, arn: &str, event: Event) {
        // A target that was taken out of the settings stays in configurations.
        let Some(sink) = self.targets.get(arn) else {
            return;
        };
        if let Err(error) = sink.sender.try_send(event) {
            let lost = sink.lost.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            // Rarely enough not to flood the log.
            if lost.is_power_of_two() {
                tracing::warn!(%error, arn, lost, "events are lost");
            }
        }
    }
}

impl Inner {
    /// Tells whoever the bucket names what became of a key. Call it under the
    /// key's lock, when the change is on the disk, so that events of a key are
    /// in the order of its changes.
    pub(crate) fn announce(
        &self,
        bucket: &str,
        key: &str,
        cause: Cause,
        object: Option<&ObjectRecord>,
    ) {
        let Some(record) = self.bucket(bucket) else {
            return;
        };
        let mut wanting = record
            .notifications
            .iter()
            .filter(|subscription| subscription.wants(cause, key))
            .peekable();
        let watches = &self.settings.watches;
        let mut watching = watches
            .iter()
            .filter(|watch| watch.bucket == bucket)
            .peekable();
        if wanting.peek().is_none() && watching.peek().is_none() {
            return;
        }
        let at_us = self.events.next_us();
        let event = |configuration_id: &str| Event {
            name: cause.event_name(),
            at_us,
            region: self.settings.region.clone(),
            configuration_id: configuration_id.to_owned(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            size_bytes: object.map(|object| object.size_bytes),
            etag: object.map(|object| object.etag.clone()),
            sequencer: format!("{at_us:016X}"),
        };
        for subscription in wanting {
            self.events.send(&subscription.arn, event(&subscription.id));
        }
        for watch in watching {
            // What does not fit is lost, as everywhere: who watches looks for himself now and then.
            let _ = watch.sender.try_send(event(""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_later_than_those_before() {
        let events = Events::to(&[]).unwrap();
        let mut last = 0;
        for _ in 0..1000 {
            let next = events.next_us();
            assert!(next > last);
            last = next;
        }
    }
}
