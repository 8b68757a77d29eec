//! Originals that were just fetched, for who goes on with them.
//!
//! A worker that has made a cover derives from the same file if nothing is more urgent, and the store is asked for the bytes
//! once; where it seemed so when the file had arrived, a child keeps the decoded picture too. Each is put down when its worker has ended, so there are
//! no more than workers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use safelight_catalog::jobs::Job;

use super::fetch_original::Fetched;
use super::sandbox::KeptPicture;

/// An original that was just fetched, and its picture, if that is still decoded.
type Original = (Fetched, Option<KeptPicture>);

/// The originals at hand, by tenant and blob. Clones share them.
#[derive(Clone, Default)]
pub struct AtHand(Arc<Mutex<HashMap<(String, String), Original>>>);

impl AtHand {
    /// Keeps the original of this job's blob at hand.
    pub(super) fn keep(&self, job: &Job, fetched: Fetched, picture: Option<KeptPicture>) {
        self.originals().insert(place(job), (fetched, picture));
    }

    /// Whether the original of this job's blob is at hand.
    pub(crate) fn has(&self, job: &Job) -> bool {
        self.originals().contains_key(&place(job))
    }

    /// Takes it.
    pub(super) fn take(&self, job: &Job) -> Option<Original> {
        self.originals().remove(&place(job))
    }

    /// Puts it down.
    pub(crate) fn put_down(&self, job: &Job) {
        self.originals().remove(&place(job));
    }

    fn originals(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Original>> {
        // Nothing that holds the lock can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(job: &Job) -> (String, String) {
    (job.tenant_id.clone(), job.subject_id.clone())
}
