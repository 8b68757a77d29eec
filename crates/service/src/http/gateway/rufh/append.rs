//! Taking the bytes of one request into its upload.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use safelight_catalog::uploads::Upload;
use safelight_model::codes::Code;

use super::answer::{AnsweredBy, Problem, limits, put_count, refused, stand, versioned};
use super::head::{Head, WITH_LENGTH};
use crate::http::gateway::content::Content;
use crate::http::gateway::finish;
use crate::http::interim::Interim;
use crate::http::problem::Refused;
use crate::http::router::AppState;
use crate::intake::append::error::AppendError;
use crate::intake::append::links::{Protocol, address};
use crate::intake::append::receive::{Ending, Incoming, receive};
use crate::intake::append::take::{Held, Took, fix_length, take};

/// What interim responses of an upload are called.
const SUPPORTED: &str = "Upload Resumption Supported";

/// A request that brings bytes.
pub(super) struct Request<'a> {
    pub(super) state: &'a AppState,
    pub(super) head: Head,
    /// Where interim responses go, if they can be sent.
    pub(super) interim: Option<Interim>,
    /// Whether the client has yet to learn the upload's address.
    pub(super) names_upload: bool,
}

/// The answer to it.
pub(super) async fn append(
    request: Request<'_>,
    tenant_id: &str,
    upload_id: &str,
    owner_id: Option<&str>,
    mut body: Content,
) -> Response {
    let (context, gateway) = (&request.state.context, &request.state.gateway);
    let version = request.head.version;
    let refused = |error, offset| refused(request.state, version, error, offset);
    // What is done once has its room only while it is done: see `receive`.
    let took = match Box::pin(take(context, gateway, tenant_id, upload_id, owner_id)).await {
        Ok(took) => took,
        Err(error) => {
            body.drain().await;
            return refused(error.into(), None);
        }
    };
    let mut held = match took {
        Took::Open(held) => held,
        Took::Whole(upload) => return Box::pin(request.to_whole(&upload, body)).await,
    };
    if let Err(error) = Box::pin(request.check(&mut held)).await {
        body.drain().await;
        let offset = Some(held.taken.offset_bytes);
        let mut response = refused(error, offset);
        // So that a creation that was repeated can be gone on with.
        request.name(&held.upload, response.headers_mut());
        return response;
    }
    request.promise(&held.upload);
    let progress = |offset| request.progress(offset);
    let incoming = Incoming {
        size_bytes: request.head.content_bytes,
        is_last: request.head.is_last,
        digest: request.head.digest.clone(),
        on_progress: &progress,
    };
    let received = receive(context, gateway, &mut held, &mut body, incoming).await;
    let offset = held.taken.offset_bytes;
    let response = match received {
        Ok(Ending::Whole) => None,
        Ok(Ending::TooMuch) => Some(refused(too_much(&request, &held), Some(offset))),
        Ok(Ending::NoRoom) => Some(closing(refused(AppendError::NoRoom.into(), Some(offset)))),
        Ok(_) => {
            let broken = Refused::because(
                Code::Overloaded,
                "the request ended before its bytes had come: ask for the offset, and go on there",
            );
            Some(closing(refused(broken.into(), Some(offset))))
        }
        Err(error) => Some(closing(refused(error.into(), Some(offset)))),
    };
    if let Some(response) = response {
        // Who waits for the upload need not wait for this.
        drop(held);
        body.drain().await;
        return response;
    }
    if held.length_bytes() == Some(offset) {
        Box::pin(request.completed(&held.upload)).await
    } else {
        request.incomplete(&held)
    }
}

fn too_much(request: &Request<'_>, held: &Held) -> AnsweredBy {
    let most = &request.state.context.settings.media.max_file_bytes;
    let max_bytes = most.of(&held.upload.tenant_id);
    match held.length_bytes() {
        Some(_) => Problem::InconsistentLength.into(),
        None => Refused::because(
            Code::ByteLimitExceeded,
            format!("at most {max_bytes} bytes are taken"),
        )
        .into(),
    }
}

/// What is left of the body is not read: nothing else can come on this connection.
fn closing(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

impl Request<'_> {
    /// Compares the request with the upload.
    async fn check(&self, held: &mut Held) -> Result<(), AnsweredBy> {
        let (context, head) = (&self.state.context, &self.head);
        if head.offset_bytes != held.taken.offset_bytes {
            return Err(Problem::Offset {
                expected: held.taken.offset_bytes,
                provided: head.offset_bytes,
            }
            .into());
        }
        let most = &context.settings.media.max_file_bytes;
        head.check_length(most.of(&held.upload.tenant_id))?;
        let comes_to = head
            .content_bytes
            .map(|n| n.saturating_add(head.offset_bytes));
        if let (Some(length), Some(end)) = (held.length_bytes(), comes_to)
            && end > length
        {
            return Err(Problem::InconsistentLength.into());
        }
        if let Some(length) = head.length_bytes()? {
            fix_length(context, held, length).await?;
        }
        Ok(())
    }

    /// Names the upload where the client does not know it yet.
    fn name(&self, upload: &Upload, headers: &mut HeaderMap) {
        if !self.names_upload {
            return;
        }
        let url = address(
            &self.state.context,
            Protocol::Rufh,
            &upload.tenant_id,
            &upload.upload_id,
            upload.expires_at,
        );
        if let Ok(url) = HeaderValue::from_str(&url) {
            headers.insert(header::LOCATION, url);
        }
    }

    fn interim(&self, headers: HeaderMap) {
        let (Some(interim), Some(version)) = (&self.interim, self.head.version) else {
            return;
        };
        let mut headers = headers;
        headers.insert(
            "upload-draft-interop-version",
            HeaderValue::from(u16::from(version)),
        );
        if let Ok(status) = StatusCode::from_u16(104) {
            interim.send(status, SUPPORTED, &headers);
        }
    }

    /// The 104 that makes a request resumable.
    fn promise(&self, upload: &Upload) {
        if !self.names_upload {
            return;
        }
        let mut headers = HeaderMap::new();
        self.name(upload, &mut headers);
        if self.head.version.is_some_and(|v| v >= WITH_LENGTH) {
            let limits = limits(&self.state.context, Some(upload));
            headers.insert("upload-limit", limits);
        }
        self.interim(headers);
    }

    /// The 104 that tells how many bytes need not be kept any more.
    fn progress(&self, offset_bytes: i64) {
        if self.head.version.is_some_and(|v| v >= WITH_LENGTH) {
            let mut headers = HeaderMap::new();
            put_count(&mut headers, "upload-offset", offset_bytes);
            self.interim(headers);
        }
    }

    /// Bytes, or none, for an upload that has them all: after an answer that was lost.
    async fn to_whole(&self, upload: &Upload, mut body: Content) -> Response {
        body.drain().await;
        let brings_nothing = self.head.content_bytes == Some(0);
        let is_end = self.head.offset_bytes == upload.size_bytes;
        if self.names_upload || brings_nothing && is_end {
            return self.completed(upload).await;
        }
        let problem: AnsweredBy = match &upload.merged_into {
            Some(asset_id) => AppendError::Merged(asset_id.clone()).into(),
            None if is_end => Problem::Completed.into(),
            None => Problem::Offset {
                expected: upload.size_bytes,
                provided: self.head.offset_bytes,
            }
            .into(),
        };
        let version = self.head.version;
        let mut response = refused(self.state, version, problem, Some(upload.size_bytes));
        let (name, value) = super::head::completeness(version, true);
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
        response
    }

    /// All bytes are there.
    async fn completed(&self, upload: &Upload) -> Response {
        let (context, version) = (&self.state.context, self.head.version);
        let done = match finish::complete(context, upload).await {
            Ok(done) => done,
            Err(error) => {
                return refused(self.state, version, error.into(), Some(upload.size_bytes));
            }
        };
        let mut response = (StatusCode::OK, Json(done)).into_response();
        let headers = response.headers_mut();
        stand(context, version, upload, upload.size_bytes, true, headers);
        self.name(upload, headers);
        versioned(response, version)
    }

    /// More is to come.
    fn incomplete(&self, held: &Held) -> Response {
        let (context, version) = (&self.state.context, self.head.version);
        let status = if self.names_upload {
            StatusCode::CREATED
        } else {
            StatusCode::NO_CONTENT
        };
        let mut response = status.into_response();
        let headers = response.headers_mut();
        let offset = held.taken.offset_bytes;
        stand(context, version, &held.upload, offset, false, headers);
        self.name(&held.upload, headers);
        versioned(response, version)
    }
}
