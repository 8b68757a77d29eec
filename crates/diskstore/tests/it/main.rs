//! The store over a real socket, spoken to by the AWS SDK and by plain HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this is tests"
)]

mod access;
mod algorithms;
mod attributes;
mod basics;
mod buckets;
mod checksums;
mod conditions;
mod copies;
mod copy_sources;
mod cors;
mod damage;
mod deletes;
mod events;
mod forms;
mod harness;
mod hosts;
mod keys;
mod kill;
mod kill_buckets;
mod lifecycle;
mod listing;
mod model;
mod multipart;
mod part_copies;
mod presigned;
mod presigned_reads;
mod races;
mod refusals;
mod robustness;
mod scrub;
mod signer;
mod strangers;
mod streaming;
mod tags;
mod upgrade;
mod uploads;
