//! Tests of the whole: of the code's structure, and of the binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in the functions it calls"
)]

mod arrows;
mod chaos;
mod damage;
mod doctor;
mod embedded_store;
mod error_pages;
mod event_stream;
mod http_delivery;
mod http_events;
mod http_idempotency;
mod http_keys;
mod http_lists;
mod http_owners;
mod http_problems;
mod http_rig;
mod http_uploads;
mod http_waiting;
mod kill;
mod media;
mod rufh;
mod serve;
mod stores;
mod strangers;
mod tus;
mod upload;
mod wire;

#[path = "../../../client/tests/it/fake_server.rs"]
mod fake_server;
