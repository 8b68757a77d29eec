//! Lanes, the order in which they are served, the turn of a job within its lane, leases and back-off.
//!
//! A claim takes from the most urgent lane that has something due, so that every waiting photo has its cover before any has its
//! other renditions, and these before any backfill; only a lane that has not been served for long goes before its turn. In the
//! lane it takes the job with the smallest *turn*: a virtual finish time given at enqueue, as in start-time
//! fair queueing (Goyal, Vin and Cheng 1996). Every job of an owner is one step after that owner's
//! last, or at the lane's present turn if the owner was idle. So an owner with one job goes ahead
//! of the 499 others that another owner still has waiting.

use std::time::Duration;

use crate::clock::Micros;
use crate::entropy::{self, Entropy};

/// The priority class a job waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// What the user is looking at.
    Interactive,
    /// What will be looked at soon.
    Standard,
    /// Backfill.
    Bulk,
}

impl Lane {
    /// Every lane, most urgent first.
    pub const ALL: [Self; 3] = [Self::Interactive, Self::Standard, Self::Bulk];

    /// As in rows and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Standard => "standard",
            Self::Bulk => "bulk",
        }
    }

    /// The lane of this text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.as_str() == text)
    }
}

/// A lane that has had work due for so long without being served is served next, once. It counts from the
/// lane's last service, not from its oldest job's due time: else a long backlog of bulk work would go before everything
/// else until it is gone. What others wait for, larger pictures and deletions, goes on under lasting load too, if slowly.
#[must_use]
pub const fn starvation_guard(lane: Lane) -> Duration {
    match lane {
        Lane::Interactive | Lane::Standard => Duration::from_secs(5),
        Lane::Bulk => Duration::from_secs(60),
    }
}
/// How long a worker holds a job without a heartbeat.
pub const LEASE: Duration = Duration::from_secs(30);
/// How often a worker renews its leases.
pub const HEARTBEAT: Duration = Duration::from_secs(10);
/// After so many attempts a job is dead.
pub const MAX_ATTEMPTS: i64 = 8;

/// One step of an owner's turn. Larger jobs may take more than one.
pub const TURN_STEP: i64 = 1_000;

/// The turn of a job that goes before all that have one by [`next_turn`], and after those that were asked for earlier and go first too. Of a
/// tenant one such waits or is being done at a time, so that who calls everything urgent passes others with one worker, and never with two in a
/// row; but for those that are asked for in one instant, where transactions do not see each other.
pub const FIRST_TURN: i64 = -1;

/// The turn of a job that joins its lane now.
///
/// `lane_turn` is the smallest turn above zero that waits in the lane (its virtual time), `owner_turn` the
/// largest that waits there for this owner. An owner with nothing waiting joins at the lane's
/// present turn; every further job of his is one step later. In an empty lane turns begin anew.
#[must_use]
pub fn next_turn(lane_turn: Option<i64>, owner_turn: Option<i64>) -> i64 {
    let after_own = owner_turn.map_or(0, |last| last.saturating_add(TURN_STEP));
    after_own.max(lane_turn.unwrap_or(TURN_STEP))
}

/// What is known of a lane when a claim is made.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Which lane.
    pub lane: Lane,
    /// When its longest waiting due job became due; `None` when nothing is due.
    pub oldest_due: Option<Micros>,
}

/// Which lane is served next: the most urgent one that has work, but for those that starve.
#[derive(Clone, Debug)]
pub struct Rota {
    served_at: [Micros; 3],
}

impl Rota {
    /// A rota that has served nobody yet; the guard's time begins `now`.
    #[must_use]
    pub fn starting(now: Micros) -> Self {
        Self {
            served_at: [now; 3],
        }
    }

    /// The order in which the lanes should be tried now: first the starving, the longest of them before the rest; then the
    /// most urgent. Lanes that have nothing due are left out, and those that are not open: there is no worker for them.
    #[must_use]
    pub fn order(
        &self,
        waiting: &[Waiting],
        now: Micros,
        is_open: impl Fn(Lane) -> bool,
    ) -> Vec<Lane> {
        let mut due: Vec<(Lane, Option<Micros>)> = waiting
            .iter()
            .filter(|w| is_open(w.lane))
            .filter_map(|w| {
                let since = w.oldest_due?.max(self.served_at[w.lane as usize]);
                let starving = now.since(since) >= starvation_guard(w.lane);
                Some((w.lane, starving.then_some(since)))
            })
            .collect();
        due.sort_by_key(|(lane, since)| (since.is_none(), *since, *lane));
        due.into_iter().map(|(lane, _)| lane).collect()
    }

    /// Notes that `lane` was served.
    pub fn served(&mut self, lane: Lane, now: Micros) {
        self.served_at[lane as usize] = now;
    }
}

/// When to try again after the `attempt`-th failure (from 1): 1 s doubling to 10 min, full jitter
/// (Brooker, "Exponential Backoff and Jitter", AWS 2015).
#[must_use]
pub fn back_off(attempt: i64, source: &dyn Entropy) -> Duration {
    let doublings = u32::try_from(attempt.clamp(1, 20) - 1).unwrap_or(0);
    let ceiling = Duration::from_secs(1)
        .saturating_mul(1_u32 << doublings)
        .min(Duration::from_secs(600));
    ceiling.mul_f64(entropy::fraction(source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    fn all_due(at: Micros) -> Vec<Waiting> {
        Lane::ALL
            .into_iter()
            .map(|lane| Waiting {
                lane,
                oldest_due: Some(at),
            })
            .collect()
    }

    #[test]
    fn the_most_urgent_lane_goes_first_until_it_is_empty() {
        let mut rota = Rota::starting(Micros(0));
        let mut waiting = all_due(Micros(0));
        for left in (0..Lane::ALL.len()).rev() {
            for _ in 0..100 {
                let order = rota.order(&waiting, Micros(1), |_| true);
                assert_eq!(order, Lane::ALL[Lane::ALL.len() - 1 - left..]);
                rota.served(order[0], Micros(1));
            }
            waiting[Lane::ALL.len() - 1 - left].oldest_due = None;
        }
        assert!(rota.order(&waiting, Micros(1), |_| true).is_empty());
    }

    #[test]
    fn a_starving_lane_goes_first_and_the_reserved_slot_never_takes_it() {
        let mut rota = Rota::starting(Micros(0));
        let now = Micros(0).plus(starvation_guard(Lane::Bulk));
        let mut waiting = all_due(now);
        waiting[2].oldest_due = Some(Micros(0));
        let order = rota.order(&waiting, now, |_| true);
        let covers = |lane| lane == Lane::Interactive;
        assert_eq!(order[0], Lane::Bulk);
        assert_eq!(rota.order(&waiting, now, covers), [Lane::Interactive]);
        // Served once it waits its turn again, however old its backlog is.
        rota.served(Lane::Bulk, now);
        assert_eq!(rota.order(&waiting, now, |_| true)[0], Lane::Interactive);
        waiting[0].oldest_due = None;
        assert!(rota.order(&waiting, now, covers).is_empty());
    }

    #[test]
    fn lanes_that_starve_together_are_served_in_turn() {
        let mut rota = Rota::starting(Micros(0));
        let mut now = Micros(0);
        let mut served = Vec::new();
        for _ in 0..4 {
            now = now.plus(starvation_guard(Lane::Bulk));
            for _ in 0..3 {
                let order = rota.order(&all_due(Micros(0)), now, |_| true);
                rota.served(order[0], now);
                served.push(order[0]);
            }
        }
        for round in served.chunks(3) {
            let mut round = round.to_vec();
            round.sort_unstable();
            assert_eq!(round, Lane::ALL);
        }
    }

    #[test]
    fn a_single_job_passes_a_backlog() {
        let mut backlog = Vec::new();
        for _ in 0..500 {
            let first = backlog.first().copied();
            backlog.push(next_turn(first, backlog.last().copied()));
        }
        let rest = &backlog[3..];
        let single = next_turn(rest.first().copied(), None);
        assert_eq!(rest.iter().filter(|turn| **turn <= single).count(), 1);
    }

    #[test]
    fn back_off_doubles_to_its_ceiling_and_is_jittered() {
        let source = SeededEntropy::new(7);
        for attempt in 1..40 {
            let wait = back_off(attempt, &source);
            let ceiling = 2_f64
                .powi(i32::try_from(attempt - 1).unwrap().min(30))
                .min(600.0);
            assert!(wait.as_secs_f64() <= ceiling);
        }
    }
}
