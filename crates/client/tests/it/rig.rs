//! A client set up for a test: files, journal, and time that does not pass.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use safelight_client::back_off::Patience;
use safelight_client::gate::Hold;
use safelight_client::http::HttpTransport;
use safelight_client::journal::Journal;
use safelight_client::pause::Pause;
use safelight_client::progress::{Event, Progress};
use safelight_client::session::{Credential, Session};
use safelight_client::transport::Transport;
use safelight_client::uploader::{FileOutcome, Settings, Uploader};
use safelight_model::entropy::SeededEntropy;

use crate::fake_server::{API_KEY, FakeServer};

/// Notes how long it was to wait, and does not.
#[derive(Default)]
pub struct NotedPause(pub Mutex<Vec<Duration>>);

#[async_trait::async_trait]
impl Pause for NotedPause {
    async fn pause(&self, duration: Duration) {
        self.0.lock().unwrap().push(duration);
        tokio::task::yield_now().await;
    }
}

/// Why files were held back, as it was told; and of which no smaller copy could be made, and why.
#[derive(Default)]
pub struct Heard(pub Mutex<Vec<Hold>>, pub Mutex<Vec<(PathBuf, String)>>);

impl Progress for Heard {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Held { hold, .. } => self.0.lock().unwrap().push(*hold),
            Event::NoCopy { file, why } => {
                let told = (file.to_path_buf(), (*why).to_owned());
                self.1.lock().unwrap().push(told);
            }
            _ => {}
        }
    }
}

/// Returns once `is_so`, which takes no minute.
pub async fn wait(is_so: impl Fn() -> bool) {
    let came = tokio::time::timeout(Duration::from_secs(60), turns(is_so)).await;
    assert!(came.is_ok(), "what was waited for never came");
}

async fn turns(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

pub struct Rig {
    pub server: FakeServer,
    pub dir: tempfile::TempDir,
    pub pause: Arc<NotedPause>,
    pub heard: Arc<Heard>,
    pub give_up_after: Duration,
}

impl Rig {
    pub async fn start() -> Self {
        Self {
            server: FakeServer::start().await,
            dir: tempfile::tempdir().unwrap(),
            pause: Arc::default(),
            heard: Arc::default(),
            give_up_after: Duration::from_secs(60),
        }
    }

    /// Writes a file of this size; its content depends on its name.
    pub fn file(&self, name: &str, size_bytes: usize) -> PathBuf {
        let path = self.dir.path().join(name);
        write(&path, name, size_bytes);
        std::fs::canonicalize(path).unwrap()
    }

    pub fn journal(&self) -> PathBuf {
        self.dir.path().join("journal.db")
    }

    fn patience(&self) -> Patience {
        // Every run draws other numbers, as it would in life.
        static RUNS: AtomicU64 = AtomicU64::new(1);
        Patience {
            pause: self.pause.clone(),
            entropy: Arc::new(SeededEntropy::new(RUNS.fetch_add(1, Ordering::SeqCst))),
            progress: self.heard.clone(),
            give_up_after: self.give_up_after,
        }
    }

    pub fn session(&self) -> (Arc<Session>, Arc<HttpTransport>) {
        let transport = Arc::new(HttpTransport::to(&self.server.url).unwrap());
        let credential = Credential::ApiKey {
            key: API_KEY.to_owned(),
            owner: "ann".to_owned(),
        };
        let patience = self.patience();
        let session = Session::open(transport.clone(), credential, "phone".to_owned(), patience);
        (Arc::new(session), transport)
    }

    /// One run of a process that uploads these files.
    pub async fn upload(&self, paths: &[PathBuf]) -> Vec<FileOutcome> {
        let uploader = self.uploader(Settings::default());
        uploader.upload(paths).await.unwrap()
    }

    /// A process that is about to upload.
    pub fn uploader(&self, settings: Settings) -> Arc<Uploader> {
        let (session, transport) = self.session();
        let journal = Journal::open(&self.journal()).unwrap();
        let patience = self.patience();
        Arc::new(Uploader::open(
            session, transport, journal, patience, settings,
        ))
    }

    /// A process that is about to upload over another link.
    pub fn uploader_over(
        &self,
        settings: Settings,
        link: impl FnOnce(Arc<HttpTransport>) -> Arc<dyn Transport>,
    ) -> Arc<Uploader> {
        let link = link(Arc::new(HttpTransport::to(&self.server.url).unwrap()));
        let credential = Credential::ApiKey {
            key: API_KEY.to_owned(),
            owner: "ann".to_owned(),
        };
        let session = Session::open(
            link.clone(),
            credential,
            "phone".to_owned(),
            self.patience(),
        );
        let journal = Journal::open(&self.journal()).unwrap();
        let patience = self.patience();
        Arc::new(Uploader::open(
            Arc::new(session),
            link,
            journal,
            patience,
            settings,
        ))
    }

    /// Waits until the server was asked something of this kind so many times.
    pub async fn asked(&self, kind: &str, times: usize) {
        let asked = turns(|| self.server.world().count(kind) >= times);
        let asked = tokio::time::timeout(Duration::from_secs(60), asked).await;
        assert!(asked.is_ok(), "{kind}: {:?}", self.server.world().log);
    }
}

pub fn write(path: &Path, seed: &str, size_bytes: usize) {
    let seed = seed
        .bytes()
        .fold(7_u64, |a, b| a * 31 % 65_521 + u64::from(b));
    let bytes: Vec<u8> = (0..size_bytes as u64)
        .map(|i| ((i * 131 + seed * 17 + i / 251) % 256) as u8)
        .collect();
    std::fs::write(path, bytes).unwrap();
}

/// The codes of what failed; empty when nothing did.
pub fn failures(outcomes: &[FileOutcome]) -> Vec<String> {
    let failed = outcomes.iter().filter_map(|o| o.failure.as_ref());
    failed
        .map(|f| format!("{}: {}", f.code, f.detail))
        .collect()
}
