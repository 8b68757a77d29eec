//! Ends uploads of originals in whose place smaller copies are sent: the assets of the copies stand for theirs. Whoever is killed
//! before that, the journal remembers them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use safelight_model::codes::Code;

use super::Uploader;
use crate::call_error::CallError;
use crate::journal::{JournalError, Superseded};

/// So many are ended at once,
const AT_ONCE: usize = 8;
/// and for no longer than this: what the server was not told of is left to the next run.
const WITHIN: Duration = Duration::from_secs(5);

impl Uploader {
    /// Ends those of one capture.
    pub(super) async fn end_superseded_of(&self, seq: i64) -> Result<(), JournalError> {
        let superseded = self.journal(move |j| j.superseded_of(seq)).await?;
        self.end_superseded(superseded).await
    }

    /// Ends those that no answer is to come for: what an earlier run left, or this one.
    pub(super) async fn end_what_was_superseded(&self) -> Result<(), JournalError> {
        let superseded = self.journal(|j| j.superseded_for_good()).await?;
        self.end_superseded(superseded).await
    }

    async fn end_superseded(&self, superseded: Vec<Superseded>) -> Result<(), JournalError> {
        if superseded.is_empty() {
            return Ok(());
        }
        let ended: Mutex<Vec<String>> = Mutex::default();
        let ending = futures::stream::iter(&superseded).for_each_concurrent(AT_ONCE, async |one| {
            if self.end_one(one).await.is_ok() {
                let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
                ended.push(one.upload_id.clone());
            }
        });
        let _ = tokio::time::timeout(WITHIN, ending).await;
        let ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.journal(move |journal| journal.forget_superseded(&ended))
            .await
    }

    /// Ends one, for the asset that stands for its own if there is such.
    pub(super) async fn end_one(&self, one: &Superseded) -> Result<(), CallError> {
        let upload_id = &one.upload_id;
        if let Some(asset_id) = &one.by_asset_id {
            match self.session.supersede(upload_id, asset_id).await {
                // There is no such asset any more, or the upload is whole.
                Err(error) if Code::parse(error.code()) == Some(Code::ValidationFailed) => {}
                other => return ended(other.map(|_| ())),
            }
        }
        ended(self.session.abort(upload_id).await.map(|_| ()))
    }
}

/// What is whole, or not there any more, has ended.
fn ended(answer: Result<(), CallError>) -> Result<(), CallError> {
    match answer {
        Err(error) => match Code::parse(error.code()) {
            Some(
                Code::ValidationFailed | Code::NotFound | Code::UploadExpired | Code::AssetDeleted,
            ) => Ok(()),
            _ => Err(error),
        },
        ok => ok,
    }
}
