//! What happens around s3s: time-outs of bodies, draining, early refusals, and
//! what browsers need: preflights, CORS headers and forms.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use s3s::service::S3Service;
use s3s::{Body, HttpError, S3Error, S3Result, StdError, s3_error};
use tokio::time::{Instant, Sleep};

use crate::chunked::{self, ShortChunks};
use crate::document;
use crate::hoist::hoist;
use crate::region::correction;
use crate::store::DiskStore;
use crate::{cors, form};

/// A refused body is read up to here, so that a client which sends before it
/// reads gets the answer rather than a reset.
const DRAIN_BYTES: u64 = 8 << 20;
/// And for no longer than this.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// The client sent nothing for too long.
#[derive(Debug, thiserror::Error)]
#[error("the client sent nothing for too long")]
pub(crate) struct Idle;

/// Answers a request.
pub(crate) async fn answer(
    store: DiskStore,
    service: S3Service,
    request: Request<Incoming>,
) -> Result<Response<Body>, HttpError> {
    let request_id = store.inner.ids.next();
    let waits_for_continue = request.headers().contains_key(header::EXPECT);
    let (mut parts, body) = request.into_parts();
    // Without a body there is no `100 Continue` either. botocore then takes this answer's status for that of the
    // next request on the connection, so there is to be none.
    let answers_early = waits_for_continue && body.is_end_stream();
    let body = SharedBody::wrap(body, store.inner.settings.body_idle);
    hoist(&mut parts);
    let is_head = parts.method == Method::HEAD;
    let place = store.inner.hosts.place(&parts);
    let place = place.as_ref();
    let mut response = if parts.method == Method::OPTIONS {
        cors::preflight(&store, place, &parts)
    } else {
        let told = cors::headers(&store, place, &parts);
        let mut response = if let Err(refusal) = refuse_version_2(&parts) {
            error_response(refusal)
        } else if let Some(correction) = correction(&parts, &store.inner.settings.region) {
            correction
        } else if form::is_form(&parts) {
            let sent = Body::http_body(body.clone());
            form::post_object(&store, place, &parts, sent)
                .await
                .unwrap_or_else(error_response)
        } else {
            let sent = match chunked::cuts(&parts.headers) {
                Some(cut) => Body::http_body(ShortChunks::of(body.clone(), cut)),
                None => Body::http_body(document::watch(&mut parts, body.clone())),
            };
            service.call(Request::from_parts(parts, sent)).await?
        };
        response.headers_mut().extend(told);
        response
    };
    // s3s answers a HEAD for a range as it would without one.
    if is_head && response.headers().contains_key(header::CONTENT_RANGE) {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    if !body.drain(waits_for_continue).await || answers_early {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Ok(request_id) = HeaderValue::from_str(&request_id) {
        response
            .headers_mut()
            .insert("x-amz-request-id", request_id);
    }
    Ok(response)
}

/// Refuses Signature Version 2, which s3s would take: it signs neither lengths
/// nor checksums.
fn refuse_version_2(parts: &http::request::Parts) -> S3Result<()> {
    let authorization = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let query = parts.uri.query().unwrap_or_default();
    let version_2 = authorization.starts_with("AWS ")
        || query
            .split('&')
            .any(|pair| pair == "Signature" || pair.starts_with("Signature="));
    if version_2 {
        return Err(s3_error!(
            InvalidRequest,
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
        ));
    }
    Ok(())
}

/// An error as a client gets it.
pub(crate) fn error_response(error: S3Error) -> Response<Body> {
    error.to_http_response().unwrap_or_else(|error| {
        tracing::error!(%error, "an error cannot be written");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

/// A request's body that fails when nothing comes for too long, and of which
/// the rest can be drained after whoever read it is gone.
#[derive(Clone)]
struct SharedBody {
    state: Arc<Mutex<State>>,
}

struct State {
    body: Incoming,
    idle: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    touched: bool,
    failed: bool,
}

impl SharedBody {
    fn wrap(body: Incoming, idle: Duration) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                body,
                idle,
                timer: None,
                touched: false,
                failed: false,
            })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is left, within bounds; `false` if not all of it came. A
    /// client that waits for `100 Continue` has sent nothing yet.
    async fn drain(mut self, waits_for_continue: bool) -> bool {
        {
            let state = self.lock();
            if state.body.is_end_stream() {
                return true;
            }
            if state.failed || (waits_for_continue && !state.touched) {
                return false;
            }
        }
        let drained = async {
            let mut drained = 0;
            loop {
                let frame = std::future::poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await;
                match frame {
                    None => return true,
                    Some(Err(_)) => return false,
                    Some(Ok(frame)) => {
                        drained += frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
                        if drained > DRAIN_BYTES {
                            return false;
                        }
                    }
                }
            }
        };
        tokio::time::timeout(DRAIN_TIME, drained)
            .await
            .unwrap_or(false)
    }
}

impl HttpBody for SharedBody {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let mut state = self.lock();
        let state = &mut *state;
        state.touched = true;
        if let Poll::Ready(frame) = Pin::new(&mut state.body).poll_frame(cx) {
            if let Some(timer) = &mut state.timer {
                timer.as_mut().reset(Instant::now() + state.idle);
            }
            state.failed |= matches!(frame, Some(Err(_)));
            return Poll::Ready(frame.map(|frame| frame.map_err(StdError::from)));
        }
        let idle = state.idle;
        let timer = state
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        ready!(timer.as_mut().poll(cx));
        state.failed = true;
        Poll::Ready(Some(Err(Box::new(Idle))))
    }

    fn is_end_stream(&self) -> bool {
        self.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().body.size_hint()
    }
}
