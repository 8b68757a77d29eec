//! The real server with callers, for tests of what it answers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderMap;
use safelight_catalog::{Catalog, CatalogSettings, Row, Value as Arg};
use safelight_objects::{Capabilities, Objects, StoreSettings};
use safelight_testkit::camera::{self, Scene};
use safelight_testkit::postgres::Cluster;
use safelight_testkit::proxy::{Passed, Proxy};
use safelight_testkit::server::{Server, ServerOptions};
use safelight_testkit::wait;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How long anything may take that the server does by itself: minutes, for clips on a machine that has much else to do, as they
/// are decoded behind it.
pub const PATIENCE: Duration = Duration::from_secs(240);
/// Of every part but the last.
pub const PART_BYTES: usize = 8 * 1024 * 1024;

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

impl Database {
    /// The URL of an empty one; `None` is the server's own default.
    pub fn fresh(self) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(Cluster::shared().unwrap().fresh_database().unwrap()),
        }
    }
}

/// Makes a test on each database of every function named.
macro_rules! on_both_databases {
    ($($test:ident),* $(,)?) => { $(
        mod $test {
            use crate::http_rig::Database;

            #[tokio::test(flavor = "multi_thread")]
            async fn on_sqlite() {
                super::$test(Database::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgres() {
                super::$test(Database::Postgres).await;
            }
        }
    )* };
}
pub(crate) use on_both_databases;

/// A server and what a test needs to talk to it.
pub struct Rig {
    // Dropped first, before its directory goes.
    pub server: Server,
    pub http: reqwest::Client,
    _dir: tempfile::TempDir,
}

pub fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy();
    client.timeout(PATIENCE).build().unwrap()
}

/// The port of a URL that ends with it.
pub fn port(url: &str) -> u16 {
    url.rsplit_once(':').unwrap().1.parse().unwrap()
}

pub fn options(data_dir: PathBuf, catalog_url: Option<String>, args: &[&str]) -> ServerOptions {
    ServerOptions {
        program: env!("CARGO_BIN_EXE_safelight").into(),
        data_dir,
        catalog_url,
        extra_args: args.iter().map(|a| (*a).to_owned()).collect(),
        // Tests that are not of it do not wait for copies to speak, and count what is made at once.
        env: [
            ("SAFELIGHT_REMOVAL_WAIT_SECONDS", "0"),
            ("SAFELIGHT_AVIF", "no"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
    }
}

impl Rig {
    pub async fn start(database: Database, args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path().join("server"), database.fresh(), args);
        Self::around(Server::start(options).await.unwrap(), dir)
    }

    /// Around a server that was started with more than arguments, and its directory.
    pub fn around(server: Server, dir: tempfile::TempDir) -> Self {
        Self {
            server,
            http: http(),
            _dir: dir,
        }
    }

    /// The tenant's administrator on behalf of an owner.
    pub fn owner(&self, owner: &str) -> Caller {
        self.caller(Some(&self.server.admin_key().unwrap()), Some(owner))
    }

    pub fn caller(&self, token: Option<&str>, owner: Option<&str>) -> Caller {
        Caller {
            base: self.server.url(),
            http: self.http.clone(),
            token: token.map(str::to_owned),
            owner: owner.map(str::to_owned),
        }
    }

    pub async fn catalog(&self) -> Catalog {
        open_catalog(&self.server).await
    }

    pub fn store(&self) -> Objects {
        open_store(&self.server)
    }
}

pub async fn open_catalog(server: &Server) -> Catalog {
    let settings = CatalogSettings::for_url(&server.catalog_url());
    Catalog::open(settings).await.unwrap()
}

/// The embedded store of a server, as its administrator sees it.
pub fn open_store(server: &Server) -> Objects {
    let key = std::fs::read_to_string(server.data_dir().join("keys/store.key")).unwrap();
    let (access_key, secret_key) = key.trim().split_once(':').unwrap();
    let settings = StoreSettings {
        endpoint: Some(server.store_url()),
        public_endpoint: None,
        region: "us-east-1".to_owned(),
        bucket: "safelight".to_owned(),
        access_key: access_key.to_owned(),
        secret_key: secret_key.to_owned(),
        path_style: true,
        request_timeout: StoreSettings::REQUEST_TIMEOUT,
        complete_timeout: StoreSettings::COMPLETE_TIMEOUT,
    };
    Objects::connect(settings, Capabilities::embedded()).unwrap()
}

/// Every object below a prefix.
pub async fn objects(store: &Objects, prefix: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut from = None;
    loop {
        let page = store.list(prefix, from.as_deref(), 1000).await.unwrap();
        keys.extend(page.objects.into_iter().map(|o| o.key));
        from = page.continuation;
        if from.is_none() {
            return keys;
        }
    }
}

/// Rows of a query.
pub async fn rows(catalog: &Catalog, sql: &str) -> Vec<Row> {
    let mut reader = catalog.reader().await.unwrap();
    reader.tx().rows(sql, &[]).await.unwrap()
}

/// The one number that a query answers with.
pub async fn number(catalog: &Catalog, sql: &str) -> i64 {
    rows(catalog, sql).await[0].int(0).unwrap()
}

/// Changes rows behind the server's back, to let time pass.
pub async fn change(catalog: &Catalog, sql: &'static str, args: Vec<Arg>) -> u64 {
    let changed = catalog
        .write(move |tx| Box::pin(async move { tx.exec(sql, &args).await }))
        .await;
    changed.unwrap()
}

/// An API of its own, with the store behind a proxy that can hold requests up.
pub struct Split {
    pub api: Server,
    pub store: Server,
    pub proxy: Proxy,
    /// Methods and paths that the store was asked for.
    pub asked: Arc<Mutex<Vec<String>>>,
    pub http: reqwest::Client,
    _dir: tempfile::TempDir,
}

impl Split {
    pub async fn start(database: Database) -> Self {
        Self::start_with(database, &[]).await
    }

    /// With further arguments for the API.
    pub async fn start_with(database: Database, more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Server::start(options(
            dir.path().join("store"),
            None,
            &["--roles", "store"],
        ));
        let store = store.await.unwrap();
        let port = port(&store.store_url());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let noted = asked.clone();
        let hook = Arc::new(move |passed: Passed| noted.lock().unwrap().push(passed.line));
        let proxy = Proxy::start(port, hook).await.unwrap();
        let keys = store.data_dir().join("keys").display().to_string();
        let args = [
            "--roles",
            "api,delivery,worker,janitor",
            "--keys-dir",
            &keys,
            "--store-public-url",
            &proxy.url(),
        ];
        let args = [&args[..], more].concat();
        let api = options(dir.path().join("api"), database.fresh(), &args);
        Self {
            api: Server::start(api).await.unwrap(),
            store,
            proxy,
            asked,
            http: http(),
            _dir: dir,
        }
    }

    pub fn owner(&self, owner: &str) -> Caller {
        Caller {
            base: self.api.url(),
            http: self.http.clone(),
            token: Some(self.store.admin_key().unwrap()),
            owner: Some(owner.to_owned()),
        }
    }
}

/// Who asks.
#[derive(Clone)]
pub struct Caller {
    pub base: String,
    pub http: reqwest::Client,
    pub token: Option<String>,
    pub owner: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A key that was not used before.
pub fn fresh_key() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!(
        "{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

impl Caller {
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(owner) = &self.owner {
            request = request.header("safelight-owner", owner);
        }
        request
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        answer(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_as(path, &fresh_key(), body).await
    }

    pub async fn post_as(&self, path: &str, key: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, path);
        answer(request.header("idempotency-key", key).json(body)).await
    }

    /// Changes something, with further headers.
    pub async fn patch(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let mut request = self.request(Method::PATCH, path).json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    /// Initiates a capture of these files, and returns the assets of the answer.
    pub async fn initiate(&self, files: &[&[u8]]) -> Vec<Value> {
        let made = self.post("/v1/captures", &capture(files)).await;
        let made = made.expect(201);
        made["assets"].as_array().unwrap().clone()
    }

    /// Signs and sends these parts (from 1) of a multipart upload.
    pub async fn send_parts(&self, upload_id: &str, file: &[u8], numbers: &[usize]) {
        let chunks: Vec<&[u8]> = file.chunks(PART_BYTES).collect();
        let parts: Vec<Value> = numbers
            .iter()
            .map(|n| json!({ "number": n, "sha256": sha256(chunks[n - 1]) }))
            .collect();
        let path = format!("/v1/uploads/{upload_id}/urls");
        let signed = self.post(&path, &json!({ "parts": parts })).await;
        for url in signed.expect(200)["urls"].as_array().unwrap() {
            let number = url["number"].as_u64().unwrap() as usize;
            let sent = put(&self.http, url, chunks[number - 1].to_vec()).await;
            assert_eq!(sent.status, 200, "{sent:?}");
        }
    }

    /// Sends the bytes of an asset as its plan says.
    pub async fn send(&self, asset: &Value, file: &[u8]) {
        let upload = &asset["uploads"][0];
        if upload["plan"]["transport"] == "single" {
            let sent = put(&self.http, &upload["urls"][0], file.to_vec()).await;
            assert_eq!(sent.status, 200, "{sent:?}");
        } else {
            let all: Vec<usize> = (1..=file.len().div_ceil(PART_BYTES)).collect();
            self.send_parts(text(&upload["upload_id"]), file, &all)
                .await;
        }
    }

    pub async fn complete(&self, upload_id: &str) -> Answer {
        let path = format!("/v1/uploads/{upload_id}/complete");
        self.post(&path, &json!({})).await
    }

    /// Takes a file all the way into the store; its asset's id.
    pub async fn upload(&self, file: &[u8]) -> String {
        let asset = self.initiate(&[file]).await.remove(0);
        self.send(&asset, file).await;
        let upload_id = text(&asset["uploads"][0]["upload_id"]);
        self.complete(upload_id).await.expect(200);
        text(&asset["asset_id"]).to_owned()
    }

    /// The asset with every field.
    pub async fn asset(&self, asset_id: &str) -> Value {
        let fields = "thumbhash,capture,original,renditions,times";
        let path = format!("/v1/assets/{asset_id}?fields={fields}");
        self.get(&path).await.expect(200)
    }

    /// Waits until nothing more happens to an asset by itself.
    pub async fn settled(&self, asset_id: &str) -> Value {
        let settled = wait::until_some(PATIENCE, async || {
            let asset = self.asset(asset_id).await;
            let moving = ["initiated", "uploading", "uploaded", "processing"];
            let pending = |asset: &Value| match asset["renditions"].as_object() {
                Some(all) => all.values().any(|r| r["state"] == "pending"),
                None => false,
            };
            (!moving.contains(&text(&asset["state"])) && !pending(&asset)).then_some(asset)
        });
        settled.await.unwrap()
    }

    /// Waits until an asset is ready.
    pub async fn ready(&self, asset_id: &str) -> Value {
        let asset = self.settled(asset_id).await;
        assert_eq!(asset["state"], "ready", "{asset}");
        asset
    }

    /// The original, by a grant.
    pub async fn original(&self, asset_id: &str) -> Bytes {
        let path = format!("/v1/assets/{asset_id}/grants");
        let granted = self.post(&path, &json!({})).await.expect(201);
        let read = fetch(&self.http, text(&granted["url"])).await;
        assert_eq!(read.status, 200, "{read:?}");
        read.body
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// The body of an answer with this status.
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }

    /// Checks that this is the problem of a code, in full; its body.
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["type"], format!("/docs/errors/{code}"));
        assert_eq!(problem["status"], status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        let request_id = text(&problem["request_id"]);
        assert!(request_id.starts_with("req_"), "{problem}");
        assert_eq!(self.header("request-id"), request_id);
        for field in ["title", "detail"] {
            assert!(!text(&problem[field]).is_empty(), "{problem}");
        }
        problem
    }
}

/// An initiation that the server is at, and whose body is not all there yet.
pub struct HalfSent {
    stream: TcpStream,
    rest: String,
}

impl HalfSent {
    /// Sends its head and half of its body; returns once the server reads it.
    pub fn begin(caller: &Caller, body: &str) -> Self {
        let address = caller.base.replace("http://", "");
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST /v1/captures HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\nsafelight-owner: {}\r\n\
             idempotency-key: {}\r\ncontent-length: {}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
            caller.token.as_deref().unwrap(),
            caller.owner.as_deref().unwrap(),
            fresh_key(),
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut go_on = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        stream.read_exact(&mut go_on).unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        let (half, rest) = body.split_at(body.len() / 2);
        stream.write_all(half.as_bytes()).unwrap();
        Self {
            stream,
            rest: rest.to_owned(),
        }
    }

    /// Sends what is missing; the answer as it came.
    pub fn end(mut self) -> String {
        self.stream.write_all(self.rest.as_bytes()).unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.bytes().await.unwrap(),
    }
}

pub async fn fetch(http: &reqwest::Client, url: &str) -> Answer {
    answer(http.get(url)).await
}

/// Sends bytes to a signed URL as its answer says.
pub async fn put(http: &reqwest::Client, url: &Value, bytes: Vec<u8>) -> Answer {
    let mut request = http.put(text(&url["url"]));
    for (name, value) in url["headers"].as_object().into_iter().flatten() {
        request = request.header(name, text(value));
    }
    answer(request.body(bytes)).await
}

/// The body of an initiation of these files.
pub fn capture(files: &[&[u8]]) -> Value {
    let assets: Vec<Value> = files
        .iter()
        .enumerate()
        .map(|(i, file)| {
            json!({ "client_ref": format!("a{i}"), "resources": [{
                "filename": format!("IMG_{i}.jpg"), "mime": "image/jpeg",
                "size_bytes": file.len(), "sha256": sha256(file),
            }] })
        })
        .collect();
    json!({ "client_ref": fresh_key(), "mode": "single", "assets": assets })
}

/// A small photo; each seed gives another.
pub fn photo(seed: u64) -> Vec<u8> {
    camera::photo(&Scene {
        seed,
        width: 320,
        height: 240,
        ..Scene::default()
    })
}

/// A photo with so many bytes behind its end that it has to go by parts.
pub fn large_photo(seed: u64, size_bytes: usize) -> Vec<u8> {
    let mut file = photo(seed);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while file.len() < size_bytes {
        // xorshift64: quick, and does not compress.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.extend(state.to_le_bytes());
    }
    file.truncate(size_bytes);
    file
}

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The text of a JSON value; empty for anything else.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
