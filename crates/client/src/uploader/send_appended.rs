//! Sends a file through the gateway: from where the server has it to its end, and after a break on from there, so that
//! no byte goes twice that has arrived (IETF resumable uploads, draft-ietf-httpbis-resumable-upload, interop version 8).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use safelight_model::codes::Code;

use super::ask_again::{Again, Watch, is_other};
use super::run::Turn;
use super::send_file::{Meter, Stop};
use super::send_parts::{describe, ending};
use super::sign::unclear_if_planned_anew;
use super::{Failure, FileJob, Uploader};
use crate::back_off::Attempts;
use crate::progress::Event;
use crate::transport::{Answer, FilePut, PutMethod, TransportError};

/// The interop version that is spoken.
const VERSION: (&str, &str) = ("upload-draft-interop-version", "8");
/// The protocol by its name in the server's answers.
const PROTOCOL: &str = "rufh";
/// How often a refused address is replaced at once, before it counts as a failure like others.
const FREE_URLS: u32 = 2;

/// What one request came to.
enum Step {
    /// All bytes are there.
    Whole,
    /// So many bytes are there.
    At(u64),
    /// The address no longer works.
    Stale,
    /// It may go better later.
    Failed(String, Option<std::time::Duration>),
}

impl Uploader {
    /// Sends what is missing: from `from` on, or from where the gateway says.
    pub(super) async fn send_appended(
        &self,
        job: &FileJob,
        from: Option<u64>,
        turn: &Turn,
        meter: &Arc<Meter>,
        watch: &Watch,
    ) -> Result<(), Stop> {
        let size_bytes = u64::try_from(job.file.sent().stamp.size_bytes).unwrap_or(0);
        let mut url = job.upload.urls.iter().find_map(address);
        let (mut at, mut furthest, mut urls) = (from, 0, 0);
        let mut attempts = self.patience.begin();
        loop {
            let address = match &url {
                Some(url) => url.clone(),
                None => url.insert(self.sign_address(job).await?).clone(),
            };
            let step = match at.take() {
                None => self.look(&address).await?,
                Some(at) => {
                    let most = piece(turn, meter)?;
                    self.append(job, &address, at, most, meter).await?
                }
            };
            self.unchanged(job)?;
            match step {
                Step::Whole => return Ok(()),
                Step::At(there) if there >= size_bytes => return Ok(()),
                Step::At(there) => {
                    self.tell(job, there, meter);
                    // What moves on is no failure, however often it breaks.
                    if there > furthest {
                        furthest = there;
                        watch.carried();
                        attempts = self.patience.begin();
                    }
                    at = Some(there);
                }
                Step::Stale if urls < FREE_URLS => {
                    urls += 1;
                    url = None;
                }
                Step::Stale => {
                    url = None;
                    wait(&mut attempts, "the gateway refuses its own address", None).await?;
                }
                Step::Failed(why, retry_after) => {
                    meter.tally.part_failed();
                    watch.failed();
                    self.reconsider(job, watch).await?;
                    wait(&mut attempts, &why, retry_after).await?;
                }
            }
        }
    }

    /// Asks for another plan if this one no longer fits. Only what has not begun may travel in another way.
    async fn reconsider(&self, job: &FileJob, watch: &Watch) -> Result<(), Stop> {
        let looked = self.look_at_link().await;
        looked.map_err(|e| Stop::Failed(Failure::from(&e)))?;
        if self.wants_another_plan(watch)
            && let Again::Plan(answer) = self.ask_again(job, watch).await
            && is_other(job, &answer.plan)
        {
            return Err(Stop::Replanned(answer));
        }
        Ok(())
    }

    /// Where the upload is; a request that still hangs somewhere brings nothing more after this.
    async fn look(&self, url: &str) -> Result<Step, Stop> {
        step(self.transport.look(url, &[VERSION]).await)
    }

    /// Sends the file from `at` to its end, or this much of it at `most`.
    async fn append(
        &self,
        job: &FileJob,
        url: &str,
        at: u64,
        most: Option<u64>,
        meter: &Arc<Meter>,
    ) -> Result<Step, Stop> {
        let all = u64::try_from(job.file.sent().stamp.size_bytes).unwrap_or(0);
        let left_bytes = all.saturating_sub(at);
        let size_bytes = most.map_or(left_bytes, |most| most.min(left_bytes));
        let is_last = size_bytes == left_bytes;
        let headers = [
            VERSION,
            ("content-type", "application/partial-upload"),
            ("upload-offset", &at.to_string()),
            ("upload-complete", if is_last { "?1" } else { "?0" }),
        ];
        let put = FilePut {
            method: PutMethod::Patch,
            url: url.to_owned(),
            headers: headers.map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            path: job.file.source().to_owned(),
            offset: at,
            size_bytes,
        };
        meter
            .tally
            .attempt(meter.sent_bytes.load(Ordering::Relaxed) > 0);
        let flow = Arc::new(self.session.gauge().begin());
        let (on_sent, _) = self.counted(job, meter, &flow);
        let answer = self.transport.put(put, on_sent).await;
        flow.end(ending(&answer));
        if is_last && matches!(&answer, Ok(answer) if (200..300).contains(&answer.status)) {
            return Ok(Step::Whole);
        }
        step(answer)
    }

    async fn sign_address(&self, job: &FileJob) -> Result<String, Stop> {
        let signed = self.session.sign(&job.upload.upload_id, Vec::new()).await;
        let urls = signed.map_err(unclear_if_planned_anew)?;
        urls.iter().find_map(address).ok_or_else(|| {
            let detail = format!("the server gives no address that speaks {PROTOCOL}");
            Stop::Unclear(detail)
        })
    }

    fn tell(&self, job: &FileJob, there: u64, meter: &Meter) {
        let there = i64::try_from(there).unwrap_or(i64::MAX);
        meter.there_bytes.store(there, Ordering::Relaxed);
        self.patience.progress.event(&Event::Sent {
            file: &job.file.path,
            sent_bytes: there,
        });
    }
}

/// How much may go by the next request, beside a key frame.
fn piece(turn: &Turn, meter: &Meter) -> Result<Option<u64>, Stop> {
    let most = turn.piece()?;
    if most.is_some()
        && let Some(under_way) = meter.under_way()
    {
        under_way.goes_in_pieces();
    }
    Ok(most)
}

fn address(url: &safelight_api::uploads::SignedUrl) -> Option<String> {
    let speaks = url.protocol.as_deref() == Some(PROTOCOL);
    speaks.then(|| url.url.clone())
}

async fn wait(
    attempts: &mut Attempts<'_>,
    why: &str,
    retry_after: Option<std::time::Duration>,
) -> Result<(), Stop> {
    if attempts.failed(why, retry_after).await {
        return Ok(());
    }
    let code = Code::StoreUnavailable.as_str();
    Err(Stop::Failed(Failure::of(code, why)))
}

/// What an answer says of where the upload is.
fn step(answer: Result<Answer, TransportError>) -> Result<Step, Stop> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(TransportError::File(error)) => return Err(Stop::Failed(Failure::unreadable(&error))),
        Err(error @ TransportError::Malformed(_)) => {
            return Err(Stop::Failed(Failure::of(
                "plan_not_understood",
                error.to_string(),
            )));
        }
        Err(error @ (TransportError::Unreachable(_) | TransportError::Broken(_))) => {
            let why = format!("the gateway cannot be reached: {error}");
            return Ok(Step::Failed(why, None));
        }
    };
    let why = format!("the gateway answered {}", describe(&answer));
    match (answer.status, answer.upload_offset) {
        // Two requests met, or an answer was lost: what the server says holds.
        (200..=299 | 409, Some(there)) => Ok(Step::At(there)),
        (401 | 403, _) => Ok(Step::Stale),
        // It is not as the client knows it; perhaps it was planned anew.
        (404 | 410 | 422, _) => Err(Stop::Unclear(why)),
        (408 | 409 | 423 | 425 | 429 | 500..=599, _) => Ok(Step::Failed(why, answer.retry_after)),
        _ => {
            let code = Code::StoreUnavailable.as_str();
            Err(Stop::Failed(Failure::of(code, why)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, upload_offset: Option<u64>) -> Result<Step, Stop> {
        step(Ok(Answer {
            status,
            retry_after: None,
            upload_offset,
            body: Vec::new(),
        }))
    }

    #[test]
    fn what_the_server_says_of_the_offset_holds() {
        assert!(matches!(answered(204, Some(7)), Ok(Step::At(7))));
        assert!(matches!(answered(409, Some(9)), Ok(Step::At(9))));
        assert!(matches!(answered(409, None), Ok(Step::Failed(..))));
        assert!(matches!(answered(503, Some(3)), Ok(Step::Failed(..))));
        assert!(matches!(answered(403, None), Ok(Step::Stale)));
        assert!(matches!(answered(404, None), Err(Stop::Unclear(_))));
        assert!(matches!(answered(400, None), Err(Stop::Failed(_))));
        let broken = step(Err(TransportError::Broken("cut".into())));
        assert!(matches!(broken, Ok(Step::Failed(..))));
    }
}
