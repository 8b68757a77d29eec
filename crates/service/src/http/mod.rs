//! The edge: routes, authentication, idempotency, problem responses, limits. Thin: what a request
//! does stands in the stages.

pub mod body;
mod cors;
mod gateway;
pub mod idempotency;
pub mod interim;
pub mod listen;
mod prefer;
pub mod problem;
pub mod request;
mod room;
pub mod router;
mod routes;
mod status;
mod stream;
mod surround;
mod wait;

pub use router::{AppState, Roles, description, router};
