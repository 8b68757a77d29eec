//! The store against a model of S3 in memory: random operations, one after
//! another and several at once, must be answered as the model answers them.
//!
//! [`strategy`] makes random steps, which name keys, uploads and ETags loosely;
//! [`step`] turns them into operations on what is there; [`drive`] carries these
//! out over the S3 protocol; [`state`] is the model, which says whether an answer
//! is right.

mod drive;
mod lists;
mod object;
mod state;
mod step;
mod strategy;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};

use crate::harness::*;
use drive::{Answer, carry_out};
use state::{Model, Read};
use step::{KEYS, Op, Step};
use strategy::{atomic, steps};

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 300,
        ..ProptestConfig::default()
    })
}

fn report(result: Result<(), TestError<impl std::fmt::Debug>>) {
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Operations by which everything can be seen.
fn look_at_everything(model: &Model) -> Vec<Op> {
    let keys = KEYS.iter().flat_map(|key| {
        let key = (*key).to_owned();
        [Op::get(&key), Op::Tags { key }]
    });
    let uploads = model
        .open_uploads()
        .into_iter()
        .map(|(key, id)| Op::ListParts { key, id });
    keys.chain(uploads)
        .chain([
            Op::list(),
            Op::ListUploads {
                prefix: String::new(),
                page: 2,
            },
        ])
        .collect()
}

#[test]
fn one_after_another() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let result = runner(96).run(&steps(40), |steps| {
        runtime.block_on(async {
            let store = Running::start().await;
            let client = store.client();
            let mut model = Model::default();
            for step in steps {
                let op = step.resolve(&model);
                let answer = carry_out(&client, &op).await;
                let checked = model.check(&op, &answer);
                prop_assert!(checked.is_ok(), "{op:?}: {checked:?}");
            }
            for op in look_at_everything(&model) {
                let answer = carry_out(&client, &op).await;
                let checked = model.check(&op, &answer);
                prop_assert!(checked.is_ok(), "at the end, {op:?}: {checked:?}");
            }
            prop_assert_eq!(store.part_files().len(), model.part_files());
            prop_assert_eq!(store.leftovers().len(), 0);
            Ok(())
        })
    });
    report(result);
}

/// Operations that ran at once must have been answered as if they had been done
/// in some order.
#[test]
fn several_at_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    let batches = prop::collection::vec(prop::collection::vec(atomic(), 2..5), 1..10);
    let result = runner(64).run(&batches, |batches: Vec<Vec<Step>>| {
        runtime.block_on(async {
            let store = Running::start().await;
            let client = store.client();
            let mut models = vec![Model::default()];
            for batch in batches {
                let ops: Vec<Op> = batch.iter().map(|step| step.resolve(&models[0])).collect();
                let running = ops.iter().map(|op| {
                    let (client, op) = (store.client(), op.clone());
                    tokio::spawn(async move { carry_out(&client, &op).await })
                });
                let answers = join_all(running).await;
                let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
                let mut possible: Vec<Model> = Vec::new();
                for order in orders(&moments(&ops)) {
                    for model in &models {
                        let mut model = model.clone();
                        if explains(&mut model, &order, &ops, &answers)
                            && !possible.contains(&model)
                        {
                            possible.push(model);
                        }
                    }
                }
                prop_assert!(
                    !possible.is_empty(),
                    "no order explains {ops:?}: {answers:?}"
                );
                // What is there now tells which of the orders it can have been.
                for op in look_at_everything(&possible[0]) {
                    let answer = carry_out(&client, &op).await;
                    possible.retain_mut(|model| model.check(&op, &answer).is_ok());
                    prop_assert!(
                        !possible.is_empty(),
                        "after {ops:?}: {op:?} gave {answer:?}"
                    );
                }
                models = possible;
            }
            let parts: BTreeSet<usize> = models.iter().map(Model::part_files).collect();
            eventually("parts and notes go", || {
                parts.contains(&store.part_files().len()) && store.leftovers().is_empty()
            })
            .await;
            Ok(())
        })
    });
    report(result);
}

/// A moment at which an operation does something: all of it, or the first or
/// second half.
type Moment = (usize, Half);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Half {
    Both,
    Read,
    Write,
}

/// As in S3, a copy reads its source at one moment and writes at a later one;
/// but an object that is copied over itself does not lose what others write.
fn moments(ops: &[Op]) -> Vec<Moment> {
    let halves = |op: &Op| match op {
        Op::Copy { from, to, .. } if from != to => vec![Half::Read, Half::Write],
        Op::PartCopy { .. } => vec![Half::Read, Half::Write],
        _ => vec![Half::Both],
    };
    let all = ops.iter().enumerate();
    all.flat_map(|(at, op)| halves(op).into_iter().map(move |half| (at, half)))
        .collect()
}

/// All orders of moments in which no write comes before its read.
fn orders(moments: &[Moment]) -> Vec<Vec<Moment>> {
    let Some((last, others)) = moments.split_last() else {
        return vec![vec![]];
    };
    let mut all = Vec::new();
    for order in orders(others) {
        let read = order.iter().position(|moment| moment.0 == last.0);
        for at in read.map_or(0, |read| read + 1)..=order.len() {
            let mut longer = order.clone();
            longer.insert(at, *last);
            all.push(longer);
        }
    }
    all
}

/// Whether the model, taken through these moments, gives these answers.
fn explains(model: &mut Model, order: &[Moment], ops: &[Op], answers: &[Answer]) -> bool {
    let mut reads: BTreeMap<usize, Read> = BTreeMap::new();
    order.iter().all(|(at, half)| match half {
        Half::Both => model.check(&ops[*at], &answers[*at]).is_ok(),
        Half::Read => {
            reads.insert(*at, model.read(&ops[*at]));
            true
        }
        Half::Write => model
            .check_write(&ops[*at], &reads[at], &answers[*at])
            .is_ok(),
    })
}
