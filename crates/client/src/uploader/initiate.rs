//! Asks the server for a capture of the journal: what is to be sent, and what is there already.

use safelight_api::captures::AssetInitiated;
use safelight_model::codes::Code;
use safelight_model::lifecycle::State;

use super::ask_ahead::{AskError, Errand};
use super::hints::Basis;
use super::{Failure, FileJob, FileOutcome, Known, Uploader, WorkFile};
use crate::call_error::CallError;
use crate::journal::{CaptureRow, FilePlanned, JournalError};

/// The server's answer, sorted by what is to be done.
#[derive(Debug, Default)]
pub(super) struct Initiated {
    /// To be sent, in the order of the plan.
    pub(super) jobs: Vec<FileJob>,
    /// Settled without sending anything.
    pub(super) outcomes: Vec<FileOutcome>,
    /// Files of assets that the server has given up: the capture must be made anew.
    pub(super) given_up: Vec<WorkFile>,
}

/// Why a capture could not be initiated.
#[derive(Debug, thiserror::Error)]
pub(super) enum InitiateError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl InitiateError {
    /// Whether the server has no room for it before something of the owner's has ended.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Ask(AskError::Call(error)) | Self::Call(error) => error.is_full(),
            Self::Ask(AskError::NoRoom) => true,
            Self::Ask(AskError::Left(_)) | Self::Journal(_) => false,
        }
    }
}

impl Uploader {
    /// Initiates, with the reference, key and body of the journal. Doing it again is harmless and
    /// answers with what is true now.
    pub(super) async fn initiate(
        &self,
        known: &Known,
        errand: &Errand,
    ) -> Result<Initiated, InitiateError> {
        let seq = known.seq;
        let capture: CaptureRow = self.journal(move |journal| journal.capture(seq)).await?;
        let answer = match errand.ask(self, &capture).await {
            Ok(answer) => answer,
            Err(error @ (AskError::Left(_) | AskError::NoRoom)) => return Err(error.into()),
            // Whoever deleted it wants it gone, and all that it brought.
            Err(AskError::Call(error))
                if Code::parse(error.code()) == Some(Code::CaptureDeleted) =>
            {
                return Ok(self.end_deleted(known, &capture).await?);
            }
            Err(AskError::Call(error)) => {
                let refused = matches!(
                    &error,
                    CallError::Refused {
                        status: 400..=499,
                        ..
                    }
                );
                let unknown = matches!(
                    &error,
                    CallError::Refused {
                        status: 401 | 403,
                        ..
                    }
                );
                if refused && !unknown && !error.is_passing() && !error.is_full() {
                    // Its key answers the same for ever: the next run makes another capture.
                    self.journal(move |journal| journal.drop_capture(seq))
                        .await?;
                }
                return Err(AskError::Call(error).into());
            }
        };
        if let Some(at_once) = answer.assets_at_once {
            self.breadth.said(at_once);
        }
        let mut initiated = Initiated::default();
        let mut planned = Vec::new();
        for file in &known.files {
            let asset = answer
                .assets
                .iter()
                .find(|a| a.client_ref == file.row.client_ref);
            if file.row.is_deleted {
                initiated.outcomes.push(FileOutcome {
                    asset_id: asset.map(|a| a.asset_id.clone()),
                    state: Some(State::Deleted.as_str().to_owned()),
                    ..file.failed(Failure::deleted())
                });
                continue;
            }
            let Some(asset) = asset else {
                let failure =
                    Failure::of("plan_not_understood", "the server did not name this file");
                initiated.outcomes.push(file.failed(failure));
                continue;
            };
            planned.push(FilePlanned {
                seq: file.row.seq,
                asset_id: asset.asset_id.clone(),
                upload_id: asset.uploads.first().map(|u| u.upload_id.clone()),
                plan: asset
                    .uploads
                    .first()
                    .and_then(|u| serde_json::to_string(&u.plan).ok()),
            });
            sort(&mut initiated, file, asset, &capture, &answer.capture_id);
        }
        let capture_id = answer.capture_id;
        self.journal(move |journal| journal.initiated(seq, &capture_id, &planned))
            .await?;
        for outcome in &initiated.outcomes {
            let is_deleted = outcome.state.as_deref() == Some(State::Deleted.as_str());
            if (outcome.already_there || is_deleted)
                && let Some(file) = known.files.iter().find(|f| f.path == outcome.path)
            {
                let file_seq = file.row.seq;
                self.journal(move |journal| match is_deleted {
                    true => journal.deleted(file_seq),
                    false => journal.uploaded(file_seq),
                })
                .await?;
            }
        }
        // The others wait for the key frame, so it comes first, whatever the server thinks which one that is.
        initiated
            .jobs
            .sort_by_key(|job| (job.file.row.role != "key", job.upload.plan.order));
        Ok(initiated)
    }

    /// The capture was deleted at the server: no run sends its files again.
    async fn end_deleted(
        &self,
        known: &Known,
        capture: &CaptureRow,
    ) -> Result<Initiated, JournalError> {
        let mut initiated = Initiated::default();
        for file in &known.files {
            let seq = file.row.seq;
            self.journal(move |journal| journal.deleted(seq)).await?;
            initiated.outcomes.push(FileOutcome {
                capture_id: capture.capture_id.clone(),
                state: Some(State::Deleted.as_str().to_owned()),
                ..file.failed(Failure::deleted())
            });
        }
        Ok(initiated)
    }
}

fn sort(
    initiated: &mut Initiated,
    file: &WorkFile,
    asset: &AssetInitiated,
    capture: &CaptureRow,
    capture_id: &str,
) {
    if let Some(upload) = asset.uploads.first() {
        initiated.jobs.push(FileJob {
            file: file.clone(),
            capture_id: capture_id.to_owned(),
            asset_id: asset.asset_id.clone(),
            upload: upload.clone(),
            resumed: capture.capture_id.is_some(),
            is_split: false,
            basis: Basis::of_request(&capture.request),
        });
        return;
    }
    match State::parse(&asset.state) {
        Some(State::Expired) => initiated.given_up.push(file.clone()),
        // Whoever deleted it wants it gone.
        Some(State::Deleted) => initiated.outcomes.push(FileOutcome {
            capture_id: Some(capture_id.to_owned()),
            asset_id: Some(asset.asset_id.clone()),
            state: Some(asset.state.clone()),
            ..file.failed(Failure::deleted())
        }),
        Some(State::Initiated | State::Uploading) => {
            let detail =
                "the server waits for this file but gave no way to send it; try again later";
            let failure = Failure::of("plan_not_understood", detail);
            initiated.outcomes.push(file.failed(failure));
        }
        _ => initiated.outcomes.push(FileOutcome {
            capture_id: Some(capture_id.to_owned()),
            asset_id: Some(asset.asset_id.clone()),
            state: Some(asset.state.clone()),
            already_there: true,
            ..file.outcome()
        }),
    }
}
