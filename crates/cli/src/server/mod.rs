//! The server put together: settings, keys, backends, roles.

pub mod compose;
pub mod keys;
pub mod settings;
pub mod store;
mod store_access;
mod store_upkeep;
