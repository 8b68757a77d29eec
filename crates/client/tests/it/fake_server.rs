//! A server and store in memory that keep to the wire, and fail where they are told to.

#![allow(
    dead_code,
    reason = "each binary of tests that includes this file uses a part of it"
)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use safelight_api::assets::{Asset, Original, OriginalGranted, Rendition, Times};
use safelight_api::captures::{
    AssetInitiated, Capture, CaptureAsset, CaptureInitiated, Compress, InitiateCapture, Plan,
    UploadPlanned,
};
use safelight_api::uploads::{
    CompleteUpload, FoundUpload, ReceivedPart, Replan, Replanned, SignUrls, SignedUrl, SignedUrls,
    TransferReport, Upload, UploadAborted, UploadCompleted, UploadList,
};
use safelight_model::plan;
use serde_json::json;
use sha2::{Digest, Sha256};

pub const API_KEY: &str = "sk_00000000000000000000000000000000";
const PIXELS: &[u8] = b"RIFF pretend to be a cover";

/// What is to go wrong.
pub enum Deed {
    /// Refuse: status, code, `Retry-After`.
    Refuse(u16, &'static str, Option<u64>),
    /// Cut the connection before anything is done.
    LoseRequest,
    /// Do it, then cut the connection.
    LoseAnswer,
    /// Call this, then go on.
    Before(Box<dyn FnOnce(&mut World) + Send>),
    /// Call this, and cut the connection without doing anything.
    Instead(Box<dyn FnOnce(&mut World) + Send>),
    /// Never answer, nor do anything.
    Hang,
    /// Do it, call this, then cut the connection.
    After(Box<dyn FnOnce(&mut World) + Send>),
}

/// Something that goes wrong once.
pub struct Fault {
    /// At requests of this kind: `token`, `initiate`, `sign`, `plan`, `put`, `append`, `complete`, `abort`, `upload`, `asset`,
    /// or `any`.
    pub at: &'static str,
    /// After this many of them went well.
    pub after: u32,
    pub deed: Deed,
}

#[derive(Default)]
pub struct World {
    pub captures: HashMap<String, CaptureMade>,
    /// The references of captures that were deleted.
    pub deleted: HashSet<String>,
    pub uploads: BTreeMap<String, UploadMade>,
    pub assets: BTreeMap<String, AssetMade>,
    pub faults: Vec<Fault>,
    /// Each request: kind, and what it was about.
    pub log: Vec<(String, String)>,
    /// Parts that were sent although the store held them.
    pub repeated_parts: u32,
    /// Tokens of earlier generations have expired.
    pub token_generation: u32,
    /// URLs of earlier generations have expired.
    pub url_generation: u32,
    /// Whether nothing can begin anew as one that is appended to.
    pub has_no_gateway: bool,
    /// The advice in fresh plans.
    pub advises: Option<Compress>,
    pub single_max_bytes: i64,
    /// Files up to this are not appended to, whatever the link.
    pub least_appended_bytes: i64,
    pub part_size_bytes: i64,
    /// Parts at once in fresh plans; 3 if it is 0.
    pub concurrency: u32,
    /// How many uploads may be open at once, and how many others have open; 0 for any number.
    pub room: usize,
    pub others_open: usize,
    /// What was said with each question for another plan.
    pub replans: Vec<Replan>,
    /// What was told of transfers.
    pub transfers: Vec<TransferReport>,
    /// Parts that are being received, and how many were when each began.
    pub under_way: u32,
    pub at_once: Vec<u32>,
    replays: HashMap<String, (String, String)>,
    made: u32,
}

pub struct CaptureMade {
    pub capture_id: String,
    pub request: InitiateCapture,
    pub asset_ids: Vec<String>,
    pub uploads: Vec<Option<String>>,
}

pub struct UploadMade {
    pub asset_id: String,
    pub size_bytes: i64,
    pub sha256: String,
    pub plan: Plan,
    pub state: &'static str,
    pub parts: BTreeMap<i64, Bytes>,
}

pub struct AssetMade {
    pub capture_id: String,
    pub filename: Option<String>,
    pub size_bytes: i64,
    pub sha256: String,
    pub state: &'static str,
    /// How often it was asked for since it was uploaded.
    pub asked: u32,
}

impl World {
    fn id(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}_{:026}", self.made)
    }

    /// Another device was quicker: what is open ends, and this asset has its bytes. It is as an asset of another capture.
    pub fn merge_open(&mut self, into: &str) {
        let open = self.uploads.values_mut().filter(|u| u.state == "open");
        for upload in open {
            upload.state = "merged";
            let mine = std::mem::replace(&mut upload.asset_id, into.to_owned());
            let mut asset = self.assets.remove(&mine).unwrap();
            asset.state = "ready";
            self.assets.insert(into.to_owned(), asset);
            for capture in self.captures.values_mut() {
                for id in capture.asset_ids.iter_mut().filter(|id| **id == mine) {
                    into.clone_into(id);
                }
            }
        }
    }

    /// The owner deletes all his assets.
    pub fn delete_all(&mut self) {
        for upload in self.uploads.values_mut() {
            upload.state = "deleted";
        }
        for asset in self.assets.values_mut() {
            asset.state = "deleted";
        }
    }

    /// The owner deletes all captures.
    pub fn delete_captures(&mut self) {
        self.delete_all();
        self.deleted.extend(self.captures.keys().cloned());
    }

    /// How often something of this kind was asked.
    pub fn count(&self, kind: &str) -> usize {
        self.log.iter().filter(|(k, _)| k == kind).count()
    }

    /// The names of the assets whose bytes are whole.
    pub fn whole(&self) -> Vec<String> {
        let whole = self.assets.values().filter(|a| a.state == "ready");
        let mut names: Vec<String> = whole.filter_map(|a| a.filename.clone()).collect();
        names.sort();
        names
    }
}

type Shared = Arc<Mutex<World>>;

pub struct FakeServer {
    pub url: String,
    world: Shared,
}

impl FakeServer {
    pub async fn start() -> Self {
        let world = Arc::new(Mutex::new(World {
            single_max_bytes: 2_000,
            part_size_bytes: 1_000,
            ..World::default()
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new()
            .fallback(handle)
            .with_state((world.clone(), url.clone()));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, world }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn fail(&self, at: &'static str, after: u32, deed: Deed) {
        self.world().faults.push(Fault { at, after, deed });
    }
}

/// Ends the connection's task, and with it the connection, without a word.
fn cut() -> ! {
    std::panic::resume_unwind(Box::new("the connection is cut"))
}

fn problem(status: u16, code: &str, retry_after: Option<u64>) -> Response {
    let body = json!({
        "type": format!("/docs/errors/{code}"), "title": code, "status": status,
        "detail": format!("told to answer {code}"), "code": code, "request_id": "req_1",
    });
    let mut response = (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response();
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn ok(body: &impl serde::Serialize) -> Response {
    (StatusCode::OK, serde_json::to_string(body).unwrap()).into_response()
}

async fn handle(State((shared, url)): State<(Shared, String)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let kind = match (&parts.method, segments.as_slice()) {
        (&Method::POST, ["v1", "tokens"]) => "token",
        (&Method::POST, ["v1", "captures"]) => "initiate",
        (&Method::GET, ["v1", "captures", _]) => "capture",
        (&Method::GET, ["v1", "uploads", _]) => "upload",
        (&Method::GET, ["v1", "uploads"]) => "find",
        (&Method::DELETE, ["v1", "uploads", _]) => "abort",
        (&Method::POST, ["v1", "uploads", _, "plan"]) => "plan",
        (&Method::POST, ["v1", "uploads", _, "urls"]) => "sign",
        (&Method::POST, ["v1", "uploads", _, "complete"]) => "complete",
        (&Method::GET, ["v1", "assets"]) => "assets",
        (&Method::GET, ["v1", "assets", _]) => "asset",
        (&Method::POST, ["v1", "assets", _, "grants"]) => "grant",
        (_, ["v1", "keys", ..]) => "keys",
        (&Method::PUT, ["store", _, _]) => "put",
        (&Method::PATCH, ["gateway", _]) => "append",
        (&Method::HEAD, ["gateway", _]) => "offset",
        (&Method::GET, ["m", ..]) => "media",
        _ => "unknown",
    };
    let deed = {
        let mut world = shared
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut hit = None;
        for (i, fault) in world.faults.iter_mut().enumerate() {
            if fault.at == kind || fault.at == "any" {
                if fault.after == 0 {
                    hit = Some(i);
                    break;
                }
                fault.after -= 1;
            }
        }
        hit.map(|i| world.faults.remove(i).deed)
    };
    let key = parts.headers.get("idempotency-key");
    let key = key.and_then(|k| k.to_str().ok()).unwrap_or("").to_owned();
    let mut after = None;
    match deed {
        Some(Deed::LoseRequest) => cut(),
        Some(Deed::Refuse(status, code, retry_after)) => {
            let _ = axum::body::to_bytes(body, usize::MAX).await;
            let mut world = shared.lock().unwrap();
            let about = format!("refused {status}, key {key}");
            world.log.push((kind.to_owned(), about));
            return problem(status, code, retry_after);
        }
        Some(Deed::Hang) => {
            let about = path.clone();
            shared.lock().unwrap().log.push(("hang".to_owned(), about));
            return std::future::pending().await;
        }
        Some(Deed::Instead(call)) => {
            call(&mut shared.lock().unwrap());
            cut();
        }
        Some(Deed::Before(call)) => call(&mut shared.lock().unwrap()),
        Some(Deed::LoseAnswer) => after = Some(Box::new(|_: &mut World| ()) as Box<_>),
        Some(Deed::After(call)) => after = Some(call),
        None => {}
    }
    let counted = (kind == "put").then(|| UnderWay::count(&shared));
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        cut();
    };
    if counted.is_some() {
        // So that others that are under way come in too.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    drop(counted);
    let query = parts.uri.query().unwrap_or("").to_owned();
    let about = format!(
        "{path}?{query} key {key} {}",
        String::from_utf8_lossy(&body[..body.len().min(2_000)])
    );
    let mut world = shared
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    world.log.push((kind.to_owned(), about));
    let asked = Asked {
        kind,
        segments: &segments,
        query: &query,
        headers: &parts.headers,
        body: &body,
        url: &url,
    };
    let response = world.answer(&asked);
    if let Some(call) = after {
        call(&mut world);
        drop(world);
        cut();
    }
    response
}

struct UnderWay(Shared);

impl UnderWay {
    fn count(shared: &Shared) -> Self {
        let mut world = shared.lock().unwrap();
        world.under_way += 1;
        let now = world.under_way;
        world.at_once.push(now);
        drop(world);
        Self(shared.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .under_way -= 1;
    }
}

struct Asked<'a> {
    kind: &'a str,
    segments: &'a [&'a str],
    query: &'a str,
    headers: &'a HeaderMap,
    body: &'a Bytes,
    url: &'a str,
}

impl Asked<'_> {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or("")
    }
}

impl World {
    fn answer(&mut self, asked: &Asked<'_>) -> Response {
        match asked.kind {
            "put" => return self.put(asked),
            "append" | "offset" => return self.append(asked),
            "media" => return (StatusCode::OK, PIXELS).into_response(),
            _ => {}
        }
        let bearer = asked
            .header("authorization")
            .strip_prefix("Bearer ")
            .unwrap_or("");
        let token = format!("tok_{}", self.token_generation);
        let as_key = bearer == API_KEY
            && (asked.kind == "token"
                || asked.kind == "keys"
                || !asked.header("safelight-owner").is_empty());
        if bearer != token && !as_key {
            return problem(401, "unauthorized", None);
        }
        let of_upload = ["sign", "upload", "plan", "complete"].contains(&asked.kind);
        let upload = asked.segments.get(2).and_then(|id| self.uploads.get(*id));
        if of_upload && upload.is_some_and(|u| u.state == "deleted") {
            return problem(410, "asset_deleted", None);
        }
        match asked.kind {
            "token" => ok(&json!({ "token": token, "expires_at": "2030-01-01T00:00:00Z" })),
            "initiate" => self.initiate(asked),
            "sign" => self.sign(asked),
            "upload" => match self.uploads.get(asked.segments[2]) {
                Some(upload) => ok(&truth(asked.segments[2], upload)),
                None => problem(404, "not_found", None),
            },
            "complete" => self.complete(asked),
            "plan" => self.plan(asked),
            "abort" => self.abort(asked),
            "find" => self.find(asked),
            "asset" => self.asset(asked),
            "assets" => {
                let ids: Vec<String> = self.assets.keys().rev().cloned().collect();
                let items: Vec<Asset> = ids.iter().map(|id| self.show(id, asked.url)).collect();
                ok(&json!({ "items": items }))
            }
            "capture" => self.capture(asked),
            "grant" => ok(&OriginalGranted {
                url: format!("{}/m/original/x", asked.url),
                expires_at: "2030-01-01T00:00:00Z".to_owned(),
            }),
            _ => problem(404, "not_found", None),
        }
    }

    fn initiate(&mut self, asked: &Asked<'_>) -> Response {
        let key = asked.header("idempotency-key").to_owned();
        let text = String::from_utf8_lossy(asked.body).into_owned();
        if key.is_empty() {
            return problem(400, "idempotency_key_missing", None);
        }
        if self
            .replays
            .get(&key)
            .is_some_and(|(body, _)| *body != text)
        {
            return problem(422, "idempotency_key_mismatch", None);
        }
        let request: InitiateCapture = serde_json::from_str(&text).unwrap();
        if request
            .assets
            .iter()
            .any(|a| a.resources[0].size_bytes == 0)
        {
            return problem(422, "validation_failed", None);
        }
        let reference = request.client_ref.clone();
        if self.deleted.contains(&reference) {
            return problem(410, "capture_deleted", None);
        }
        if !self.captures.contains_key(&reference) {
            if !self.has_room(request.assets.len()) {
                return problem(403, "quota_exceeded", None);
            }
            self.make_capture(request);
        }
        self.replays.insert(key, (text, reference.clone()));
        let capture = &self.captures[&reference];
        let mut order = 0;
        let assets = capture
            .request
            .assets
            .iter()
            .enumerate()
            .map(|(i, asked_for)| {
                let asset_id = capture.asset_ids[i].clone();
                let open = capture.uploads[i]
                    .as_ref()
                    .filter(|u| self.uploads[*u].state == "open");
                let uploads = open.map(|upload_id| {
                    let upload = &self.uploads[upload_id];
                    order += 1;
                    let place = if asked_for.role == "key" { 0 } else { order };
                    let urls = if upload.plan.transport == "multipart" {
                        vec![]
                    } else {
                        vec![self.url(upload_id, 1, None, asked.url)]
                    };
                    UploadPlanned {
                        upload_id: upload_id.clone(),
                        kind: "primary".to_owned(),
                        plan: Plan {
                            order: place,
                            ..upload.plan.clone()
                        },
                        urls,
                    }
                });
                AssetInitiated {
                    client_ref: asked_for.client_ref.clone(),
                    state: self.assets[&asset_id].state.to_owned(),
                    asset_id,
                    uploads: uploads.into_iter().collect(),
                }
            });
        let answer = CaptureInitiated {
            capture_id: capture.capture_id.clone(),
            assets: assets.collect(),
            assets_at_once: None,
        };
        (StatusCode::CREATED, serde_json::to_string(&answer).unwrap()).into_response()
    }

    /// Who has nothing open may always initiate one capture.
    fn has_room(&self, uploads: usize) -> bool {
        let open = self.uploads.values().filter(|u| u.state == "open");
        let open = open.count() + self.others_open;
        self.room == 0 || open == 0 || open + uploads <= self.room
    }

    fn make_capture(&mut self, request: InitiateCapture) {
        let capture_id = self.id("cap");
        let (mut asset_ids, mut uploads) = (Vec::new(), Vec::new());
        for asset in &request.assets {
            let resource = &asset.resources[0];
            let sha256 = resource.sha256.clone().unwrap();
            let there = self
                .assets
                .iter()
                .find(|(_, a)| a.sha256 == sha256 && a.state == "ready");
            let is_kept = request.duplicates.as_deref() == Some("keep");
            if let Some((id, _)) = there {
                if is_kept {
                    let asset = AssetMade {
                        capture_id: capture_id.clone(),
                        filename: resource.filename.clone(),
                        size_bytes: resource.size_bytes,
                        sha256,
                        state: "ready",
                        asked: 0,
                    };
                    let asset_id = self.id("ast");
                    self.assets.insert(asset_id.clone(), asset);
                    asset_ids.push(asset_id);
                    uploads.push(None);
                    continue;
                }
                asset_ids.push(id.clone());
                uploads.push(None);
                continue;
            }
            let (asset_id, upload_id) = (self.id("ast"), self.id("upl"));
            let size_bytes = resource.size_bytes;
            let single = size_bytes <= self.single_max_bytes;
            let is_thin = size_bytes >= self.least_appended_bytes
                && request
                    .network
                    .as_ref()
                    .is_some_and(|n| n.kind.as_deref() == Some("2g"));
            let many = if self.concurrency == 0 {
                3
            } else {
                self.concurrency
            };
            let plan = Plan {
                transport: match (is_thin, single) {
                    (true, _) => "append",
                    (_, true) => "single",
                    _ => "multipart",
                }
                .to_owned(),
                part_size_bytes: if single {
                    size_bytes
                } else {
                    self.part_size_bytes
                },
                concurrency: if single || is_thin { 1 } else { many },
                order: 0,
                compress: self.advises.clone(),
                why: Vec::new(),
            };
            self.uploads.insert(
                upload_id.clone(),
                UploadMade {
                    asset_id: asset_id.clone(),
                    size_bytes,
                    sha256: sha256.clone(),
                    plan,
                    state: "open",
                    parts: BTreeMap::new(),
                },
            );
            self.assets.insert(
                asset_id.clone(),
                AssetMade {
                    capture_id: capture_id.clone(),
                    filename: resource.filename.clone(),
                    size_bytes,
                    sha256,
                    state: "initiated",
                    asked: 0,
                },
            );
            asset_ids.push(asset_id);
            uploads.push(Some(upload_id));
        }
        let reference = request.client_ref.clone();
        self.captures.insert(
            reference,
            CaptureMade {
                capture_id,
                request,
                asset_ids,
                uploads,
            },
        );
    }

    fn url(&self, upload_id: &str, number: i64, sha256: Option<&str>, base: &str) -> SignedUrl {
        let upload = &self.uploads[upload_id];
        if upload.plan.transport == "append" {
            return SignedUrl {
                number,
                url: format!("{base}/gateway/{upload_id}"),
                protocol: Some("rufh".to_owned()),
                headers: BTreeMap::new(),
                size_bytes: upload.size_bytes,
                expires_at: "2030-01-01T00:00:00Z".to_owned(),
            };
        }
        let sha256 = match upload.plan.transport.as_str() {
            "single" => Some(upload.sha256.as_str()),
            _ => sha256,
        };
        let checksum = sha256
            .map(|s| base64::engine::general_purpose::STANDARD.encode(hex::decode(s).unwrap()));
        SignedUrl {
            number,
            url: format!(
                "{base}/store/{upload_id}/{number}?g={}",
                self.url_generation
            ),
            protocol: None,
            headers: checksum
                .into_iter()
                .map(|c| ("x-amz-checksum-sha256".to_owned(), c))
                .collect(),
            size_bytes: plan::part_length(upload.size_bytes, upload.plan.part_size_bytes, number)
                .unwrap(),
            expires_at: "2030-01-01T00:00:00Z".to_owned(),
        }
    }

    fn sign(&self, asked: &Asked<'_>) -> Response {
        let upload_id = asked.segments[2];
        let Some(upload) = self.uploads.get(upload_id) else {
            return problem(404, "not_found", None);
        };
        let wanted: SignUrls = serde_json::from_slice(asked.body).unwrap();
        match upload.state {
            "open" => {}
            "merged" => return problem(409, "upload_merged", None),
            _ => return problem(410, "upload_expired", None),
        }
        if wanted.parts.len() > 16 {
            return problem(422, "validation_failed", None);
        }
        let urls = if upload.plan.transport != "multipart" {
            vec![self.url(upload_id, 1, None, asked.url)]
        } else if wanted.parts.is_empty() {
            return problem(422, "validation_failed", None);
        } else {
            let part = |p: &safelight_api::uploads::PartToSign| {
                self.url(upload_id, p.number, p.sha256.as_deref(), asked.url)
            };
            wanted.parts.iter().map(part).collect()
        };
        ok(&SignedUrls { urls })
    }

    fn put(&mut self, asked: &Asked<'_>) -> Response {
        let (upload_id, number) = (asked.segments[1], asked.segments[2].parse::<i64>().unwrap());
        if asked.query != format!("g={}", self.url_generation) {
            return (
                StatusCode::FORBIDDEN,
                "<Error><Code>AccessDenied</Code></Error>",
            )
                .into_response();
        }
        let Some(upload) = self
            .uploads
            .get_mut(upload_id)
            .filter(|u| u.state == "open")
        else {
            return (
                StatusCode::NOT_FOUND,
                "<Error><Code>NoSuchUpload</Code></Error>",
            )
                .into_response();
        };
        let length =
            plan::part_length(upload.size_bytes, upload.plan.part_size_bytes, number).unwrap();
        assert_eq!(
            asked.header("content-length"),
            length.to_string(),
            "the exact length is sent"
        );
        let checksum = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(asked.body));
        assert!(
            !asked.header("x-amz-checksum-sha256").is_empty(),
            "the signed header is sent"
        );
        if asked.header("x-amz-checksum-sha256") != checksum || asked.body.len() as i64 != length {
            return (
                StatusCode::BAD_REQUEST,
                "<Error><Code>BadDigest</Code></Error>",
            )
                .into_response();
        }
        if upload.parts.insert(number, asked.body.clone()).is_some() {
            self.repeated_parts += 1;
        }
        StatusCode::OK.into_response()
    }

    /// Bytes from an offset on, or where that is.
    fn append(&mut self, asked: &Asked<'_>) -> Response {
        let upload_id = asked.segments[1];
        let found = self.uploads.get_mut(upload_id);
        let Some(upload) = found.filter(|u| u.plan.transport == "append") else {
            return StatusCode::NOT_FOUND.into_response();
        };
        if upload.state == "deleted" {
            return StatusCode::GONE.into_response();
        }
        let there: i64 = upload.parts.values().map(|p| p.len() as i64).sum();
        let mut status = StatusCode::NO_CONTENT;
        let mut offset = there;
        if asked.kind == "append" {
            if asked.header("upload-offset") == there.to_string() {
                upload.parts.insert(there + 1, asked.body.clone());
                offset += asked.body.len() as i64;
            } else {
                status = StatusCode::CONFLICT;
            }
        }
        (status, [("upload-offset", offset.to_string())]).into_response()
    }

    /// Plans anew by the network: `2g` is appended to, where nothing has begun. Parts at once are as many as the uplink's
    /// Mbit/s, if that is said.
    fn plan(&mut self, asked: &Asked<'_>) -> Response {
        let upload_id = asked.segments[2];
        let said: Replan = serde_json::from_slice(asked.body).unwrap();
        self.replans.push(said.clone());
        let part_size_bytes = self.part_size_bytes;
        let Some(upload) = self.uploads.get_mut(upload_id) else {
            return problem(404, "not_found", None);
        };
        if upload.state != "open" {
            return problem(410, "upload_expired", None);
        }
        let network = said.network.unwrap_or_default();
        if said.restart {
            if self.has_no_gateway {
                return problem(422, "validation_failed", None);
            }
            assert!(said.accept_transports.contains(&"append".to_owned()));
            upload.parts.clear();
            upload.plan.transport = "append".to_owned();
        } else if upload.parts.is_empty() && upload.plan.transport != "single" {
            let is_thin = network.kind.as_deref() == Some("2g");
            upload.plan.transport = if is_thin { "append" } else { "multipart" }.to_owned();
            upload.plan.part_size_bytes = part_size_bytes;
        }
        if let Some(kbps) = network.uplink_kbps {
            upload.plan.concurrency = (kbps / 1_000).max(1);
        }
        let plan = upload.plan.clone();
        ok(&Replanned {
            upload_id: upload_id.to_owned(),
            urls: if plan.transport == "append" {
                vec![self.url(upload_id, 1, None, asked.url)]
            } else {
                vec![]
            },
            plan,
            would_be: None,
            assets_at_once: 1,
        })
    }

    fn abort(&mut self, asked: &Asked<'_>) -> Response {
        let upload_id = asked.segments[2];
        let Some(upload) = self.uploads.get_mut(upload_id) else {
            return problem(404, "not_found", None);
        };
        if upload.state == "completed" {
            return problem(422, "validation_failed", None);
        }
        upload.state = "aborted";
        upload.parts.clear();
        let asset = self.assets.get_mut(&upload.asset_id).unwrap();
        asset.state = "expired";
        ok(&UploadAborted {
            upload_id: upload_id.to_owned(),
            asset_id: upload.asset_id.clone(),
            state: "expired".to_owned(),
        })
    }

    fn find(&self, asked: &Asked<'_>) -> Response {
        let sha256 = asked.query.strip_prefix("sha256=").unwrap();
        let mut items = Vec::new();
        for capture in self.captures.values() {
            for (i, upload_id) in capture.uploads.iter().enumerate() {
                let Some(upload_id) = upload_id else { continue };
                let upload = &self.uploads[upload_id];
                if upload.state == "open" && upload.sha256 == sha256 {
                    items.push(FoundUpload {
                        capture_id: capture.capture_id.clone(),
                        capture_ref: capture.request.client_ref.clone(),
                        asset_ref: capture.request.assets[i].client_ref.clone(),
                        upload: truth(upload_id, upload),
                    });
                }
            }
        }
        ok(&UploadList { items })
    }

    fn complete(&mut self, asked: &Asked<'_>) -> Response {
        let upload_id = asked.segments[2];
        if asked.header("idempotency-key").is_empty() {
            return problem(400, "idempotency_key_missing", None);
        }
        let said: CompleteUpload = serde_json::from_slice(asked.body).unwrap();
        let Some(upload) = self.uploads.get_mut(upload_id) else {
            return problem(404, "not_found", None);
        };
        match upload.state {
            "open" => {
                let whole: Vec<u8> = upload.parts.values().flatten().copied().collect();
                if whole.len() as i64 != upload.size_bytes {
                    return problem(409, "upload_incomplete", None);
                }
                if hex::encode(Sha256::digest(&whole)) != upload.sha256 {
                    return problem(422, "checksum_mismatch", None);
                }
                upload.state = "completed";
                self.transfers.extend(said.transfers);
                if let Some(asset) = self.assets.get_mut(&upload.asset_id) {
                    asset.state = "ready";
                }
            }
            "completed" | "merged" => {}
            _ => return problem(410, "upload_expired", None),
        }
        ok(&UploadCompleted {
            upload_id: upload_id.to_owned(),
            asset_id: upload.asset_id.clone(),
            state: "uploaded".to_owned(),
        })
    }

    fn asset(&mut self, asked: &Asked<'_>) -> Response {
        let id = asked.segments[2];
        match self.assets.get_mut(id) {
            Some(asset) if asset.state == "deleted" => return problem(410, "asset_deleted", None),
            Some(asset) => asset.asked += 1,
            None => return problem(404, "not_found", None),
        }
        ok(&self.show(id, asked.url))
    }

    /// It says `processing` the first time it is asked.
    fn show(&self, id: &str, url: &str) -> Asset {
        let asset = &self.assets[id];
        let state = if asset.state == "ready" && asset.asked == 1 {
            "processing"
        } else {
            asset.state
        };
        let cover = format!("{url}/m/{id}/cover@1.webp");
        let rendition = Rendition {
            state: "ready".to_owned(),
            url: Some(cover.clone()),
            auto_url: None,
            width: Some(320),
            height: Some(240),
            size_bytes: Some(PIXELS.len() as i64),
            reason: None,
        };
        Asset {
            asset_id: id.to_owned(),
            state: state.to_owned(),
            cover_url: (state == "ready").then_some(cover),
            capture_id: Some(asset.capture_id.clone()),
            original: Some(Original {
                filename: asset.filename.clone(),
                mime: None,
                size_bytes: asset.size_bytes,
                sha256: Some(asset.sha256.clone()),
                width: None,
                height: None,
            }),
            renditions: Some(BTreeMap::from([("cover".to_owned(), rendition)])),
            times: Some(Times {
                created_at: "2026-11-23T08:00:00Z".to_owned(),
                uploaded_at: Some("2026-11-23T08:00:01Z".to_owned()),
                viewable_at: Some("2026-11-23T08:00:01.25Z".to_owned()),
                updated_at: "2026-11-23T08:00:02Z".to_owned(),
            }),
            ..Asset::default()
        }
    }

    fn open_uploads(&self, asset_id: &str) -> Vec<String> {
        let open = self.uploads.iter();
        let open = open.filter(|(_, u)| u.asset_id == asset_id && u.state == "open");
        open.map(|(id, _)| id.clone()).collect()
    }

    fn capture(&self, asked: &Asked<'_>) -> Response {
        let id = asked.segments[2];
        let Some(capture) = self.captures.values().find(|c| c.capture_id == id) else {
            return problem(404, "not_found", None);
        };
        let assets = capture
            .request
            .assets
            .iter()
            .zip(&capture.asset_ids)
            .map(|(a, id)| CaptureAsset {
                client_ref: a.client_ref.clone(),
                asset_id: id.clone(),
                role: a.role.clone(),
                state: self.assets[id].state.to_owned(),
                reason: None,
                uploads: self.open_uploads(id),
                scores: None,
            });
        ok(&Capture {
            capture_id: id.to_owned(),
            client_ref: capture.request.client_ref.clone(),
            mode: capture.request.mode.clone(),
            created_at: "2026-11-23T08:00:00Z".to_owned(),
            best_asset_id: None,
            assets: assets.collect(),
        })
    }
}

fn truth(upload_id: &str, upload: &UploadMade) -> Upload {
    let parts = upload.parts.iter().map(|(number, bytes)| ReceivedPart {
        number: *number,
        size_bytes: bytes.len() as i64,
        etag: "e".to_owned(),
        sha256: None,
    });
    Upload {
        upload_id: upload_id.to_owned(),
        asset_id: upload.asset_id.clone(),
        state: upload.state.to_owned(),
        plan: upload.plan.clone(),
        size_bytes: upload.size_bytes,
        received_bytes: upload.parts.values().map(|p| p.len() as i64).sum(),
        parts: parts.collect(),
        expires_at: "2030-01-01T00:00:00Z".to_owned(),
    }
}
