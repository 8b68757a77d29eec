//! What handlers take from a request's body.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use safelight_model::codes::Code;
use safelight_model::limits;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Refused;
use super::router::AppState;

/// A JSON body, with its bytes for the fingerprint.
pub struct Body<T> {
    /// What it says.
    pub value: T,
    /// How it came.
    pub raw: Bytes,
    /// The room that its bytes take of [`limits::BODIES_AT_ONCE_BYTES`].
    _held: Option<OwnedSemaphorePermit>,
}

impl<T: DeserializeOwned + Default> FromRequest<AppState> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Refused> {
        let (raw, held) = read(request.into_body(), &state.body_room).await?;
        // No body says the same as an empty object.
        let value = if raw.is_empty() {
            T::default()
        } else if raw.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
            // What is read from an object could be read from an array as well, by position.
            return Err(Refused::because(
                Code::ValidationFailed,
                "the body is not a JSON object",
            ));
        } else {
            serde_json::from_slice(&raw).map_err(|e| {
                Refused::because(
                    Code::ValidationFailed,
                    format!("the body is not what is expected: {e}"),
                )
            })?
        };
        Ok(Self {
            value,
            raw,
            _held: held,
        })
    }
}

/// Reads a body. Room is taken as bytes come, so that one which comes slowly keeps it from nobody.
async fn read(
    body: axum::body::Body,
    room: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refused> {
    let mut raw = BytesMut::new();
    let mut held: Option<OwnedSemaphorePermit> = None;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| {
            Refused::because(
                Code::ValidationFailed,
                "the request body could not be read to its end",
            )
        })?;
        if raw.len() + piece.len() > limits::MAX_JSON_BYTES {
            return Err(Refused::because(
                Code::ByteLimitExceeded,
                "a request body may have at most 1 MiB",
            ));
        }
        let bytes = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        let more = room.clone().try_acquire_many_owned(bytes).map_err(|_| {
            Refused::because(
                Code::Overloaded,
                "the server is at capacity: try again shortly",
            )
        })?;
        match &mut held {
            Some(held) => held.merge(more),
            None => held = Some(more),
        }
        raw.extend_from_slice(&piece);
    }
    Ok((raw.freeze(), held))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(pieces: Vec<&'static [u8]>) -> axum::body::Body {
        let pieces = pieces.into_iter().map(Ok::<_, std::io::Error>);
        axum::body::Body::from_stream(futures::stream::iter(pieces))
    }

    #[tokio::test]
    async fn bodies_take_room_while_they_are_held() {
        let room = Arc::new(Semaphore::new(10));
        let (raw, held) = read(body(vec![b"1234", b"56"]), &room).await.unwrap();
        assert_eq!((&raw[..], room.available_permits()), (&b"123456"[..], 4));
        let refused = read(body(vec![b"123", b"45"]), &room).await.unwrap_err();
        assert_eq!(refused.code, Code::Overloaded);
        assert_eq!(
            room.available_permits(),
            4,
            "what was refused holds nothing"
        );
        drop(held);
        assert_eq!(room.available_permits(), 10);
        let (raw, held) = read(body(Vec::new()), &room).await.unwrap();
        assert!(raw.is_empty() && held.is_none());
    }

    #[tokio::test]
    async fn a_body_has_a_limit_and_an_end() {
        let room = Arc::new(Semaphore::new(4 * limits::MAX_JSON_BYTES));
        let piece: &'static [u8] = &[b' '; limits::MAX_JSON_BYTES];
        assert!(read(body(vec![piece]), &room).await.is_ok());
        let refused = read(body(vec![piece, b" "]), &room).await.unwrap_err();
        assert_eq!(refused.code, Code::ByteLimitExceeded);
        let broken =
            futures::stream::iter([Ok(Bytes::from("{")), Err(std::io::Error::other("cut"))]);
        let refused = read(axum::body::Body::from_stream(broken), &room)
            .await
            .unwrap_err();
        assert_eq!(refused.code, Code::ValidationFailed);
    }
}
