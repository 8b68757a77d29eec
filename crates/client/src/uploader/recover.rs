//! Finds at the server what a lost journal knew: unfinished uploads, by what they carry.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt as _, stream};

use super::{Recovered, Uploader};
use crate::call_error::CallError;
use crate::journal::FileIntent;

/// Questions that are under way at once: a burst is asked for in about two round trips, not in one for each frame.
const ASKED_AT_ONCE: usize = 12;

impl Uploader {
    /// Takes from `files` those of which the server has an unfinished upload, by capture. Where there is none, or the
    /// server cannot say, a file stays and is sent as a fresh one.
    pub(super) async fn recover(&self, files: &mut Vec<FileIntent>) -> Vec<Recovered> {
        let mut recovered: Vec<Recovered> = Vec::new();
        let mut fresh = Vec::new();
        // Who got no answer waited for it long enough for all.
        let is_silent = &AtomicBool::new(false);
        let mut asked = stream::iter(files.drain(..))
            .map(|file| async move {
                if is_silent.load(Ordering::SeqCst) {
                    return (file, Vec::new());
                }
                let found = self.session.unfinished(&file.fingerprint.sha256).await;
                if found.as_ref().is_err_and(CallError::is_passing) {
                    is_silent.store(true, Ordering::SeqCst);
                }
                (file, found.unwrap_or_default())
            })
            .buffered(ASKED_AT_ONCE);
        while let Some((mut file, found)) = asked.next().await {
            let best = found.into_iter().max_by_key(|f| f.upload.received_bytes);
            let Some(best) = best else {
                fresh.push(file);
                continue;
            };
            file.client_ref = best.asset_ref;
            let place = recovered
                .iter()
                .position(|r| r.capture_id == best.capture_id);
            match place.and_then(|i| recovered.get_mut(i)) {
                // The same bytes at two places are one upload; the second finds them stored.
                Some(one) if one.files.iter().any(|f| f.client_ref == file.client_ref) => {
                    fresh.push(file)
                }
                Some(one) => one.files.push(file),
                None => recovered.push(Recovered {
                    capture_id: best.capture_id,
                    capture_ref: best.capture_ref,
                    files: vec![file],
                }),
            }
        }
        drop(asked);
        *files = fresh;
        recovered
    }
}
