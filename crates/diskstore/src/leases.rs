//! Which parts are being read, so that none is removed under a reader.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Readers by upload.
#[derive(Default)]
pub(crate) struct Leases {
    readers: Mutex<HashMap<String, Lease>>,
}

#[derive(Default)]
struct Lease {
    count: usize,
    on_end: Option<Box<dyn FnOnce() + Send>>,
}

/// Held while the parts of an upload are read.
pub(crate) struct ReadLease {
    leases: Arc<Leases>,
    upload_id: String,
}

impl Leases {
    /// Keeps the parts of this upload. Take it under the key's lock.
    pub(crate) fn hold(self: &Arc<Self>, upload_id: &str) -> ReadLease {
        self.lock().entry(upload_id.to_owned()).or_default().count += 1;
        ReadLease {
            leases: Arc::clone(self),
            upload_id: upload_id.to_owned(),
        }
    }

    /// Runs this when nobody reads the parts (any more). Call it under the
    /// key's lock, when no reader can come any more.
    pub(crate) fn when_free(&self, upload_id: &str, work: impl FnOnce() + Send + 'static) {
        let mut readers = self.lock();
        if let Some(lease) = readers.get_mut(upload_id) {
            lease.on_end = Some(Box::new(work));
        } else {
            drop(readers);
            work();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Lease>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadLease {
    /// Whether somebody waits for the parts to be free.
    pub(crate) fn is_in_the_way(&self) -> bool {
        let readers = self.leases.lock();
        readers
            .get(&self.upload_id)
            .is_some_and(|lease| lease.on_end.is_some())
    }
}

impl Drop for ReadLease {
    fn drop(&mut self) {
        let mut readers = self.leases.lock();
        let Some(lease) = readers.get_mut(&self.upload_id) else {
            return;
        };
        lease.count -= 1;
        if lease.count > 0 {
            return;
        }
        let work = readers
            .remove(&self.upload_id)
            .and_then(|lease| lease.on_end);
        drop(readers);
        if let Some(work) = work {
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn_blocking(work)),
                Err(_) => work(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn work_waits_for_the_last_reader() {
        let leases = Arc::new(Leases::default());
        let runs = Arc::new(AtomicUsize::new(0));
        let count = |runs: &Arc<AtomicUsize>| {
            let runs = Arc::clone(runs);
            move || {
                runs.fetch_add(1, Ordering::SeqCst);
            }
        };
        let (first, second) = (leases.hold("u"), leases.hold("u"));
        leases.when_free("u", count(&runs));
        leases.when_free("v", count(&runs));
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        drop(first);
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        drop(second);
        assert_eq!(runs.load(Ordering::SeqCst), 2);
        leases.when_free("u", count(&runs));
        assert_eq!(runs.load(Ordering::SeqCst), 3);
    }
}
