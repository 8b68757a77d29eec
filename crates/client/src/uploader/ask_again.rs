//! Asks the server for another plan in the midst of an upload, when the one in force no longer fits.
//!
//! | why | when |
//! |---|---|
//! | the app says another network, or that bytes cost something | at once |
//! | what is measured is twice or half of what the plan was made by | at once; what the next plan is made by is the measure from then on, so that it takes another doubling to ask again |
//! | three tries in a row failed | at once |
//! | a part was cut three times in a row, and that cost more than what has arrived of the file | at once; what has arrived is given up for being appended to, where a cut costs nothing |
//!
//! At most once in [`Settings::ask_again_after`](super::Settings) for each file, and not when so little is left that no plan
//! would make a difference. No answer is no harm: the upload goes on as before.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use safelight_api::captures::{Network, Plan};
use safelight_api::uploads::{Replan, Replanned};
use safelight_model::plan::Transport;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::hints::Basis;
use super::intend::spoken;
use super::send_file::Stop;
use super::{FileJob, Uploader};

/// So many failures in a row are a reason to ask.
const FAILURES: u32 = 3;
/// A part that was cut so often in a row may never be through.
pub(super) const CUTS: u32 = 3;

/// Watches over the plan of one file.
pub(super) struct Watch {
    basis: Mutex<Basis>,
    asked_at: Mutex<Option<Instant>>,
    failures: AtomicU32,
    /// What was sent in vain since something of it arrived.
    vain_bytes: AtomicI64,
    /// Whether the server will not have it begin anew.
    stays: AtomicBool,
    /// Whether it did, and is to be appended to from then on.
    is_anew: AtomicBool,
    /// Rung at each failure.
    pub(super) trouble: Notify,
}

impl Watch {
    pub(super) fn over(basis: Basis) -> Self {
        Self {
            basis: Mutex::new(basis),
            asked_at: Mutex::default(),
            failures: AtomicU32::new(0),
            vain_bytes: AtomicI64::new(0),
            stays: AtomicBool::new(false),
            is_anew: AtomicBool::new(false),
            trouble: Notify::new(),
        }
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.trouble.notify_one();
    }

    /// So much was sent of a part that did not arrive.
    pub(super) fn in_vain(&self, bytes: i64) {
        self.vain_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn carried(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.vain_bytes.store(0, Ordering::Relaxed);
    }

    /// Whether a part that was cut so often in a row had better be appended, given up what has arrived: what it has cost by now
    /// is more than that, so that in all it costs twice as much at most as if that had been known.
    pub(super) fn is_stuck(&self, cuts: u32, there_bytes: i64) -> bool {
        let vain_bytes = self.vain_bytes.load(Ordering::Relaxed);
        cuts >= CUTS && vain_bytes > there_bytes && !self.stays.load(Ordering::Relaxed)
    }

    /// Whether the plan no longer fits, by what is known now.
    pub(super) fn is_due(&self, now: Option<&Network>, least_between: Duration) -> bool {
        let asked_at = *lock(&self.asked_at);
        if asked_at.is_some_and(|at| at.elapsed() < least_between) {
            return false;
        }
        self.failures.load(Ordering::Relaxed) >= FAILURES || lock(&self.basis).change(now).is_some()
    }

    fn asks(&self, by: Option<Network>) {
        *lock(&self.asked_at) = Some(Instant::now());
        *lock(&self.basis) = Basis::of(by);
        self.failures.store(0, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is smaller is mostly through before a link breaks.
const WORTH_RESUMING_BYTES: i64 = 256 * 1024;

/// There was no answer.
#[derive(Debug)]
pub(super) struct NoAnswer;

/// The one transport that a cut costs nothing.
pub(super) fn appended() -> Vec<String> {
    vec![Transport::Append.as_str().to_owned()]
}

/// What became of asking.
pub(super) enum Again {
    /// The plan to go on by.
    Plan(Box<Replanned>),
    /// There was no answer: perhaps the server has another plan now.
    Silence,
    /// The server will not: the upload is as it was, or has ended, which shows soon.
    Refused,
}

impl Uploader {
    /// Whether another plan is to be asked for now.
    pub(super) fn wants_another_plan(&self, watch: &Watch) -> bool {
        watch.is_due(self.network().as_ref(), self.settings.ask_again_after)
    }

    /// Asks, with what is known now.
    pub(super) async fn ask_again(&self, job: &FileJob, watch: &Watch) -> Again {
        let accepted = if watch.is_anew.load(Ordering::Relaxed) {
            appended()
        } else {
            spoken()
        };
        self.ask(job, watch, accepted, false).await
    }

    /// Has the server begin it anew as one that is appended to; `false` if it will not.
    ///
    /// # Errors
    /// If there was no answer: perhaps it does.
    pub(super) async fn restart(
        &self,
        job: &mut FileJob,
        watch: &Watch,
        accepted: Vec<String>,
    ) -> Result<bool, NoAnswer> {
        let begins = match self.ask(job, watch, accepted, true).await {
            Again::Plan(answer) => adopt(job, *answer),
            Again::Silence => return Err(NoAnswer),
            Again::Refused => false,
        };
        watch.stays.store(!begins, Ordering::Relaxed);
        watch.is_anew.store(begins, Ordering::Relaxed);
        Ok(begins)
    }

    async fn ask(
        &self,
        job: &FileJob,
        watch: &Watch,
        accept_transports: Vec<String>,
        restart: bool,
    ) -> Again {
        let network = self.network();
        watch.asks(network.clone());
        let conditions = self.settings.conditions.borrow().clone();
        let asked = Replan {
            network,
            battery: conditions.battery(),
            background: conditions.background,
            accept_transports,
            restart,
        };
        match self.session.replan(&job.upload.upload_id, &asked).await {
            Ok(answer) => {
                self.breadth.said(answer.assets_at_once);
                Again::Plan(Box::new(answer))
            }
            Err(error) if error.is_passing() => Again::Silence,
            Err(_) => Again::Refused,
        }
    }

    /// Asks before anything is sent, if network or measure are no longer those that the plan was made by. What is signed
    /// for one request stays, unless the link breaks too often for that.
    pub(super) async fn plan_afresh(&self, job: &mut FileJob, watch: &Watch) -> Result<bool, Stop> {
        self.look_at_link()
            .await
            .map_err(|e| Stop::Failed((&e).into()))?;
        let is_single = Transport::parse(&job.upload.plan.transport) == Some(Transport::Single);
        let is_small = job.file.sent().stamp.size_bytes < WORTH_RESUMING_BYTES;
        if is_single && self.link_breaks() && !is_small && !watch.stays.load(Ordering::Relaxed) {
            // As the server's policy decides.
            return Ok(self.restart(job, watch, spoken()).await.unwrap_or(true));
        }
        if is_single || !self.wants_another_plan(watch) {
            return Ok(false);
        }
        match self.ask_again(job, watch).await {
            Again::Plan(answer) => Ok(adopt(job, *answer)),
            Again::Silence => Ok(true),
            Again::Refused => Ok(false),
        }
    }
}

/// Whether `plan` moves the bytes in another way than `job`'s.
pub(super) fn is_other(job: &FileJob, plan: &Plan) -> bool {
    let current = &job.upload.plan;
    (&current.transport, current.part_size_bytes) != (&plan.transport, plan.part_size_bytes)
}

/// Goes on by `answer`. `true` if the bytes travel in another way from now on, so that it has to be asked where the upload is.
pub(super) fn adopt(job: &mut FileJob, answer: Replanned) -> bool {
    let moves = is_other(job, &answer.plan);
    job.upload.plan = answer.plan;
    if moves {
        job.upload.urls = answer.urls;
    }
    moves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_for_a_reason_and_not_too_often() {
        let wifi = Network {
            kind: Some("wifi".to_owned()),
            ..Network::default()
        };
        let watch = Watch::over(Basis::of(Some(wifi.clone())));
        let (never, always) = (Duration::MAX, Duration::ZERO);
        assert!(!watch.is_due(Some(&wifi), always));
        let cellular = Network {
            kind: Some("3g".to_owned()),
            ..Network::default()
        };
        assert!(watch.is_due(Some(&cellular), never), "it was never asked");
        watch.asks(Some(cellular.clone()));
        assert!(!watch.is_due(Some(&cellular), always));
        for _ in 0..2 {
            watch.failed();
        }
        watch.carried();
        watch.failed();
        assert!(!watch.is_due(Some(&cellular), always), "not in a row");
        for _ in 0..2 {
            watch.failed();
        }
        assert!(watch.is_due(Some(&cellular), always));
        assert!(
            !watch.is_due(Some(&cellular), never),
            "it was asked of late"
        );
    }

    #[test]
    fn what_has_arrived_is_given_up_once_cuts_have_cost_more() {
        let watch = Watch::over(Basis::of(None));
        watch.in_vain(500);
        assert!(!watch.is_stuck(CUTS - 1, 0));
        assert!(watch.is_stuck(CUTS, 499));
        assert!(!watch.is_stuck(CUTS, 500));
        watch.carried();
        assert!(!watch.is_stuck(CUTS, 0), "something arrived since");
        watch.in_vain(1);
        watch.stays.store(true, Ordering::Relaxed);
        assert!(!watch.is_stuck(CUTS, 0), "the server will not");
    }
}
