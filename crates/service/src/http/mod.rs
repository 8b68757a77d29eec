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

#[cfg(any(fuzzing, test))]
/// Reads what the gateway and the other routes read of a request's head.
pub fn fuzz_fields(headers: &::http::HeaderMap) {
    gateway::fuzz_fields(headers);
    let _ = prefer::wait_of(headers);
    let _ = prefer::expected(headers);
    let _ = prefer::Known::of(headers).is_nothing();
}

pub use router::{AppState, Roles, description, router};
