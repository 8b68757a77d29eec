//! The crate against a real store, and against stores that misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers fail the test"
)]

mod canned;
mod capabilities;
mod cost;
mod embedded;
mod misbehaving;
mod odd_store;
mod phone;
mod proxy;
mod stores;
mod suite;
