//! One file for each command: its arguments and what it does.

pub mod completions;
pub mod get;
pub mod key;
pub mod list;
pub mod status;
pub mod upload;
