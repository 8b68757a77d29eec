//! Lanes, their weights, the turn of a job within its lane, leases and back-off.
//!
//! A claim picks the lane first (weights, with a guard against starvation) and then the job with
//! the smallest *turn* in it. The turn is a virtual finish time given at enqueue, as in start-time
//! fair queueing (Goyal, Vin and Cheng 1996): every job of an owner is one step after that owner's
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

    /// Its share of the claims while all lanes have work.
    #[must_use]
    pub fn weight(self) -> u32 {
        match self {
            Self::Interactive => 8,
            Self::Standard => 3,
            Self::Bulk => 1,
        }
    }
}

/// A lane whose oldest due job waits longer than this is served next, whatever the weights say.
pub const STARVATION_GUARD: Duration = Duration::from_secs(60);
/// How long a worker holds a job without a heartbeat.
pub const LEASE: Duration = Duration::from_secs(30);
/// How often a worker renews its leases.
pub const HEARTBEAT: Duration = Duration::from_secs(10);
/// After so many attempts a job is dead.
pub const MAX_ATTEMPTS: i64 = 8;

/// One step of an owner's turn. Larger jobs may take more than one.
pub const TURN_STEP: i64 = 1_000;

/// The turn of a job that is enqueued now.
///
/// `lane_turn` is the turn of the job that the lane last gave out, `owner_turn` that of the last job
/// this owner enqueued in it.
#[must_use]
pub fn next_turn(lane_turn: i64, owner_turn: Option<i64>) -> i64 {
    match owner_turn {
        Some(last) => last.max(lane_turn).saturating_add(TURN_STEP),
        None => lane_turn.saturating_add(TURN_STEP),
    }
}

/// What is known of a lane when a claim is made.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Which lane.
    pub lane: Lane,
    /// When its longest waiting due job became due; `None` when nothing is due.
    pub oldest_due: Option<Micros>,
}

/// Smooth weighted round robin over the lanes (the algorithm of nginx's upstream balancer), with
/// the starvation guard on top.
#[derive(Debug, Default)]
pub struct Rota {
    credit: [i64; 3],
}

impl Rota {
    /// The order in which the lanes should be tried now: first the starving, then by credit.
    /// Lanes that have nothing due are left out. `reserved` keeps only the interactive lane: this is
    /// the worker slot kept free for it.
    pub fn order(&mut self, waiting: &[Waiting], now: Micros, reserved: bool) -> Vec<Lane> {
        let mut due: Vec<Waiting> = waiting
            .iter()
            .copied()
            .filter(|w| w.oldest_due.is_some() && (!reserved || w.lane == Lane::Interactive))
            .collect();
        let total: i64 = due.iter().map(|w| i64::from(w.lane.weight())).sum();
        for w in &due {
            self.credit[w.lane as usize] += i64::from(w.lane.weight());
        }
        let starving = |w: &Waiting| {
            w.oldest_due
                .is_some_and(|at| now.since(at) >= STARVATION_GUARD)
        };
        due.sort_by_key(|w| {
            let since = if starving(w) { w.oldest_due } else { None };
            // Starving first, the longest waiting of them before the rest; then the highest credit.
            (
                since.is_none(),
                since,
                -self.credit[w.lane as usize],
                w.lane,
            )
        });
        if let Some(first) = due.first() {
            self.credit[first.lane as usize] -= total;
        }
        due.into_iter().map(|w| w.lane).collect()
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
    fn lanes_get_their_weights() {
        let mut rota = Rota::default();
        let mut served = [0_u32; 3];
        for _ in 0..1_200 {
            served[rota.order(&all_due(Micros(0)), Micros(1), false)[0] as usize] += 1;
        }
        assert_eq!(served, [800, 300, 100]);
    }

    #[test]
    fn a_starving_lane_goes_first_and_the_reserved_slot_never_takes_it() {
        let mut rota = Rota::default();
        let now = Micros(0).plus(STARVATION_GUARD);
        let mut waiting = all_due(now);
        waiting[2].oldest_due = Some(Micros(0));
        assert_eq!(rota.order(&waiting, now, false)[0], Lane::Bulk);
        assert_eq!(rota.order(&waiting, now, true), [Lane::Interactive]);
        waiting[0].oldest_due = None;
        assert!(rota.order(&waiting, now, true).is_empty());
    }

    #[test]
    fn a_single_job_passes_a_backlog() {
        let backlog: Vec<i64> = (0..500)
            .scan(None, |last, _| {
                let turn = next_turn(0, *last);
                *last = Some(turn);
                Some(turn)
            })
            .collect();
        let lane_turn = backlog[3];
        let single = next_turn(lane_turn, None);
        assert_eq!(
            backlog
                .iter()
                .filter(|t| **t > lane_turn && **t < single)
                .count(),
            0
        );
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
