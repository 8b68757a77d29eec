//! Sends files: journal, initiation, transfer, completion, and all of it again after a fault.
//!
//! One folder of verbs: [`resume`] finds what the journal knows, [`examine`] reads the rest, [`intend`] puts it into the journal,
//! [`recover`] finds what a lost journal knew, [`ask_ahead`] and [`initiate`] ask the server, [`copy`] makes smaller copies as it advises,
//! in the order that [`encoding`] gives them, [`supersede`] ends what they replace,
//! [`send_file`], [`send_parts`] and
//! [`send_appended`] move the bytes, [`room`] keeps what the server has no room for, [`ask_again`] has the server plan anew,
//! [`split`] too, so that the last files fill the link, [`hold`] and [`cancel`] do what the user
//! wishes, [`tell`] says how it went, [`run`] ties them together.

mod ask_again;
mod ask_ahead;
mod breadth;
mod cancel;
mod company;
mod copy;
mod encoding;
mod examine;
mod forget_failed;
mod hints;
mod hold;
mod initiate;
mod intend;
mod lanes;
mod pace;
mod recover;
mod resume;
mod room;
mod run;
mod send_appended;
mod send_file;
mod send_parts;
mod sign;
mod split;
mod supersede;
mod tell;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use safelight_api::captures::{Device, UploadPlanned};
use safelight_model::clock::{Clock, SystemClock};
use safelight_model::codes::Code;
use safelight_model::duplicates::Duplicates;
use tokio::sync::{Semaphore, watch};

pub use cancel::CancelError;
pub use hold::CaptureStatus;

use crate::back_off::Patience;
use crate::call_error::CallError;
use crate::conditions::{Conditions, Needs};
use crate::encode::Encode;
use crate::fingerprint::Fingerprint;
use crate::gate::{Gate, Hold};
use crate::journal::{FileIntent, FileRow, Journal, JournalError};
use crate::preview::Preview;
use crate::session::Session;
use crate::transport::Transport;

/// What goes with every capture, how many files travel at once, and when.
#[derive(Clone)]
pub struct Settings {
    /// Files that may be under way at once, besides one that was handed over whole and waits for its answer. Few, so that a
    /// broken link loses little; a key frame goes alone, unless others take nothing from it. It begins with as many as the
    /// server says, and more go only while more carry more.
    pub parallel_files: u32,
    /// What the app means the captures for.
    pub purpose: Option<String>,
    /// What becomes of bytes that the owner has already. Of what stands in the journal it stays as it was then.
    pub duplicates: Duplicates,
    /// This phone or machine.
    pub device: Option<Device>,
    /// Its network and battery, as the app knows them at each moment.
    pub conditions: watch::Receiver<Conditions>,
    /// What must hold for anything to be sent.
    pub needs: Needs,
    /// Makes previews of pictures, which go with the initiation; without one there are none.
    pub preview: Option<Arc<dyn Preview>>,
    /// How long an initiation waits for previews when everything else of it is known. Those that are not made by then are
    /// left out.
    pub preview_within: Duration,
    /// Least time between two questions for another plan of one file.
    pub ask_again_after: Duration,
    /// Makes smaller copies where the server advises so; without one, originals are sent.
    pub encode: Option<Arc<dyn Encode>>,
    /// Whether what the server has and could not show, or what was deleted there, is sent once more, as captures of their own.
    pub again: bool,
    /// Says how old it is what was measured.
    pub clock: Arc<dyn Clock>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            parallel_files: 4,
            purpose: None,
            duplicates: Duplicates::Merge,
            device: None,
            conditions: Conditions::default().fixed(),
            needs: Needs::default(),
            preview: None,
            preview_within: Duration::from_secs(1),
            ask_again_after: Duration::from_secs(10),
            encode: None,
            again: false,
            clock: Arc::new(SystemClock),
        }
    }
}

/// Sends files.
pub struct Uploader {
    session: Arc<Session>,
    transport: Arc<dyn Transport>,
    journal: Arc<Mutex<Journal>>,
    patience: Patience,
    settings: Settings,
    gate: Arc<Gate>,
    pace: pace::Pace,
    /// Has one permit: whose file has all gone out, and whose slot the next one has.
    making_way: Semaphore,
    breadth: Arc<breadth::Breadth>,
    remembered: Mutex<hints::Remembered>,
    /// Copies that are being made, and do not stand in the journal yet.
    making: copy::InMaking,
    /// Whose turn it is to make one.
    encoding: encoding::Encoding,
}

impl Uploader {
    /// An uploader that keeps `journal` and speaks through `session` and `transport`.
    #[must_use]
    pub fn open(
        session: Arc<Session>,
        transport: Arc<dyn Transport>,
        journal: Journal,
        patience: Patience,
        settings: Settings,
    ) -> Self {
        Self {
            session,
            transport,
            journal: Arc::new(Mutex::new(journal)),
            patience,
            gate: Arc::new(Gate::new(settings.needs, settings.conditions.clone())),
            settings,
            pace: pace::Pace::default(),
            making_way: Semaphore::new(1),
            breadth: Arc::default(),
            remembered: Mutex::default(),
            making: copy::InMaking::default(),
            encoding: encoding::Encoding::default(),
        }
    }

    fn remembered(&self) -> MutexGuard<'_, hints::Remembered> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Uses the journal on a thread that may wait for the disk.
    async fn journal<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Journal) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let journal = self.journal.clone();
        blocking(move || f(&mut journal.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}

/// Runs `f` on a thread that may wait for the disk. A panic in it goes on in the caller.
async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(f).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going down, and nobody will look at the outcome.
            Err(_) => std::future::pending().await,
        },
    }
}

/// What became of a file.
#[derive(Clone, Debug)]
pub struct FileOutcome {
    /// The file.
    pub path: PathBuf,
    /// `key`, `frame`, `still` or `clip`; `None` when it was not looked at.
    pub role: Option<String>,
    /// Its size, if it could be read.
    pub size_bytes: Option<i64>,
    /// Its capture.
    pub capture_id: Option<String>,
    /// Its asset.
    pub asset_id: Option<String>,
    /// The asset's state when it was last heard of.
    pub state: Option<String>,
    /// Bytes that this run sent, repetitions included.
    pub sent_bytes: i64,
    /// Whether the server had all of it before.
    pub already_there: bool,
    /// What the file was when it came into the journal.
    pub fingerprint: Option<Fingerprint>,
    /// The SHA-256 of the smaller copy that is sent in its place.
    pub copy_sha256: Option<String>,
    /// Why it could not be sent.
    pub failure: Option<Failure>,
}

impl FileOutcome {
    fn failed(path: PathBuf, failure: Failure) -> Self {
        Self {
            path,
            role: None,
            size_bytes: None,
            capture_id: None,
            asset_id: None,
            state: None,
            sent_bytes: 0,
            already_there: false,
            fingerprint: None,
            copy_sha256: None,
            failure: Some(failure),
        }
    }
}

/// Why a file could not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A code of the API's list, or one of the client's own: `file_changed`, `file_unreadable`,
    /// `unreachable`, `connection_broken`, `journal_failed`, `plan_not_understood`, `cancelled`.
    pub code: String,
    /// What happened, and what to do next.
    pub detail: String,
}

impl Failure {
    fn of(code: &str, detail: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            detail: detail.into(),
        }
    }

    fn unreadable(error: &std::io::Error) -> Self {
        Self::of(
            "file_unreadable",
            format!("the file cannot be read: {error}"),
        )
    }

    fn cancelled() -> Self {
        Self::of(
            Hold::Cancelled.as_str(),
            "this capture was given up; what of it had arrived whole stays",
        )
    }

    fn deleted() -> Self {
        Self::of(
            Code::AssetDeleted.as_str(),
            "this file's asset was deleted at the server; it is not sent again",
        )
    }

    fn changed() -> Self {
        Self::of(
            "file_changed",
            "the file changed since its upload began; run the upload again to send it as it is now",
        )
    }
}

impl From<&CallError> for Failure {
    fn from(error: &CallError) -> Self {
        Self::of(error.code(), error.detail())
    }
}

impl From<&JournalError> for Failure {
    fn from(error: &JournalError) -> Self {
        Self::of("journal_failed", error.to_string())
    }
}

/// A capture that was found at the server.
struct Recovered {
    capture_id: String,
    capture_ref: String,
    files: Vec<FileIntent>,
}

/// A file that stands in the journal and is wanted in this run.
#[derive(Clone, Debug)]
struct WorkFile {
    path: PathBuf,
    row: FileRow,
}

impl WorkFile {
    /// Where the bytes are that are sent: in the file, or in a smaller copy.
    fn source(&self) -> &Path {
        self.row.copy.as_ref().map_or(&self.path, |c| &c.path)
    }

    /// What is sent of it.
    fn sent(&self) -> &Fingerprint {
        self.row
            .copy
            .as_ref()
            .map_or(&self.row.fingerprint, |c| &c.fingerprint)
    }

    fn outcome(&self) -> FileOutcome {
        FileOutcome {
            path: self.path.clone(),
            role: Some(self.row.role.clone()),
            size_bytes: Some(self.row.fingerprint.stamp.size_bytes),
            capture_id: None,
            asset_id: None,
            state: None,
            sent_bytes: 0,
            already_there: false,
            fingerprint: Some(self.row.fingerprint.clone()),
            copy_sha256: self.row.copy.as_ref().map(|c| c.fingerprint.sha256.clone()),
            failure: None,
        }
    }

    fn failed(&self, failure: Failure) -> FileOutcome {
        FileOutcome {
            failure: Some(failure),
            ..self.outcome()
        }
    }
}

/// A capture that stands in the journal, with those of its files that are wanted in this run.
#[derive(Clone, Debug)]
struct Known {
    seq: i64,
    files: Vec<WorkFile>,
}

/// A file whose bytes are to be sent.
#[derive(Clone, Debug)]
struct FileJob {
    file: WorkFile,
    capture_id: String,
    asset_id: String,
    upload: UploadPlanned,
    /// Whether bytes of it may have been sent before, by this run or one that was killed.
    resumed: bool,
    /// Whether it goes in parts because it is among the last: over as many connections as others leave.
    is_split: bool,
    /// What its plan was made by.
    basis: hints::Basis,
}

impl FileJob {
    fn outcome(&self) -> FileOutcome {
        FileOutcome {
            capture_id: Some(self.capture_id.clone()),
            asset_id: Some(self.asset_id.clone()),
            ..self.file.outcome()
        }
    }
}
