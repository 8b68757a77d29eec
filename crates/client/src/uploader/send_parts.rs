//! Sends parts to the store, several at once, each tried again on its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use futures::StreamExt;
use safelight_model::codes::Code;

use super::send_file::{Meter, Stop};
use super::sign::{Signer, range};
use super::{Failure, FileJob, Uploader};
use crate::progress::Event;
use crate::transport::{Answer, FilePut, OnSent, PutMethod, TransportError};

/// How often a refused URL is replaced at once, before it counts as a failure like others.
const FREE_URLS: u32 = 2;
/// How often bytes that the store calls wrong are sent again: a link may have turned a bit.
const WRONG_BYTES: u32 = 2;

impl Uploader {
    /// Sends the parts `missing`.
    pub(super) async fn send_parts(
        &self,
        job: &FileJob,
        missing: Vec<i64>,
        meter: &Arc<Meter>,
    ) -> Result<(), Stop> {
        let signer = Signer::for_parts(&self.session, job, &missing);
        let at_once = usize::try_from(job.upload.plan.concurrency)
            .unwrap_or(1)
            .max(1);
        // After one part has failed no other begins, but those under way come to their end:
        // what they carry need not be sent again.
        let failed = &AtomicBool::new(false);
        let results: Vec<Result<(), Stop>> = futures::stream::iter(missing)
            .map(|number| {
                let part = self.send_part(job, &signer, number, meter);
                async move {
                    if failed.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    part.await
                        .inspect_err(|_| failed.store(true, Ordering::Relaxed))
                }
            })
            .buffer_unordered(at_once)
            .collect()
            .await;
        results.into_iter().collect()
    }

    async fn send_part(
        &self,
        job: &FileJob,
        signer: &Signer<'_>,
        number: i64,
        meter: &Arc<Meter>,
    ) -> Result<(), Stop> {
        let mut attempts = self.patience.begin();
        let (mut urls, mut wrong) = (0, 0);
        loop {
            let Some(answer) = self.put_once(job, signer, number, meter).await? else {
                return Ok(());
            };
            let why = match &answer {
                Ok(answer) => format!("the store answered {}", describe(answer)),
                Err(error) => format!("the store cannot be reached: {error}"),
            };
            self.unchanged(job)?;
            let mut retry_after = None;
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
            if !attempts.failed(&why, retry_after).await {
                let code = Code::StoreUnavailable.as_str();
                return Err(Stop::Failed(Failure::of(code, why)));
            }
        }
    }

    /// One try: `None` if the part is there then. What it counted as sent is taken back if it is not.
    async fn put_once(
        &self,
        job: &FileJob,
        signer: &Signer<'_>,
        number: i64,
        meter: &Arc<Meter>,
    ) -> Result<Option<Result<Answer, TransportError>>, Stop> {
        let signed = signer.url(number).await?;
        let Some((offset, size_bytes)) =
            range(job, number).filter(|(_, n)| u64::try_from(signed.size_bytes) == Ok(*n))
        else {
            let detail = format!(
                "the server wants {} bytes as part {number}, which the file does not have",
                signed.size_bytes
            );
            return Err(Stop::Failed(Failure::of("plan_not_understood", detail)));
        };
        let (on_sent, mine) = self.counted(job, meter);
        let put = FilePut {
            method: PutMethod::Put,
            url: signed.url,
            headers: signed.headers.into_iter().collect(),
            path: job.file.path.clone(),
            offset,
            size_bytes,
        };
        let answer = self.transport.put(put, on_sent).await;
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
        Ok(Some(answer))
    }

    /// Counts what one request hands to the network, for the meter and by itself.
    pub(super) fn counted(&self, job: &FileJob, meter: &Arc<Meter>) -> (OnSent, Arc<AtomicI64>) {
        let mine = Arc::new(AtomicI64::new(0));
        let (counter, meter, path) = (mine.clone(), meter.clone(), job.file.path.clone());
        let progress = self.patience.progress.clone();
        let on_sent: OnSent = Arc::new(move |more| {
            let more = i64::try_from(more).unwrap_or(0);
            counter.fetch_add(more, Ordering::Relaxed);
            meter.sent_bytes.fetch_add(more, Ordering::Relaxed);
            let there = meter.there_bytes.fetch_add(more, Ordering::Relaxed) + more;
            progress.event(&Event::Sent {
                file: &path,
                sent_bytes: there,
            });
        });
        (on_sent, mine)
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
