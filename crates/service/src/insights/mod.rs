//! What happens, told: events, their order, and those who follow them.

pub mod cloud_event;
pub mod follow;
pub mod measure_queue;
pub mod metric_help;
pub mod prune_events;
pub mod record;
pub mod sequencer;
pub mod tail;
pub mod webhooks;
