//! One file for each command: its arguments and what it does; and one for how several of them begin.

pub mod completions;
pub mod doctor;
pub mod get;
pub mod key;
pub mod list;
pub mod migrate;
pub mod open_present;
pub mod openapi;
pub mod rederive;
pub mod serve;
pub mod status;
pub mod sweep;
pub mod upload;
