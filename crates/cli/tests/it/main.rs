//! Tests of the whole: of the code's structure, and of the binary.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in the functions it calls"
)]

mod arrows;
mod error_pages;
