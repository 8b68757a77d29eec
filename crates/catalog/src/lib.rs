//! The database: rows, transactions, migrations, job claims. SQLite and PostgreSQL; the only crate
//! that speaks SQL.
//!
//! One set of queries in portable SQL serves both: TEXT ids, BIGINT microseconds, TEXT JSON, `$n`,
//! `ON CONFLICT`, `RETURNING`. Only the claim of jobs and the reading of the clock differ.
//!
//! Reads go through [`Catalog::reader`], writes through [`Catalog::write`]: a closure that runs in one
//! transaction. On SQLite all writes go through one connection, and those that wait for it share a
//! commit (group commit); on PostgreSQL each has a transaction of its own. Nothing else than the
//! database may be waited for in such a closure.
//!
//! Every change of state is a compare-and-set on `version`, so that the loser of a race sees that it
//! lost: a function that changes something answers whether it did.

pub mod albums;
pub mod alternatives;
pub mod appends;
pub mod assets;
pub mod best_frames;
pub mod blobs;
pub mod captures;
pub mod catalog_mark;
pub mod cleaned;
pub mod deletions;
pub mod error;
pub mod events;
pub mod failed_removals;
pub mod file_metadata;
pub mod idempotency;
pub mod initiate;
pub mod jobs;
pub mod keys;
pub mod listing;
pub mod live_halves;
pub mod metadata;
pub mod outdated;
pub mod preset_versions;
pub mod renditions;
pub mod store_events;
pub mod stores;
pub mod sweeps;
pub mod uploads;
pub mod webhooks;

mod batch;
mod bells;
mod checkpoint;
mod connect;
#[cfg(test)]
mod explain;
mod group_commit;
pub mod merge_asset;
mod migrate;
pub mod near;
pub mod owned_bytes;
mod statistics;
mod transaction;
mod value;

pub use connect::{Backend, Catalog, CatalogSettings, Reader, Schema, TimeSource, sqlite_file};
pub use error::CatalogError;
pub use migrate::SCHEMA_VERSION;
pub use transaction::Tx;
pub use value::{Row, Value};
