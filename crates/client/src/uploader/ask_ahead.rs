//! Asks the server for captures ahead of what is being sent: others see what is on its way before its turn comes, and a long
//! round trip is not paid once for each capture.
//!
//! Captures enter the journal and are asked for in the order of the queue, several at once. Bytes go in that order too: an answer
//! that comes early waits for those before it, unless they are in trouble.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use safelight_api::captures::CaptureInitiated;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::initiate::{InitiateError, Initiated};
use super::run::{Work, stops_all};
use super::{Failure, FileOutcome, Known, Uploader};
use crate::call_error::CallError;
use crate::gate::Hold;
use crate::journal::{CaptureRow, JournalError};
use crate::progress::Event;

/// Initiations under way at once. On a round trip of a second these are four previews a second, in about 2 KB each.
const AT_ONCE: usize = 4;
/// Captures that may be asked for and wait for their turn: what a screen shows. What is planned long ahead is planned by
/// conditions that may have changed by then, and a URL in an answer works for 15 minutes.
const AHEAD: u32 = 32;
/// So many of them while nothing is known of the link: the first files show what it carries, and what is asked for by then is
/// planned by it.
const AHEAD_IN_THE_DARK: u32 = 4;
/// Who is not answered while so many behind him are is passed over: his request or answer was lost, as TCP concludes from three
/// duplicate acknowledgements.
const LATER_ANSWERS: usize = 3;

/// What became of asking for a capture.
pub(super) enum Answer {
    /// It may be sent.
    Initiated(Initiated),
    /// It may not be sent now.
    Held(Hold),
    /// The server has no room for it before something of the owner's has ended. It said so, or was not asked, having said so of
    /// another.
    NoRoom { was_refused: bool },
    /// The user gave it up.
    Cancelled(Failure),
    /// It was not tried, as nothing is any more.
    Left(Failure),
    /// It failed; and if `stops_all`, so would all others.
    Failed { failure: Failure, stops_all: bool },
}

/// A capture that was asked for.
pub(super) struct Asked {
    pub(super) known: Known,
    pub(super) answer: Answer,
    /// Its place among those that are ahead.
    _ahead: OwnedSemaphorePermit,
}

/// What is heard of captures, each by its place in the queue.
pub(super) enum Heard {
    /// It is being asked for.
    Begun(u64),
    /// A try failed; there are others to come.
    InTrouble(u64),
    /// It is answered.
    Answered(u64, Box<Result<Asked, JournalError>>),
    /// Files that will not be sent.
    Settled(Vec<FileOutcome>),
}

/// What all captures of one way through the queue share.
pub(super) struct Lane {
    at_once: Semaphore,
    ahead: Arc<Semaphore>,
    answers: AtomicU64,
    /// How many answers there were when the last one failed.
    failed_after: Mutex<Option<u64>>,
    gone: Mutex<Option<Failure>>,
    /// How many files have ended so far.
    ended: Arc<AtomicU64>,
    /// How many had when the server had no room for one: until another one has, it is asked no more for what it does not know.
    full_at: AtomicU64,
    tell: UnboundedSender<Heard>,
}

impl Lane {
    pub(super) fn open(tell: UnboundedSender<Heard>, ended: Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Self {
            at_once: Semaphore::new(AT_ONCE),
            ahead: Arc::new(Semaphore::new(AHEAD as usize)),
            answers: AtomicU64::new(0),
            failed_after: Mutex::default(),
            gone: Mutex::default(),
            ended,
            full_at: AtomicU64::new(u64::MAX),
            tell,
        })
    }

    /// Why nothing more is tried.
    fn gone(&self) -> Option<Failure> {
        let gone = self.gone.lock();
        gone.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that one failed that was asked for when there were `began` answers. Whether it was the only one: others were
    /// answered since, and none other failed without one being answered in between.
    fn failed(&self, began: u64) -> bool {
        let answers = self.answers.load(Ordering::SeqCst);
        let mut last = self
            .failed_after
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.replace(answers) != Some(answers) && answers != began
    }

    /// Nothing more is tried.
    fn stop(&self, why: Failure) {
        *self.gone.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    fn tell(&self, heard: Heard) {
        // Who does not listen any more wants nothing.
        let _ = self.tell.send(heard);
    }
}

/// One capture's way to its answer.
pub(super) struct Errand {
    lane: Arc<Lane>,
    place: u64,
    /// How many answers there were when it began.
    began: AtomicU64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("nothing more is tried")]
    Left(Failure),
    #[error("the server had no room for one before it")]
    NoRoom,
}

impl Errand {
    /// Its capture's place in the queue.
    pub(super) fn place(&self) -> u64 {
        self.place
    }

    /// Stops all if it would only fail in the same way for every other capture.
    fn judge(&self, error: &CallError) {
        // A server that refuses this one answers.
        let answers = matches!(error, CallError::Refused { status, .. } if !matches!(status, 401 | 403))
            && !error.is_passing();
        if answers || error.is_full() {
            self.lane.answers.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let is_alone = self.lane.failed(self.began.load(Ordering::SeqCst));
        if stops_all(error, is_alone) {
            self.lane.stop(Failure::from(error));
        }
    }

    /// Asks in turn, among the few that may at once.
    pub(super) async fn ask(
        &self,
        uploader: &Uploader,
        capture: &CaptureRow,
    ) -> Result<CaptureInitiated, AskError> {
        // It is never closed.
        let _turn = self.lane.at_once.acquire().await;
        if let Some(failure) = self.lane.gone() {
            return Err(AskError::Left(failure));
        }
        // What the server knows has its room.
        let ended = self.lane.ended.load(Ordering::SeqCst);
        if capture.capture_id.is_none() && self.lane.full_at.load(Ordering::SeqCst) == ended {
            return Err(AskError::NoRoom);
        }
        let answers = self.lane.answers.load(Ordering::SeqCst);
        self.began.store(answers, Ordering::SeqCst);
        let (request, key) = (&capture.request, &capture.idempotency_key);
        let in_trouble = || self.lane.tell(Heard::InTrouble(self.place));
        let answer = uploader.session.initiate_telling(request, key, &in_trouble);
        match answer.await {
            Ok(answer) => {
                self.lane.answers.fetch_add(1, Ordering::SeqCst);
                Ok(answer)
            }
            // Before the next one has its turn.
            Err(error) => {
                if error.is_full() {
                    self.lane.full_at.store(ended, Ordering::SeqCst);
                }
                self.judge(&error);
                Err(error.into())
            }
        }
    }
}

impl Uploader {
    /// Goes through `queue`: what is fresh enters the journal, and each capture is asked for in a task of its own.
    pub(super) async fn ask_ahead(
        self: &Arc<Self>,
        queue: Vec<(Work, Option<Hold>)>,
        is_journal_lost: bool,
        lane: Arc<Lane>,
    ) -> Result<(), JournalError> {
        let mut asking = JoinSet::new();
        let mut place = 0;
        for (work, was) in queue {
            let ahead = self.ahead(&lane).await;
            if let Some(failure) = lane.gone() {
                lane.tell(Heard::Settled(work.failed(&failure)));
                continue;
            }
            let captures = match work {
                Work::Known(known) => vec![known],
                Work::Fresh(draft) => {
                    let (known, failed) = self.intend(draft, is_journal_lost).await?;
                    lane.tell(Heard::Settled(failed));
                    known
                }
            };
            let mut room = ahead;
            for known in captures {
                // A lost journal's draft may be several captures.
                let ahead = match room.take() {
                    Some(ahead) => Some(ahead),
                    None => self.ahead(&lane).await,
                };
                let Some(ahead) = ahead else {
                    continue;
                };
                place += 1;
                lane.tell(Heard::Begun(place));
                let errand = Errand {
                    lane: lane.clone(),
                    place,
                    began: AtomicU64::new(0),
                };
                let this = self.clone();
                asking.spawn(async move {
                    let answer = this.ask_for(known, was, ahead, &errand).await;
                    errand
                        .lane
                        .tell(Heard::Answered(errand.place, Box::new(answer)));
                });
            }
        }
        while let Some(ended) = asking.join_next().await {
            if let Some(panic) = ended.err().and_then(|e| e.try_into_panic().ok()) {
                std::panic::resume_unwind(panic);
            }
        }
        Ok(())
    }

    /// Room for one more capture that is ahead; a larger share of it while nothing is known of the link.
    async fn ahead(&self, lane: &Lane) -> Option<OwnedSemaphorePermit> {
        let share = if self.knows_link() {
            1
        } else {
            AHEAD / AHEAD_IN_THE_DARK
        };
        lane.ahead.clone().acquire_many_owned(share).await.ok()
    }

    /// Asks for a capture, unless it may not be sent. Why not is told if it is not what it `was`.
    async fn ask_for(
        &self,
        mut known: Known,
        was: Option<Hold>,
        ahead: OwnedSemaphorePermit,
        errand: &Errand,
    ) -> Result<Asked, JournalError> {
        let seq = known.seq;
        // Of what is there already only the state is asked for.
        let is_sent = known.files.iter().all(|f| f.row.is_uploaded);
        let failed = |error: &CallError| Answer::Failed {
            failure: Failure::from(error),
            stops_all: errand.lane.gone().is_some(),
        };
        let answer = tokio::select! {
            biased;
            hold = self.gate.closed(seq), if !is_sent => {
                if hold == Hold::Cancelled {
                    Answer::Cancelled(self.end_cancelled(seq).await)
                } else {
                    for file in known.files.iter().filter(|_| was != Some(hold)) {
                        let file = &file.path;
                        self.patience.progress.event(&Event::Held { file, hold });
                    }
                    Answer::Held(hold)
                }
            }
            initiated = self.initiate_as_advised(&mut known, errand) => match initiated {
                Ok(initiated) => Answer::Initiated(initiated),
                Err(InitiateError::Journal(error)) => return Err(error),
                Err(InitiateError::Ask(AskError::NoRoom)) => Answer::NoRoom { was_refused: false },
                Err(error) if error.is_full() => Answer::NoRoom { was_refused: true },
                Err(InitiateError::Ask(AskError::Left(failure))) => Answer::Left(failure),
                Err(InitiateError::Call(error)) => {
                    errand.judge(&error);
                    failed(&error)
                }
                Err(InitiateError::Ask(AskError::Call(error))) => failed(&error),
            },
        };
        Ok(Asked {
            known,
            answer,
            _ahead: ahead,
        })
    }
}

/// Those that were asked for and are not sent yet, in the order of the queue.
#[derive(Default)]
pub(super) struct Line(BTreeMap<u64, Stand>);

enum Stand {
    Waits { is_in_trouble: bool },
    Answered(Box<Asked>),
}

impl Line {
    pub(super) fn begun(&mut self, place: u64) {
        let waits = Stand::Waits {
            is_in_trouble: false,
        };
        self.0.insert(place, waits);
    }

    pub(super) fn in_trouble(&mut self, place: u64) {
        if let Some(Stand::Waits { is_in_trouble }) = self.0.get_mut(&place) {
            *is_in_trouble = true;
        }
    }

    pub(super) fn answered(&mut self, place: u64, asked: Box<Asked>) {
        self.0.insert(place, Stand::Answered(asked));
    }

    /// The next one to be sent, if it need not wait for one before it.
    pub(super) fn next(&mut self) -> Option<Asked> {
        let is_answered = |stand: &Stand| matches!(stand, Stand::Answered(_));
        let answers = self.0.values().filter(|s| is_answered(s)).count();
        let mut first = None;
        for (place, stand) in &mut self.0 {
            match stand {
                Stand::Answered(_) => {
                    first = Some(*place);
                    break;
                }
                Stand::Waits { is_in_trouble } => {
                    *is_in_trouble |= answers >= LATER_ANSWERS;
                    if !*is_in_trouble {
                        break;
                    }
                }
            }
        }
        let place = first?;
        match self.0.remove(&place)? {
            Stand::Answered(asked) => Some(*asked),
            Stand::Waits { .. } => None,
        }
    }
}
