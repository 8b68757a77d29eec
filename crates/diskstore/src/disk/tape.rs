//! A record of what was done to the file system, step by step, and faults on demand.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Something that changes the file system, or makes a change lasting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    MakeDir(PathBuf),
    Create { path: PathBuf, id: u64 },
    Write { id: u64, at: u64, bytes: Vec<u8> },
    SyncFile { id: u64 },
    Rename { from: PathBuf, to: PathBuf },
    Link { from: PathBuf, to: PathBuf },
    RemoveFile(PathBuf),
    RemoveDir(PathBuf),
    SyncDir(PathBuf),
    SyncAll,
}

/// A disk that notes what is done to it.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    steps: Vec<Step>,
    /// How many steps were asked for, also those that failed.
    asked: usize,
    fault: Option<Fault>,
}

/// Steps that fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// The first of them, counted from 0.
    pub from: usize,
    /// The first that works again; `usize::MAX` if none does.
    pub to: usize,
    pub errno: rustix::io::Errno,
    /// Whether what gives room or costs none works nevertheless, as on a full disk: syncs and removals.
    pub only_growth: bool,
}

impl Tape {
    /// What was done so far.
    pub(crate) fn steps(&self) -> Vec<Step> {
        self.lock().steps.clone()
    }

    /// How many steps were done so far.
    pub(crate) fn len(&self) -> usize {
        self.lock().steps.len()
    }

    /// How many steps were asked for.
    pub(crate) fn asked(&self) -> usize {
        self.lock().asked
    }

    /// Lets steps fail from now on; counting begins at 0 again.
    pub(crate) fn fail(&self, fault: Option<Fault>) {
        let mut state = self.lock();
        state.fault = fault;
        state.asked = 0;
    }

    /// Does a step unless it is to fail. One at a time, so that the record has the order in which they were done.
    pub(super) fn perform<T>(
        &self,
        step: Step,
        work: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.lock();
        let at = state.asked;
        state.asked += 1;
        if let Some(fault) = state.fault
            && (fault.from..fault.to).contains(&at)
            && (step.grows() || !fault.only_growth)
        {
            return Err(fault.errno.into());
        }
        let done = work()?;
        state.steps.push(step);
        Ok(done)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Step {
    fn grows(&self) -> bool {
        matches!(
            self,
            Self::MakeDir(_) | Self::Create { .. } | Self::Write { .. } | Self::Link { .. }
        )
    }
}

impl super::Disk {
    /// The file system, recorded.
    pub(crate) fn recorded(tape: &std::sync::Arc<Tape>) -> Self {
        Self {
            tape: Some(std::sync::Arc::clone(tape)),
        }
    }
}

/// A number for a file that no other has.
pub(super) fn draw_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The next bytes of a file, which stays where it stands.
pub(super) fn peek(from: &mut File, bytes: u64) -> io::Result<Vec<u8>> {
    use std::io::Seek as _;
    let at = from.stream_position()?;
    let length = bytes.min(from.metadata()?.len().saturating_sub(at));
    let mut peeked = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    from.read_exact_at(&mut peeked, at)?;
    Ok(peeked)
}
