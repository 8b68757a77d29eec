//! Reading with patience: an answer that is held back until there is something to say.
//!
//! Who waits takes no room among the requests under way, and asks the database nothing until an event
//! of what he waits for is heard.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use safelight_model::codes::Code;
use serde::Serialize;
use tokio::time::Instant;

use super::prefer::{Known, PREFERENCE_APPLIED, tag, wait_of};
use super::problem::Refused;
use super::room::{Held, Seat, Waited};
use super::router::AppState;
use crate::context::Owner;
use crate::insights::follow::Scope;
use crate::insights::tail::{Followed, Heard};

/// A resource as it is now.
pub(super) struct Seen<T> {
    /// What is answered.
    pub(super) body: T,
    /// The revision of what its owner says of it, if he can: its tag names it, for `If-Match`.
    pub(super) revision: Option<i64>,
    /// Whether nothing more happens to it by itself.
    pub(super) settled: bool,
    /// Which events tell of it.
    pub(super) scope: Scope,
}

/// What a caller wishes for.
pub(super) struct Wish {
    known: Known,
    wait: Option<Duration>,
}

impl Wish {
    /// As the request's head says.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self {
            known: Known::of(headers),
            wait: wait_of(headers),
        }
    }
}

/// A resource with its body as bytes and the tag of these.
struct Rendered {
    bytes: Vec<u8>,
    etag: String,
    settled: bool,
    scope: Scope,
}

fn render<T: Serialize>(seen: Seen<T>) -> Result<Rendered, Refused> {
    let bytes = serde_json::to_vec(&seen.body).map_err(|error| {
        tracing::error!(%error, "an answer could not be written");
        Refused::because(
            Code::Internal,
            "the server made a mistake; name this request_id to its operator",
        )
    })?;
    let hash = blake3::hash(&bytes);
    let hash = hex::encode(&hash.as_bytes()[..16]);
    Ok(Rendered {
        etag: match seen.revision {
            Some(revision) => tag(revision, &hash),
            None => format!("\"{hash}\""),
        },
        bytes,
        settled: seen.settled,
        scope: seen.scope,
    })
}

/// Answers with what `read` finds: at once, or as the caller wishes when it differs from what he knows.
/// A caller who says nothing of what he knows waits until it is settled, or is another than when he came.
pub(super) async fn wait<T, F>(
    state: &AppState,
    owner: &Owner,
    held: &Held,
    wish: &Wish,
    read: impl Fn() -> F,
) -> Result<Response, Refused>
where
    T: Serialize,
    F: Future<Output = Result<Seen<T>, Refused>>,
{
    let Some(patience) = wish.wait.filter(|w| !w.is_zero()) else {
        return Ok(answer(&render(read().await?)?, wish, None));
    };
    // A preference is no promise: where too many wait already, the answer comes at once.
    let Some(_seat) = Seat::take(state, owner) else {
        return Ok(answer(&render(read().await?)?, wish, None));
    };
    let until = Instant::now() + patience;
    // Listen before looking: what happens in between is heard.
    let mut followed = state.tail.follow(owner).await?;
    let mut now = render(read().await?)?;
    let first_etag = now.etag.clone();
    let enough = |now: &Rendered| {
        if wish.known.is_nothing() {
            now.settled || now.etag != first_etag
        } else {
            !wish.known.has(&now.etag)
        }
    };
    while !enough(&now) {
        held.give_back();
        let over = tokio::select! {
            () = heard_of(&mut followed, &now.scope) => false,
            () = tokio::time::sleep_until(until) => true,
            () = state.stop.cancelled() => true,
        };
        // All who hear of something come back at once, and stand in line with the others.
        let _room = state.room.acquire().await;
        now = render(read().await?)?;
        if over {
            break;
        }
    }
    Ok(answer(&now, wish, Some(patience)))
}

/// Asks, and asks again when an event of what is waited for is heard, as long as the caller wishes and `waits_for` names
/// something; the last answer, and the time that was granted.
pub(super) async fn ask_until<T, F>(
    state: &AppState,
    owner: &Owner,
    held: &Held,
    wish: &Wish,
    ask: impl Fn() -> F,
    waits_for: impl Fn(&T) -> Option<Scope>,
) -> Result<(T, Option<Duration>), Refused>
where
    F: Future<Output = Result<T, Refused>>,
{
    let Some(patience) = wish.wait.filter(|w| !w.is_zero()) else {
        return Ok((ask().await?, None));
    };
    let Some(_seat) = Seat::take(state, owner) else {
        return Ok((ask().await?, None));
    };
    let until = Instant::now() + patience;
    // Listen before asking: what happens in between is heard.
    let mut followed = state.tail.follow(owner).await?;
    let mut now = ask().await?;
    while let Some(scope) = waits_for(&now) {
        held.give_back();
        let over = tokio::select! {
            () = heard_of(&mut followed, &scope) => false,
            () = tokio::time::sleep_until(until) => true,
            () = state.stop.cancelled() => true,
        };
        // All who hear of something come back at once, and stand in line with the others.
        let _room = state.room.acquire().await;
        now = ask().await?;
        if over {
            break;
        }
    }
    Ok((now, Some(patience)))
}

/// Marks an answer that was held back as its caller wished.
pub(super) fn held_back(response: &mut Response, waited: Option<Duration>) {
    let Some(patience) = waited else { return };
    if let Ok(applied) = HeaderValue::from_str(&format!("wait={}", patience.as_secs())) {
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    response.extensions_mut().insert(Waited);
}

/// Returns when an event of the scope was heard, or may have been missed.
async fn heard_of(followed: &mut Followed, scope: &Scope) {
    loop {
        match followed.next().await {
            Heard::Missed => return,
            Heard::Event(event) if scope.concerns(&event) => return,
            Heard::Event(_) => {}
        }
    }
}

fn answer(now: &Rendered, wish: &Wish, waited: Option<Duration>) -> Response {
    let known = wish.known.has(&now.etag);
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let json = [(header::CONTENT_TYPE, "application/json")];
        (json, Body::from(now.bytes.clone())).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    if let Ok(etag) = HeaderValue::from_str(&now.etag) {
        headers.insert(header::ETAG, etag);
    }
    held_back(&mut response, waited);
    response
}
