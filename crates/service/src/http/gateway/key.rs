//! The idempotency key of a creation. Clients that know nothing of it send none: each of theirs is a new one.

use axum::extract::FromRequestParts as _;
use http::request::Parts;
use safelight_api::paths;
use safelight_model::ids;

use crate::http::idempotency::fingerprint;
use crate::http::problem::Refused;
use crate::http::request::{IdempotencyKey, Media};
use crate::http::router::AppState;
use crate::intake::append::create::Creation;
use crate::intake::append::links::Protocol;
use crate::intake::initiate_capture::Key;

/// The key of a request that asks for this, or a fresh one.
///
/// # Errors
/// If what was sent is no key.
pub(super) async fn key(
    state: &AppState,
    parts: &mut Parts,
    media: &Media,
    protocol: Protocol,
    creation: &Creation,
) -> Result<Key, Refused> {
    let key = match parts.headers.contains_key(paths::IDEMPOTENCY_KEY) {
        true => IdempotencyKey::from_request_parts(parts, state).await?.0,
        false => format!("gateway {}", ids::public_id(state.context.entropy.as_ref())),
    };
    Ok(Key {
        caller: media.caller.caller.clone(),
        key,
        fingerprint: fingerprint(
            "gateway",
            protocol.as_str(),
            format!("{creation:?}").as_bytes(),
        ),
    })
}
