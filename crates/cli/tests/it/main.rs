//! Tests of the whole: of the code's structure, and of the binary.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in the functions it calls"
)]

mod arrows;
mod error_pages;
mod upload;

#[path = "../../../client/tests/it/fake_server.rs"]
mod fake_server;
