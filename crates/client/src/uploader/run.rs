//! Ties it together: one capture after another, few files at once, the key frame first, and alone where others would take
//! something from it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use safelight_model::codes::Code;
use safelight_model::plan::Transport;
use tokio::sync::futures::Notified;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::ask_ahead::{self, Answer, Asked, Heard, Line};
use super::company::Company;
use super::initiate::Initiated;
use super::lanes::{Lane, Lanes};
use super::room::NoRoom;
use super::send_file::{Sent, Stop};
use super::{
    CancelError, Failure, FileJob, FileOutcome, Known, Uploader, WorkFile, blocking, resume,
};
use crate::call_error::CallError;
use crate::gate::Hold;
use crate::grouping::{self, Draft};
use crate::journal::JournalError;
use crate::progress::Event;

/// How often captures are made anew in one run because the server gave up the ones before.
const MAX_RENEWALS: u32 = 2;
/// Files that wait for their completion while others are sent, for each that may be sent.
const COMPLETIONS_PER_SLOT: usize = 8;

/// What is said while the server has no room for more.
const NO_ROOM: &str = "so many uploads of this owner are open that the server takes no more before some have ended; they are \
                       kept, and go on with the next run";

/// After so long the server is asked again for what it had no room for, whatever is under way here.
const ASKED_AGAIN: Duration = Duration::from_secs(60);

/// What is to be sent, in the journal or not.
pub(super) enum Work {
    Known(Known),
    Fresh(Draft),
}

/// Where going through the queue is.
struct Pass {
    /// Lanes to send in.
    lanes: Arc<Lanes>,
    /// Room for files that were sent and wait for their completion.
    completing: Arc<Semaphore>,
    tasks: JoinSet<Sent>,
    given_up: BTreeMap<i64, Vec<WorkFile>>,
    /// The SHA-256 of what was begun to be sent.
    begun: HashSet<String>,
    /// Why nothing more is tried.
    gone: Option<Failure>,
    /// Captures for which the server has no room before something of this owner's has ended.
    no_room: NoRoom,
    /// How many files of the queue have not been begun.
    left: usize,
    /// How many files have ended, each of which may have made room.
    ended: Arc<AtomicU64>,
}

impl Work {
    fn paths(&self) -> Vec<&Path> {
        match self {
            Self::Known(known) => known.files.iter().map(|f| f.path.as_path()).collect(),
            Self::Fresh(draft) => draft.files.iter().map(|f| f.path.as_path()).collect(),
        }
    }

    pub(super) fn failed(&self, failure: &Failure) -> Vec<FileOutcome> {
        match self {
            Self::Known(known) => {
                let files = known.files.iter();
                files.map(|f| f.failed(failure.clone())).collect()
            }
            Self::Fresh(draft) => {
                let files = draft.files.iter();
                files
                    .map(|f| FileOutcome::failed(f.path.clone(), failure.clone()))
                    .collect()
            }
        }
    }
}

impl Uploader {
    /// Sends the files at `paths`: what the journal knows goes on, the rest is grouped into
    /// captures. Returns what became of each file, in the order given; a file named twice counts once.
    ///
    /// # Errors
    /// When the journal cannot be used. What happens to single files stands in their outcomes.
    pub async fn upload(
        self: &Arc<Self>,
        paths: &[PathBuf],
    ) -> Result<Vec<FileOutcome>, JournalError> {
        self.load().await?;
        self.sweep_copies().await?;
        let mut place: HashMap<PathBuf, usize> = HashMap::new();
        let mut outcomes = Vec::new();
        let mut there = Vec::new();
        for (i, path) in paths.iter().enumerate() {
            match std::fs::canonicalize(path) {
                Ok(real) if place.contains_key(&real) => {}
                Ok(real) => {
                    place.insert(real.clone(), i);
                    there.push(real);
                }
                Err(error) => {
                    place.insert(path.clone(), i);
                    let failure = Failure::unreadable(&error);
                    outcomes.push(FileOutcome::failed(path.clone(), failure));
                }
            }
        }
        let mut found = self.journal(move |j| resume::find(j, &there)).await?;
        if self.settings.again {
            self.forget_failed(&mut found).await?;
        }
        outcomes.extend(found.failed);
        let known: Vec<i64> = found.known.iter().map(|k| k.seq).collect();
        // Given up in an earlier run: what of them had arrived may be wanted again, as another capture.
        let ended: HashSet<i64> = self
            .journal(move |journal| {
                let mut ended = HashSet::new();
                for seq in known {
                    if journal.is_cancelled(seq)? {
                        ended.insert(seq);
                    }
                }
                Ok(ended)
            })
            .await?;
        let fresh = found.fresh;
        let drafts = blocking(move || grouping::group(&fresh)).await;
        let mut queue: Vec<Work> = found.known.into_iter().map(Work::Known).collect();
        queue.extend(drafts.into_iter().map(Work::Fresh));
        let first = |w: &Work| {
            w.paths()
                .iter()
                .filter_map(|p| place.get(*p))
                .min()
                .copied()
        };
        queue.sort_by_key(first);
        self.announce(&queue);
        for outcome in &outcomes {
            self.report(outcome);
        }

        for renewal in 0..=MAX_RENEWALS {
            let given_up = self.pass(queue, &mut outcomes).await?;
            queue = Vec::new();
            for (seq, files) in given_up {
                // Whose copy is gone is sent as another capture: its own asks for the copy's bytes.
                let (lost, mut files): (Vec<_>, Vec<_>) = files
                    .into_iter()
                    .partition(|f| renewal < MAX_RENEWALS && f.row.is_copy_lost());
                if !lost.is_empty() {
                    queue.extend(self.anew(lost).await?);
                }
                if files.is_empty() {
                    continue;
                }
                if renewal == MAX_RENEWALS {
                    let detail = "the server gave this upload up more than once; try again later";
                    let failure = Failure::of(Code::UploadExpired.as_str(), detail);
                    let failed = files.iter().map(|f| f.failed(failure.clone()));
                    self.settle_all(failed.collect(), &mut outcomes);
                } else if self.renew(seq).await? {
                    for file in &mut files {
                        file.row.is_uploaded = false;
                    }
                    queue.push(Work::Known(Known { seq, files }));
                } else {
                    // The user gave it up, and the server too: nothing of it goes on.
                    let anew = self.anew(files.clone()).await?;
                    if ended.contains(&seq) {
                        queue.extend(anew);
                    } else {
                        let failure = self.end_cancelled(seq).await;
                        let failed = files.iter().map(|f| f.failed(failure.clone()));
                        self.settle_all(failed.collect(), &mut outcomes);
                    }
                }
            }
            if queue.is_empty() {
                break;
            }
        }
        // Last: nothing that is to be sent waits for what is not.
        self.end_what_was_cancelled().await?;
        self.end_what_was_superseded().await?;
        self.sweep_copies().await?;
        outcomes.sort_by_key(|o| place.get(&o.path).copied());
        Ok(outcomes)
    }

    /// Goes through the queue once. Returns, by capture, the files that the server has given up.
    async fn pass(
        self: &Arc<Self>,
        queue: Vec<Work>,
        outcomes: &mut Vec<FileOutcome>,
    ) -> Result<BTreeMap<i64, Vec<WorkFile>>, JournalError> {
        let mut pass = Pass {
            lanes: Arc::default(),
            completing: Arc::new(Semaphore::new(self.slots() as usize * COMPLETIONS_PER_SLOT)),
            tasks: JoinSet::new(),
            given_up: BTreeMap::new(),
            begun: HashSet::new(),
            gone: None,
            no_room: NoRoom::default(),
            left: queue.iter().map(|work| work.paths().len()).sum(),
            ended: Arc::default(),
        };
        let lost = self.journal(|journal| journal.is_empty()).await?;
        let mut asked_at = pass.ended.load(Ordering::SeqCst);
        // What may not be sent now is put into the journal all the same, and let others go first.
        let queue = queue.into_iter().map(|work| (work, None)).collect();
        let mut aside = self.through(queue, lost, &mut pass, outcomes).await?;
        let mut patience = self.patience.begin();
        while !aside.is_empty() || !pass.no_room.is_empty() {
            if let Some(failure) = &pass.gone {
                let left = aside.drain(..).map(|(known, _)| known);
                for known in left.chain(pass.no_room.take()) {
                    self.settle_all(Work::Known(known).failed(failure), outcomes);
                }
                break;
            }
            let held: Vec<(i64, Hold)> = aside.iter().map(|(k, hold)| (k.seq, *hold)).collect();
            let (is_held, lacks_room) = (!held.is_empty(), !pass.no_room.is_empty());
            // There is room once something of this owner's has ended: of this run, or else of others.
            let is_alone = pass.tasks.is_empty();
            // Some may have ended while the others were asked for.
            let has_ended = pass.ended.load(Ordering::SeqCst) != asked_at;
            tokio::select! {
                biased;
                () = std::future::ready(()), if lacks_room && has_ended => {}
                () = self.gate.moves(&held), if is_held => {}
                () = self.collect(&mut pass, outcomes), if !is_alone => if !lacks_room {
                    continue;
                },
                // What is under way may be held back for long, while others make room.
                () = tokio::time::sleep(ASKED_AGAIN), if lacks_room && !is_alone => {}
                goes_on = patience.failed(NO_ROOM, None), if lacks_room && is_alone => if !goes_on {
                    // The journal keeps them: the next run asks again.
                    let failure = Failure::of(Code::QuotaExceeded.as_str(), NO_ROOM);
                    for known in pass.no_room.take() {
                        self.settle_all(Work::Known(known).failed(&failure), outcomes);
                    }
                    continue;
                },
            }
            let again = std::mem::take(&mut aside).into_iter();
            let again = again.map(|(known, was)| (Work::Known(known), Some(was)));
            let lacked = pass.no_room.len();
            let lacking = pass.no_room.take();
            asked_at = pass.ended.load(Ordering::SeqCst);
            let again = again.chain(lacking.map(|known| (Work::Known(known), None)));
            aside = self
                .through(again.collect(), lost, &mut pass, outcomes)
                .await?;
            if pass.no_room.len() < lacked {
                patience = self.patience.begin();
            }
        }
        while !pass.tasks.is_empty() {
            self.collect(&mut pass, outcomes).await;
        }
        self.note_link(true).await?;
        Ok(pass.given_up)
    }

    /// Asks for the captures of `queue`, and begins each in its turn. Returns those that may not be sent now, with the reason.
    async fn through(
        self: &Arc<Self>,
        queue: Vec<(Work, Option<Hold>)>,
        lost: bool,
        pass: &mut Pass,
        outcomes: &mut Vec<FileOutcome>,
    ) -> Result<Vec<(Known, Hold)>, JournalError> {
        let (tell, mut heard) = mpsc::unbounded_channel();
        let asking = self.ask_ahead(queue, lost, ask_ahead::Lane::open(tell, pass.ended.clone()));
        let sending = async {
            let (mut line, mut aside) = (Line::default(), Vec::new());
            loop {
                while let Some(asked) = line.next() {
                    aside.extend(self.begin(asked, pass, outcomes).await);
                    while let Ok(more) = heard.try_recv() {
                        self.hear(more, &mut line, outcomes)?;
                    }
                }
                tokio::select! {
                    more = heard.recv() => match more {
                        Some(more) => self.hear(more, &mut line, outcomes)?,
                        None => break Ok(aside),
                    },
                    () = self.collect(pass, outcomes), if !pass.tasks.is_empty() => {}
                }
            }
        };
        let ((), aside) = tokio::try_join!(asking, sending)?;
        Ok(aside)
    }

    fn hear(
        &self,
        heard: Heard,
        line: &mut Line,
        outcomes: &mut Vec<FileOutcome>,
    ) -> Result<(), JournalError> {
        match heard {
            Heard::Begun(place) => line.begun(place),
            Heard::InTrouble(place) => line.in_trouble(place),
            Heard::Answered(place, asked) => line.answered(place, Box::new((*asked)?)),
            Heard::Settled(settled) => self.settle_all(settled, outcomes),
        }
        Ok(())
    }

    /// Begins a capture that was asked for. Gives it back if it may not be sent now, with the reason.
    async fn begin(
        self: &Arc<Self>,
        asked: Asked,
        pass: &mut Pass,
        outcomes: &mut Vec<FileOutcome>,
    ) -> Option<(Known, Hold)> {
        let known = asked.known;
        let failed = |known: Known, failure: &Failure| Work::Known(known).failed(failure);
        let Initiated {
            jobs,
            outcomes: settled,
            given_up: files,
        } = match asked.answer {
            Answer::Initiated(initiated) => initiated,
            Answer::Held(hold) => return Some((known, hold)),
            Answer::NoRoom { was_refused } => {
                pass.no_room.wait(known, was_refused);
                return None;
            }
            Answer::Cancelled(failure) | Answer::Left(failure) => {
                pass.left = pass.left.saturating_sub(known.files.len());
                self.settle_all(failed(known, &failure), outcomes);
                return None;
            }
            Answer::Failed { failure, stops_all } => {
                pass.left = pass.left.saturating_sub(known.files.len());
                self.settle_all(failed(known, &failure), outcomes);
                if stops_all {
                    pass.gone = Some(failure);
                }
                return None;
            }
        };
        self.settle_all(settled, outcomes);
        if !files.is_empty() {
            pass.given_up.entry(known.seq).or_default().extend(files);
        }
        let mut key_first = KeyFirst::of(&jobs);
        pass.left = pass.left.saturating_sub(known.files.len());
        let mut left = pass.left + jobs.len();
        for mut job in jobs {
            left = left.saturating_sub(1);
            // The same bytes went before it, and may be there by now, which was not known when it was asked for.
            job.resumed |= !pass.begun.insert(job.file.sent().sha256.clone());
            // Room to complete first: who has that waits for the link, and never the other way round.
            let completing = loop {
                tokio::select! {
                    room = pass.completing.clone().acquire_owned() => break room.ok(),
                    () = self.collect(pass, outcomes), if !pass.tasks.is_empty() => {}
                }
            };
            let is_key = job.file.row.role == "key";
            let lane = self.lane(&pass.lanes, is_key).await;
            let slot = Slot { completing, lane };
            let turn = Turn {
                lanes: pass.lanes.clone(),
                is_key,
                left,
                place: key_first.place(is_key),
                others_have_pieces: key_first.others_have_pieces,
            };
            let this = self.clone();
            pass.tasks
                .spawn(async move { this.send_file(job, slot, turn).await });
        }
        None
    }

    /// Drops files from their captures, to be sent in others.
    async fn anew(&self, files: Vec<WorkFile>) -> Result<Vec<Work>, JournalError> {
        let gone: Vec<i64> = files.iter().map(|f| f.row.seq).collect();
        self.journal(move |journal| gone.into_iter().try_for_each(|seq| journal.drop_file(seq)))
            .await?;
        let paths: Vec<PathBuf> = files.into_iter().map(|f| f.path).collect();
        let drafts = blocking(move || grouping::group(&paths)).await;
        Ok(drafts.into_iter().map(Work::Fresh).collect())
    }

    /// Waits for a lane to send in.
    pub(super) async fn lane(&self, lanes: &Arc<Lanes>, is_key: bool) -> Lane {
        lanes.enter(is_key, &self.breadth, || self.at_once()).await
    }

    /// How many files had better be under way at once.
    pub(super) fn at_once(&self) -> u32 {
        self.breadth.at_once(self.slots(), self.spares_battery())
    }

    fn spares_battery(&self) -> bool {
        self.settings.conditions.borrow().spares_battery()
    }

    /// Whether more than one file may be under way at all.
    pub(super) fn bears_company(&self) -> bool {
        self.slots() > 1 && !self.spares_battery()
    }

    fn slots(&self) -> u32 {
        self.settings.parallel_files.max(1)
    }

    async fn collect(&self, pass: &mut Pass, outcomes: &mut Vec<FileOutcome>) {
        let ended = pass.tasks.join_next().await;
        pass.ended.fetch_add(1, Ordering::SeqCst);
        match ended {
            Some(Ok(Sent::Settled(outcome))) => self.settle_all(vec![*outcome], outcomes),
            Some(Ok(Sent::GivenUp(file))) => {
                pass.given_up
                    .entry(file.row.capture_seq)
                    .or_default()
                    .push(*file);
            }
            Some(Err(error)) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
            None => {}
        }
    }

    /// What was cancelled and not told to the server yet. Without an answer it stays for the next run.
    async fn end_what_was_cancelled(&self) -> Result<(), JournalError> {
        let open = self.journal(|journal| journal.open_captures()).await?;
        for capture in open.iter().filter(|c| c.wish.is_cancelled) {
            match self.abort(capture.seq).await {
                Ok(()) => {}
                Err(CancelError::Journal(error)) => return Err(error),
                Err(CancelError::Call(_)) => break,
            }
        }
        Ok(())
    }

    fn settle_all(&self, settled: Vec<FileOutcome>, outcomes: &mut Vec<FileOutcome>) {
        for outcome in settled {
            self.report(&outcome);
            outcomes.push(outcome);
        }
    }

    fn report(&self, outcome: &FileOutcome) {
        self.patience.progress.event(&match &outcome.failure {
            Some(failure) => Event::Failed {
                file: &outcome.path,
                code: &failure.code,
                detail: &failure.detail,
            },
            None => Event::Uploaded {
                file: &outcome.path,
                size_bytes: outcome.size_bytes.unwrap_or(0),
                already_there: outcome.already_there,
            },
        });
    }

    fn announce(&self, queue: &[Work]) {
        let paths: HashSet<&Path> = queue.iter().flat_map(Work::paths).collect();
        let size = |p: &&Path| std::fs::metadata(p).map_or(0, |m| m.len());
        let size_bytes: u64 = paths.iter().map(size).sum();
        self.patience.progress.event(&Event::Found {
            files: paths.len(),
            size_bytes: i64::try_from(size_bytes).unwrap_or(i64::MAX),
        });
    }
}

/// Whether it would only fail in the same way for every other capture. If others were answered meanwhile and it `is_alone`, only a
/// credential that is refused would.
pub(super) fn stops_all(error: &CallError, is_alone: bool) -> bool {
    match error {
        // Others may be known to the server already, or have nothing to send.
        CallError::Refused { .. } if error.is_full() => false,
        CallError::Refused { status, .. } => {
            matches!(status, 401 | 403) || !is_alone && error.is_passing()
        }
        CallError::Transport(_) => !is_alone,
        CallError::NotUnderstood(_) => false,
    }
}

/// Room to send in.
pub(super) struct Slot {
    /// Room to wait for the completion in.
    pub(super) completing: Option<OwnedSemaphorePermit>,
    lane: Lane,
}

/// When a file may send, and in which lane.
pub(super) struct Turn {
    lanes: Arc<Lanes>,
    is_key: bool,
    left: usize,
    place: Place,
    others_have_pieces: bool,
}

/// Where a file stands in its capture.
enum Place {
    /// It is the key frame: the others wait until it says that it bears them, or this is dropped.
    Key(watch::Sender<Company>),
    /// After the key frame, if there is one.
    After(Option<watch::Receiver<Company>>),
}

/// Hands out the places of one capture.
struct KeyFirst {
    key: Option<watch::Sender<Company>>,
    after: Option<watch::Receiver<Company>>,
    /// Whether what would go beside the key frame can go in pieces: all of it is appended to.
    others_have_pieces: bool,
}

impl KeyFirst {
    fn of(jobs: &[FileJob]) -> Self {
        let (keys, others): (Vec<&FileJob>, Vec<&FileJob>) =
            jobs.iter().partition(|job| job.file.row.role == "key");
        let (key, after) = (!keys.is_empty())
            .then(|| watch::channel(Company::Alone))
            .unzip();
        let is_appended = |job: &&FileJob| {
            Transport::parse(&job.upload.plan.transport) == Some(Transport::Append)
        };
        // Where the key frame is all that is left, other captures come next, which mostly go as it does.
        let beside = if others.is_empty() { &keys } else { &others };
        Self {
            key,
            after,
            others_have_pieces: beside.iter().all(is_appended),
        }
    }

    fn place(&mut self, is_key: bool) -> Place {
        match self.key.take_if(|_| is_key) {
            Some(key) => Place::Key(key),
            None => Place::After(self.after.clone()),
        }
    }
}

impl Turn {
    /// Room to send in: `first`, if it is there and the key frame is out or bears company. Who has to wait for the key frame,
    /// which may be held back, holds no room meanwhile, and waits for another lane then.
    pub(super) async fn come(&self, first: Option<Slot>, uploader: &Uploader) -> Slot {
        if let Place::After(Some(key)) = &self.place
            && key.has_changed().is_ok()
            && *key.borrow() == Company::Alone
        {
            drop(first);
            let _ = key.clone().wait_for(|c| *c != Company::Alone).await;
        } else if let Some(first) = first {
            return first;
        }
        let lane = uploader.lane(&self.lanes, self.is_key).await;
        let slot = Slot {
            completing: None,
            lane,
        };
        // What it bore in an earlier round is asked anew.
        self.bears(Company::Alone, Some(&slot));
        slot
    }

    /// The key frame bears such company from now on, in whose `slot` it is sent.
    pub(super) fn bears(&self, company: Company, slot: Option<&Slot>) {
        if let Place::Key(key) = &self.place {
            key.send_if_modified(|now| std::mem::replace(now, company) != company);
            if let Some(slot) = slot {
                slot.lane.bears(company);
            }
        }
    }

    /// What goes beside this file, if it is a key frame whose others wait for it.
    pub(super) fn company(&self) -> Option<Company> {
        match &self.place {
            Place::Key(key) => Some(*key.borrow()),
            Place::After(_) => None,
        }
    }

    /// Whether what would go beside this file, a key frame, can go in pieces.
    pub(super) fn others_have_pieces(&self) -> bool {
        self.others_have_pieces
    }

    /// How much may go by one request while it is tried whether the key frame under way bears this file beside it; `None` for
    /// as much as there is.
    ///
    /// # Errors
    /// [`Stop::Aside`] if nothing may.
    pub(super) fn piece(&self) -> Result<Option<u64>, Stop> {
        match self.lanes.key().filter(|_| !self.is_key) {
            Some(Company::Alone) => Err(Stop::Aside),
            Some(Company::OnTrial { piece_bytes }) => Ok(Some(piece_bytes)),
            Some(Company::Welcome) | None => Ok(None),
        }
    }

    /// How many files had not been begun when this one was.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// How many lanes there are for this file, which has one, where `at_once` files may send and no other begins.
    pub(super) fn lanes_left(&self, at_once: u32) -> u32 {
        self.lanes.left(at_once)
    }

    /// Returns when another file has begun or ended, perhaps.
    pub(super) fn lanes_moved(&self) -> Notified<'_> {
        self.lanes.moved()
    }

    /// All bytes are out: if it is the key frame's, the others may go.
    pub(super) fn is_out(&mut self) {
        self.place = Place::After(None);
    }
}
