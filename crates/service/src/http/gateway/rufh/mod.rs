//! IETF resumable uploads (draft-ietf-httpbis-resumable-upload), interop versions 3 to 8.
//!
//! A plain request that carries a whole file (POST or PUT, as a phone's operating system sends it in the background)
//! becomes resumable by the 104 that names its upload. Whoever speaks the protocol may also begin with nothing.

mod answer;
mod append;
mod head;

use axum::extract::{FromRequestParts as _, Request, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use safelight_api::paths;
use safelight_model::codes::Code;

use self::answer::{AnsweredBy, limits, refused};
use self::head::Head;
use super::access::{Target, access};
use super::content::Content;
use super::fields;
use super::give_up::give_up;
use super::key::key;
use super::look::look;
use crate::http::problem::Refused;
use crate::http::request::Media;
use crate::http::router::AppState;
use crate::intake::append::create::{Creation, create};
use crate::intake::append::links::Protocol;

/// `/u/rufh`: begins an upload.
pub(super) async fn creation(State(state): State<AppState>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut body = Content::of(&parts.headers, body);
    match parts.method {
        Method::OPTIONS => return options(&state),
        Method::POST | Method::PUT => {}
        _ => return no_such_method(body).await,
    }
    let version = head::version(&parts.headers);
    match Box::pin(begin(&state, &mut parts)).await {
        Ok((head, tenant_id, upload_id)) => {
            let request = append::Request {
                state: &state,
                head,
                interim: parts.extensions.get().cloned(),
                names_upload: true,
            };
            append::append(request, &tenant_id, &upload_id, None, body).await
        }
        Err(error) => {
            body.drain().await;
            refused(&state, version, error, None)
        }
    }
}

async fn begin(state: &AppState, parts: &mut Parts) -> Result<(Head, String, String), AnsweredBy> {
    let media = Media::from_request_parts(parts, state).await?;
    let head = Head::of_creation(&parts.headers)?;
    let length = head.length_bytes()?;
    let most = &state.context.settings.media.max_file_bytes;
    head.check_length(most.of(&media.owner.tenant_id))?;
    let creation = creation_of(&parts.headers, length)?;
    let key = key(state, parts, &media, Protocol::Rufh, &creation).await?;
    let owner = &media.owner;
    let upload_id = create(&state.context, &state.initiations, owner, key, creation)
        .await
        .map_err(Refused::from)?;
    Ok((head, owner.tenant_id.clone(), upload_id))
}

/// What the headers of a creation say of the file.
fn creation_of(headers: &HeaderMap, size_bytes: Option<i64>) -> Result<Creation, AnsweredBy> {
    let text = |name| fields::text(headers, name).map(str::to_owned);
    // Of a partial upload the type says nothing of the file; others may carry parameters.
    let mime = text("content-type")
        .map(|t| t.split(';').next().unwrap_or_default().trim().to_owned())
        .filter(|t| t != head::PARTIAL && !t.is_empty());
    Ok(Creation {
        client_ref: text(paths::CLIENT_REF),
        purpose: text(paths::PURPOSE),
        captured_at: text(paths::CAPTURED_AT),
        duplicates: text(paths::DUPLICATES),
        filename: fields::filename(headers),
        mime,
        sha256: fields::repr_sha256(headers)?,
        size_bytes,
    })
}

/// `/u/rufh/{tenant}/{upload}`: one upload.
pub(super) async fn upload(State(state): State<AppState>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut body = Content::of(&parts.headers, body);
    if parts.method == Method::OPTIONS {
        return options(&state);
    }
    let version = head::version(&parts.headers);
    let target = match Box::pin(access(&state, &mut parts, Protocol::Rufh)).await {
        Ok(target) => target,
        Err(error) => {
            body.drain().await;
            return refused(&state, version, error.into(), None);
        }
    };
    let head = match parts.method {
        Method::HEAD => return Box::pin(looked(&state, version, &target)).await,
        Method::DELETE => return Box::pin(given_up(&state, version, &target)).await,
        Method::PATCH => Head::of_append(&parts.headers),
        Method::POST | Method::PUT => Head::of_creation(&parts.headers),
        _ => return no_such_method(body).await,
    };
    match head {
        Ok(head) => {
            let request = append::Request {
                state: &state,
                head,
                interim: parts.extensions.get().cloned(),
                names_upload: parts.method != Method::PATCH,
            };
            let owner_id = target.owner_id.as_deref();
            append::append(
                request,
                &target.tenant_id,
                &target.upload_id,
                owner_id,
                body,
            )
            .await
        }
        Err(error) => {
            body.drain().await;
            refused(&state, version, error, None)
        }
    }
}

async fn no_such_method(mut body: Content) -> Response {
    body.drain().await;
    Refused::because(Code::NotFound, "this path does not take this method").into_response()
}

/// What is taken at all.
fn options(state: &AppState) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert("upload-limit", limits(&state.context, None));
    headers.insert("accept-patch", HeaderValue::from_static(head::PARTIAL));
    let methods = HeaderValue::from_static("OPTIONS, HEAD, POST, PUT, PATCH, DELETE");
    headers.insert(header::ALLOW, methods);
    response
}

/// HEAD: how far it has come.
async fn looked(state: &AppState, version: Option<u8>, target: &Target) -> Response {
    match look(state, target).await {
        Ok(found) => answer::looked(
            &state.context,
            version,
            &found.upload,
            found.offset_bytes,
            found.is_whole,
        ),
        Err(error) => refused(state, version, error.into(), None),
    }
}

/// DELETE: gives it up.
async fn given_up(state: &AppState, version: Option<u8>, target: &Target) -> Response {
    match give_up(&state.context, target).await {
        Ok(()) => answer::versioned(StatusCode::NO_CONTENT.into_response(), version),
        Err(error) => refused(state, version, error.into(), None),
    }
}

#[cfg(any(fuzzing, test))]
/// Reads the head of a request in every way it may be read.
pub(super) fn fuzz_head(headers: &http::HeaderMap) {
    for head in [Head::of_creation(headers), Head::of_append(headers)]
        .into_iter()
        .flatten()
    {
        if let Ok(Some(length)) = head.length_bytes() {
            assert!(length >= 0);
        }
        let _ = head.check_length(1_000_000);
    }
}
