//! How far a pass is, on the disk, so that the next process goes on with it.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::sealed;
use crate::store::{DiskStore, Inner};
use crate::temp::Temp;

const FILE: &str = "scrub";

/// The last pass through the store, or the one that is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubState {
    /// When it began, in microseconds since 1970, UTC.
    pub begun_us: i64,
    /// Whether it has been through everything.
    pub done: bool,
    /// Objects and parts of open uploads that were read.
    pub examined: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them cannot be given out: they are not what was written, or cannot be read. The log names each.
    pub damaged: u64,
    /// What could not be looked at for lack of something else; the log says what.
    #[serde(default)]
    pub failed: u64,
    /// Where it goes on.
    pub(super) position: Position,
}

/// A place in the store; what comes before it was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    pub bucket: String,
    pub stage: Stage,
    /// The last key of the stage, if it is one of keys.
    pub after: String,
}

/// What of a bucket is looked at, in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    #[default]
    Objects,
    Uploads,
    Pending,
}

impl ScrubState {
    /// The last pass through the store in a directory, which another process may have open; `None` if there was none.
    pub fn read(root: &Path) -> Option<Self> {
        read(&root.join(FILE))
    }
}

impl DiskStore {
    /// The last pass through the store, or the one that is under way; `None` if there was none.
    pub fn last_scrub(&self) -> Option<ScrubState> {
        read(&self.inner.scrub_path())
    }
}

impl Inner {
    fn scrub_path(&self) -> std::path::PathBuf {
        self.root().join(FILE)
    }
}

/// What is there. A state that cannot be read costs the pass that it is about, which begins anew.
fn read(path: &Path) -> Option<ScrubState> {
    match sealed::open(path) {
        Ok(sealed) => sealed.map(|sealed| sealed.record),
        Err(error @ (Fault::Io(_) | Fault::Damaged { .. })) => {
            tracing::warn!(%error, "where the last scrub ended is not known");
            None
        }
    }
}

/// Writes it. Blocks.
pub(super) fn write(store: &DiskStore, state: &ScrubState) -> io::Result<()> {
    let inner = &store.inner;
    let mut temp = Temp::create(&inner.disk, inner.tmp_path())?;
    temp.seal(state)?;
    inner.tree.publish(temp.path(), &inner.scrub_path())?;
    temp.published();
    Ok(())
}
