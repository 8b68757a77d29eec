//! Captures and uploads: initiate, sign, read, complete, abort, and what happens when nobody does.

pub mod abort_upload;
pub mod append;
mod begin_anew;
mod check_capture;
pub mod complete_upload;
pub mod count_transfers;
pub mod find_uploads;
pub mod hear_events;
pub mod initiate_capture;
mod initiation_queue;
mod may_be_sent;
mod merge_upload;
mod plan_hints;
pub mod read_capture;
pub mod read_event;
pub mod read_upload;
pub mod reconcile;
pub mod replan_upload;
pub mod sign_urls;
mod tell_of_upload;

pub use initiation_queue::InitiationQueue;
