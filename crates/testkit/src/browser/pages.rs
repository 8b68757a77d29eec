//! A web server of pages: an origin of its own.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What every page has: steps that are taken one after another, and a report of them to the test.
const REPORT: &str = include_str!("report.js");

/// What a page did.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    pub(super) steps: Vec<Step>,
    /// Whether its script came to its end.
    pub(super) finished: bool,
}

/// One thing that a page did.
#[derive(Debug, Deserialize)]
pub(super) struct Step {
    pub(super) name: String,
    /// Why it failed, if it did.
    error: Option<String>,
}

impl Report {
    /// The steps that failed, each with its reason.
    pub(super) fn failures(&self) -> impl Iterator<Item = String> {
        let failed = |step: &Step| Some(format!("{}: {}", step.name, step.error.as_ref()?));
        self.steps.iter().filter_map(failed)
    }
}

/// Serves one page at a time, at an origin that nothing else has.
#[derive(Debug)]
pub struct Pages {
    origin: String,
    site: Arc<Site>,
    reports: mpsc::Receiver<Report>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Site {
    /// Where scripts and other files are; the first that has one gives it.
    folders: Vec<PathBuf>,
    /// What scripts import by name, and the paths that these are at.
    imports: Vec<(&'static str, &'static str)>,
    plan: Mutex<Value>,
    reports: mpsc::Sender<Report>,
}

impl Pages {
    /// Opens at a free port. Scripts and other files are looked for in these folders, then where `make test-tools` put its own.
    ///
    /// # Errors
    /// No port is left, or the tools are not installed.
    pub async fn open(
        mut folders: Vec<PathBuf>,
        imports: &[(&'static str, &'static str)],
    ) -> anyhow::Result<Self> {
        let tools = std::env::var_os("SAFELIGHT_TOOLS")
            .context("run `make test-tools`, which names the tools")?;
        folders.push(tools.into());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let (sender, reports) = mpsc::channel(1);
        let site = Arc::new(Site {
            folders,
            imports: imports.to_vec(),
            plan: Mutex::default(),
            reports: sender,
        });
        let task = tokio::spawn(accept(listener, site.clone()));
        Ok(Self {
            origin,
            site,
            reports,
            task,
        })
    }

    /// The origin of its pages, as browsers name it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Sets what the next page is told, and returns the URL of a page that runs this script.
    pub(super) fn prepare(&self, script: &str, plan: Value) -> String {
        *self
            .site
            .plan
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = plan;
        format!("{}/?{script}", self.origin)
    }

    /// Waits until a page says what it did.
    pub(super) async fn report(&mut self) -> anyhow::Result<Report> {
        self.reports.recv().await.context("no page is served")
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, site: Arc<Site>) {
    while let Ok((socket, _)) = listener.accept().await {
        let site = site.clone();
        let service = service_fn(move |request| answer(request, site.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
    }
}

async fn answer(
    request: Request<Incoming>,
    site: Arc<Site>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let found = match (request.method(), path.as_str()) {
        (&Method::GET, "/") => {
            let script = request.uri().query().unwrap_or_default();
            Some(("text/html; charset=utf-8", site.page(script).into_bytes()))
        }
        (&Method::GET, "/plan") => {
            let plan = site.plan.lock().unwrap_or_else(PoisonError::into_inner);
            Some(("application/json", plan.to_string().into_bytes()))
        }
        (&Method::GET, "/report.js") => Some(("text/javascript", REPORT.into())),
        (&Method::GET, file) => site.read(file),
        (&Method::POST, "/report") => site.hear(request).await,
        _ => None,
    };
    let mut response = Response::default();
    let (kind, body) = found.unwrap_or_else(|| {
        *response.status_mut() = StatusCode::NOT_FOUND;
        ("text/plain", Vec::new())
    });
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    *response.body_mut() = Full::from(body);
    Ok(response)
}

impl Site {
    /// A page that first makes ready to report, then runs a script.
    fn page(&self, script: &str) -> String {
        let imports: serde_json::Map<_, _> = self
            .imports
            .iter()
            .map(|(name, path)| ((*name).to_owned(), json!(path)))
            .collect();
        format!(
            "<!doctype html><title>{script}</title><script src=/report.js></script>\
             <script type=importmap>{}</script><script type=module src=/{script}></script>",
            json!({ "imports": imports })
        )
    }

    /// A file of one of the folders. A page that asks for a script that is not there says so in its report.
    fn read(&self, path: &str) -> Option<(&'static str, Vec<u8>)> {
        let kind = if path.ends_with(".js") {
            "text/javascript"
        } else {
            "application/octet-stream"
        };
        let name = path.strip_prefix('/').filter(|name| !name.contains('/'))?;
        let files = self.folders.iter().map(|folder| folder.join(name));
        let mut found = files.filter_map(|file| std::fs::read(file).ok());
        found.next().map(|bytes| (kind, bytes))
    }

    async fn hear(&self, request: Request<Incoming>) -> Option<(&'static str, Vec<u8>)> {
        let body = request.into_body().collect().await.ok()?.to_bytes();
        let report = serde_json::from_slice(&body).ok()?;
        // Whatever a page says after its first report, nobody waits for.
        let _ = self.reports.try_send(report);
        Some(("text/plain", Vec::new()))
    }
}
