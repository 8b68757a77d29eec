//! The events of an owner or of one capture from a position on: first those that are kept, then each as
//! it comes. However slow the reader is, a page of events is all that is held for him.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use safelight_catalog::events::{self, Sequenced};
use safelight_catalog::{Catalog, CatalogError, captures};
use safelight_model::codes::Code;

use super::tail::{Followed, Heard, Tail};
use crate::context::Owner;

/// Events read at once.
const PAGE: i64 = 100;

/// Why events cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// There is no such capture of this owner.
    #[error("there is no such capture")]
    NotFound,
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl FollowError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound => Code::NotFound,
            Self::Catalog(e) => e.code(),
        }
    }
}

/// Which of an owner's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All.
    Owner,
    /// Those of this capture and of its assets.
    Capture {
        /// The capture.
        capture_id: String,
        /// Its assets, which are fixed when it is made.
        assets: HashSet<String>,
    },
    /// Those of this asset.
    Asset(String),
}

impl Scope {
    /// A capture of this owner.
    ///
    /// # Errors
    /// If there is none, or the catalog fails.
    pub async fn capture(
        catalog: &Catalog,
        owner: &Owner,
        capture_id: &str,
    ) -> Result<Self, FollowError> {
        let mut reader = catalog.reader().await?;
        let tx = &mut reader.tx();
        captures::find(tx, &owner.tenant_id, capture_id)
            .await?
            .filter(|c| c.owner_id == owner.owner_id)
            .ok_or(FollowError::NotFound)?;
        let members = captures::members(tx, &owner.tenant_id, capture_id).await?;
        Ok(Self::Capture {
            capture_id: capture_id.to_owned(),
            assets: members.into_iter().map(|m| m.asset_id).collect(),
        })
    }

    /// Whether an event of the owner belongs to it.
    #[must_use]
    pub fn concerns(&self, event: &Sequenced) -> bool {
        let asset_id = event.asset_id.as_deref();
        match self {
            Self::Owner => true,
            Self::Asset(wanted) => asset_id == Some(wanted),
            Self::Capture { capture_id, assets } => match asset_id {
                Some(asset_id) => assets.contains(asset_id),
                None => event.capture_id.as_ref() == Some(capture_id),
            },
        }
    }
}

/// Where following began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// What comes is after this position.
    pub position: i64,
    /// What was asked for is not kept any more, or never was given: the reader has missed events, and
    /// must look at how things are.
    pub missed: bool,
}

/// What one who follows is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// An event of the scope.
    Event(Sequenced),
    /// Events were forgotten before they were read: the reader must look at how things are. What comes
    /// is after the present position.
    Missed,
    /// Nothing came.
    Quiet,
}

/// One who follows.
pub struct Follower {
    catalog: Catalog,
    owner: Owner,
    scope: Scope,
    followed: Followed,
    /// All up to here was seen.
    position: i64,
    page: VecDeque<Sequenced>,
    /// What is kept was not read to its end yet.
    behind: bool,
}

impl Follower {
    /// Begins after `from`; without it, with what happens from now on.
    ///
    /// # Errors
    /// If the catalog fails.
    pub async fn begin(
        catalog: &Catalog,
        tail: &Tail,
        owner: &Owner,
        scope: Scope,
        from: Option<i64>,
    ) -> Result<(Self, Start), CatalogError> {
        let followed = tail.follow(owner).await?;
        let mut reader = catalog.reader().await?;
        let head = events::head(&mut reader.tx(), &owner.tenant_id).await?;
        drop(reader);
        let start = begin_at(from, head.position, head.pruned);
        let follower = Self {
            catalog: catalog.clone(),
            owner: owner.clone(),
            scope,
            followed,
            position: start.position,
            page: VecDeque::new(),
            behind: start.position < head.position,
        };
        Ok((follower, start))
    }

    /// All up to here was seen, whether or not it was of the scope.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.position
    }

    /// What comes next, or that nothing comes for so long.
    ///
    /// # Errors
    /// If the catalog fails.
    pub async fn next(&mut self, patience: Duration) -> Result<Next, CatalogError> {
        let until = tokio::time::Instant::now() + patience;
        loop {
            while let Some(event) = self.page.pop_front() {
                self.position = event.position;
                if self.scope.concerns(&event) {
                    return Ok(Next::Event(event));
                }
            }
            // However many events of others pass by.
            if tokio::time::Instant::now() >= until {
                return Ok(Next::Quiet);
            }
            if self.behind {
                if !self.read_on().await? {
                    return Ok(Next::Missed);
                }
                continue;
            }
            match tokio::time::timeout_at(until, self.followed.next()).await {
                Err(_) => return Ok(Next::Quiet),
                Ok(Heard::Missed) => self.behind = true,
                Ok(Heard::Event(event)) if event.position > self.position => {
                    self.position = event.position;
                    if self.scope.concerns(&event) {
                        return Ok(Next::Event(Arc::unwrap_or_clone(event)));
                    }
                }
                Ok(Heard::Event(_)) => {}
            }
        }
    }

    /// Reads a page of what is kept. `false`: some of it was forgotten before it was read.
    async fn read_on(&mut self) -> Result<bool, CatalogError> {
        let mut reader = self.catalog.reader().await?;
        let tx = &mut reader.tx();
        let (tenant_id, owner_id) = (&self.owner.tenant_id, &self.owner.owner_id);
        let page = events::of_owner_after(tx, tenant_id, owner_id, self.position, PAGE).await?;
        // Asked afterwards: what was not forgotten by now was there for the page.
        let head = events::head(tx, tenant_id).await?;
        if head.pruned > self.position {
            self.position = head.position;
            self.behind = false;
            return Ok(false);
        }
        self.behind = page.len() == usize::try_from(PAGE).unwrap_or(0);
        self.page = page.into();
        Ok(true)
    }
}

/// Where to begin one who has seen all up to `from`.
fn begin_at(from: Option<i64>, head: i64, pruned: i64) -> Start {
    match from {
        None => Start {
            position: head,
            missed: false,
        },
        Some(from) if (pruned..=head).contains(&from) => Start {
            position: from,
            missed: false,
        },
        // Forgotten since; or of another catalog, or of one that was restored from a backup.
        Some(_) => Start {
            position: head,
            missed: true,
        },
    }
}

#[cfg(test)]
mod tests {
    use safelight_model::clock::Micros;
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[test]
    fn one_begins_where_nothing_is_missing_or_is_told() {
        let begin = |from| {
            let start = begin_at(from, 10, 4);
            (start.position, start.missed)
        };
        assert_eq!(begin(None), (10, false));
        assert_eq!(begin(Some(4)), (4, false));
        assert_eq!(begin(Some(10)), (10, false));
        assert_eq!(begin(Some(3)), (10, true));
        assert_eq!(begin(Some(11)), (10, true));
        assert_eq!(begin(Some(-1)), (10, true));
        assert_eq!(
            begin_at(Some(0), 0, 0),
            Start {
                position: 0,
                missed: false
            }
        );
    }

    /// A catalog with a tail on it.
    async fn with_tail(url: &str) -> (Catalog, Tail) {
        let settings = safelight_catalog::CatalogSettings::for_url(url);
        let catalog = Catalog::open(settings).await.unwrap();
        let entropy = Arc::new(safelight_model::entropy::SeededEntropy::new(1));
        let tail = Tail::start(catalog.clone(), entropy, CancellationToken::new());
        (catalog, tail)
    }

    /// Records so many events of an owner, and gives them their places.
    async fn tell(catalog: &Catalog, name: &'static str, count: usize) {
        let told = catalog.write::<_, CatalogError, _>(move |tx| {
            Box::pin(async move {
                for n in 0..count {
                    let event_id = format!("{name}{n}");
                    let event = events::FreshEvent {
                        tenant_id: "ten_1",
                        event_id: &event_id,
                        kind: "asset.updated",
                        owner_id: "ann",
                        asset_id: Some(name),
                        detail: None,
                        at: Micros(1),
                    };
                    events::record(tx, &event).await?;
                }
                events::sequence(tx, 1_000).await
            })
        });
        assert_eq!(told.await.unwrap(), Some(count as u64));
    }

    async fn positions(follower: &mut Follower, count: usize) -> Vec<i64> {
        let mut seen = Vec::new();
        while seen.len() < count {
            match follower.next(Duration::from_secs(60)).await.unwrap() {
                Next::Event(event) => seen.push(event.position),
                other => panic!("{other:?} after {seen:?}"),
            }
        }
        seen
    }

    async fn follows_without_gaps(url: &str) {
        let (catalog, tail) = with_tail(url).await;
        let owner = Owner {
            tenant_id: "ten_1".into(),
            owner_id: "ann".into(),
        };
        let begin = async |scope, from| {
            Follower::begin(&catalog, &tail, &owner, scope, from)
                .await
                .unwrap()
        };
        let (mut live, start) = begin(Scope::Owner, None).await;
        assert_eq!((start.position, start.missed), (0, false));
        // More at once than is held for those who follow.
        tell(&catalog, "a", 250).await;
        let all: Vec<i64> = (1..=250).collect();
        assert_eq!(positions(&mut live, 250).await, all);
        // Of one asset only, and with what others do passing by.
        let (mut of_b, _) = begin(Scope::Asset("b".into()), Some(0)).await;
        tell(&catalog, "c", 5).await;
        tell(&catalog, "b", 2).await;
        assert_eq!(positions(&mut of_b, 2).await, [256, 257]);
        assert_eq!(
            positions(&mut live, 7).await,
            [251, 252, 253, 254, 255, 256, 257]
        );
        assert_eq!(tail.followers(&owner), 2);
        drop((live, of_b));
        assert_eq!(tail.followers(&owner), 0);

        // What is forgotten before it was read is not passed over in silence.
        let (mut slow, _) = begin(Scope::Owner, Some(0)).await;
        assert_eq!(positions(&mut slow, 1).await, [1]);
        let pruned = catalog.write::<_, CatalogError, _>(|tx| {
            Box::pin(async move {
                let head = events::head(tx, "ten_1").await?;
                events::prune(
                    tx,
                    &head,
                    events::Until {
                        sent: Micros(2),
                        all: Micros(2),
                    },
                    150,
                )
                .await
            })
        });
        assert_eq!(pruned.await.unwrap(), 150);
        let page: Vec<i64> = (2..=100).collect();
        assert_eq!(positions(&mut slow, 99).await, page);
        let next = slow.next(Duration::from_secs(60)).await.unwrap();
        assert_eq!((next, slow.position()), (Next::Missed, 257));
        let quiet = slow.next(Duration::from_millis(1)).await.unwrap();
        assert_eq!(quiet, Next::Quiet);
        tell(&catalog, "d", 1).await;
        assert_eq!(positions(&mut slow, 1).await, [258]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn on_sqlite() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("catalog.db");
        follows_without_gaps(&format!("sqlite://{}", path.display())).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn on_postgres() {
        let cluster = tokio::task::block_in_place(safelight_testkit::postgres::Cluster::shared);
        let url = tokio::task::block_in_place(|| cluster.unwrap().fresh_database().unwrap());
        follows_without_gaps(&url).await;
    }
}
