//! The rules of Safelight, pure: no input or output, no async, no clock reads, no HTTP.
//!
//! Everything here is a value or a function of values. Time and randomness come in through the
//! traits in [`clock`] and [`entropy`], so that a test can fix both.

pub mod address;
pub mod best_frame;
pub mod clock;
pub mod codes;
pub mod cost_class;
pub mod duplicates;
pub mod entropy;
pub mod file_metadata;
pub mod ids;
pub mod job;
pub mod lane;
pub mod lifecycle;
pub mod limits;
pub mod link;
pub mod look;
pub mod metadata;
pub mod near;
pub mod per_tenant;
pub mod plan;
pub mod preset;
pub mod tags;
pub mod tenant_presets;
pub mod text;
pub mod variant;
pub mod webhook;
