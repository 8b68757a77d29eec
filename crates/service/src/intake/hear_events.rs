//! Events of the store: what came to be under the key of an open upload has that upload looked at.
//!
//! An event is a doorbell. It may be lost, come twice, late, or from somebody who only knows the secret: so nothing that it
//! says of the object is believed, and all that it does is to have the store asked, as if the time for that had come.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use safelight_catalog::{CatalogError, store_events, uploads};
use safelight_model::clock::Micros;
use safelight_objects::ObjectKey;
use safelight_objects::keys::KeyKind;

use super::read_event::Created;
use crate::context::Context;

/// By which way events came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To `/v1/store-events`.
    Http,
    /// From the embedded store in this process.
    Embedded,
}

impl Way {
    /// As in rows and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Embedded => "embedded",
        }
    }

    /// How long the client has to say by itself that all is sent. The embedded store tells of an object before the
    /// client has heard of it, and nearly every client says so then.
    fn courtesy(self) -> Duration {
        match self {
            Self::Http => Duration::ZERO,
            Self::Embedded => Duration::from_secs(1),
        }
    }
}

/// What became of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// So many uploads are looked at for them.
    pub looked_at: usize,
    /// So many were of other buckets, of keys that are no upload's, or of uploads that are whole.
    pub ignored: usize,
}

/// Who asked the store to make an object of parts is about to write that it did.
const COMPLETING: Duration = Duration::from_secs(5);
/// So many rows are changed at once.
const AT_ONCE: usize = 8;
/// How exactly it is known when events last came.
const NOTED: Duration = Duration::from_secs(60);

/// Has the uploads looked at whose bytes came. Each in a transaction of its own, so that nobody waits for another.
///
/// # Errors
/// If the catalog fails. What was done then can be done again.
pub async fn hear_events(
    context: &Context,
    way: Way,
    created: &[Created],
) -> Result<Heard, CatalogError> {
    let now = context.now();
    let keys: BTreeSet<String> = created
        .iter()
        .filter(|c| c.bucket == context.objects.bucket())
        .filter_map(|c| ObjectKey::parse(&c.key).ok())
        .filter(|key| key.kind() == KeyKind::Original)
        .map(|key| key.as_str().to_owned())
        .collect();
    if !created.is_empty() {
        note(context, way, now).await?;
    }
    // Nearly always nothing is to be written, and many ask for nothing in one go.
    let asked: Vec<&str> = keys.iter().map(String::as_str).collect();
    let keys = uploads::unfinished_keys(&mut context.catalog.reader().await?.tx(), &asked).await?;
    let (at, soon) = (now.plus(way.courtesy()), now.plus(COMPLETING));
    let looked_at = futures::stream::iter(keys)
        .map(|key| {
            context.catalog.write::<_, CatalogError, _>(move |tx| {
                Box::pin(async move {
                    let rung = uploads::ring(tx, &key, at, soon).await?;
                    if rung {
                        tx.ring().await?;
                    }
                    Ok(rung)
                })
            })
        })
        .buffer_unordered(AT_ONCE)
        .try_fold(
            0_usize,
            |sum, rung| async move { Ok(sum + usize::from(rung)) },
        )
        .await?;
    let heard = Heard {
        looked_at,
        ignored: created.len().saturating_sub(looked_at),
    };
    for (outcome, count) in [("looked_at", heard.looked_at), ("ignored", heard.ignored)] {
        let labels = [("way", way.as_str()), ("outcome", outcome)];
        metrics::counter!("safelight_store_events_total", &labels).increment(count as u64);
    }
    Ok(heard)
}

/// Writes down that events came, unless that was done a moment ago.
async fn note(context: &Context, way: Way, now: Micros) -> Result<(), CatalogError> {
    let recent = now.minus(NOTED);
    let ways = store_events::last(&mut context.catalog.reader().await?.tx()).await?;
    if ways
        .iter()
        .any(|(noted, at)| noted == way.as_str() && *at >= recent)
    {
        return Ok(());
    }
    context
        .catalog
        .write(move |tx| {
            Box::pin(async move { store_events::heard(tx, way.as_str(), now, recent).await })
        })
        .await
}
