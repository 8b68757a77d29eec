//! The server put together: settings, keys, backends, roles.

mod check_settings;
mod clips;
pub mod compose;
mod descriptors;
pub mod keys;
pub mod known_store;
mod media_limits;
mod named_tenants;
pub mod plan_policy;
pub mod presets;
pub mod s3_url;
pub mod settings;
pub mod store;
mod store_access;
mod store_hearing;
mod store_scrub;
mod store_upkeep;
