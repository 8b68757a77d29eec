//! Finds endpoints that have something to be sent, and works for each by itself: one that is slow keeps its own turn,
//! and nobody else's. Every worker runs this; they share the work by the leases of endpoints.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use safelight_catalog::{CatalogError, webhooks};
use safelight_model::entropy;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::post::Poster;
use super::turn::turn;
use crate::context::Context;

/// Endpoints worked for at once in one process.
const AT_ONCE: usize = 256;
/// Of one tenant.
const AT_ONCE_OF_ONE_TENANT: usize = 8;
/// Endpoints looked up at once.
const LOOKED_AT: i64 = 500;
/// From one look to the next at least.
const SPACING: Duration = Duration::from_millis(20);
/// How often to look when no bell rings.
const POLL: Duration = Duration::from_secs(1);

/// Endpoints that this process works for, by tenant.
type Working = Arc<Mutex<HashMap<String, usize>>>;

/// One of a tenant's places, given back when it is dropped.
struct Place {
    working: Working,
    tenant_id: String,
    _room: OwnedSemaphorePermit,
}

impl Place {
    fn take(working: &Working, room: &Arc<Semaphore>, tenant_id: &str) -> Option<Self> {
        let mut counts = working.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(tenant_id).copied().unwrap_or(0);
        if count >= AT_ONCE_OF_ONE_TENANT {
            return None;
        }
        let room = room.clone().try_acquire_owned().ok()?;
        counts.insert(tenant_id.to_owned(), count + 1);
        Some(Self {
            working: working.clone(),
            tenant_id: tenant_id.to_owned(),
            _room: room,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.tenant_id) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.tenant_id);
            }
        }
    }
}

/// Works until it is told to stop, and until the turns that are under way have ended.
pub async fn run(context: Context, stop: CancellationToken) {
    let poster = match Poster::start(context.settings.webhooks.allow_private) {
        Ok(poster) => poster,
        Err(error) => {
            tracing::error!(%error, "no webhook is sent anything: TLS cannot be set up");
            return;
        }
    };
    let bell = context.catalog.sequenced_bell();
    let again = Arc::new(Notify::new());
    let (working, room) = (Working::default(), Arc::new(Semaphore::new(AT_ONCE)));
    let mut turns = JoinSet::new();
    while !stop.is_cancelled() {
        // Listen before looking: what is rung in between is heard.
        let rung = bell.notified();
        tokio::pin!(rung);
        rung.as_mut().enable();
        match due(&context).await {
            Ok(found) => {
                for seen in found {
                    let Some(place) = Place::take(&working, &room, &seen.tenant_id) else {
                        continue;
                    };
                    let (context, poster) = (context.clone(), poster.clone());
                    let (stop, again) = (stop.clone(), again.clone());
                    turns.spawn(async move {
                        let more = turn(&context, &poster, seen, &stop).await;
                        drop(place);
                        match more {
                            Ok(true) => again.notify_one(),
                            Ok(false) => {}
                            Err(error) if error.is_contended() => again.notify_one(),
                            Err(error) => tracing::warn!(%error, "a webhook was not worked for"),
                        }
                    });
                }
            }
            Err(error) => tracing::warn!(%error, "webhooks were not looked up"),
        }
        while turns.try_join_next().is_some() {}
        tokio::time::sleep(SPACING).await;
        let pause = POLL.mul_f64(0.75 + entropy::fraction(context.entropy.as_ref()) / 2.0);
        tokio::select! {
            () = stop.cancelled() => {}
            () = &mut rung => {}
            () = again.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    while turns.join_next().await.is_some() {}
}

async fn due(context: &Context) -> Result<Vec<webhooks::Endpoint>, CatalogError> {
    let mut reader = context.catalog.reader().await?;
    webhooks::due(&mut reader.tx(), LOOKED_AT).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tenant_takes_all_places() {
        let (working, room) = (Working::default(), Arc::new(Semaphore::new(10)));
        let take = |tenant: &str| Place::take(&working, &room, tenant);
        let mut held: Vec<Place> = (0..8).filter_map(|_| take("ten_1")).collect();
        assert_eq!(held.len(), 8);
        assert!(take("ten_1").is_none());
        held.extend(take("ten_2"));
        held.extend(take("ten_2"));
        assert!(take("ten_3").is_none(), "there is no room at all");
        held.remove(0);
        assert!(take("ten_3").is_some());
        held.clear();
        assert!(working.lock().unwrap().is_empty());
        assert_eq!(room.available_permits(), 10);
    }
}
