//! Random sequences of calls against a small model of the queue, on SQLite.

use std::time::Duration;

use proptest::prelude::*;
use safelight_catalog::jobs::{self, Job, NewJob, Rescue};
use safelight_catalog::{Backend, Catalog};
use safelight_model::clock::{Clock, Micros};
use safelight_model::codes::Code;
use safelight_model::cost_class::CostClass;
use safelight_model::job::{JobKind, JobState};
use safelight_model::lane::{LEASE, Lane, MAX_ATTEMPTS, next_turn};

use crate::fixture::{Fixture, in_tx};

const TENANT: &str = "ten_1";

#[derive(Clone, Debug)]
enum Op {
    Enqueue {
        owner: u8,
        lane: usize,
        key: u8,
        delay_s: u64,
    },
    Claim {
        lane: usize,
        limit: usize,
    },
    Finish(usize),
    Retry(usize, u64),
    Snooze(usize, u64),
    Bury(usize),
    Heartbeat(usize),
    Advance(u64),
    Rescue,
    Revive(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..3_u8, 0..3_usize, 0..12_u8, 0..3_u64)
            .prop_map(|(owner, lane, key, delay_s)| Op::Enqueue { owner, lane, key, delay_s }),
        5 => (0..3_usize, 1..4_usize).prop_map(|(lane, limit)| Op::Claim { lane, limit }),
        2 => any::<usize>().prop_map(Op::Finish),
        3 => (any::<usize>(), 0..4_u64).prop_map(|(i, s)| Op::Retry(i, s)),
        1 => (any::<usize>(), 0..4_u64).prop_map(|(i, s)| Op::Snooze(i, s)),
        1 => any::<usize>().prop_map(Op::Bury),
        2 => any::<usize>().prop_map(Op::Heartbeat),
        3 => (0..20_u64).prop_map(Op::Advance),
        2 => Just(Op::Rescue),
        1 => any::<usize>().prop_map(Op::Revive),
    ]
}

/// A row as the model has it.
#[derive(Clone, Debug, PartialEq)]
struct Expected {
    job_id: String,
    owner: String,
    lane: Lane,
    key: String,
    state: JobState,
    turn: i64,
    run_at: Micros,
    attempts: i64,
    fence: i64,
    lease_until: Option<Micros>,
}

#[derive(Default)]
struct Model {
    rows: Vec<Expected>,
    born: usize,
}

impl Model {
    fn turn(&self, lane: Lane, owner: &str) -> i64 {
        let queued = || {
            self.rows
                .iter()
                .filter(|r| r.state == JobState::Queued && r.lane == lane)
        };
        let lane_turn = queued().map(|r| r.turn).min();
        let owner_turn = queued().filter(|r| r.owner == owner).map(|r| r.turn).max();
        next_turn(lane_turn, owner_turn)
    }

    fn enqueue(
        &mut self,
        job_id: String,
        owner: String,
        lane: Lane,
        key: String,
        run_at: Micros,
        now: Micros,
    ) -> bool {
        if self
            .rows
            .iter()
            .any(|r| r.key == key && r.state != JobState::Dead)
        {
            return false;
        }
        let due = run_at <= now;
        let (state, turn) = if due {
            (JobState::Queued, self.turn(lane, &owner))
        } else {
            (JobState::Scheduled, 0)
        };
        let row = Expected {
            job_id,
            owner,
            lane,
            key,
            state,
            turn,
            run_at,
            attempts: 0,
            fence: 0,
            lease_until: None,
        };
        self.rows.push(row);
        true
    }

    fn promote(&mut self, now: Micros) {
        let mut due: Vec<(Micros, String)> = self
            .rows
            .iter()
            .filter(|r| r.state == JobState::Scheduled && r.run_at <= now)
            .map(|r| (r.run_at, r.job_id.clone()))
            .collect();
        due.sort();
        for (_, id) in due {
            let at = self.rows.iter().position(|r| r.job_id == id).unwrap();
            let turn = self.turn(self.rows[at].lane, &self.rows[at].owner.clone());
            self.rows[at].turn = turn;
            self.rows[at].state = JobState::Queued;
        }
    }

    fn claim(&mut self, lane: Lane, limit: usize, now: Micros) -> Vec<String> {
        self.promote(now);
        let mut line: Vec<&mut Expected> = self
            .rows
            .iter_mut()
            .filter(|r| r.state == JobState::Queued && r.lane == lane)
            .collect();
        line.sort_by(|a, b| (a.turn, &a.job_id).cmp(&(b.turn, &b.job_id)));
        line.into_iter()
            .take(limit)
            .map(|row| {
                row.state = JobState::Leased;
                row.fence += 1;
                row.attempts += 1;
                row.lease_until = Some(now.plus(LEASE));
                row.job_id.clone()
            })
            .collect()
    }

    /// The row that this lease still holds.
    fn held(&mut self, lease: &Job) -> Option<&mut Expected> {
        self.rows.iter_mut().find(|r| {
            r.job_id == lease.job_id && r.state == JobState::Leased && r.fence == lease.fence
        })
    }

    fn end(&mut self, lease: &Job, change: impl FnOnce(&mut Expected)) -> bool {
        self.held(lease).is_some_and(|row| {
            row.lease_until = None;
            change(row);
            true
        })
    }
}

/// Does `op` to both and compares the answers.
async fn step(catalog: &Catalog, f: &Fixture, model: &mut Model, leases: &mut Vec<Job>, op: Op) {
    let now = f.clock.now();
    let pick = |i: usize| (!leases.is_empty()).then(|| leases[i % leases.len()].clone());
    match op {
        Op::Enqueue {
            owner,
            lane,
            key,
            delay_s,
        } => {
            let (owner, key, lane) = (format!("o{owner}"), format!("k{key}"), Lane::ALL[lane]);
            let run_at = now.plus(Duration::from_secs(delay_s));
            model.born += 1;
            let id = format!("job_{:06}", model.born);
            let expected = model.enqueue(id.clone(), owner.clone(), lane, key.clone(), run_at, now);
            let added = in_tx!(catalog, |tx| {
                let job = NewJob {
                    tenant_id: TENANT,
                    job_id: &id,
                    kind: JobKind::Derive,
                    lane,
                    class: CostClass::Light,
                    owner_id: &owner,
                    subject_id: "s",
                    unique_key: &key,
                    goes_first: false,
                    run_at,
                    now,
                };
                jobs::enqueue(tx, &job).await
            });
            assert_eq!(added.unwrap(), expected);
        }
        Op::Claim { lane, limit } => {
            let lane = Lane::ALL[lane];
            let got = in_tx!(catalog, |tx| {
                jobs::promote(tx).await?;
                jobs::claim(tx, lane, CostClass::Light, "wrk_1", limit, LEASE).await
            })
            .unwrap();
            let ids: Vec<String> = got.iter().map(|job| job.job_id.clone()).collect();
            assert_eq!(ids, model.claim(lane, limit, now));
            leases.extend(got);
        }
        Op::Finish(i) => {
            let Some(job) = pick(i) else { return };
            let held = model.held(&job).is_some();
            if held {
                model.rows.retain(|r| r.job_id != job.job_id);
            }
            assert_eq!(
                in_tx!(catalog, |tx| jobs::finish(tx, &job).await).unwrap(),
                held
            );
        }
        Op::Retry(i, s) => {
            let Some(job) = pick(i) else { return };
            let after = Duration::from_secs(s);
            let held = model.end(&job, |r| {
                (r.state, r.run_at) = (JobState::Scheduled, now.plus(after))
            });
            let retried = in_tx!(catalog, |tx| jobs::retry(
                tx,
                &job,
                after,
                Code::Internal,
                ""
            )
            .await);
            assert_eq!(retried.unwrap(), held);
        }
        Op::Snooze(i, s) => {
            let Some(job) = pick(i) else { return };
            let after = Duration::from_secs(s);
            let held = model.end(&job, |r| {
                (r.state, r.run_at) = (JobState::Scheduled, now.plus(after));
                r.attempts -= 1;
            });
            assert_eq!(
                in_tx!(catalog, |tx| jobs::snooze(tx, &job, after).await).unwrap(),
                held
            );
        }
        Op::Bury(i) => {
            let Some(job) = pick(i) else { return };
            let held = model.end(&job, |r| r.state = JobState::Dead);
            assert_eq!(
                in_tx!(catalog, |tx| jobs::bury(tx, &job, Code::Internal, "").await).unwrap(),
                held
            );
        }
        Op::Heartbeat(i) => {
            let Some(job) = pick(i) else { return };
            let held = model
                .held(&job)
                .map(|r| r.lease_until = Some(now.plus(LEASE)))
                .is_some();
            assert_eq!(
                in_tx!(catalog, |tx| jobs::heartbeat(tx, &job, LEASE).await).unwrap(),
                held
            );
        }
        Op::Advance(s) => f.clock.advance(Duration::from_secs(s)),
        Op::Rescue => {
            let mut expected = 0;
            for row in model
                .rows
                .iter_mut()
                .filter(|r| r.lease_until.is_some_and(|at| at <= now))
            {
                expected += 1;
                row.lease_until = None;
                if row.attempts >= MAX_ATTEMPTS {
                    row.state = JobState::Dead;
                } else {
                    (row.state, row.run_at) = (JobState::Scheduled, now);
                }
            }
            let found = in_tx!(catalog, |tx| jobs::expired(tx, 100).await).unwrap();
            assert_eq!(found.len(), expected);
            for job in found {
                let outcome = in_tx!(catalog, |tx| jobs::rescue(tx, &job).await).unwrap();
                assert_ne!(outcome, Rescue::Untouched);
            }
        }
        Op::Revive(i) => {
            let dead: Vec<Expected> = model
                .rows
                .iter()
                .filter(|r| r.state == JobState::Dead)
                .cloned()
                .collect();
            if dead.is_empty() {
                return;
            }
            let old = dead[i % dead.len()].clone();
            model.rows.retain(|r| r.job_id != old.job_id);
            let id = old.job_id.clone();
            let expected = model.enqueue(old.job_id, old.owner, old.lane, old.key, now, now);
            if expected {
                model.rows.last_mut().unwrap().fence = old.fence;
            }
            assert_eq!(
                in_tx!(catalog, |tx| jobs::revive(tx, TENANT, &id).await).unwrap(),
                expected
            );
        }
    }
}

async fn compare(catalog: &Catalog, model: &Model) {
    let rows = catalog
        .reader()
        .await
        .unwrap()
        .tx()
        .rows("SELECT job_id, state, turn, run_at, attempts, fence, lease_until FROM jobs ORDER BY job_id", &[])
        .await
        .unwrap();
    let mut expected = model.rows.clone();
    expected.sort_by(|a, b| a.job_id.cmp(&b.job_id));
    assert_eq!(rows.len(), expected.len());
    for (row, want) in rows.iter().zip(&expected) {
        let state = JobState::parse(&row.text(1).unwrap()).unwrap();
        assert_eq!(
            (row.text(0).unwrap(), state),
            (want.job_id.clone(), want.state)
        );
        assert_eq!(
            (row.int(4).unwrap(), row.int(5).unwrap()),
            (want.attempts, want.fence),
            "{want:?}"
        );
        assert_eq!(row.maybe_at(6).unwrap(), want.lease_until, "{want:?}");
        assert_eq!(row.at(3).unwrap(), want.run_at, "{want:?}");
        if state == JobState::Queued {
            assert_eq!(row.int(2).unwrap(), want.turn, "{want:?}");
        }
    }
}

#[test]
fn the_queue_behaves_as_its_model() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let fixture = runtime.block_on(Fixture::open(Backend::Sqlite));
    let settings = ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(settings, |(ops in proptest::collection::vec(op(), 1..80))| {
        runtime.block_on(async {
            let catalog = &fixture.catalog;
            in_tx!(catalog, |tx| tx.exec("DELETE FROM jobs", &[]).await).unwrap();
            let (mut model, mut leases) = (Model::default(), Vec::new());
            for op in ops {
                step(catalog, &fixture, &mut model, &mut leases, op).await;
                compare(catalog, &model).await;
            }
        });
    });
}
