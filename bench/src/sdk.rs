//! The client SDK in this process, behind links: what an app does with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use safelight_api::captures::Network;
use safelight_client::back_off::Patience;
use safelight_client::conditions::Conditions;
use safelight_client::http::HttpTransport;
use safelight_client::journal::Journal;
use safelight_client::pause::TimerPause;
use safelight_client::preview::Preview;
use safelight_client::progress::{Progress, Silent};
use safelight_client::session::{Credential, Session};
use safelight_client::system_entropy::SystemEntropy;
use safelight_client::uploader::{FileOutcome, Settings, Uploader};

/// How long one operation may fail until it is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(300);

/// An app with its journal.
pub struct App {
    uploader: Arc<Uploader>,
}

/// What an app may bring.
pub struct Parts {
    /// Hears what happens.
    pub progress: Arc<dyn Progress>,
    /// Makes previews.
    pub preview: Option<Arc<dyn Preview>>,
}

impl App {
    /// An app that speaks to the API at `url` with a device token, and says that its network is `network`. Its journal
    /// is a fresh one in `dir`.
    pub fn open(url: &str, token: &str, network: Network, dir: &Path) -> anyhow::Result<Self> {
        let parts = Parts {
            progress: Arc::new(Silent),
            preview: None,
        };
        Self::open_with(url, token, network, dir, parts)
    }

    /// The same with what an app may bring.
    pub fn open_with(
        url: &str,
        token: &str,
        network: Network,
        dir: &Path,
        parts: Parts,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let transport = Arc::new(HttpTransport::to(url)?);
        let patience = Patience {
            pause: Arc::new(TimerPause),
            entropy: Arc::new(SystemEntropy),
            progress: parts.progress,
            give_up_after: GIVE_UP_AFTER,
        };
        let credential = Credential::DeviceToken(token.to_owned());
        let device = "bench".to_owned();
        let session = Session::open(transport.clone(), credential, device, patience.clone());
        let journal = Journal::open(&dir.join("journal.db")).context("journal")?;
        let settings = Settings {
            conditions: Conditions::from(network).fixed(),
            preview: parts.preview,
            ..Settings::default()
        };
        let uploader = Uploader::open(Arc::new(session), transport, journal, patience, settings);
        Ok(Self {
            uploader: Arc::new(uploader),
        })
    }

    /// Sends files to the last one's completion.
    pub async fn upload(&self, paths: &[PathBuf]) -> anyhow::Result<Vec<FileOutcome>> {
        let outcomes = self.uploader.upload(paths).await?;
        for outcome in &outcomes {
            ensure!(outcome.failure.is_none(), "{outcome:?}");
        }
        Ok(outcomes)
    }
}
