//! Whether others that use the store had time to say so before this process removes anything by its rows.
//!
//! A copy of a catalog that is started beside the running one knows the mark that stands in the store, as long as nothing was
//! committed there since: nothing tells it that it is a copy. The other one finds out, by the mark that the copy raises, but only
//! when it looks next. So a process that has started, or has doubted, has a fresh mark left in the store first, and waits until
//! whoever does not know that mark must have looked and said so. After each mark that is raised whatever the reason, others have as
//! long; what counts is that one stood there for so long before the first removal. That is measured by time that passes, not by a
//! clock that is set: one that is corrected while a machine starts would make an hour of a second.

use std::sync::Mutex;
use std::time::Duration;

use safelight_catalog::catalog_mark::{self, CatalogMark};

use super::catalog_mark::{MarkError, raise};
use super::keep_mark::AT_MOST_EVERY;
use crate::context::Context;

/// How long others have. They look every half minute, look twice, and then write: three requests besides.
pub const LISTENED_FOR: Duration = Duration::from_secs(60);

/// The nonces that a mark had. One with another in the store was raised since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    nonce: Option<String>,
    pending_nonce: Option<String>,
}

impl Known {
    pub(super) fn of(mark: &CatalogMark) -> Self {
        Self {
            nonce: mark.nonce.clone(),
            pending_nonce: mark.pending_nonce.clone(),
        }
    }

    /// Whether what stands in the store by this mark was raised after the one that is known.
    pub(super) fn is_passed_by(&self, mark: &CatalogMark) -> bool {
        mark.nonce.is_some() && mark.nonce != self.nonce && mark.nonce != self.pending_nonce
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing was done about it yet.
    #[default]
    Deaf,
    /// A fresh mark is to be left.
    Calling(Known),
    /// One stands in the store since then at the latest, by the process's own time.
    Listening(Duration),
    /// Whoever was there has had time to say so.
    Heard,
}

/// How far a process is in this.
#[derive(Debug, Default)]
pub struct Hearing(Mutex<State>);

impl Hearing {
    fn state(&self) -> State {
        self.0.lock().map_or(State::Deaf, |state| state.clone())
    }

    /// Unless another task has changed it meanwhile, to doubt perhaps.
    fn go_on(&self, from: &State, to: State) {
        if let Ok(mut state) = self.0.lock()
            && *state == *from
        {
            *state = to;
        }
    }

    fn set(&self, to: State) {
        if let Ok(mut state) = self.0.lock() {
            *state = to;
        }
    }

    /// Begins: a mark that is raised from now on is one that others hear.
    ///
    /// # Errors
    /// If the catalog fails.
    pub(super) async fn begin(&self, context: &Context) -> Result<(), MarkError> {
        let known = known(context).await?;
        self.go_on(&State::Deaf, State::Calling(known));
        Ok(())
    }

    /// There is doubt about this mark: whoever confirms the catalog may be wrong, and what runs beside it is heard anew.
    pub(super) fn begin_anew(&self, doubted: &CatalogMark) {
        self.set(State::Calling(Known::of(doubted)));
    }

    /// How much longer nothing is removed; `None` if others have had their time. Raises the mark if that is what is missing.
    ///
    /// # Errors
    /// If catalog or store fail: then nothing may be removed either.
    pub(super) async fn wait(&self, context: &Context) -> Result<Option<Duration>, MarkError> {
        let enough = context.settings.removal_wait;
        if enough.is_zero() {
            return Ok(None);
        }
        if self.state() == State::Deaf {
            self.begin(context).await?;
        }
        let calling = self.state();
        if let State::Calling(before) = &calling {
            if !is_left(context, before).await? {
                raise(context, context.now().minus(AT_MOST_EVERY)).await?;
                if !is_left(context, before).await? {
                    return Ok(Some(enough));
                }
            }
            self.go_on(&calling, State::Listening(context.clock.uptime()));
        }
        let listening = self.state();
        match &listening {
            State::Heard => Ok(None),
            State::Listening(since) if context.clock.uptime().saturating_sub(*since) < enough => {
                let listened = context.clock.uptime().saturating_sub(*since);
                Ok(Some(enough.saturating_sub(listened)))
            }
            State::Listening(_) => {
                self.go_on(&listening, State::Heard);
                Ok(None)
            }
            // There was doubt just now.
            State::Deaf | State::Calling(_) => Ok(Some(enough)),
        }
    }
}

async fn find(context: &Context) -> Result<Option<CatalogMark>, MarkError> {
    Ok(catalog_mark::find(&mut context.catalog.reader().await?.tx()).await?)
}

async fn known(context: &Context) -> Result<Known, MarkError> {
    Ok(find(context)
        .await?
        .as_ref()
        .map(Known::of)
        .unwrap_or_default())
}

async fn is_left(context: &Context, before: &Known) -> Result<bool, MarkError> {
    Ok(find(context)
        .await?
        .is_some_and(|mark| before.is_passed_by(&mark)))
}
