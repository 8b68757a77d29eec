//! Who can be told of events.

use std::fmt;

use http::Uri;
use tokio::sync::mpsc;

use super::message::Event;

/// Somebody who can be told of events, by the name that configurations use.
#[derive(Clone)]
pub struct EventTarget {
    /// Letters, digits, `-` and `_`.
    pub name: String,
    /// How events get there.
    pub receiver: Receiver,
}

/// How events get to a target.
#[derive(Clone)]
pub enum Receiver {
    /// By an HTTP POST of JSON. A 2xx is success. 400, 410, 413, 415 and 422
    /// mean that the receiver will never take it; anything else is tried again.
    Webhook {
        /// An `http` or `https` URL.
        url: String,
        /// Sent as `Authorization: Bearer …`.
        bearer: Option<String>,
    },
    /// To somebody in this process. What does not fit into the channel at once is lost.
    Channel(mpsc::Sender<Event>),
}

/// Somebody in this process who is told of everything in a bucket.
#[derive(Clone)]
pub struct Watch {
    /// The bucket.
    pub bucket: String,
    /// Where events go. What does not fit into the channel at once is lost.
    pub sender: mpsc::Sender<Event>,
}

/// Why a target cannot be one.
#[derive(Debug, thiserror::Error)]
#[error("the event target {name:?} {reason}")]
pub struct InvalidTarget {
    name: String,
    reason: &'static str,
}

impl InvalidTarget {
    pub(super) fn of(name: &str, reason: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            reason,
        }
    }

    pub(super) fn twice(name: &str) -> Self {
        Self::of(name, "is named twice")
    }
}

impl EventTarget {
    /// The name in the form that notification configurations have.
    pub fn arn(&self) -> String {
        let kind = match self.receiver {
            Receiver::Webhook { .. } => "webhook",
            Receiver::Channel(_) => "channel",
        };
        format!("arn:safelight:sqs::{}:{kind}", self.name)
    }

    pub(super) fn checked_arn(&self) -> Result<String, InvalidTarget> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if self.name.is_empty() || !self.name.bytes().all(plain) {
            return Err(InvalidTarget::of(
                &self.name,
                "must be named by letters, digits, - and _",
            ));
        }
        Ok(self.arn())
    }

    /// Where a webhook's events go.
    pub(super) fn uri(&self, url: &str) -> Result<Uri, InvalidTarget> {
        url.parse::<Uri>()
            .ok()
            .filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")))
            .filter(|uri| uri.host().is_some_and(|host| !host.is_empty()))
            .ok_or_else(|| InvalidTarget::of(&self.name, "needs an http or https URL"))
    }
}

impl fmt::Debug for EventTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EventTarget").field(&self.arn()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Events;

    fn webhook(name: &str, url: &str) -> EventTarget {
        EventTarget {
            name: name.to_owned(),
            receiver: Receiver::Webhook {
                url: url.to_owned(),
                bearer: Some("secret".to_owned()),
            },
        }
    }

    #[test]
    fn a_target_has_a_plain_name_and_a_url() {
        let good = webhook("in-take_1", "https://hook.example/path?x=1");
        assert_eq!(good.arn(), "arn:safelight:sqs::in-take_1:webhook");
        assert!(!format!("{good:?}").contains("secret"));
        Events::to(std::slice::from_ref(&good)).unwrap();
        for wrong in [
            webhook("", "http://a"),
            webhook("a:b", "http://a"),
            webhook("a", "ftp://a"),
            webhook("a", "/path"),
            webhook("a", "http://"),
        ] {
            assert!(
                Events::to(std::slice::from_ref(&wrong)).is_err(),
                "{wrong:?}"
            );
        }
        assert!(Events::to(&[good.clone(), good]).is_err());
    }
}
