//! What goes, and when. The sole holder of delete.

pub mod catalog_mark;
pub mod clear_segments;
pub mod clear_upload;
mod compare;
pub mod complete_deletions;
pub mod delete_asset;
pub mod delete_capture;
mod find_orphans;
pub mod forget_metadata;
pub mod hear_others;
mod held_back;
mod judge_mark;
pub mod keep_mark;
pub mod prune_records;
pub mod purge_blob;
mod remove_orphans;
mod store_mark;
pub mod sweep;
mod whose;
