//! The stages, against real components on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is all test code"
)]

mod attempts;
mod budget;
mod clips;
mod confinement;
mod kept;
mod queue;
mod sandbox;
