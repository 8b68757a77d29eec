//! Pause and resume, and what captures need. Each is in the journal before it has an effect, so it survives a restart.
//!
//! A pause takes effect at once: requests under way are given up. Of a file by parts the parts that were under way are sent
//! again later, of one that is appended to nothing is. The same holds when conditions no longer allow.

use std::path::PathBuf;

use super::Uploader;
use crate::conditions::Needs;
use crate::gate::Hold;
use crate::journal::{JournalError, OpenCapture};

/// A capture of which something is still to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureStatus {
    /// The reference that the client made for it: names it in the calls here, also after the capture was renewed.
    pub client_ref: String,
    /// Why nothing of it is sent now; `None` if it is, or would be.
    pub hold: Option<Hold>,
    /// What it needs besides what all need.
    pub needs: Needs,
    /// Its files, and whether the server has each.
    pub files: Vec<(PathBuf, bool)>,
}

impl Uploader {
    /// The captures of which something is still to be sent, in the order in which they were made.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn captures(&self) -> Result<Vec<CaptureStatus>, JournalError> {
        self.load().await?;
        let open = self.journal(|journal| journal.open_captures()).await?;
        Ok(open
            .into_iter()
            .map(|capture| CaptureStatus {
                hold: self.gate.hold(capture.seq),
                client_ref: capture.first_ref,
                needs: capture.wish.needs,
                files: capture
                    .files
                    .into_iter()
                    .map(|f| (f.path, f.is_uploaded))
                    .collect(),
            })
            .collect())
    }

    /// Pauses everything, until [`Uploader::resume_all`].
    ///
    /// # Errors
    /// When the journal cannot be written; nothing is paused then.
    pub async fn pause_all(&self) -> Result<(), JournalError> {
        self.pause_everything(true).await
    }

    /// Ends what [`Uploader::pause_all`] began. Captures that were paused one by one stay so.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn resume_all(&self) -> Result<(), JournalError> {
        self.pause_everything(false).await
    }

    /// Pauses one capture. `false` if there is none of this reference that is still to be sent.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing is paused then.
    pub async fn pause(&self, client_ref: &str) -> Result<bool, JournalError> {
        self.hold_one(client_ref, true).await
    }

    /// Resumes one capture. `false` if there is none of this reference that is still to be sent.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn resume(&self, client_ref: &str) -> Result<bool, JournalError> {
        self.hold_one(client_ref, false).await
    }

    /// Says what one capture needs, besides [`Settings::needs`](super::Settings), which hold for all. `false` if there is
    /// none of this reference that is still to be sent.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing changes then.
    pub async fn need(&self, client_ref: &str, needs: Needs) -> Result<bool, JournalError> {
        let Some(open) = self.find(client_ref).await? else {
            return Ok(false);
        };
        let gate = self.gate.clone();
        self.journal(move |journal| {
            journal.need(open.seq, needs)?;
            gate.wish(open.seq, |wish| wish.needs = needs);
            Ok(true)
        })
        .await
    }

    // The gate hears of a change while the journal is held for it, so that both agree whoever else changes something.
    async fn pause_everything(&self, is_paused: bool) -> Result<(), JournalError> {
        let gate = self.gate.clone();
        self.journal(move |journal| {
            journal.pause_all(is_paused)?;
            gate.pause_all(is_paused);
            Ok(())
        })
        .await
    }

    async fn hold_one(&self, client_ref: &str, is_paused: bool) -> Result<bool, JournalError> {
        let Some(open) = self.find(client_ref).await? else {
            return Ok(false);
        };
        let gate = self.gate.clone();
        self.journal(move |journal| {
            let changed = journal.pause(open.seq, is_paused)?;
            if changed {
                gate.wish(open.seq, |wish| wish.is_paused = is_paused);
            }
            Ok(changed)
        })
        .await
    }

    pub(super) async fn find(&self, client_ref: &str) -> Result<Option<OpenCapture>, JournalError> {
        let wanted = client_ref.to_owned();
        self.journal(move |journal| {
            let open = journal.open_captures()?;
            let place = open
                .iter()
                .position(|c| c.first_ref == wanted)
                .or_else(|| open.iter().position(|c| c.client_ref == wanted));
            Ok(place.and_then(|i| open.into_iter().nth(i)))
        })
        .await
    }

    /// Lets the gate know what stands in the journal.
    pub(super) async fn load(&self) -> Result<(), JournalError> {
        let gate = self.gate.clone();
        self.journal(move |journal| {
            gate.pause_all(journal.is_paused()?);
            for capture in journal.open_captures()? {
                gate.wish(capture.seq, |wish| *wish = capture.wish);
            }
            Ok(())
        })
        .await
    }
}
