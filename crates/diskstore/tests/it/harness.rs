//! A running store and its clients.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::error::ProvideErrorMetadata;
use safelight_diskstore::{DiskStore, Settings, serve};
use safelight_testkit::wait;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What [`Code::code_text`] says of a connection that broke.
pub const NO_ANSWER: &str = "not an answer of the service";
pub const BUCKET: &str = "originals";
pub const ACCESS_KEY: &str = "test-access-key";
pub const SECRET_KEY: &str = "test-secret-key";

/// A store that listens on a free port.
pub struct Running {
    pub endpoint: String,
    pub store: DiskStore,
    root: PathBuf,
    _dir: Option<TempDir>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<std::io::Result<()>>>,
}

pub fn settings(root: &Path) -> Settings {
    Settings {
        buckets: vec![BUCKET.to_owned()],
        ..Settings::new(root, ACCESS_KEY, SECRET_KEY)
    }
}

impl Running {
    /// Over a fresh directory.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Over a fresh directory, with other settings.
    pub async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("store");
        let mut settings = settings(&root);
        change(&mut settings);
        let mut running = Self::open(settings).await;
        running._dir = Some(dir);
        running
    }

    /// Over a directory of the caller's.
    pub async fn open(settings: Settings) -> Self {
        let root = settings.root.clone();
        let store = DiskStore::open(settings).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(serve(store.clone(), listener, async {
            let _ = stopped.await;
        }));
        Self {
            endpoint,
            store,
            root,
            _dir: None,
            stop: Some(stop),
            task: Some(task),
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A client that adds checksums only where it must.
    pub fn client(&self) -> Client {
        client(&self.endpoint, RequestChecksumCalculation::WhenRequired)
    }

    /// A client with the SDK's defaults: CRCs in trailers.
    pub fn default_client(&self) -> Client {
        client(&self.endpoint, RequestChecksumCalculation::WhenSupported)
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        self.endpoint.strip_prefix("http://").unwrap()
    }

    /// A client that puts the bucket into the host's name, for URLs that others send.
    pub fn virtual_host_client(&self, name: &str) -> Client {
        let port = self.address().rsplit_once(':').unwrap().1;
        let config = config(
            &format!("http://{name}:{port}"),
            RequestChecksumCalculation::WhenRequired,
        );
        Client::from_conf(config.force_path_style(false).build())
    }

    /// A client with another key.
    pub fn client_of(&self, access_key: &str, secret: &str) -> Client {
        let config = config(&self.endpoint, RequestChecksumCalculation::WhenRequired);
        let credentials = Credentials::new(access_key, secret, None, None, "test");
        Client::from_conf(config.credentials_provider(credentials).build())
    }

    /// Stops it and waits until it has.
    pub async fn stop(mut self) {
        let _ = self.stop.take().unwrap().send(());
        self.task.take().unwrap().await.unwrap().unwrap();
    }

    /// The files in `tmp/`.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        files_below(&self.root.join("tmp"))
    }

    /// The part files of all uploads.
    pub fn part_files(&self) -> Vec<PathBuf> {
        let mut files = files_below(&self.root.join("buckets").join(BUCKET).join("uploads"));
        files.retain(|path| path.file_name().unwrap() != "upload");
        files.sort();
        files
    }
}

pub fn client(endpoint: &str, calculation: RequestChecksumCalculation) -> Client {
    Client::from_conf(config(endpoint, calculation).build())
}

fn config(endpoint: &str, calculation: RequestChecksumCalculation) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
        .force_path_style(true)
        .endpoint_url(endpoint)
        .request_checksum_calculation(calculation)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
}

pub fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else {
            continue;
        };
        for entry in entries {
            let entry = entry.unwrap();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                dirs.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    files
}

/// Bytes that do not repeat.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// The S3 code of an error.
pub trait Code {
    fn code_text(&self) -> String;
}

impl<E: ProvideErrorMetadata, R> Code for aws_sdk_s3::error::SdkError<E, R> {
    fn code_text(&self) -> String {
        self.as_service_error()
            .and_then(|error| error.code())
            .unwrap_or(NO_ANSWER)
            .to_owned()
    }
}

/// Waits until something holds, at most half a minute.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let held = wait::until(Duration::from_secs(30), async || holds()).await;
    assert!(held.is_ok(), "never: {what}");
}

pub async fn put(client: &Client, key: &str, body: &[u8]) -> String {
    client
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .body(body.to_vec().into())
        .send()
        .await
        .unwrap()
        .e_tag
        .unwrap()
}

pub async fn get(client: &Client, key: &str) -> Vec<u8> {
    let output = client
        .get_object()
        .bucket(BUCKET)
        .key(key)
        .send()
        .await
        .unwrap();
    output.body.collect().await.unwrap().to_vec()
}
