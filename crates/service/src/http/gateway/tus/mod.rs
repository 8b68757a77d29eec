//! tus 1.0 (tus.io/protocols/resumable-upload) with creation, creation-with-upload, creation-defer-length, checksum,
//! expiration and termination.

mod answer;
mod append;
mod head;

use axum::body::Body;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use safelight_model::codes::Code;

use self::answer::{bad, put, refuse, spoken, stand};
use self::head::{Incoming, OFFSET_STREAM, creation_of};
use super::access::{Target, access};
use super::content::Content;
use super::fields;
use super::give_up::give_up;
use super::key::key;
use super::look::look;
use crate::context::Owner;
use crate::http::problem::Refused;
use crate::http::request::Media;
use crate::http::router::AppState;
use crate::intake::append::create::create;
use crate::intake::append::links::{Protocol, address};
use crate::intake::append::take::{self, length_bytes};

/// The one version of the protocol.
pub(super) const VERSION: &str = "1.0.0";
const EXTENSIONS: &str =
    "creation,creation-with-upload,creation-defer-length,checksum,expiration,termination";

/// The method that is meant, as some clients cannot send all of them.
fn meant(parts: &Parts) -> Method {
    fields::text(&parts.headers, "x-http-method-override")
        .and_then(|m| Method::from_bytes(m.to_ascii_uppercase().as_bytes()).ok())
        .unwrap_or_else(|| parts.method.clone())
}

/// Refuses who speaks another version, or none.
fn check_version(parts: &Parts) -> Result<(), Box<Response>> {
    if fields::text(&parts.headers, "tus-resumable") == Some(VERSION) {
        return Ok(());
    }
    let refused = Refused::because(
        Code::ValidationFailed,
        "send Tus-Resumable: 1.0.0, the one version that is spoken here",
    );
    let mut response = refused.into_response();
    *response.status_mut() = StatusCode::PRECONDITION_FAILED;
    response
        .headers_mut()
        .insert("tus-version", HeaderValue::from_static(VERSION));
    Err(Box::new(spoken(response)))
}

fn options(state: &AppState) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert("tus-version", HeaderValue::from_static(VERSION));
    headers.insert("tus-extension", HeaderValue::from_static(EXTENSIONS));
    headers.insert(
        "tus-checksum-algorithm",
        HeaderValue::from_static("sha1,sha256,sha512"),
    );
    put(
        headers,
        "tus-max-size",
        state.context.settings.media.max_file_bytes.most(),
    );
    spoken(response)
}

/// `/u/tus`: begins an upload.
pub(super) async fn creation(State(state): State<AppState>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut body = Content::of(&parts.headers, body);
    match meant(&parts) {
        Method::OPTIONS => return options(&state),
        Method::POST => {}
        _ => return no_such_method(body).await,
    }
    if let Err(refused) = check_version(&parts) {
        body.drain().await;
        return *refused;
    }
    match Box::pin(begin(&state, &mut parts)).await {
        Ok((owner, upload_id, incoming)) => {
            let context = &state.context;
            let looking = take::look(context, &owner.tenant_id, &upload_id, None);
            let found = match Box::pin(looking).await {
                Ok(found) => found,
                Err(error) => return refuse(error.into()),
            };
            let url = address(
                context,
                Protocol::Tus,
                &owner.tenant_id,
                &upload_id,
                found.expires_at,
            );
            let mut response = match incoming {
                Some(incoming) => {
                    append::append(&state, &owner.tenant_id, &upload_id, None, incoming, body).await
                }
                None => {
                    let mut response = StatusCode::CREATED.into_response();
                    answer::expires(&found, response.headers_mut());
                    spoken(response)
                }
            };
            let refused = response.extensions().get::<Refused>();
            let is_merged = refused.is_some_and(|r| r.code == Code::UploadMerged);
            // Whatever became of the bytes, the upload is there; and one that ended since its owner has them stands at its end.
            if response.status() == StatusCode::NO_CONTENT
                || response.status().is_server_error()
                || is_merged
            {
                *response.status_mut() = StatusCode::CREATED;
                *response.body_mut() = Body::empty();
                response.extensions_mut().remove::<Refused>();
                let headers = response.headers_mut();
                headers
                    .entry("upload-offset")
                    .or_insert(HeaderValue::from_static("0"));
            }
            if let Ok(url) = HeaderValue::from_str(&url) {
                response.headers_mut().insert(header::LOCATION, url);
            }
            response
        }
        Err(refused) => {
            body.drain().await;
            refuse(refused)
        }
    }
}

async fn begin(
    state: &AppState,
    parts: &mut Parts,
) -> Result<(Owner, String, Option<Incoming>), Refused> {
    let media = Media::from_request_parts(parts, state).await?;
    let creation = creation_of(&parts.headers)?;
    let most = &state.context.settings.media.max_file_bytes;
    let max_bytes = most.of(&media.owner.tenant_id);
    if creation.size_bytes.is_some_and(|n| n > max_bytes) {
        return Err(Refused::because(
            Code::ByteLimitExceeded,
            format!("at most {max_bytes} bytes are taken"),
        ));
    }
    let has_bytes = fields::text(&parts.headers, "content-type") == Some(OFFSET_STREAM);
    let incoming = match has_bytes {
        true => Some(Incoming::of(&parts.headers, Some(0))?),
        false => None,
    };
    let key = key(state, parts, &media, Protocol::Tus, &creation).await?;
    let upload_id = create(
        &state.context,
        &state.initiations,
        &media.owner,
        key,
        creation,
    )
    .await?;
    Ok((media.owner, upload_id, incoming))
}

/// `/u/tus/{tenant}/{upload}`: one upload.
pub(super) async fn upload(State(state): State<AppState>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut body = Content::of(&parts.headers, body);
    let method = meant(&parts);
    if method == Method::OPTIONS {
        return options(&state);
    }
    if let Err(refused) = check_version(&parts) {
        body.drain().await;
        return *refused;
    }
    let target = match Box::pin(access(&state, &mut parts, Protocol::Tus)).await {
        Ok(target) => target,
        Err(refused) => {
            body.drain().await;
            return refuse(refused);
        }
    };
    match method {
        Method::HEAD => Box::pin(looked(&state, &target)).await,
        Method::DELETE => Box::pin(given_up(&state, &target)).await,
        Method::PATCH => match patch(&parts) {
            Ok(incoming) => {
                let owner_id = target.owner_id.as_deref();
                let (tenant_id, upload_id) = (&target.tenant_id, &target.upload_id);
                append::append(&state, tenant_id, upload_id, owner_id, incoming, body).await
            }
            Err(refused) => {
                body.drain().await;
                refuse(refused)
            }
        },
        _ => no_such_method(body).await,
    }
}

fn patch(parts: &Parts) -> Result<Incoming, Refused> {
    if fields::text(&parts.headers, "content-type") != Some(OFFSET_STREAM) {
        return Err(Refused::because(
            Code::UnsupportedMediaType,
            "what is appended comes as application/offset+octet-stream",
        ));
    }
    Incoming::of(&parts.headers, None)
}

async fn no_such_method(mut body: Content) -> Response {
    body.drain().await;
    refuse(bad("this path does not take this method"))
}

/// HEAD: how far it has come.
async fn looked(state: &AppState, target: &Target) -> Response {
    let found = match look(state, target).await {
        Ok(found) => found,
        Err(error) => return refuse(error.into()),
    };
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    stand(&found.upload, found.offset_bytes, headers);
    match length_bytes(&found.upload) {
        Some(length) => put(headers, "upload-length", length),
        None => put(headers, "upload-defer-length", 1),
    }
    match answer::metadata(&state.context, &found.upload).await {
        Ok(Some(metadata)) => {
            headers.insert("upload-metadata", metadata);
        }
        Ok(None) => {}
        Err(error) => return refuse(error.into()),
    }
    spoken(response)
}

/// DELETE: gives it up.
async fn given_up(state: &AppState, target: &Target) -> Response {
    match give_up(&state.context, target).await {
        Ok(()) => spoken(StatusCode::NO_CONTENT.into_response()),
        Err(refused) => refuse(refused),
    }
}

#[cfg(any(fuzzing, test))]
/// Reads the head of a request in every way it may be read.
pub(super) fn fuzz_head(headers: &http::HeaderMap) {
    let _ = head::creation_of(headers);
    let _ = head::Incoming::of(headers, None);
}
