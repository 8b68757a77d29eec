//! The room that a request takes while it is under way, and gives back while it only waits.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRequestParts;
use http::request::Parts;
use safelight_model::limits;
use tokio::sync::OwnedSemaphorePermit;

use super::router::AppState;
use crate::context::Owner;

/// A request's place among those under way. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Held(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Held {
    pub(super) fn of(permit: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(Mutex::new(Some(permit))))
    }

    /// Lets another request in.
    pub(super) fn give_back(&self) {
        let permit = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(permit);
    }
}

impl<S: Sync> FromRequestParts<S> for Held {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// A seat of somebody who waits, counted in the metrics.
pub(super) struct Seat(
    #[allow(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit,
);

impl Seat {
    /// A seat, if one is free, and this owner has not taken his share.
    pub(super) fn take(state: &AppState, owner: &Owner) -> Option<Self> {
        if state.tail.followers(owner) >= limits::WAITING_OF_ONE_OWNER {
            return None;
        }
        let permit = state.waiting_room.clone().try_acquire_owned().ok()?;
        metrics::gauge!("safelight_waiting").increment(1.0);
        Some(Self(permit))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        metrics::gauge!("safelight_waiting").decrement(1.0);
    }
}

/// Marks an answer that was held back because its caller wished so.
#[derive(Clone, Copy)]
pub(super) struct Waited;
