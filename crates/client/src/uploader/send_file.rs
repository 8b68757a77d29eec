//! Sends one file: what the store does not hold yet, then completion; again where something is missing.

use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use safelight_api::uploads::{Replanned, UploadCompleted};
use safelight_model::codes::Code;
use safelight_model::lifecycle::State;
use safelight_model::plan::{self, Transport, Why};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::ask_again::{CUTS, Watch, adopt, appended, is_other};
use super::breadth::UnderWay;
use super::company::{self, Company, Facts};
use super::run::{Slot, Turn};
use super::tell::Tally;
use super::{Failure, FileJob, FileOutcome, Uploader, WorkFile};
use crate::call_error::CallError;
use crate::fingerprint::Stamp;
use crate::gate::Hold;
use crate::progress::Event;

/// How often it is looked at whether a key frame bears company.
const LOOK: Duration = Duration::from_millis(250);
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
    /// Its asset was deleted meanwhile: nobody wants it sent.
    Deleted,
    /// The file is no longer what the journal says.
    Changed,
    /// The store does not know the upload as the client does: the server must say what is true.
    Unclear(String),
    /// It failed for good, or patience is at its end.
    Failed(Failure),
    /// It may not be sent now.
    Held(Hold),
    /// The key frame does not bear it beside it.
    Aside,
    /// The bytes travel in another way from now on.
    Replanned(Box<Replanned>),
    /// A part is cut again and again before it is through.
    Stuck(String),
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        match Code::parse(error.code()) {
            Some(Code::UploadExpired | Code::NotFound) => Self::GivenUp,
            Some(Code::UploadMerged) => Self::Merged,
            Some(Code::AssetDeleted) => Self::Deleted,
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
    /// How often it was tried.
    pub(super) tally: Tally,
    /// Rung when all of the file has gone out or was there.
    all_out: Notify,
    /// What is learned from it, while it goes over one connection.
    under_way: Mutex<Option<Arc<UnderWay>>>,
}

impl Meter {
    /// So many bytes of so many have gone out or were there.
    pub(super) fn is_at(&self, there_bytes: i64, size_bytes: i64) {
        if there_bytes >= size_bytes {
            self.all_out.notify_one();
        }
    }

    /// So many more bytes were handed to the network.
    pub(super) fn moved(&self, bytes: u64) {
        if let Some(under_way) = self.under_way() {
            under_way.moved(bytes);
        }
    }

    pub(super) fn under_way(&self) -> Option<Arc<UnderWay>> {
        self.watched().clone()
    }

    fn watched(&self) -> MutexGuard<'_, Option<Arc<UnderWay>>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn all_out(&self, size_bytes: i64) {
        while self.there_bytes.load(Ordering::Relaxed) < size_bytes {
            self.all_out.notified().await;
        }
    }
}

impl Uploader {
    pub(super) async fn send_file(self: Arc<Self>, job: FileJob, slot: Slot, turn: Turn) -> Sent {
        let meter = Arc::new(Meter::default());
        let seq = job.file.row.capture_seq;
        let mut outcome = job.outcome();
        let (file, asset_id) = (job.file.clone(), job.asset_id.clone());
        let state = self.send_rounds(job, slot, turn, &meter).await;
        outcome.sent_bytes = meter.sent_bytes.load(Ordering::Relaxed);
        let file_seq = file.row.seq;
        let noted = match state {
            Ok(completed) => {
                // Another asset of the owner's has these bytes.
                outcome.already_there = completed.asset_id != asset_id;
                outcome.asset_id = Some(completed.asset_id);
                outcome.state = Some(completed.state);
                self.journal(move |journal| journal.uploaded(file_seq))
                    .await
            }
            // What was cancelled has ended at the server too.
            Err(Stop::GivenUp | Stop::Merged) if self.gate.hold(seq) != Some(Hold::Cancelled) => {
                return Sent::GivenUp(Box::new(file));
            }
            Err(
                Stop::GivenUp | Stop::Merged | Stop::Held(_) | Stop::Aside | Stop::Replanned(_),
            ) => {
                outcome.failure = Some(self.end_cancelled(seq).await);
                Ok(())
            }
            // It is settled so: no later run sends it again.
            Err(Stop::Deleted) => {
                outcome.state = Some(State::Deleted.as_str().to_owned());
                outcome.failure = Some(Failure::deleted());
                self.journal(move |journal| journal.deleted(file_seq)).await
            }
            Err(Stop::Changed) => {
                outcome.failure = Some(Failure::changed());
                self.journal(move |journal| journal.drop_file(file_seq))
                    .await
            }
            Err(Stop::Unclear(detail) | Stop::Stuck(detail)) => {
                outcome.failure = Some(Failure::of(Code::UploadIncomplete.as_str(), detail));
                Ok(())
            }
            Err(Stop::Failed(failure)) => {
                outcome.failure = Some(failure);
                Ok(())
            }
        };
        let told = match &outcome.failure {
            None => Ok(()),
            Some(failure) => {
                let is_cancelled = failure.code == Hold::Cancelled.as_str();
                let outcome = if is_cancelled { "cancelled" } else { "failed" };
                self.keep_report(&meter.tally, outcome).await
            }
        };
        if let Err(error) = noted.and(told).and(self.note_link(false).await) {
            outcome.failure = Some(Failure::from(&error));
        }
        Sent::Settled(Box::new(outcome))
    }

    /// Has the server abort what it has of a cancelled capture, and says so.
    pub(super) async fn end_cancelled(&self, seq: i64) -> Failure {
        match self.abort(seq).await {
            Ok(()) => Failure::cancelled(),
            Err(error) => Failure::of(Hold::Cancelled.as_str(), error.to_string()),
        }
    }

    /// Returns the asset after completion: another one, if the owner had the bytes already. [`Stop::Held`] only when it
    /// is cancelled.
    async fn send_rounds(
        &self,
        mut job: FileJob,
        mut slot: Slot,
        mut turn: Turn,
        meter: &Arc<Meter>,
    ) -> Result<UploadCompleted, Stop> {
        let seq = job.file.row.capture_seq;
        self.patience.progress.event(&Event::Started {
            file: &job.file.path,
            size_bytes: job.file.sent().stamp.size_bytes,
        });
        let watch = Watch::over(job.basis.clone());
        // Kept to the end; a file that is held waits outside.
        let mut completing = slot.completing.take();
        let mut slot = Some(slot);
        let mut ask = job.resumed;
        let mut attempts = self.patience.begin();
        let mut rounds = 0;
        while rounds < MAX_ROUNDS {
            // Whatever is under way may be given up at any point, as if the process had been killed there.
            let step = tokio::select! {
                biased;
                hold = self.gate.closed(seq) => Err(Stop::Held(hold)),
                step = self.round(&mut job, ask, &watch, &mut slot, &mut turn, meter) => step,
            };
            ask = true;
            match step {
                Err(Stop::Held(hold)) if hold != Hold::Cancelled => {
                    slot = None;
                    turn.bears(Company::Alone, None);
                    drop(completing.take());
                    self.wait_until_open(seq, &job.file.path).await;
                }
                // It waits for another lane.
                Err(Stop::Aside) => {}
                Err(Stop::Replanned(answer)) => {
                    adopt(&mut job, *answer);
                }
                // Refused, it goes on as before, and so long as patience lasts.
                Err(Stop::Stuck(why)) => {
                    // Another part may have come to its end meanwhile.
                    let there = meter.there_bytes.load(Ordering::Relaxed);
                    let is_stuck = watch.is_stuck(CUTS, there);
                    if is_stuck && self.restart(&mut job, &watch, appended()).await.is_err() {
                        rounds += 1;
                        if !attempts.failed(&why, None).await {
                            break;
                        }
                    }
                }
                Err(Stop::Unclear(why)) => {
                    rounds += 1;
                    if !attempts.failed(&why, None).await {
                        break;
                    }
                }
                other => return other,
            }
        }
        Err(Stop::Unclear(
            "parts of this file were sent more than once and did not arrive; try again later"
                .to_owned(),
        ))
    }

    /// Waits until the capture `seq` may be sent, or is cancelled, and tells why.
    async fn wait_until_open(&self, seq: i64, file: &std::path::Path) {
        while let Some(hold) = self.gate.hold(seq).filter(|h| *h != Hold::Cancelled) {
            self.patience.progress.event(&Event::Held { file, hold });
            self.gate.moves(&[(seq, hold)]).await;
        }
    }

    /// Sends what is missing, and completes.
    async fn round(
        &self,
        job: &mut FileJob,
        mut ask: bool,
        watch: &Watch,
        slot: &mut Option<Slot>,
        turn: &mut Turn,
        meter: &Arc<Meter>,
    ) -> Result<UploadCompleted, Stop> {
        ask |= self.plan_afresh(job, watch).await?;
        if !ask {
            ask = self.split(job, turn).await;
        }
        let rest = if ask {
            self.rest(job, meter).await?
        } else if transport(job)? == Transport::Append {
            Rest::From(Some(0))
        } else {
            let size_bytes = job.file.sent().stamp.size_bytes;
            let part_size_bytes = job.upload.plan.part_size_bytes;
            Rest::Parts((1..=plan::part_count(size_bytes, part_size_bytes)).collect())
        };
        self.send_and_complete(job, rest, slot, turn, meter, watch)
            .await
    }

    /// What the store does not hold.
    async fn rest(&self, job: &mut FileJob, meter: &Meter) -> Result<Rest, Stop> {
        let truth = self.session.upload(&job.upload.upload_id).await?;
        match truth.state.as_str() {
            "completed" | "completing" | "merged" => return Ok(Rest::Nothing),
            "aborted" | "expired" => return Err(Stop::GivenUp),
            _ => {}
        }
        // It was planned anew, and the answer was lost.
        if is_other(job, &truth.plan) {
            job.upload.plan = truth.plan;
            job.upload.urls.clear();
        }
        if transport(job)? == Transport::Append {
            // Until the gateway has said how far it has come.
            meter.there_bytes.store(0, Ordering::Relaxed);
            return Ok(Rest::From(None));
        }
        let size_bytes = job.file.sent().stamp.size_bytes;
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
        turn: &mut Turn,
        meter: &Arc<Meter>,
        watch: &Watch,
    ) -> Result<UploadCompleted, Stop> {
        let is_whole = match &rest {
            Rest::Nothing => true,
            Rest::Parts(parts) => parts.is_empty(),
            Rest::From(_) => false,
        };
        if !is_whole {
            // A first round has its slot; a later one waits for another.
            let held = turn.come(slot.take(), self).await;
            let turn = &*turn;
            let sent = async {
                match rest {
                    Rest::Nothing => Ok(()),
                    Rest::Parts(parts) => self.send_parts(job, parts, turn, meter, watch).await,
                    Rest::From(offset) => self.send_appended(job, offset, turn, meter, watch).await,
                }
            };
            let before = meter.sent_bytes.load(Ordering::Relaxed);
            // Of a file that goes over several connections nothing is learned of files.
            let lone = (job.upload.plan.concurrency <= 1).then(|| Arc::new(self.breadth.begin()));
            let ended = Watched::by(meter, lone.clone());
            let sent = self.make_way(job, meter, held, turn, sent).await;
            drop(ended);
            if let Some(under_way) = lone
                && sent.is_ok()
            {
                under_way.arrived(meter.sent_bytes.load(Ordering::Relaxed) - before);
            }
            match sent {
                // Nothing more is wanted: completing tells of the asset that has the bytes.
                Ok(()) | Err(Stop::Merged) => {}
                Err(stop) => {
                    turn.bears(Company::Alone, None);
                    return Err(stop);
                }
            }
            self.unchanged(job)?;
        }
        // While the server completes it, the next file may be sent.
        *slot = None;
        turn.is_out();
        let reports = self.reports_with(&meter.tally).await;
        let (transfers, seqs) = reports.map_err(|e| Stop::Failed(Failure::from(&e)))?;
        let upload_id = &job.upload.upload_id;
        match self.session.complete(upload_id, transfers).await {
            Ok(completed) => {
                // If this fails they are told once more: a graph can bear that.
                let told = self.told(seqs).await;
                told.map_err(|e| Stop::Failed(Failure::from(&e)))?;
                Ok(completed)
            }
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

    /// Has the next file begin when all of this one has been handed to the network: where one file goes after another the
    /// link would be idle for a round trip between them otherwise. Only one file makes way so at a time, as what
    /// was handed over may not have left yet; and a key frame never, so that nothing is on its way beside it but what it
    /// bears.
    async fn make_way<T>(
        &self,
        job: &FileJob,
        meter: &Meter,
        slot: Slot,
        turn: &Turn,
        sending: impl Future<Output = T>,
    ) -> T {
        let mut sending = pin!(sending);
        if job.file.row.role == "key" {
            let mut tried = Duration::ZERO;
            loop {
                let looked = Instant::now();
                self.keep_company(job, meter, &slot, turn, tried);
                tokio::select! {
                    biased;
                    sent = &mut sending => return sent,
                    () = sleep(LOOK) => {}
                }
                if matches!(turn.company(), Some(Company::OnTrial { .. })) {
                    tried += looked.elapsed();
                }
            }
        }
        let is_out = async {
            let size_bytes = job.file.sent().stamp.size_bytes;
            meter.all_out(size_bytes).await;
            self.making_way.acquire().await
        };
        tokio::select! {
            biased;
            sent = &mut sending => sent,
            _turn = is_out => {
                drop(slot);
                sending.await
            }
        }
    }

    /// Says what may go beside the key frame `job`.
    fn keep_company(
        &self,
        job: &FileJob,
        meter: &Meter,
        slot: &Slot,
        turn: &Turn,
        tried: Duration,
    ) {
        let Some(now) = turn.company().filter(|_| self.bears_company()) else {
            return;
        };
        let plan = &job.upload.plan;
        let said = |word: &Why| plan.why.iter().any(|why| why == word.as_str());
        let there = meter.there_bytes.load(Ordering::Relaxed);
        let left = job.file.sent().stamp.size_bytes - there;
        let facts = Facts {
            more_carry_more: self.breadth.more_carry_more(),
            // Several connections of one file fill the link by themselves.
            is_held_down: plan.concurrency <= 1 && [Why::Loss, Why::RoundTrip].iter().any(said),
            alone_bytes_per_s: self.breadth.alone_bytes_per_s(),
            left_bytes: u64::try_from(left).unwrap_or(0),
            tried,
            has_pieces: turn.others_have_pieces(),
        };
        let next = company::next(now, &facts);
        if next != now {
            turn.bears(next, Some(slot));
        }
    }

    /// Whether the file still is what the journal says, as far as the file system tells.
    pub(super) fn unchanged(&self, job: &FileJob) -> Result<(), Stop> {
        match Stamp::of(job.file.source()) {
            Ok(stamp) if stamp == job.file.sent().stamp => Ok(()),
            Ok(_) => Err(Stop::Changed),
            Err(error) => Err(Stop::Failed(Failure::unreadable(&error))),
        }
    }
}

/// Has a meter tell what moves, until it is dropped.
struct Watched<'a>(&'a Meter);

impl<'a> Watched<'a> {
    fn by(meter: &'a Meter, under_way: Option<Arc<UnderWay>>) -> Self {
        *meter.watched() = under_way;
        Self(meter)
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        *self.0.watched() = None;
    }
}

/// How the bytes of `job` travel.
fn transport(job: &FileJob) -> Result<Transport, Stop> {
    let plan = &job.upload.plan;
    let spoken = Transport::parse(&plan.transport).filter(|_| plan.part_size_bytes >= 1);
    spoken.ok_or_else(|| {
        let detail = format!(
            "the server wants this file by `{}`, which this version does not speak",
            plan.transport
        );
        Stop::Failed(Failure::of("plan_not_understood", detail))
    })
}
