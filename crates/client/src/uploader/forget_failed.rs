//! Forgets what the server has and could not show, or what was deleted there, so that it is sent once more: the server may know
//! its kind by now, or allow for more.

use std::collections::HashMap;

use safelight_model::codes::Code;
use safelight_model::lifecycle::State;

use super::resume::Found;
use super::{Known, Uploader, WorkFile};
use crate::journal::JournalError;

impl Uploader {
    /// Moves such files from what is known to what is fresh. Where the server cannot be asked, they stay.
    pub(super) async fn forget_failed(&self, found: &mut Found) -> Result<(), JournalError> {
        for known in std::mem::take(&mut found.known) {
            let (again, files) = self.failed_of(known.seq, known.files).await?;
            if !files.is_empty() {
                found.known.push(Known {
                    seq: known.seq,
                    files,
                });
            }
            let dropped: Vec<i64> = again.iter().map(|file| file.row.seq).collect();
            self.journal(move |journal| dropped.into_iter().try_for_each(|s| journal.drop_file(s)))
                .await?;
            found.fresh.extend(again.into_iter().map(|file| file.path));
        }
        Ok(())
    }

    /// Those of a capture's files that are to be sent once more, and the others.
    async fn failed_of(
        &self,
        seq: i64,
        files: Vec<WorkFile>,
    ) -> Result<(Vec<WorkFile>, Vec<WorkFile>), JournalError> {
        let is_settled = |file: &WorkFile| file.row.is_uploaded;
        let capture = self.journal(move |journal| journal.capture(seq)).await?;
        let Some(capture_id) = capture.capture_id.filter(|_| files.iter().any(is_settled)) else {
            return Ok((Vec::new(), files));
        };
        let states: HashMap<String, Option<State>> = match self.session.capture(&capture_id).await {
            Ok(capture) => {
                let state = |a: safelight_api::captures::CaptureAsset| {
                    (a.client_ref, State::parse(&a.state))
                };
                capture.assets.into_iter().map(state).collect()
            }
            Err(error) if Code::parse(error.code()) == Some(Code::AssetDeleted) => HashMap::new(),
            Err(_) => return Ok((Vec::new(), files)),
        };
        // What is deleted is not in its capture any more.
        let fails = |file: &WorkFile| match states.get(&file.row.client_ref) {
            None => true,
            Some(state) => matches!(state, Some(State::Failed | State::Deleted)),
        };
        Ok(files
            .into_iter()
            .partition(|file| is_settled(file) && (file.row.is_deleted || fails(file))))
    }
}
