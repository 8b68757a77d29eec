//! What goes, and when. The sole holder of delete.

pub mod clear_segments;
pub mod clear_uploads;
pub mod prune_records;
pub mod purge_blob;
