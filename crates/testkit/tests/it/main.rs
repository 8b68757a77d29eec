//! Tests of the kit against a real PostgreSQL.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in the functions it calls"
)]

mod postgres;
