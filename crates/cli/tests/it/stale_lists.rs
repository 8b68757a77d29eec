//! A way to a store whose lists, and whose mark, can be out of date: it answers as it did before, and passes everything else on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;

use crate::http_rig::http;

/// What was answered: status, headers, body.
type Answer = (StatusCode, HeaderMap, Bytes);

/// The way there.
#[derive(Clone, Default)]
pub struct StaleLists {
    to: Arc<Mutex<String>>,
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    is_stale: Arc<Mutex<bool>>,
    replayed: Arc<Mutex<usize>>,
    marks: Arc<Mutex<Marks>>,
}

/// What was read of the catalog's mark.
#[derive(Default)]
struct Marks {
    last: Option<Answer>,
    /// What was read last before it was written last.
    before: Option<Answer>,
    stale: usize,
}

impl StaleLists {
    /// Leads to the store at `endpoint`; the URL to use in its place.
    pub async fn lead_to(&self, endpoint: String) -> String {
        *self.to.lock().unwrap() = endpoint;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new()
            .fallback(pass_on)
            .layer(DefaultBodyLimit::disable())
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        url
    }

    /// From now on lists are as they were when they were last asked for, or up to date again.
    pub fn stale(&self, is_stale: bool) {
        *self.is_stale.lock().unwrap() = is_stale;
    }

    /// The next so many who read the catalog's mark get what was there before it was written last.
    pub fn stale_marks(&self, times: usize) {
        self.marks.lock().unwrap().stale = times;
    }

    /// What is to be answered in place of the mark as it is.
    fn mark_before(&self) -> Option<Answer> {
        let mut marks = self.marks.lock().unwrap();
        marks.stale = marks.stale.checked_sub(1)?;
        marks.before.clone()
    }

    /// How many lists were out of date so far.
    pub fn replayed(&self) -> usize {
        *self.replayed.lock().unwrap()
    }
}

async fn pass_on(State(lists): State<StaleLists>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let target = head
        .uri
        .path_and_query()
        .map_or("/", |p| p.as_str())
        .to_owned();
    let is_list = head.method == Method::GET
        && (target.contains("list-type=2") || target.contains("uploads="))
        && !target.contains("uploadId");
    let is_mark = head.uri.path().ends_with("/c/mark");
    if is_mark
        && head.method == Method::GET
        && let Some(before) = lists.mark_before()
    {
        return before.into_response();
    }
    if is_list && *lists.is_stale.lock().unwrap() {
        let before = lists.answers.lock().unwrap().get(&target).cloned();
        if let Some(answer) = before {
            *lists.replayed.lock().unwrap() += 1;
            return answer.into_response();
        }
    }
    let (is_read, is_written) = (head.method == Method::GET, head.method == Method::PUT);
    let url = format!("{}{target}", lists.to.lock().unwrap());
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    // With the host that was signed.
    let sent = http()
        .request(head.method, url)
        .headers(head.headers)
        .body(bytes)
        .send();
    let Ok(answer) = sent.await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove("transfer-encoding");
    headers.remove("connection");
    let bytes = answer.bytes().await.unwrap_or_default();
    let answer = (status, headers, bytes);
    if is_list {
        lists.answers.lock().unwrap().insert(target, answer.clone());
    }
    if is_mark {
        let mut marks = lists.marks.lock().unwrap();
        if is_read {
            marks.last = Some(answer.clone());
        }
        if is_written && status.is_success() {
            marks.before = marks.last.clone();
        }
    }
    let (status, headers, bytes) = answer;
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
