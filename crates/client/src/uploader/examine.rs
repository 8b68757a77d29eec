//! Examines files that are to be sent: what they are, and what they look like.

use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::{Either, select};
use futures::{StreamExt as _, stream};
use safelight_model::codes::Code;

use super::{Failure, FileOutcome, Uploader, blocking};
use crate::fingerprint::Fingerprint;
use crate::grouping::DraftFile;
use crate::journal::FileIntent;
use crate::preview::{self, Preview};

/// Previews that are made at the same time: as many as a phone has quick cores.
const PREVIEWS_AT_ONCE: usize = 4;

/// Previews by the place of their file.
type Made = Mutex<HashMap<usize, String>>;

impl Uploader {
    /// Hashes files and has previews of them made, both at the same time. What cannot be read is left out and reported.
    pub(super) async fn examine(
        &self,
        files: Vec<DraftFile>,
    ) -> (Vec<FileIntent>, Vec<FileOutcome>) {
        let made = Made::default();
        let prints = {
            let reading = pin!(fingerprints(&files));
            let making = pin!(previews(self.settings.preview.clone(), &files, &made));
            match select(reading, making).await {
                Either::Left((prints, making)) => {
                    // Nobody is to wait for a picture because another one is hard to decode.
                    let within = self.settings.preview_within;
                    let _ = tokio::time::timeout(within, making).await;
                    prints
                }
                Either::Right(((), reading)) => reading.await,
            }
        };
        let mut made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut intents: Vec<FileIntent> = Vec::new();
        let mut failed = Vec::new();
        for (place, (file, print)) in files.into_iter().zip(prints).enumerate() {
            match print {
                Ok(fingerprint) => intents.push(FileIntent {
                    client_ref: (intents.len() + 1).to_string(),
                    path: file.path,
                    role: file.role.to_owned(),
                    fingerprint,
                    preview: made.remove(&place),
                }),
                Err(failure) => failed.push(FileOutcome::failed(file.path, failure)),
            }
        }
        (intents, failed)
    }
}

async fn fingerprints(files: &[DraftFile]) -> Vec<Result<Fingerprint, Failure>> {
    let mut prints = Vec::with_capacity(files.len());
    for file in files {
        let path = file.path.clone();
        prints.push(blocking(move || read(path)).await);
    }
    prints
}

/// Puts the previews of `files` into `made` one by one, the key frame's first.
async fn previews(by: Option<Arc<dyn Preview>>, files: &[DraftFile], made: &Made) {
    let Some(by) = by else {
        return;
    };
    let mut order: Vec<(usize, &DraftFile)> = files.iter().enumerate().collect();
    order.sort_by_key(|(place, file)| (file.role != "key", *place));
    let by = &*by;
    stream::iter(order)
        .for_each_concurrent(PREVIEWS_AT_ONCE, |(place, file)| async move {
            let thumbhash = by.thumbhash(&file.path).await;
            if let Some(encoded) = thumbhash.as_deref().and_then(preview::encoded) {
                let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
                made.insert(place, encoded);
            }
        })
        .await;
}

fn read(path: PathBuf) -> Result<Fingerprint, Failure> {
    let print = Fingerprint::of(&path).map_err(|e| Failure::unreadable(&e))?;
    if print.stamp.size_bytes == 0 {
        let code = Code::ValidationFailed.as_str();
        return Err(Failure::of(
            code,
            "the file is empty; there is nothing to send",
        ));
    }
    Ok(print)
}
