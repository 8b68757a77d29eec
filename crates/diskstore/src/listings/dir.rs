//! A directory that is kept, or is about to be.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::order::Order;
use crate::keypath::Name;

/// What a directory takes besides its names, about.
const DIR_BYTES: usize = 512;

pub(super) struct Dir {
    state: Mutex<State>,
    is_ready: Condvar,
    is_building: AtomicBool,
    listed: AtomicU64,
    memory_bytes: AtomicUsize,
    files: AtomicUsize,
    scratch_bytes: AtomicU64,
    /// That of all.
    total_memory_bytes: Arc<AtomicUsize>,
}

pub(super) enum State {
    /// A thread reads it.
    Building(Noted),
    Kept(Order),
    /// It was given up. This is its last state.
    Over,
}

/// The names that changed while a directory was being read.
pub(super) struct Noted {
    /// `None` if they are too many.
    names: Option<BTreeSet<Name>>,
}

impl Noted {
    pub(super) fn note(&mut self, name: Name, most: usize) {
        if let Some(names) = &mut self.names {
            names.insert(name);
            if names.len() > most {
                self.names = None;
            }
        }
    }

    pub(super) fn take(&mut self) -> Option<BTreeSet<Name>> {
        self.names.take()
    }
}

/// What it takes.
pub(super) struct Size {
    pub memory_bytes: usize,
    pub files: usize,
    pub scratch_bytes: u64,
}

impl Dir {
    pub(super) fn building(total_memory_bytes: &Arc<AtomicUsize>) -> Self {
        let names = Some(BTreeSet::new());
        Self {
            state: Mutex::new(State::Building(Noted { names })),
            is_ready: Condvar::new(),
            is_building: AtomicBool::new(true),
            listed: AtomicU64::new(0),
            memory_bytes: AtomicUsize::new(0),
            files: AtomicUsize::new(0),
            scratch_bytes: AtomicU64::new(0),
            total_memory_bytes: Arc::clone(total_memory_bytes),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its state when nobody builds it any more.
    pub(super) fn wait(&self) -> MutexGuard<'_, State> {
        let building = |state: &mut State| matches!(state, State::Building(_));
        let waited = self.is_ready.wait_while(self.lock(), building);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wake(&self) {
        self.is_ready.notify_all();
    }

    /// Gives it up. To be called when nobody can find it any more.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        *state = State::Over;
        self.is_building.store(false, Ordering::Relaxed);
        self.measure_as(0, (0, 0));
        drop(state);
        self.wake();
    }

    pub(super) fn is_building(&self) -> bool {
        self.is_building.load(Ordering::Relaxed)
    }

    pub(super) fn is_listed(&self, now: u64) {
        self.listed.store(now, Ordering::Relaxed);
    }

    pub(super) fn listed(&self) -> u64 {
        self.listed.load(Ordering::Relaxed)
    }

    /// Takes note of what its order takes. Hold the state.
    pub(super) fn measure(&self, order: &Order) {
        self.is_building.store(false, Ordering::Relaxed);
        self.measure_as(DIR_BYTES + order.memory_bytes(), order.scratch());
    }

    fn measure_as(&self, memory_bytes: usize, (files, scratch_bytes): (usize, u64)) {
        let before = self.memory_bytes.swap(memory_bytes, Ordering::Relaxed);
        self.total_memory_bytes
            .fetch_add(memory_bytes, Ordering::Relaxed);
        self.total_memory_bytes.fetch_sub(before, Ordering::Relaxed);
        self.files.store(files, Ordering::Relaxed);
        self.scratch_bytes.store(scratch_bytes, Ordering::Relaxed);
    }

    pub(super) fn size(&self) -> Size {
        Size {
            memory_bytes: self.memory_bytes.load(Ordering::Relaxed),
            files: self.files.load(Ordering::Relaxed),
            scratch_bytes: self.scratch_bytes.load(Ordering::Relaxed),
        }
    }
}

/// Brings what an order has of a name in line with what is there.
pub(super) fn update(order: &mut Order, dir: &Path, name: Name) -> io::Result<()> {
    let is_there = match fs::symlink_metadata(dir.join(name.file_name())) {
        Ok(_) => true,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            false
        }
        Err(error) => return Err(error),
    };
    order.set(name, is_there);
    Ok(())
}
