//! Gives captures up. First the wish is in the journal, then sending stops and smaller copies go, then the server aborts what it
//! has, then the journal drops it: whoever is killed in between, the next run goes on from there. What had arrived whole stays, and is
//! deleted as an asset.

use super::Uploader;
use crate::call_error::CallError;
use crate::journal::{JournalError, OpenCapture, Superseded};
use safelight_model::codes::Code;

/// Why a capture is not given up yet. That it is to be stands in the journal, if that could be written.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// The server could not be told; the next run does it.
    #[error("the server was not told yet: {0}")]
    Call(#[from] CallError),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Uploader {
    /// Gives a capture up, for good. `false` if there is none of this reference that is still to be sent.
    ///
    /// # Errors
    /// When the journal cannot be written, and nothing changed; or when the server could not be told, which the next
    /// [`Uploader::upload`] does.
    pub async fn cancel(&self, client_ref: &str) -> Result<bool, CancelError> {
        let Some(open) = self.find(client_ref).await? else {
            return Ok(false);
        };
        self.give_up(open.seq).await?;
        // Perhaps no other run comes.
        self.sweep_copies().await?;
        self.abort(open.seq).await?;
        Ok(true)
    }

    /// Gives up all captures of which something is still to be sent. Returns how many.
    ///
    /// # Errors
    /// As of [`Uploader::cancel`], of the first for which it fails.
    pub async fn cancel_all(&self) -> Result<usize, CancelError> {
        let open = self.journal(|journal| journal.open_captures()).await?;
        for capture in &open {
            self.give_up(capture.seq).await?;
        }
        self.sweep_copies().await?;
        for capture in &open {
            self.abort(capture.seq).await?;
        }
        Ok(open.len())
    }

    /// Everything that is sent of it stops here, at once.
    async fn give_up(&self, seq: i64) -> Result<(), JournalError> {
        let gate = self.gate.clone();
        self.journal(move |journal| {
            journal.cancel(seq)?;
            gate.wish(seq, |wish| wish.is_cancelled = true);
            Ok(())
        })
        .await
    }

    /// Has the server abort what it has of a capture that is given up. Doing it twice is harmless; so is doing it while a
    /// run still ends.
    pub(super) async fn abort(&self, seq: i64) -> Result<(), CancelError> {
        let open = self.journal(|journal| journal.open_captures()).await?;
        let Some(capture) = open
            .into_iter()
            .find(|c| c.seq == seq && c.wish.is_cancelled)
        else {
            return Ok(());
        };
        let mut whole = Vec::new();
        for file in capture.files.iter().filter(|f| !f.is_uploaded) {
            for upload_id in self.uploads_of(&capture, file).await? {
                match self.session.abort(&upload_id).await {
                    Ok(_) => {}
                    Err(error) => match Code::parse(error.code()) {
                        // It is all there.
                        Some(Code::ValidationFailed) => whole.push(file.seq),
                        Some(Code::NotFound | Code::UploadExpired | Code::AssetDeleted) => {}
                        _ => return Err(error.into()),
                    },
                }
            }
        }
        for superseded in self.journal(move |j| j.superseded_of(seq)).await? {
            // Nothing comes in its place.
            let for_good = Superseded {
                by_asset_id: None,
                ..superseded
            };
            self.end_one(&for_good).await?;
        }
        self.journal(move |journal| journal.cancelled(seq, &whole))
            .await?;
        Ok(())
    }

    /// The uploads of a file that the server may have. Where its answer to the initiation was lost, they are found by what
    /// they carry. An initiation that is still on its way somewhere brings an upload without bytes, which expires.
    async fn uploads_of(
        &self,
        capture: &OpenCapture,
        file: &crate::journal::OpenFile,
    ) -> Result<Vec<String>, CallError> {
        if let Some(known) = &file.upload_id {
            return Ok(vec![known.clone()]);
        }
        let found = self.session.unfinished(&file.sha256).await?;
        let mine = found
            .into_iter()
            .filter(|f| f.capture_ref == capture.client_ref);
        Ok(mine.map(|f| f.upload.upload_id).collect())
    }
}
