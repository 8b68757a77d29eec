//! What a stage that does jobs shares with the queue that gives them out.

pub use crate::queue::{Handler, JobError, Lease, Results, results};
