//! The one tail of the events in a process: reads each event that somebody here waits for once, and
//! hands it on in memory. Ten thousand who wait cost the database what one costs.
//!
//! Who follows an owner has a bounded place in memory to be handed events in. If he does not take them
//! in time he misses some, is told so, and reads them from the catalog.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use safelight_catalog::events::{self, Sequenced};
use safelight_catalog::{Catalog, CatalogError};
use safelight_model::entropy::{self, Entropy};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

use crate::context::Owner;

/// Events read at once.
const PAGE: i64 = 500;
/// Tenants asked for at once.
const TENANTS: usize = 128;
/// Events of one owner that are held for those who follow him.
const HELD: usize = 64;
/// How often to look when no bell rings.
const POLL: Duration = Duration::from_secs(1);

/// The tail. Clones share it.
#[derive(Clone)]
pub struct Tail(Arc<Shared>);

struct Shared {
    catalog: Catalog,
    tenants: Mutex<HashMap<String, Watched>>,
    /// Somebody began to follow.
    began: Notify,
}

/// A tenant of whom somebody follows an owner.
struct Watched {
    /// All up to here was handed on.
    position: i64,
    owners: HashMap<String, broadcast::Sender<Arc<Sequenced>>>,
}

impl Shared {
    fn tenants(&self) -> MutexGuard<'_, HashMap<String, Watched>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tail {
    /// Starts the tail; it ends when it is told to stop.
    #[must_use]
    pub fn start(catalog: Catalog, entropy: Arc<dyn Entropy>, stop: CancellationToken) -> Self {
        let shared = Arc::new(Shared {
            catalog,
            tenants: Mutex::default(),
            began: Notify::new(),
        });
        tokio::spawn(run(shared.clone(), entropy, stop));
        Self(shared)
    }

    /// Begins to follow an owner: every event that gets its place from now on is handed on. So begin
    /// first, and look at how things are then.
    ///
    /// # Errors
    /// What the catalog says.
    pub async fn follow(&self, owner: &Owner) -> Result<Followed, CatalogError> {
        loop {
            let known = self.0.tenants().contains_key(&owner.tenant_id);
            let head = if known {
                None
            } else {
                let mut reader = self.0.catalog.reader().await?;
                Some(events::head(&mut reader.tx(), &owner.tenant_id).await?)
            };
            if let Some(receiver) = self.join(owner, head.map(|h| h.position)) {
                self.0.began.notify_one();
                return Ok(Followed {
                    shared: self.0.clone(),
                    owner: owner.clone(),
                    receiver,
                });
            }
            // The last who followed somebody of this tenant went away meanwhile.
        }
    }

    fn join(
        &self,
        owner: &Owner,
        head: Option<i64>,
    ) -> Option<broadcast::Receiver<Arc<Sequenced>>> {
        let mut tenants = self.0.tenants();
        if !tenants.contains_key(&owner.tenant_id) {
            let watched = Watched {
                position: head?,
                owners: HashMap::new(),
            };
            tenants.insert(owner.tenant_id.clone(), watched);
        }
        let watched = tenants.get_mut(&owner.tenant_id)?;
        let sender = watched
            .owners
            .entry(owner.owner_id.clone())
            .or_insert_with(|| broadcast::channel(HELD).0);
        Some(sender.subscribe())
    }

    /// How many follow an owner.
    #[must_use]
    pub fn followers(&self, owner: &Owner) -> usize {
        let tenants = self.0.tenants();
        let watched = tenants.get(&owner.tenant_id);
        watched
            .and_then(|w| w.owners.get(&owner.owner_id))
            .map_or(0, broadcast::Sender::receiver_count)
    }
}

/// What an owner's follower is told.
#[derive(Clone, Debug)]
pub enum Heard {
    /// An event. Positions rise, and may have been seen before.
    Event(Arc<Sequenced>),
    /// Events were missed, since others came too fast: look for yourself.
    Missed,
}

/// An owner who is followed, until this is dropped.
pub struct Followed {
    shared: Arc<Shared>,
    owner: Owner,
    receiver: broadcast::Receiver<Arc<Sequenced>>,
}

impl Followed {
    /// Waits for the next event. May be given up and called again.
    pub async fn next(&mut self) -> Heard {
        match self.receiver.recv().await {
            Ok(event) => Heard::Event(event),
            Err(RecvError::Lagged(_)) => Heard::Missed,
            // The sender goes with the last follower only.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let mut tenants = self.shared.tenants();
        let Some(watched) = tenants.get_mut(&self.owner.tenant_id) else {
            return;
        };
        // This one still counts.
        let last = watched
            .owners
            .get(&self.owner.owner_id)
            .is_some_and(|sender| sender.receiver_count() <= 1);
        if last {
            watched.owners.remove(&self.owner.owner_id);
        }
        if watched.owners.is_empty() {
            tenants.remove(&self.owner.tenant_id);
        }
    }
}

async fn run(shared: Arc<Shared>, entropy: Arc<dyn Entropy>, stop: CancellationToken) {
    let bell = shared.catalog.sequenced_bell();
    while !stop.is_cancelled() {
        // Listen before looking: what is rung in between is heard.
        let rung = bell.notified();
        tokio::pin!(rung);
        rung.as_mut().enable();
        if let Err(error) = hand_on(&shared).await {
            tracing::warn!(%error, "events were not read");
        }
        let idle = shared.tenants().is_empty();
        let pause = POLL.mul_f64(0.75 + entropy::fraction(entropy.as_ref()) / 2.0);
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.began.notified(), if idle => {}
            () = &mut rung, if !idle => {}
            () = tokio::time::sleep(pause), if !idle => {}
        }
    }
}

/// Reads what came since, of all tenants who are watched.
async fn hand_on(shared: &Shared) -> Result<(), CatalogError> {
    let watched: Vec<(String, i64)> = shared
        .tenants()
        .iter()
        .map(|(tenant, watched)| (tenant.clone(), watched.position))
        .collect();
    for some in watched.chunks(TENANTS) {
        let asked: Vec<&str> = some.iter().map(|(tenant, _)| tenant.as_str()).collect();
        let mut reader = shared.catalog.reader().await?;
        let tx = &mut reader.tx();
        for head in events::heads(tx, &asked).await? {
            let seen = some.iter().find(|(tenant, _)| *tenant == head.tenant_id);
            let mut position = seen.map_or(head.position, |(_, position)| *position);
            while position < head.position {
                let page = events::after(tx, &head.tenant_id, position, PAGE).await?;
                // What is between them was pruned.
                position = page.last().map_or(head.position, |e| e.position);
                publish(shared, &head.tenant_id, position, page);
            }
        }
    }
    Ok(())
}

fn publish(shared: &Shared, tenant_id: &str, position: i64, page: Vec<Sequenced>) {
    let mut tenants = shared.tenants();
    let Some(watched) = tenants.get_mut(tenant_id) else {
        return;
    };
    for event in page {
        // One who began to follow meanwhile may be further.
        if event.position > watched.position
            && let Some(sender) = watched.owners.get(&event.owner_id)
        {
            // Nobody may be listening any more.
            let _ = sender.send(Arc::new(event));
        }
    }
    watched.position = watched.position.max(position);
}
