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

    /// The next event; `None` if none comes for so long.
    ///
    /// # Errors
    /// If the catalog fails.
    pub async fn next(&mut self, patience: Duration) -> Result<Option<Sequenced>, CatalogError> {
        let until = tokio::time::Instant::now() + patience;
        loop {
            while let Some(event) = self.page.pop_front() {
                self.position = event.position;
                if self.scope.concerns(&event) {
                    return Ok(Some(event));
                }
            }
            // However many events of others pass by.
            if tokio::time::Instant::now() >= until {
                return Ok(None);
            }
            if self.behind {
                self.read_on().await?;
                continue;
            }
            match tokio::time::timeout_at(until, self.followed.next()).await {
                Err(_) => return Ok(None),
                Ok(Heard::Missed) => self.behind = true,
                Ok(Heard::Event(event)) if event.position > self.position => {
                    self.position = event.position;
                    if self.scope.concerns(&event) {
                        return Ok(Some(Arc::unwrap_or_clone(event)));
                    }
                }
                Ok(Heard::Event(_)) => {}
            }
        }
    }

    async fn read_on(&mut self) -> Result<(), CatalogError> {
        let mut reader = self.catalog.reader().await?;
        let (tenant_id, owner_id) = (&self.owner.tenant_id, &self.owner.owner_id);
        let page =
            events::of_owner_after(&mut reader.tx(), tenant_id, owner_id, self.position, PAGE)
                .await?;
        self.behind = page.len() == usize::try_from(PAGE).unwrap_or(0);
        self.page = page.into();
        Ok(())
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
}
