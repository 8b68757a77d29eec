//! The client against a server that keeps to the wire and can be told to fail.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in the functions it calls"
)]

mod ahead;
mod ahead_control;
mod conditions;
mod control;
mod copies;
mod fake_server;
mod faults;
mod kill;
mod media;
mod previews;
mod rig;
mod scripted;
mod upload;
