//! The store over a real socket, spoken to by the AWS SDK and by plain HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this is tests"
)]

mod basics;
mod checksums;
mod harness;
mod keys;
mod kill;
mod listing;
mod multipart;
mod presigned;
mod races;
mod robustness;
