//! Finds out what a store can do, by trying.
//!
//! Everything happens under random keys below `x/probe/`, and what was made is removed again, also
//! when the probe breaks off. Of the bucket's own rules (CORS, lifecycle, notifications) nothing is
//! changed: they are read. A refusal is an answer; only a store that does not answer, or refuses
//! what nothing works without, ends a probe.

mod answer;
mod bucket;
mod checksums;
mod conditions;
mod parts;
mod request;
mod traces;

use std::time::Duration;

use safelight_model::clock::Clock;
use safelight_model::entropy::Entropy;

use super::Capabilities;
use crate::keys::KeyError;
use crate::{ObjectKey, Objects, PresignError, StoreError};
use request::Sender;
use traces::Traces;

/// The segment of the keys under which a probe works, where tenants have their ids.
const PLACE: &str = "probe";
/// How long a presigned URL of a probe lives.
const TTL: Duration = Duration::from_secs(600);

/// What a probe found.
#[derive(Clone, Debug)]
pub struct Probed {
    /// What the store can do.
    pub capabilities: Capabilities,
    /// What could not be removed again, named for people.
    pub left_behind: Vec<String>,
}

/// Why a probe found nothing out.
#[derive(Debug, thiserror::Error)]
#[error("{failure}{}", leftovers(.left_behind))]
pub struct ProbeError {
    /// What happened.
    #[source]
    pub failure: Failure,
    /// What could not be removed again, named for people.
    pub left_behind: Vec<String>,
}

fn leftovers(left_behind: &[String]) -> String {
    if left_behind.is_empty() {
        String::new()
    } else {
        format!("; left behind: {}", left_behind.join(", "))
    }
}

/// What ends a probe.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The store does not answer, or not now.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store refuses something that nothing works without.
    #[error("the store refuses {what}: {answer}")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// Status and code of the answer.
        answer: String,
    },
    /// Whoever asked for the probe no longer waits for it.
    #[error("the probe was interrupted")]
    Interrupted,
    /// A request could not be signed.
    #[error(transparent)]
    Presign(#[from] PresignError),
    /// A key could not be built.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A probe under way.
struct Probe<'a> {
    objects: &'a Objects,
    sender: Sender,
    clock: &'a dyn Clock,
    entropy: &'a dyn Entropy,
    is_interrupted: &'a (dyn Fn() -> bool + Sync),
    traces: Traces,
}

impl Objects {
    /// Finds out what the store can do, with some hundred small requests and, where it wants large
    /// parts, some of 5 MiB. Asks before every step whether it `is_interrupted`; a request that is
    /// under way is waited for, so that nothing arrives behind the cleaning up, which comes in any case.
    ///
    /// # Errors
    /// [`ProbeError`] when the store does not answer or nothing can be stored in it.
    pub async fn probe_capabilities(
        &self,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
        is_interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Probed, ProbeError> {
        let probe = Probe {
            objects: self,
            sender: Sender::to(&self.inner.signer),
            clock,
            entropy,
            is_interrupted,
            traces: Traces::default(),
        };
        let outcome = probe.run().await;
        let left_behind = probe.traces.remove(self).await;
        match outcome {
            Ok(capabilities) => Ok(Probed {
                capabilities,
                left_behind,
            }),
            Err(failure) => Err(ProbeError {
                failure,
                left_behind,
            }),
        }
    }
}

impl Probe<'_> {
    async fn run(&self) -> Result<Capabilities, Failure> {
        let mut found = Capabilities::unprobed();
        self.objects.probe().await?;
        self.basics().await?;
        found.signed_length = self.signed_length().await?;
        found.repeat_keeps_etag = self.repeat_keeps_etag().await?;
        found.put_if_none_match = self.put_if_none_match().await?;
        found.put_if_match = self.put_if_match().await?;
        found.get_if_match = self.get_if_match().await?;
        found.put_checksums = self.put_checksums().await?;
        let (composite, listed) = self.composite_checksums().await?;
        found.composite_checksums = composite;
        found.listed_sha256 = listed;
        found.full_object_checksums = self.full_object_checksums().await?;
        let sizes = self.part_sizes().await?;
        found.min_part_bytes = sizes.min_part_bytes;
        found.equal_parts = sizes.equal_parts;
        found.duplicate_complete = self.duplicate_complete().await?;
        found.complete_if_none_match = self.complete_if_none_match().await?;
        found.copy = self.copy().await?;
        found.tagging = self.tagging().await?;
        found.notifications = self.notifications().await?;
        found.cors = self.cors().await?;
        found.lifecycle = self.lifecycle().await?;
        Ok(found)
    }

    fn go_on(&self) -> Result<(), Failure> {
        if (self.is_interrupted)() {
            return Err(Failure::Interrupted);
        }
        Ok(())
    }

    /// A fresh key, which is removed at the end.
    fn key(&self) -> Result<ObjectKey, Failure> {
        let key = ObjectKey::temporary(PLACE, self.entropy)?;
        self.traces.object(&key);
        Ok(key)
    }
}
