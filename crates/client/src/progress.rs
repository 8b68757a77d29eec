//! What happens during an upload, for whoever shows it.

use std::path::Path;
use std::time::Duration;

use crate::gate::Hold;

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// Files that are to be sent were found. Comes once.
    Found {
        /// How many.
        files: usize,
        /// Their size in all.
        size_bytes: i64,
    },
    /// A file's bytes begin to go out.
    Started {
        /// The file.
        file: &'a Path,
        /// Its size.
        size_bytes: i64,
    },
    /// More of a file was sent; or less counts, after a part has to go again.
    Sent {
        /// The file.
        file: &'a Path,
        /// How much of it has gone out or was there already.
        sent_bytes: i64,
    },
    /// The server has the whole file.
    Uploaded {
        /// The file.
        file: &'a Path,
        /// Its size.
        size_bytes: i64,
        /// Whether the server had it before.
        already_there: bool,
    },
    /// A file could not be sent.
    Failed {
        /// The file.
        file: &'a Path,
        /// The code.
        code: &'a str,
        /// Why, in words.
        detail: &'a str,
    },
    /// A file is not sent now. It goes on by itself when the reason is gone.
    Held {
        /// The file.
        file: &'a Path,
        /// The reason.
        hold: Hold,
    },
    /// No smaller copy of a file could be made, although the server advised one: the file is sent as it is. What the encoder
    /// declines is not told.
    NoCopy {
        /// The file.
        file: &'a Path,
        /// What did not work.
        why: &'a str,
    },
    /// Something did not work and is tried again.
    Waiting {
        /// What did not work.
        why: &'a str,
        /// How long until the next try.
        wait: Duration,
    },
}

/// Hears what happens. Called from many tasks, so it must be quick.
pub trait Progress: Send + Sync + 'static {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _event: &Event<'_>) {}
}
