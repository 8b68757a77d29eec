//! The store over a real socket, spoken to by the AWS SDK and by plain HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this is tests"
)]

mod access;
mod basics;
mod buckets;
mod checksums;
mod cors;
mod events;
mod forms;
mod harness;
mod hosts;
mod keys;
mod kill;
mod kill_buckets;
mod lifecycle;
mod listing;
mod multipart;
mod presigned;
mod races;
mod robustness;
