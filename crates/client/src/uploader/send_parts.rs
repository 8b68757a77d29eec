//! Sends parts to the store, several at once, each tried again on its own. How many follows the pace that the link bears, and
//! the plan, which may change on the way.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use safelight_model::codes::Code;
use safelight_model::plan::Transport;
use tokio::time::Instant;

use super::ask_again::{Again, Watch, is_other};
use super::run::Turn;
use super::send_file::{Meter, Stop};
use super::sign::{Signer, range};
use super::{Failure, FileJob, Uploader};
use crate::gauge::{Ending, Flow};
use crate::progress::Event;
use crate::transport::{Answer, FilePut, OnSent, PutMethod, TransportError};

/// How often a refused URL is replaced at once, before it counts as a failure like others.
const FREE_URLS: u32 = 2;
/// How often bytes that the store calls wrong are sent again: a link may have turned a bit.
const WRONG_BYTES: u32 = 2;

/// With fewer parts left to begin, no other plan is asked for.
const WORTH_A_PLAN: usize = 3;

impl Uploader {
    /// Sends the parts `missing`.
    pub(super) async fn send_parts(
        &self,
        job: &FileJob,
        missing: Vec<i64>,
        turn: &Turn,
        meter: &Arc<Meter>,
        watch: &Watch,
    ) -> Result<(), Stop> {
        let signer = &Signer::for_parts(&self.session, job, &missing);
        let planned = &AtomicU32::new(job.upload.plan.concurrency);
        let has_parts = Transport::parse(&job.upload.plan.transport) == Some(Transport::Multipart);
        let mut conditions = self.settings.conditions.clone();
        conditions.borrow_and_update();
        let mut next = VecDeque::from(missing);
        let mut under_way = FuturesUnordered::new();
        let mut asking = None;
        let mut outcome = Ok(());
        loop {
            // After one part has failed no other begins, but those under way come to their end:
            // what they carry need not be sent again.
            let mut moved = pin!(turn.lanes_moved());
            moved.as_mut().enable();
            while outcome.is_ok() && under_way.len() < self.allowed(job, turn, planned) {
                let Some(number) = next.pop_front() else {
                    break;
                };
                under_way.push(self.send_part(job, signer, number, meter, watch, planned));
            }
            if under_way.is_empty() {
                return outcome;
            }
            let is_worth_it = has_parts && outcome.is_ok() && next.len() >= WORTH_A_PLAN;
            if is_worth_it && asking.is_none() && self.wants_another_plan(watch) {
                asking = Some(Box::pin(self.ask_again(job, watch)));
            }
            let answered = async {
                match asking.as_mut() {
                    Some(asking) => asking.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(done) = under_way.next() => outcome = outcome.and(done),
                again = answered => {
                    asking = None;
                    // What has begun keeps transport and part size; if not, signing shows it.
                    if let Again::Plan(answer) = again && !is_other(job, &answer.plan) {
                        planned.store(answer.plan.concurrency, Ordering::Relaxed);
                    }
                }
                () = watch.trouble.notified() => {}
                () = moved, if job.is_split => {}
                Ok(()) = conditions.changed() => {
                    outcome = outcome.and(self.look_at_link().await.map_err(|e| {
                        Stop::Failed(Failure::from(&e))
                    }));
                }
            }
        }
    }

    /// How many parts may be under way at once.
    fn allowed(&self, job: &FileJob, turn: &Turn, planned: &AtomicU32) -> usize {
        let mut most = load(planned);
        if job.is_split {
            most = most.min(turn.lanes_left(self.at_once()));
        }
        self.pace.allowed(most)
    }

    async fn send_part(
        &self,
        job: &FileJob,
        signer: &Signer<'_>,
        number: i64,
        meter: &Arc<Meter>,
        watch: &Watch,
        planned: &AtomicU32,
    ) -> Result<(), Stop> {
        // It counts among what is under way, and says nothing of what a file carries.
        let counted = job.is_split.then(|| self.breadth.begin());
        if let Some(counted) = &counted {
            counted.goes_in_pieces();
        }
        let mut attempts = self.patience.begin();
        let (mut urls, mut wrong, mut cuts) = (0, 0, 0);
        let mut is_again = false;
        loop {
            meter.tally.attempt(is_again);
            let begun = Instant::now();
            let Some((answer, sent)) = self.put_once(job, signer, number, meter).await? else {
                self.pace.carried(load(planned));
                watch.carried();
                return Ok(());
            };
            if !std::mem::replace(&mut is_again, true) {
                meter.tally.part_failed();
            }
            let why = match &answer {
                Ok(answer) => format!("the store answered {}", describe(answer)),
                Err(error) => format!("the store cannot be reached: {error}"),
            };
            self.unchanged(job)?;
            let mut retry_after = None;
            watch.in_vain(sent);
            // Between two of them there may be no network at all.
            if sent > 0 && matches!(&answer, Err(TransportError::Broken(_))) {
                cuts += 1;
            }
            match answer {
                Ok(answer) => {
                    match answer.status {
                        403 if urls < FREE_URLS => {
                            urls += 1;
                            continue;
                        }
                        404 | 409 | 412 => return Err(Stop::Unclear(why)),
                        400 if wrong < WRONG_BYTES => wrong += 1,
                        400 => {
                            let code = Code::ChecksumMismatch.as_str();
                            return Err(Stop::Failed(Failure::of(code, why)));
                        }
                        403 | 408 | 429 | 500..=599 => {}
                        _ => {
                            let code = Code::StoreUnavailable.as_str();
                            return Err(Stop::Failed(Failure::of(code, why)));
                        }
                    }
                    retry_after = answer.retry_after;
                }
                Err(TransportError::Unreachable(_) | TransportError::Broken(_)) => {}
                Err(TransportError::File(error)) => {
                    return Err(Stop::Failed(Failure::unreadable(&error)));
                }
                Err(TransportError::Malformed(_)) => {
                    return Err(Stop::Failed(Failure::of("plan_not_understood", why)));
                }
            }
            self.pace.broke(begun, load(planned));
            watch.failed();
            let there = meter.there_bytes.load(Ordering::Relaxed);
            if watch.is_stuck(cuts, there) {
                return Err(Stop::Stuck(why));
            }
            if !attempts.failed(&why, retry_after).await {
                let code = Code::StoreUnavailable.as_str();
                return Err(Stop::Failed(Failure::of(code, why)));
            }
        }
    }

    /// One try: `None` if the part is there then. What it counted as sent is taken back if it is not, and told.
    async fn put_once(
        &self,
        job: &FileJob,
        signer: &Signer<'_>,
        number: i64,
        meter: &Arc<Meter>,
    ) -> Result<Option<(Result<Answer, TransportError>, i64)>, Stop> {
        let signed = signer.url(number).await?;
        let Some((offset, size_bytes)) =
            range(job, number).filter(|(_, n)| u64::try_from(signed.size_bytes) == Ok(*n))
        else {
            let detail = format!(
                "the server wants {} bytes as part {number}, which is not so by the plan",
                signed.size_bytes
            );
            // Perhaps it was planned anew by a request that came late.
            return Err(Stop::Unclear(detail));
        };
        let flow = Arc::new(self.session.gauge().begin());
        let (on_sent, mine) = self.counted(job, meter, &flow);
        let put = FilePut {
            method: PutMethod::Put,
            url: signed.url,
            headers: signed.headers.into_iter().collect(),
            path: job.file.source().to_owned(),
            offset,
            size_bytes,
        };
        let answer = self.transport.put(put, on_sent).await;
        flow.end(ending(&answer));
        let is_all = u64::try_from(mine.load(Ordering::Relaxed)) == Ok(size_bytes);
        let is_there = match &answer {
            Ok(answer) => (200..300).contains(&answer.status),
            // Perhaps only the answer was lost: whoever asks need not send it all again.
            Err(TransportError::Broken(_)) if is_all => {
                let truth = self.session.upload(&job.upload.upload_id).await?;
                let wanted = (number, signed.size_bytes);
                matches!(truth.state.as_str(), "completed" | "completing" | "merged")
                    || truth
                        .parts
                        .iter()
                        .any(|p| (p.number, p.size_bytes) == wanted)
            }
            Err(_) => false,
        };
        if is_there {
            return Ok(None);
        }
        let taken_back = mine.load(Ordering::Relaxed);
        let there = meter.there_bytes.fetch_sub(taken_back, Ordering::Relaxed) - taken_back;
        self.patience.progress.event(&Event::Sent {
            file: &job.file.path,
            sent_bytes: there,
        });
        Ok(Some((answer, taken_back)))
    }

    /// Counts what one request hands to the network, for the meter and by itself.
    pub(super) fn counted(
        &self,
        job: &FileJob,
        meter: &Arc<Meter>,
        flow: &Arc<Flow>,
    ) -> (OnSent, Arc<AtomicI64>) {
        let flow = flow.clone();
        let mine = Arc::new(AtomicI64::new(0));
        let (counter, meter, path) = (mine.clone(), meter.clone(), job.file.path.clone());
        let size_bytes = job.file.sent().stamp.size_bytes;
        let progress = self.patience.progress.clone();
        let on_sent: OnSent = Arc::new(move |moved| {
            flow.moved(moved);
            let more = i64::try_from(moved).unwrap_or(0);
            counter.fetch_add(more, Ordering::Relaxed);
            meter.sent_bytes.fetch_add(more, Ordering::Relaxed);
            meter.moved(moved);
            let there = meter.there_bytes.fetch_add(more, Ordering::Relaxed) + more;
            meter.is_at(there, size_bytes);
            progress.event(&Event::Sent {
                file: &path,
                sent_bytes: there,
            });
        });
        (on_sent, mine)
    }
}

fn load(planned: &AtomicU32) -> u32 {
    planned.load(Ordering::Relaxed)
}

/// What `answer` says of the link.
pub(super) fn ending(answer: &Result<Answer, TransportError>) -> Ending {
    match answer {
        Ok(_) => Ending::Answered,
        Err(TransportError::Broken(_)) => Ending::Broken,
        // Whether that is the link or the server nobody knows.
        Err(
            TransportError::Unreachable(_) | TransportError::File(_) | TransportError::Malformed(_),
        ) => Ending::GivenUp,
    }
}

/// Status and, if the store named one, its error code.
pub(super) fn describe(answer: &Answer) -> String {
    let body = String::from_utf8_lossy(&answer.body);
    let code = body
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"))
        .map(|(code, _)| code)
        .filter(|code| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric()));
    match code {
        Some(code) => format!("{} {code}", answer.status),
        None => answer.status.to_string(),
    }
}
