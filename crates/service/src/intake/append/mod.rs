//! The transport `append`: bytes come through the gateway from any offset on, and go to the store in parts of
//! one size as they come.
//!
//! A request takes the upload (`take.rs`): whoever had it in this process flushes and lets go, and the catalog
//! raises the upload's epoch, which shuts out everybody else. Then it receives (`receive.rs`): bytes wait in a file
//! without a name (`scratch.rs`), for which there is a budget (`room.rs`), until they are a part. What is left when a request ends, however it ends, becomes a
//! temporary object, and only then counts as received. A crash costs what was not acknowledged yet: less than a part.
//!
//! When all bytes are there the upload is completed as others are.

pub mod create;
pub mod digest;
pub mod error;
pub mod holders;
pub mod links;
pub mod receive;
mod room;
pub mod scratch;
pub mod store;
pub mod take;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use holders::Holders;
use room::Room;

/// How long a request to the store that begins now may still be carried out: three attempts of half a minute, with
/// time to spare for what the store itself holds back.
pub(crate) const STORE_REQUEST: Duration = Duration::from_secs(15 * 60);

/// What the requests of one gateway share.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Who appends to what in this process.
    pub(crate) holders: Holders,
    /// Room in the scratch directory, in units of [`scratch::UNIT_BYTES`].
    pub(crate) room: Arc<Room>,
    /// How long a client may send nothing in the midst of a body.
    pub(crate) idle: Duration,
    /// Told to flush and let go of everything.
    pub(crate) stop: CancellationToken,
    /// Requests, also those whose client went away.
    pub(crate) running: TaskTracker,
}

impl Gateway {
    /// A gateway that puts at most `scratch_bytes` into files, and lets go of everything at `stop`.
    #[must_use]
    pub fn start(scratch_bytes: u64, idle: Duration, stop: CancellationToken) -> Self {
        let units = u32::try_from(scratch_bytes / scratch::UNIT_BYTES).unwrap_or(u32::MAX);
        Self {
            holders: Holders::default(),
            room: Room::of(units.max(1)),
            idle,
            stop,
            running: TaskTracker::new(),
        }
    }

    /// Waits until the last request has flushed what it received.
    pub async fn drained(&self) {
        self.running.close();
        self.running.wait().await;
    }
}
