//! The budget of the scratch directory, shared among owners: each has as much as its bytes take, and no owner so much that
//! others find none.
//!
//! An owner may hold as much as is left after that (the dynamic thresholds of Choudhury and Hahne, "Dynamic queue length
//! thresholds for shared-memory packet switches", 1998, with a factor of one): alone half of all, two a third each. So whoever
//! comes finds room, however many requests one owner keeps open. The first request of an owner goes beyond, as far as there
//! is anything: it alone may be larger than half.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Tenant and owner.
type Who = (String, String);

/// All of the room, in units.
#[derive(Debug)]
pub(crate) struct Room {
    units: u32,
    taken: Mutex<Taken>,
    /// Rung whenever something is given back.
    freed: Notify,
}

#[derive(Debug)]
struct Taken {
    free: u32,
    of: HashMap<Who, u32>,
}

impl Room {
    /// So many units.
    pub(crate) fn of(units: u32) -> Arc<Self> {
        let taken = Taken {
            free: units,
            of: HashMap::new(),
        };
        Arc::new(Self {
            units,
            taken: Mutex::new(taken),
            freed: Notify::new(),
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one request holds of the room; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    room: Arc<Room>,
    who: Who,
    units: u32,
}

impl Share {
    /// Nothing yet.
    pub(crate) fn none(room: Arc<Room>, tenant_id: &str, owner_id: &str) -> Self {
        Self {
            room,
            who: (tenant_id.to_owned(), owner_id.to_owned()),
            units: 0,
        }
    }

    /// Holds so many units at least, or all there are where it would be more than those; `false`, and as before, if there are not
    /// so many for this owner at present.
    pub(crate) fn grow(&mut self, units: u32) -> bool {
        let units = units.min(self.room.units);
        let Some(more) = units.checked_sub(self.units).filter(|more| *more > 0) else {
            return true;
        };
        let mut taken = self.room.taken();
        let Some(left) = taken.free.checked_sub(more) else {
            return false;
        };
        let of_owner = taken.of.get(&self.who).copied().unwrap_or(0);
        let is_alone = of_owner == self.units;
        if !is_alone && of_owner + more > left {
            return false;
        }
        taken.free = left;
        taken.of.insert(self.who.clone(), of_owner + more);
        drop(taken);
        self.units = units;
        true
    }

    /// As [`Share::grow`], waiting for others to give something back for as long as this.
    pub(crate) async fn grow_within(&mut self, units: u32, patience: Duration) -> bool {
        let room = self.room.clone();
        let until = Instant::now() + patience;
        loop {
            // Listen before looking: what is given back in between is heard.
            let mut freed = pin!(room.freed.notified());
            freed.as_mut().enable();
            if self.grow(units) {
                return true;
            }
            if timeout_at(until, freed).await.is_err() {
                return false;
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.units == 0 {
            return;
        }
        let mut taken = self.room.taken();
        taken.free += self.units;
        let of_owner = taken.of.get(&self.who).copied().unwrap_or(0);
        match of_owner.saturating_sub(self.units) {
            0 => taken.of.remove(&self.who),
            left => taken.of.insert(self.who.clone(), left),
        };
        drop(taken);
        self.room.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_owner_takes_what_others_need() {
        let room = Room::of(100);
        let share = |owner: &str| Share::none(room.clone(), "t", owner);
        let mut ann: Vec<Share> = (0..100).map(|_| share("ann")).collect();
        let held = ann
            .iter_mut()
            .filter_map(|s| s.grow(1).then_some(()))
            .count();
        assert_eq!(held, 50, "alone half of all");
        let mut bob: Vec<Share> = (0..100).map(|_| share("bob")).collect();
        let held = bob
            .iter_mut()
            .filter_map(|s| s.grow(1).then_some(()))
            .count();
        assert_eq!(held, 25, "as much as is left then");
        assert!(!ann[0].grow(2) && bob[99].units == 0);
        let mut eve = share("eve");
        assert!(
            eve.grow(25),
            "the first request of an owner as much as there is"
        );
        assert!(!share("may").grow(1));
        drop(eve);
        drop((ann, bob));
        let mut all = share("ann");
        assert!(all.grow(1_000), "no request waits for more than there is");
        assert!(!share("bob").grow(1));
        drop(all);
        let taken = room.taken();
        assert_eq!((taken.free, taken.of.len()), (100, 0));
    }

    #[test]
    fn a_share_grows_with_what_it_holds() {
        let room = Room::of(10);
        let mut share = Share::none(room.clone(), "t", "ann");
        for units in [1, 3, 2, 7] {
            assert!(share.grow(units));
        }
        assert_eq!((share.units, room.taken().free), (7, 3));
        let mut other = Share::none(room.clone(), "t", "bob");
        assert!(other.grow(2));
        assert!(!share.grow(10), "there is not so much");
        assert_eq!(share.units, 7, "what it has it keeps");
        drop(other);
        assert!(share.grow(10));
    }

    #[tokio::test]
    async fn who_waits_has_what_is_given_back() {
        let room = Room::of(10);
        let mut held = Share::none(room.clone(), "t", "ann");
        assert!(held.grow(8));
        let mut waits = Share::none(room.clone(), "t", "bob");
        assert!(!waits.grow_within(5, Duration::ZERO).await);
        let hour = Duration::from_secs(3_600);
        let (grown, ()) = tokio::join!(waits.grow_within(5, hour), async { drop(held) });
        assert!(grown);
        assert_eq!(room.taken().free, 5);
    }
}
