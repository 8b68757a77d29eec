//! Jobs: asking for work, and having it done. What a job does is its handler's.
//!
//! [`enqueue`] is a door that every stage may use: the job is committed with the state that causes
//! it. The [`Executor`] leases jobs (the most urgent lane first, owners in turn, each class of cost by workers of
//! its own), runs each under a heartbeat,
//! and commits its results and its end in one transaction, so that a worker that lost its lease
//! changes nothing. It alone decides when a job is given up, and tells the handler in the same
//! transaction.

pub mod enqueue;

mod attempt;
mod executor;
mod rescue;
mod seats;
mod settle;

pub use executor::{Executor, ExecutorSettings};
