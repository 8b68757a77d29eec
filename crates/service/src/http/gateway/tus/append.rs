//! Taking the bytes of one request into its upload.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use safelight_catalog::uploads::Upload;
use safelight_model::codes::Code;

use super::answer::{put, refuse, spoken, stand};
use super::head::Incoming;
use crate::http::gateway::content::Content;
use crate::http::gateway::finish;
use crate::http::problem::Refused;
use crate::http::router::AppState;
use crate::intake::append::error::AppendError;
use crate::intake::append::receive::{self, Ending, receive};
use crate::intake::append::take::{Held, Took, fix_length, take};

/// Appends; 204 with the offset.
pub(super) async fn append(
    state: &AppState,
    tenant_id: &str,
    upload_id: &str,
    owner_id: Option<&str>,
    incoming: Incoming,
    mut body: Content,
) -> Response {
    let (context, gateway) = (&state.context, &state.gateway);
    // What is done once has its room only while it is done: see `receive`.
    let mut held = match Box::pin(take(context, gateway, tenant_id, upload_id, owner_id)).await {
        Ok(Took::Open(held)) => held,
        Ok(Took::Whole(upload)) => {
            body.drain().await;
            return Box::pin(to_whole(state, &upload, &incoming)).await;
        }
        Err(error) => {
            body.drain().await;
            return refuse(error.into());
        }
    };
    if let Err(refused) = Box::pin(check(state, &mut held, &incoming)).await {
        body.drain().await;
        return at(held.taken.offset_bytes, refuse(refused));
    }
    let described = receive::Incoming {
        size_bytes: incoming.content_bytes,
        is_last: false,
        digest: incoming.digest,
        on_progress: &|_| {},
    };
    let received = receive(context, gateway, &mut held, &mut body, described).await;
    let offset = held.taken.offset_bytes;
    let response = match received {
        Ok(Ending::Whole) => None,
        Ok(Ending::TooMuch) => Some(at(offset, refuse(too_much()))),
        Ok(Ending::NoRoom) => Some(at(offset, closing(refuse(AppendError::NoRoom.into())))),
        Ok(_) => {
            // Never a 4xx: clients forget an upload that is answered with one.
            let broken = Refused::because(
                Code::Overloaded,
                "the request ended before its bytes had come: ask for the offset, and go on there",
            );
            Some(at(offset, closing(refuse(broken))))
        }
        Err(error @ AppendError::Digest) => Some(at(offset, refuse(error.into()))),
        Err(error) => Some(at(offset, closing(refuse(error.into())))),
    };
    if let Some(response) = response {
        // Who waits for the upload need not wait for this.
        drop(held);
        body.drain().await;
        return response;
    }
    if held.length_bytes() == Some(offset)
        && let Err(error) = Box::pin(finish::complete(context, &held.upload)).await
    {
        return at(offset, refuse(error.into()));
    }
    appended(&held.upload, offset)
}

fn appended(upload: &Upload, offset: i64) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    stand(upload, offset, response.headers_mut());
    spoken(response)
}

fn at(offset: i64, mut response: Response) -> Response {
    put(response.headers_mut(), "upload-offset", offset);
    response
}

fn closing(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

fn too_much() -> Refused {
    Refused::because(
        Code::ByteLimitExceeded,
        "there are more bytes than the upload has left",
    )
}

fn elsewhere(expected: i64, provided: i64) -> Refused {
    Refused::because(
        Code::UploadOffsetMismatch,
        format!("the upload stands at {expected}, not at {provided}"),
    )
}

async fn check(state: &AppState, held: &mut Held, incoming: &Incoming) -> Result<(), Refused> {
    let expected = held.taken.offset_bytes;
    if incoming.offset_bytes != expected {
        return Err(elsewhere(expected, incoming.offset_bytes));
    }
    if let Some(length) = incoming.length_bytes {
        fix_length(&state.context, held, length).await?;
    }
    let comes_to = incoming.content_bytes.map(|n| n.saturating_add(expected));
    match (held.length_bytes(), comes_to) {
        (Some(length), Some(end)) if end > length => Err(too_much()),
        _ => Ok(()),
    }
}

/// Bytes, or none, for an upload that has them all: after an answer that was lost.
async fn to_whole(state: &AppState, upload: &Upload, incoming: &Incoming) -> Response {
    let size_bytes = upload.size_bytes;
    let asks = incoming.offset_bytes == size_bytes && incoming.content_bytes == Some(0);
    if let (false, Some(asset_id)) = (asks, &upload.merged_into) {
        // With the offset of its end, by which clients know that they have sent everything.
        let merged = AppendError::Merged(asset_id.clone());
        return at(size_bytes, refuse(merged.into()));
    }
    if incoming.offset_bytes != size_bytes {
        return at(
            size_bytes,
            refuse(elsewhere(size_bytes, incoming.offset_bytes)),
        );
    }
    if incoming.content_bytes != Some(0) {
        return at(size_bytes, refuse(too_much()));
    }
    match finish::complete(&state.context, upload).await {
        Ok(_) => appended(upload, size_bytes),
        Err(error) => refuse(error.into()),
    }
}
