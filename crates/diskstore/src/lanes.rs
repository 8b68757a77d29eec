//! The threads on which connections are served.
//!
//! A body's bytes come in hundreds of pieces, and a task that wakes itself for each of them has a pool of threads wake
//! one another for each, since one of them might be free to take it over: on two cores a quarter of what storing costs.
//! So a connection stays on one thread, of which there are as many as cores, and whatever else the process does is not held
//! up by what is hashed and written there.

use std::cell::OnceCell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

thread_local! {
    /// Connections on this thread, if it is such a one.
    static LOAD: OnceCell<Arc<AtomicUsize>> = const { OnceCell::new() };
}

/// Whether the connection that is served here is the only one of its thread, so that nobody is held up by what it waits
/// for.
pub(crate) fn is_alone() -> bool {
    LOAD.with(|load| {
        load.get()
            .is_some_and(|load| load.load(Ordering::Relaxed) == 1)
    })
}

/// Threads, ended when dropped.
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    _held: watch::Sender<()>,
}

struct Lane {
    handle: Handle,
    /// Connections on it.
    load: Arc<AtomicUsize>,
}

/// A connection's place on a thread, free again when dropped.
pub(crate) struct Place {
    load: Arc<AtomicUsize>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lanes {
    /// Starts as many threads as the process may use cores.
    pub(crate) fn open() -> io::Result<Self> {
        let (held, dropped) = watch::channel(());
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let lanes = (0..count).map(|number| Lane::open(number, dropped.clone()));
        Ok(Self {
            lanes: lanes.collect::<io::Result<_>>()?,
            _held: held,
        })
    }

    /// A place on the thread with the fewest connections, and how to spawn there.
    pub(crate) fn place(&self) -> Option<(Place, &Handle)> {
        let lane = self
            .lanes
            .iter()
            .min_by_key(|lane| lane.load.load(Ordering::Relaxed))?;
        lane.load.fetch_add(1, Ordering::Relaxed);
        let load = lane.load.clone();
        Some((Place { load }, &lane.handle))
    }
}

impl Lane {
    fn open(number: usize, mut dropped: watch::Receiver<()>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let load = Arc::<AtomicUsize>::default();
        let here = load.clone();
        std::thread::Builder::new()
            .name(format!("store-{number}"))
            .spawn(move || {
                let _ = LOAD.with(|load| load.set(here));
                let _ = runtime.block_on(dropped.changed());
                // What is being written then ends by itself.
                runtime.shutdown_background();
            })?;
        Ok(Self { handle, load })
    }
}
