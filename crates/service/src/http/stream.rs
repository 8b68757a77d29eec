//! A stream of server-sent events: one task that follows, and a body that gives out what it has.
//!
//! What a reader does not take is held up to [`WAITING`] pieces; the task then reads no further. One who
//! takes nothing for [`SLOWEST`] is cut off, and comes back with the last id that he has.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderValue, header};
use safelight_catalog::events::Sequenced;
use safelight_model::codes::Code;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::problem::Refused;
use super::request::Credential;
use super::room::Seat;
use super::router::AppState;
use crate::context::Owner;
use crate::insights::cloud_event::cloud_event;
use crate::insights::follow::{Follower, Next, Scope, Start};

/// Pieces that wait for a reader.
const WAITING: usize = 32;
/// How long a reader may take nothing.
const SLOWEST: Duration = Duration::from_secs(30);
/// When a reader is to come back if nothing else is said, in milliseconds.
const RETRY_MS: u32 = 2_000;
/// When one is to come back who was cut off, in milliseconds.
const RETRY_SLOW_MS: u32 = 10_000;
/// The header by which a reader says what he has seen.
const LAST_EVENT_ID: &str = "last-event-id";

/// Who reads, and by what right.
pub(super) struct Viewer {
    /// Whose events.
    pub(super) owner: Owner,
    /// What was shown for it.
    pub(super) credential: Credential,
}

/// Where to go on: the header of one who comes back wins over the query of his first request.
pub(super) fn resume_from(
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Option<i64>, Refused> {
    let header = headers
        .get(LAST_EVENT_ID)
        .map(|v| v.to_str().unwrap_or("?"));
    let Some(text) = header.or(query).map(str::trim).filter(|t| !t.is_empty()) else {
        return Ok(None);
    };
    match text.parse::<i64>() {
        Ok(position) if position >= 0 => Ok(Some(position)),
        _ => {
            let mut refused = Refused::because(
                Code::ValidationFailed,
                "the last event id must be an id that this stream gave, or 0, which is before the first",
            );
            refused.field = Some("last_event_id".to_owned());
            Err(refused)
        }
    }
}

/// Opens a stream.
pub(super) async fn open(
    state: AppState,
    viewer: Viewer,
    scope: Scope,
    from: Option<i64>,
) -> Result<Response, Refused> {
    let seat = Seat::take(&state, &viewer.owner).ok_or_else(|| {
        Refused::because(
            Code::Overloaded,
            "too many streams of events are open: try again shortly, or ask for states with Prefer: wait",
        )
    })?;
    let (follower, start) = Follower::begin(
        &state.context.catalog,
        &state.tail,
        &viewer.owner,
        scope,
        from,
    )
    .await?;
    let (sender, mut pieces) = mpsc::channel(WAITING);
    let farewell = Farewell::default();
    let feeding = Feeder {
        state,
        viewer,
        follower,
        sender,
        farewell: farewell.clone(),
        _seat: seat,
    };
    tokio::spawn(feeding.feed(start));
    let body = stream::poll_fn(move |cx| {
        pieces.poll_recv(cx).map(|piece| {
            piece
                .or_else(|| farewell.take())
                .map(Ok::<_, std::io::Error>)
        })
    });
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        (header::CACHE_CONTROL.as_str(), "no-store"),
        // nginx would collect the answer otherwise.
        ("x-accel-buffering", "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// What a reader is told last, behind all that waits for him.
#[derive(Clone, Default)]
struct Farewell(Arc<Mutex<Option<Bytes>>>);

impl Farewell {
    fn say(&self, why: &str, retry_ms: u32) {
        let text = format!(": {why}\nretry: {retry_ms}\n\n");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.into());
    }

    fn take(&self) -> Option<Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

struct Feeder {
    state: AppState,
    viewer: Viewer,
    follower: Follower,
    sender: mpsc::Sender<Bytes>,
    farewell: Farewell,
    _seat: Seat,
}

impl Feeder {
    async fn feed(mut self, start: Start) {
        let (stop, heartbeat) = (
            self.state.stop.clone(),
            self.state.context.settings.event_heartbeat,
        );
        let mut piece = opening(start);
        let mut checked = Instant::now();
        loop {
            if !self.give(piece).await {
                return;
            }
            let next = tokio::select! {
                () = stop.cancelled() => {
                    return self.farewell.say("the server is stopping", RETRY_MS);
                }
                () = self.sender.closed() => return,
                next = self.follower.next(heartbeat) => next,
            };
            if checked.elapsed() >= heartbeat {
                if let Err(why) = self.still_welcome().await {
                    return self.farewell.say(why, RETRY_MS);
                }
                checked = Instant::now();
            }
            piece = match next {
                Ok(Next::Event(event)) => told(&event),
                Ok(Next::Missed) => reset_at(self.follower.position()).into(),
                Ok(Next::Quiet) => heartbeat_at(self.follower.position()),
                Err(error) => {
                    tracing::warn!(%error, "a stream of events broke off");
                    return self
                        .farewell
                        .say("the database does not answer", RETRY_SLOW_MS);
                }
            };
        }
    }

    /// `false`: the reader is gone, or so slow that he is cut off.
    async fn give(&self, piece: Bytes) -> bool {
        match tokio::time::timeout(SLOWEST, self.sender.send(piece)).await {
            Ok(sent) => sent.is_ok(),
            Err(_) => {
                metrics::counter!("safelight_event_streams_cut_off_total").increment(1);
                self.farewell.say("you read too slowly", RETRY_SLOW_MS);
                false
            }
        }
    }

    /// Whether the credential is still good: a key may have been revoked, a token has an end.
    async fn still_welcome(&self) -> Result<(), &'static str> {
        match self.viewer.credential.caller(&self.state).await {
            Ok(caller) if caller.require("media").is_ok() => Ok(()),
            Ok(_) => Err("this credential may not read any more"),
            Err(error) if error.code() == Code::Unauthorized => {
                Err("this credential has expired or was revoked")
            }
            // The database is not to blame the reader for.
            Err(_) => Ok(()),
        }
    }
}

/// What a stream begins with: when to come back, where it stands, and whether something is missing.
fn opening(start: Start) -> Bytes {
    let mut text = format!("retry: {RETRY_MS}\nid: {}\n\n", start.position);
    if start.missed {
        text.push_str(&reset_at(start.position));
    }
    text.into()
}

/// Events are missing: the reader is to look at how things are, and goes on from here.
fn reset_at(position: i64) -> String {
    format!(
        "event: reset\nid: {position}\ndata: {{\"reason\":\"events_not_kept\",\"position\":\"{position}\"}}\n\n"
    )
}

fn told(event: &Sequenced) -> Bytes {
    // JSON of one line: nothing in it breaks the frame.
    let json = serde_json::to_string(&cloud_event(event)).unwrap_or_default();
    format!("id: {}\ndata: {json}\n\n", event.position).into()
}

/// A comment, and an id without data: no event for the reader, but he comes back to here.
fn heartbeat_at(position: i64) -> Bytes {
    format!(": still here\nid: {position}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_wins_over_the_query() {
        let mut headers = HeaderMap::new();
        assert_eq!(resume_from(&headers, None).unwrap(), None);
        assert_eq!(resume_from(&headers, Some("7")).unwrap(), Some(7));
        headers.insert(LAST_EVENT_ID, HeaderValue::from_static("9"));
        assert_eq!(resume_from(&headers, Some("7")).unwrap(), Some(9));
        for wrong in ["x", "-1", "1.5", "99999999999999999999"] {
            headers.insert(LAST_EVENT_ID, HeaderValue::from_static(wrong));
            let refused = resume_from(&headers, None).unwrap_err();
            assert_eq!(refused.field.as_deref(), Some("last_event_id"), "{wrong}");
        }
    }

    #[test]
    fn a_stream_begins_with_where_it_stands() {
        let whole = Start {
            position: 7,
            missed: false,
        };
        assert_eq!(opening(whole), "retry: 2000\nid: 7\n\n");
        let torn = String::from_utf8(
            opening(Start {
                position: 7,
                missed: true,
            })
            .to_vec(),
        );
        assert!(torn.unwrap().contains("event: reset\nid: 7\ndata: {"));
    }
}
