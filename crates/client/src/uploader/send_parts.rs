//! Sends parts to the store, several at once, each tried again on its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use futures::StreamExt;
use safelight_model::codes::Code;

use super::send_file::{Meter, Stop};
use super::sign::{Signer, range};
use super::{Failure, FileJob, Uploader};
use crate::progress::Event;
use crate::transport::{Answer, FilePut, OnSent, TransportError};

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
            let answer = self.put_once(job, signer, number, meter).await?;
            let why = match &answer {
                Ok(answer) if (200..300).contains(&answer.status) => return Ok(()),
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

    /// One try. What it counted as sent is taken back unless it succeeds.
    async fn put_once(
        &self,
        job: &FileJob,
        signer: &Signer<'_>,
        number: i64,
        meter: &Arc<Meter>,
    ) -> Result<Result<Answer, TransportError>, Stop> {
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
        let mine = Arc::new(AtomicI64::new(0));
        let on_sent: OnSent = {
            let (mine, meter, path) = (mine.clone(), meter.clone(), job.file.path.clone());
            let progress = self.patience.progress.clone();
            Arc::new(move |more| {
                let more = i64::try_from(more).unwrap_or(0);
                mine.fetch_add(more, Ordering::Relaxed);
                meter.sent_bytes.fetch_add(more, Ordering::Relaxed);
                let there = meter.there_bytes.fetch_add(more, Ordering::Relaxed) + more;
                progress.event(&Event::Sent {
                    file: &path,
                    sent_bytes: there,
                });
            })
        };
        let put = FilePut {
            url: signed.url,
            headers: signed.headers.into_iter().collect(),
            path: job.file.path.clone(),
            offset,
            size_bytes,
        };
        let answer = self.transport.put(put, on_sent).await;
        if !matches!(&answer, Ok(answer) if (200..300).contains(&answer.status)) {
            let taken_back = mine.load(Ordering::Relaxed);
            let there = meter.there_bytes.fetch_sub(taken_back, Ordering::Relaxed) - taken_back;
            self.patience.progress.event(&Event::Sent {
                file: &job.file.path,
                sent_bytes: there,
            });
        }
        Ok(answer)
    }
}

/// Status and, if the store named one, its error code.
fn describe(answer: &Answer) -> String {
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
