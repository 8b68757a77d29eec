//! The durable queue: what is to be sent stands here before any network is touched.
//!
//! One SQLite file, written with `synchronous=FULL`: what a call returned from is on the disk, and a
//! process killed at any instruction leaves either all of a change or none of it. The journal holds
//! what was meant (references, idempotency keys, the request byte for byte); what arrived, the
//! server knows.
//!
//! | state of a file | meaning, and what a crash in it leads to |
//! |---|---|
//! | `waiting` | not known to have arrived whole; the next run initiates again with the same key, asks the server what it holds and sends the rest |
//! | `uploaded` | the server confirmed it; the next run only asks for its state |
//! | `dropped` | the file changed before it had arrived, the server refused the capture, or the user cancelled it; the next run treats the path as never seen |
//!
//! | wish of a capture | meaning |
//! |---|---|
//! | `send` | it is sent when its needs and the conditions allow |
//! | `paused` | it waits until it is resumed, also across restarts |
//! | `cancelling` | it is given up; what the server has of it is still to be aborted, by whoever comes next |
//! | `cancelled` | that is done |
//!
//! The journal also keeps which uploads the server is still to end, since smaller copies go in their place, and what was last
//! measured of each kind of link, for the first request of the next run.

mod copies;
mod link;
mod open;
mod read;
mod superseded;
mod transfer;
mod wish;
mod write;

use std::path::PathBuf;

pub use copies::Renewal;
pub use superseded::Superseded;

use crate::fingerprint::{Fingerprint, Stamp};
use crate::gate::Wish;

/// The journal. One process at a time.
#[derive(Debug)]
pub struct Journal {
    db: rusqlite::Connection,
    copies: PathBuf,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process is using it.
    #[error("the journal {} is in use: another upload is running", .0.display())]
    InUse(PathBuf),
    /// A later version of the program wrote it.
    #[error("the journal {} was written by a later version of safelight", .0.display())]
    TooNew(PathBuf),
    /// Its folder cannot be made.
    #[error("cannot make the folder of the journal {}: {source}", .path.display())]
    Folder {
        /// The journal.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database failed.
    #[error("the journal failed: {0}")]
    Database(#[from] rusqlite::Error),
}

/// A capture that is to go into the journal.
#[derive(Clone, Debug)]
pub struct CaptureIntent {
    /// The client's reference.
    pub client_ref: String,
    /// Goes with every try to initiate it.
    pub idempotency_key: String,
    /// The request, as it will be sent byte for byte.
    pub request: String,
    /// Its files, in the order of the request's assets.
    pub files: Vec<FileIntent>,
}

/// A file of a [`CaptureIntent`].
#[derive(Clone, Debug)]
pub struct FileIntent {
    /// The reference of its asset.
    pub client_ref: String,
    /// Where it is.
    pub path: PathBuf,
    /// `key`, `frame`, `still` or `clip`.
    pub role: String,
    /// What it is.
    pub fingerprint: Fingerprint,
    /// Its preview, as it stands in the capture's request, which keeps it.
    pub preview: Option<String>,
}

/// A capture of the journal.
#[derive(Clone, Debug)]
pub struct CaptureRow {
    /// Names it in the journal.
    pub seq: i64,
    /// The client's reference.
    pub client_ref: String,
    /// Goes with every try to initiate it.
    pub idempotency_key: String,
    /// The request, byte for byte.
    pub request: String,
    /// The server's id of it, once it answered. From then on bytes may have been sent.
    pub capture_id: Option<String>,
}

/// A capture of which something is still to be done, with its files.
#[derive(Clone, Debug)]
pub struct OpenCapture {
    /// Names it in the journal.
    pub seq: i64,
    /// The client's reference.
    pub client_ref: String,
    /// The reference under which it came into the journal: another one, if it was renewed since.
    pub first_ref: String,
    /// What the user wishes of it.
    pub wish: Wish,
    /// Its files that were not dropped.
    pub files: Vec<OpenFile>,
}

/// A file of an [`OpenCapture`].
#[derive(Clone, Debug)]
pub struct OpenFile {
    /// Names it in the journal.
    pub seq: i64,
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size_bytes: i64,
    /// The SHA-256 of what is sent of it.
    pub sha256: String,
    /// Its upload at the server, if that is known.
    pub upload_id: Option<String>,
    /// Whether the server has confirmed it.
    pub is_uploaded: bool,
}

impl FileRow {
    /// Whether a copy was to be sent that is no longer there.
    #[must_use]
    pub fn is_copy_lost(&self) -> bool {
        self.copy
            .as_ref()
            .is_some_and(|c| Stamp::of(&c.path).ok() != Some(c.fingerprint.stamp))
    }
}

/// A file of the journal.
#[derive(Clone, Debug)]
pub struct FileRow {
    /// Names it in the journal.
    pub seq: i64,
    /// Its capture.
    pub capture_seq: i64,
    /// The reference of its asset.
    pub client_ref: String,
    /// `key`, `frame`, `still` or `clip`.
    pub role: String,
    /// What it was when it came into the journal.
    pub fingerprint: Fingerprint,
    /// The smaller copy that is sent in its place.
    pub copy: Option<Copied>,
    /// Whether it was settled whether a smaller copy is sent.
    pub is_considered: bool,
    /// Whether the server has confirmed it.
    pub is_uploaded: bool,
    /// Whether its asset was deleted at the server: it is not sent again.
    pub is_deleted: bool,
}

/// A smaller copy of a file.
#[derive(Clone, Debug)]
pub struct Copied {
    /// Where it is: beside the journal, until all of its capture has arrived.
    pub path: PathBuf,
    /// What it is.
    pub fingerprint: Fingerprint,
}

/// What the server said of a file when its capture was initiated.
#[derive(Clone, Debug)]
pub struct FilePlanned {
    /// The file.
    pub seq: i64,
    /// Its asset.
    pub asset_id: String,
    /// Its upload, if there is anything to send.
    pub upload_id: Option<String>,
    /// The plan of the upload, as JSON.
    pub plan: Option<String>,
}
