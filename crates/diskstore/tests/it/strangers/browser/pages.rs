//! A web server of pages: an origin of its own.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What a page did.
#[derive(Deserialize)]
pub struct Report {
    pub steps: Vec<Step>,
    /// Whether its script came to its end.
    pub finished: bool,
}

/// One thing that a page did.
#[derive(Deserialize)]
pub struct Step {
    pub name: String,
    /// Why it failed, if it did.
    error: Option<String>,
}

impl Report {
    /// The steps that failed, each with its reason.
    pub fn failures(&self) -> impl Iterator<Item = String> {
        let failed = |step: &Step| Some(format!("{}: {}", step.name, step.error.as_ref()?));
        self.steps.iter().filter_map(failed)
    }
}

/// Serves one page at a time.
pub struct Pages {
    origin: String,
    plan: Arc<Mutex<Value>>,
    reports: mpsc::Receiver<Report>,
    task: JoinHandle<()>,
}

impl Pages {
    /// At a free port, so at an origin that nothing else has.
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let plan = Arc::default();
        let (sender, reports) = mpsc::channel(1);
        let task = tokio::spawn(accept(listener, Arc::clone(&plan), sender));
        Self {
            origin,
            plan,
            reports,
            task,
        }
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Sets what the next page is told, and returns the URL of a page that runs this script.
    pub fn prepare(&self, script: &str, plan: Value) -> String {
        *self.plan.lock().unwrap() = plan;
        format!("{}/?{script}", self.origin)
    }

    /// Waits until a page says what it did.
    pub async fn report(&mut self) -> Report {
        self.reports.recv().await.unwrap()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, plan: Arc<Mutex<Value>>, reports: mpsc::Sender<Report>) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let (plan, reports) = (Arc::clone(&plan), reports.clone());
        let service =
            service_fn(move |request| answer(request, Arc::clone(&plan), reports.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
    }
}

async fn answer(
    request: Request<Incoming>,
    plan: Arc<Mutex<Value>>,
    reports: mpsc::Sender<Report>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let mut response = Response::default();
    let (kind, body) = match (request.method(), path.as_str()) {
        (&Method::GET, "/") => {
            let script = request.uri().query().unwrap_or_default();
            ("text/html; charset=utf-8", page(script).into_bytes())
        }
        (&Method::GET, "/plan") => {
            let plan = plan.lock().unwrap();
            ("application/json", plan.to_string().into_bytes())
        }
        (&Method::GET, script) if script.ends_with(".js") => ("text/javascript", read(script)),
        (&Method::POST, "/report") => {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let report = serde_json::from_slice(&body).unwrap();
            // Whatever a page says after its first report, nobody waits for.
            let _ = reports.try_send(report);
            ("text/plain", Vec::new())
        }
        _ => {
            *response.status_mut() = StatusCode::NOT_FOUND;
            ("text/plain", Vec::new())
        }
    };
    response
        .headers_mut()
        .insert(CONTENT_TYPE, kind.parse().unwrap());
    *response.body_mut() = Full::from(body);
    Ok(response)
}

/// A page that first makes ready to report, then runs a script.
fn page(script: &str) -> String {
    format!(
        "<!doctype html><title>{script}</title><script src=/report.js></script>\
         <script type=module src=/{script}></script>"
    )
}

/// A script: the SDK as `make test-tools` bundled it, or one that lies beside this file.
fn read(path: &str) -> Vec<u8> {
    let folder = match path {
        "/sdk.js" => {
            std::env::var("SAFELIGHT_TOOLS").expect("run `make test-tools`, which names the tools")
        }
        _ => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/strangers/browser").to_owned(),
    };
    std::fs::read(Path::new(&folder).join(&path[1..])).unwrap()
}
