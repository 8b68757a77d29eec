//! The conformance suite of the catalog: every suite runs on SQLite and on PostgreSQL.
//!
//! A suite is a module of `async fn name(f: Fixture)` and one `on_both!(name, …)`, which makes the
//! tests `name::sqlite` and `name::postgres`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is all test code"
)]

mod albums;
mod appends;
mod assets;
mod best_frames;
mod blobs;
mod catalog_mark;
mod commits;
mod deletions;
mod duplicates;
mod events;
mod file_metadata;
mod fixture;
mod idempotency;
mod initiation;
mod jobs;
mod jobs_model;
mod keys;
mod kill;
mod listing;
mod live_halves;
mod merge;
mod metadata;
mod near;
mod open_limit;
mod presets;
mod renditions;
mod replan;
mod samples;
mod schema;
mod stores;
mod sweeps;
mod upload_looks;
mod uploads;
mod webhooks;
