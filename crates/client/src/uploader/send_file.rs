//! Sends one file: what the store does not hold yet, then completion; again where something is missing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use safelight_api::uploads::UploadCompleted;
use safelight_model::codes::Code;
use safelight_model::plan::{self, Transport};
use tokio::sync::Semaphore;

use super::run::Slot;
use super::{Failure, FileJob, FileOutcome, Uploader, WorkFile};
use crate::call_error::CallError;
use crate::fingerprint::Stamp;
use crate::progress::Event;

/// How often the missing parts of a file are sent before it is given up.
const MAX_ROUNDS: u32 = 5;

/// What became of a file whose bytes were to be sent.
pub(super) enum Sent {
    /// It is there, or it failed.
    Settled(Box<FileOutcome>),
    /// The server has given its upload up: the capture must be made anew.
    GivenUp(Box<WorkFile>),
}

/// Why sending stopped.
pub(super) enum Stop {
    /// The server has given the upload up.
    GivenUp,
    /// The server has these bytes by another way.
    Merged,
    /// The file is no longer what the journal says.
    Changed,
    /// The store does not know the upload as the client does: the server must say what is true.
    Unclear(String),
    /// It failed for good, or patience is at its end.
    Failed(Failure),
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        match Code::parse(error.code()) {
            Some(Code::UploadExpired | Code::NotFound) => Self::GivenUp,
            Some(Code::UploadMerged) => Self::Merged,
            _ => Self::Failed(Failure::from(&error)),
        }
    }
}

/// What is left to be sent.
enum Rest {
    /// No bytes.
    Nothing,
    /// These parts.
    Parts(Vec<i64>),
    /// All from this offset on, in bytes; from where the gateway says if `None`.
    From(Option<u64>),
}

/// Bytes of one file that have gone out, for those who look on.
#[derive(Default)]
pub(super) struct Meter {
    /// There now, as far as the client knows.
    pub(super) there_bytes: AtomicI64,
    /// Handed to the network, repetitions included.
    pub(super) sent_bytes: AtomicI64,
}

impl Uploader {
    pub(super) async fn send_file(
        self: Arc<Self>,
        job: FileJob,
        slot: Slot,
        sending: Arc<Semaphore>,
    ) -> Sent {
        let meter = Arc::new(Meter::default());
        let state = self.send_rounds(&job, slot, &sending, &meter).await;
        let mut outcome = FileOutcome {
            sent_bytes: meter.sent_bytes.load(Ordering::Relaxed),
            ..job.outcome()
        };
        let file_seq = job.file.row.seq;
        let noted = match state {
            Ok(completed) => {
                // Another asset of the owner's has these bytes.
                outcome.already_there = completed.asset_id != job.asset_id;
                outcome.asset_id = Some(completed.asset_id);
                outcome.state = Some(completed.state);
                self.journal(move |journal| journal.uploaded(file_seq))
                    .await
            }
            Err(Stop::GivenUp | Stop::Merged) => return Sent::GivenUp(Box::new(job.file)),
            Err(Stop::Changed) => {
                outcome.failure = Some(Failure::changed());
                self.journal(move |journal| journal.drop_file(file_seq))
                    .await
            }
            Err(Stop::Unclear(detail)) => {
                outcome.failure = Some(Failure::of(Code::UploadIncomplete.as_str(), detail));
                Ok(())
            }
            Err(Stop::Failed(failure)) => {
                outcome.failure = Some(failure);
                Ok(())
            }
        };
        if let Err(error) = noted {
            outcome.failure = Some(Failure::from(&error));
        }
        Sent::Settled(Box::new(outcome))
    }

    /// Returns the asset after completion: another one, if the owner had the bytes already.
    async fn send_rounds(
        &self,
        job: &FileJob,
        slot: Slot,
        sending: &Arc<Semaphore>,
        meter: &Arc<Meter>,
    ) -> Result<UploadCompleted, Stop> {
        let size_bytes = job.file.row.fingerprint.stamp.size_bytes;
        let plan = &job.upload.plan;
        let Some(transport) =
            Transport::parse(&plan.transport).filter(|_| plan.part_size_bytes >= 1)
        else {
            let detail = format!(
                "the server wants this file by `{}`, which this version does not speak",
                plan.transport
            );
            return Err(Stop::Failed(Failure::of("plan_not_understood", detail)));
        };
        self.patience.progress.event(&Event::Started {
            file: &job.file.path,
            size_bytes,
        });
        let mut slot = Some(slot);
        let mut ask = job.resumed;
        let mut attempts = self.patience.begin();
        for _ in 0..MAX_ROUNDS {
            let rest = if ask {
                self.rest(job, transport, meter).await?
            } else if transport == Transport::Append {
                Rest::From(Some(0))
            } else {
                Rest::Parts((1..=plan::part_count(size_bytes, plan.part_size_bytes)).collect())
            };
            ask = true;
            let why = match self
                .send_and_complete(job, rest, &mut slot, sending, meter)
                .await
            {
                Err(Stop::Unclear(why)) => why,
                other => return other,
            };
            if !attempts.failed(&why, None).await {
                break;
            }
        }
        Err(Stop::Unclear(
            "parts of this file were sent more than once and did not arrive; try again later"
                .to_owned(),
        ))
    }

    /// What the store does not hold.
    async fn rest(&self, job: &FileJob, transport: Transport, meter: &Meter) -> Result<Rest, Stop> {
        let truth = self.session.upload(&job.upload.upload_id).await?;
        match truth.state.as_str() {
            "completed" | "completing" | "merged" => return Ok(Rest::Nothing),
            "aborted" | "expired" => return Err(Stop::GivenUp),
            _ => {}
        }
        if transport == Transport::Append {
            return Ok(Rest::From(None));
        }
        let size_bytes = job.file.row.fingerprint.stamp.size_bytes;
        let part_size_bytes = job.upload.plan.part_size_bytes;
        let length = |number| plan::part_length(size_bytes, part_size_bytes, number);
        let holds = |number: i64| {
            truth
                .parts
                .iter()
                .any(|p| p.number == number && Some(p.size_bytes) == length(number))
        };
        let all = 1..=plan::part_count(size_bytes, part_size_bytes);
        let (held, missing): (Vec<i64>, Vec<i64>) = all.partition(|n| holds(*n));
        let held_bytes = held.into_iter().filter_map(length).sum();
        meter.there_bytes.store(held_bytes, Ordering::Relaxed);
        self.patience.progress.event(&Event::Sent {
            file: &job.file.path,
            sent_bytes: held_bytes,
        });
        Ok(Rest::Parts(missing))
    }

    async fn send_and_complete(
        &self,
        job: &FileJob,
        rest: Rest,
        slot: &mut Option<Slot>,
        sending: &Arc<Semaphore>,
        meter: &Arc<Meter>,
    ) -> Result<UploadCompleted, Stop> {
        let is_whole = match &rest {
            Rest::Nothing => true,
            Rest::Parts(parts) => parts.is_empty(),
            Rest::From(_) => false,
        };
        if !is_whole {
            // A first round has its slot; a later one waits for another.
            let _slot = match slot.take() {
                Some(slot) => Some(slot),
                None => sending.clone().acquire_owned().await.ok(),
            };
            let sent = match rest {
                Rest::Nothing => Ok(()),
                Rest::Parts(parts) => self.send_parts(job, parts, meter).await,
                Rest::From(offset) => self.send_appended(job, offset, meter).await,
            };
            match sent {
                // Nothing more is wanted: completing tells of the asset that has the bytes.
                Ok(()) | Err(Stop::Merged) => {}
                Err(stop) => return Err(stop),
            }
            self.unchanged(job)?;
        }
        // While the server completes it, the next file may be sent.
        *slot = None;
        match self.session.complete(&job.upload.upload_id).await {
            Ok(completed) => Ok(completed),
            Err(error) => match Code::parse(error.code()) {
                Some(Code::UploadIncomplete) => Err(Stop::Unclear(error.to_string())),
                Some(Code::ChecksumMismatch | Code::SizeMismatch) => {
                    self.unchanged(job)?;
                    Err(error.into())
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Whether the file still is what the journal says, as far as the file system tells.
    pub(super) fn unchanged(&self, job: &FileJob) -> Result<(), Stop> {
        match Stamp::of(&job.file.path) {
            Ok(stamp) if stamp == job.file.row.fingerprint.stamp => Ok(()),
            Ok(_) => Err(Stop::Changed),
            Err(error) => Err(Stop::Failed(Failure::unreadable(&error))),
        }
    }
}
