//! How many requests the link bears at once: one more after each turn that went well, half as many after a break
//! (additive increase, multiplicative decrease: Chiu and Jain, 1989). The plan's number is the most; what was learned
//! stays for the next file.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// Where it begins: no plan asks for more.
const MOST: u32 = 6;

/// The pace of an uploader.
#[derive(Debug)]
pub(super) struct Pace(Mutex<Level>);

#[derive(Debug)]
struct Level {
    at_once: u32,
    carried: u32,
    halved_at: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self(Mutex::new(Level {
            at_once: MOST,
            carried: 0,
            halved_at: None,
        }))
    }
}

impl Pace {
    /// How many may be under way at once, where a plan allows `planned`.
    pub(super) fn allowed(&self, planned: u32) -> usize {
        let at_once = self.level().at_once.min(planned).max(1);
        usize::try_from(at_once).unwrap_or(1)
    }

    /// A request was carried, where a plan allows `planned`.
    pub(super) fn carried(&self, planned: u32) {
        let mut level = self.level();
        level.carried = level.carried.saturating_add(1);
        if level.carried >= level.at_once && level.at_once < planned {
            level.at_once += 1;
            level.carried = 0;
        }
    }

    /// A request that began at `begun` broke, where a plan allows `planned`. Those that began before the pace was last
    /// halved broke for the same reason, and count no more.
    pub(super) fn broke(&self, begun: Instant, planned: u32) {
        let mut level = self.level();
        if level.halved_at.is_some_and(|at| begun <= at) {
            return;
        }
        level.at_once = (level.at_once.min(planned) / 2).max(1);
        level.carried = 0;
        level.halved_at = Some(Instant::now());
    }

    fn level(&self) -> MutexGuard<'_, Level> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_halves_once_for_one_cut_and_rises_by_one_each_turn() {
        let pace = Pace::default();
        assert_eq!(
            (pace.allowed(4), pace.allowed(9), pace.allowed(0)),
            (4, 6, 1)
        );
        let begun = Instant::now();
        for _ in 0..4 {
            pace.broke(begun, 4);
        }
        assert_eq!(pace.allowed(4), 2);
        pace.carried(4);
        assert_eq!(pace.allowed(4), 2);
        pace.carried(4);
        assert_eq!(pace.allowed(4), 3);
        for _ in 0..20 {
            pace.carried(4);
        }
        assert_eq!(
            (pace.allowed(4), pace.allowed(6)),
            (4, 4),
            "no further than planned"
        );
        for _ in 0..3 {
            // As if time had passed.
            pace.level().halved_at = None;
            pace.broke(begun, 4);
        }
        assert_eq!(pace.allowed(4), 1);
    }
}
