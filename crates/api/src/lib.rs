//! The wire between server and clients: request and response bodies, problem responses, paths.
//!
//! Rules for both sides: JSON in snake_case, times in RFC 3339, sizes in bytes, hashes in lower-case
//! hexadecimal. A reader ignores fields it does not know and tolerates states it does not know, so
//! states and transports are text here; `safelight-model` knows those of this version.

pub mod albums;
pub mod assets;
pub mod captures;
pub mod events;
mod hint;
pub mod keys;
pub mod paths;
pub mod problem;
pub mod store_events;
pub mod uploads;
pub mod webhooks;
