//! What becomes of objects and uploads with time: a bucket's lifecycle rules.
//!
//! Nothing happens by itself: whoever runs the store asks for a pass now and
//! then ([`crate::DiskStore::lifecycle_pass`]) and says what time it is.

mod config;
mod pass;
mod rule;

pub(crate) use config::{to_dto, validate};
pub use pass::{LifecyclePass, LifecycleStep};
pub(crate) use rule::LifecycleRule;
