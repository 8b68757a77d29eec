//! Whose pictures are encoded: one at a time, whatever the number of captures that are asked for, and those first that are sent
//! first. A capture keeps its turn for all its pictures, unless one before it in the queue comes meanwhile.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The one place where pictures are encoded.
#[derive(Clone, Debug, Default)]
pub(super) struct Encoding(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    moved: Notify,
}

#[derive(Debug, Default)]
struct State {
    is_taken: bool,
    /// Who waits, by place in the queue; the number tells two of one place apart.
    waiting: BTreeSet<(u64, u64)>,
    drawn: u64,
}

impl Encoding {
    /// Waits for the turn of the capture at `place` in the queue.
    pub(super) async fn enter(&self, place: u64) -> Turn {
        let waiting = Waiting::draw(self, place);
        loop {
            let mut moved = pin!(self.0.moved.notified());
            moved.as_mut().enable();
            {
                let mut state = self.state();
                if !state.is_taken && state.waiting.first() == Some(&waiting.mine) {
                    state.is_taken = true;
                    return Turn {
                        of: self.clone(),
                        place,
                    };
                }
            }
            moved.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn of one capture, until it is dropped.
pub(super) struct Turn {
    of: Encoding,
    place: u64,
}

impl Turn {
    /// Lets a capture go first that stands before this one.
    pub(super) async fn give_way(self) -> Self {
        let is_first = |first: &(u64, u64)| first.0 >= self.place;
        if self.of.state().waiting.first().is_none_or(is_first) {
            return self;
        }
        let (of, place) = (self.of.clone(), self.place);
        drop(self);
        of.enter(place).await
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.of.state().is_taken = false;
        self.of.0.moved.notify_waiters();
    }
}

/// A place among those who wait, given up when dropped.
struct Waiting<'a> {
    of: &'a Encoding,
    mine: (u64, u64),
}

impl<'a> Waiting<'a> {
    fn draw(of: &'a Encoding, place: u64) -> Self {
        let mut state = of.state();
        let mine = (place, state.drawn);
        state.drawn += 1;
        state.waiting.insert(mine);
        Self { of, mine }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.of.state().waiting.remove(&self.mine);
        self.of.0.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_who_is_needed_first() {
        let encoding = Encoding::default();
        let turn = encoding.enter(5).await;
        let mut seventh = pin!(encoding.enter(7));
        assert!(poll!(&mut seventh).is_pending());
        // Nobody before it waits: it goes on with its next picture.
        let turn = turn.give_way().await;
        let gone = {
            let mut first = pin!(encoding.enter(1));
            assert!(poll!(&mut first).is_pending());
            let mut given = pin!(turn.give_way());
            assert!(poll!(&mut given).is_pending());
            assert!(poll!(&mut seventh).is_pending());
            let first = first.await;
            assert!(poll!(&mut given).is_pending());
            drop(first);
            assert!(
                poll!(&mut seventh).is_pending(),
                "it came before, but is needed later"
            );
            given.await
        };
        {
            // Who gave up does not hold the others.
            let mut given_up = pin!(encoding.enter(2));
            assert!(poll!(&mut given_up).is_pending());
        }
        drop(gone);
        seventh.await;
    }
}
