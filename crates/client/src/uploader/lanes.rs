//! Who may send now: as many files as had better be under way at once, in the order in which they came; beside a key frame
//! nobody, or those whose company it bears.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::breadth::Breadth;
use super::company::Company;

/// The lanes of one pass through the queue.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    state: Mutex<State>,
    moved: Notify,
}

#[derive(Debug, Default)]
struct State {
    taken: u32,
    /// The company that the key frame under way bears, if one is.
    key: Option<Company>,
    /// Who waits, by the number that each drew.
    waiting: BTreeSet<u64>,
    drawn: u64,
}

impl State {
    /// Whether one more may send, where `at_once` files may.
    fn has_room(&self, is_key: bool, at_once: u32) -> bool {
        if is_key {
            return self.taken == 0;
        }
        match self.key {
            Some(Company::Alone) => false,
            Some(Company::OnTrial { .. }) => self.taken < 2,
            Some(Company::Welcome) | None => self.taken < at_once.max(1),
        }
    }
}

impl Lanes {
    /// Waits for a lane: a key frame for all of them, which then takes company only where it says so; any other for one of as
    /// many as `at_once` says. Who came first goes first.
    pub(super) async fn enter(
        self: &Arc<Self>,
        is_key: bool,
        breadth: &Breadth,
        at_once: impl Fn() -> u32,
    ) -> Lane {
        let turn = Turn::draw(self);
        loop {
            let mut moved = pin!(self.moved.notified());
            moved.as_mut().enable();
            let mut changed = pin!(breadth.changed());
            changed.as_mut().enable();
            {
                let at_once = at_once();
                let mut state = self.state();
                if state.waiting.first() == Some(&turn.number) && state.has_room(is_key, at_once) {
                    state.taken += 1;
                    if is_key {
                        state.key = Some(Company::Alone);
                    }
                    return Lane {
                        lanes: self.clone(),
                        is_key,
                    };
                }
            }
            tokio::select! {
                () = moved => {}
                () = changed => {}
            }
        }
    }

    /// The company that the key frame under way bears, if one is.
    pub(super) fn key(&self) -> Option<Company> {
        self.state().key
    }

    /// How many lanes of `at_once` there are for one that has a lane: its own, and those that nobody is in.
    pub(super) fn left(&self, at_once: u32) -> u32 {
        at_once.saturating_sub(self.state().taken).saturating_add(1)
    }

    /// Returns when somebody has entered or left, perhaps.
    pub(super) fn moved(&self) -> Notified<'_> {
        self.moved.notified()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who wait, given up when dropped.
struct Turn<'a> {
    lanes: &'a Lanes,
    number: u64,
}

impl<'a> Turn<'a> {
    fn draw(lanes: &'a Lanes) -> Self {
        let mut state = lanes.state();
        let number = state.drawn;
        state.drawn += 1;
        state.waiting.insert(number);
        Self { lanes, number }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.lanes.state().waiting.remove(&self.number);
        self.lanes.moved.notify_waiters();
    }
}

/// A lane, free again when dropped.
#[derive(Debug)]
pub(super) struct Lane {
    lanes: Arc<Lanes>,
    is_key: bool,
}

impl Lane {
    /// The key frame that has this lane bears such company from now on.
    pub(super) fn bears(&self, company: Company) {
        if self.is_key {
            self.lanes.state().key = Some(company);
            self.lanes.moved.notify_waiters();
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut state = self.lanes.state();
        state.taken = state.taken.saturating_sub(1);
        if self.is_key {
            state.key = None;
        }
        drop(state);
        self.lanes.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures::poll;

    use super::*;

    const TRIAL: Company = Company::OnTrial { piece_bytes: 1 };

    #[tokio::test]
    async fn a_key_frame_waits_for_all_and_takes_company_only_as_it_bears_it() {
        let (lanes, breadth) = (Arc::new(Lanes::default()), Breadth::default());
        let enter = |is_key, at_once| lanes.enter(is_key, &breadth, move || at_once);
        let frame = enter(false, 1).await;
        let mut key = pin!(enter(true, 1));
        assert!(poll!(key.as_mut()).is_pending(), "another is under way");
        let mut second = pin!(enter(false, 4));
        assert!(poll!(second.as_mut()).is_pending(), "the key came first");
        drop(frame);
        let key = key.await;
        assert!(poll!(second.as_mut()).is_pending(), "the key goes alone");
        key.bears(TRIAL);
        let second = second.await;
        let mut third = pin!(enter(false, 3));
        assert!(poll!(third.as_mut()).is_pending(), "one on trial");
        key.bears(Company::Welcome);
        let third = third.await;
        let mut fourth = pin!(enter(false, 3));
        assert!(poll!(fourth.as_mut()).is_pending(), "three at once");
        key.bears(Company::Alone);
        drop((second, third));
        assert!(poll!(fourth.as_mut()).is_pending(), "alone again");
        drop(key);
        let Poll::Ready(_fourth) = poll!(fourth.as_mut()) else {
            panic!("the key is out");
        };
    }

    #[tokio::test]
    async fn who_has_a_lane_may_use_those_that_are_left() {
        let (lanes, breadth) = (Arc::new(Lanes::default()), Breadth::default());
        let first = lanes.enter(false, &breadth, || 3).await;
        assert_eq!((lanes.left(1), lanes.left(3)), (1, 3));
        let second = lanes.enter(false, &breadth, || 3).await;
        assert_eq!((lanes.left(1), lanes.left(3)), (1, 2));
        let mut moved = pin!(lanes.moved());
        moved.as_mut().enable();
        drop(first);
        assert!(poll!(moved).is_ready());
        assert_eq!(lanes.left(3), 3);
        drop(second);
    }

    #[tokio::test]
    async fn who_gives_up_waiting_lets_the_next_one_go() {
        let (lanes, breadth) = (Arc::new(Lanes::default()), Breadth::default());
        let enter = |is_key| lanes.enter(is_key, &breadth, || 2);
        let frame = enter(false).await;
        let mut key = Box::pin(enter(true));
        assert!(poll!(key.as_mut()).is_pending());
        let mut other = pin!(enter(false));
        assert!(poll!(other.as_mut()).is_pending());
        drop(key);
        assert!(poll!(other.as_mut()).is_ready());
        drop(frame);
    }
}
