//! Has URLs signed just in time, a few parts ahead of those that are being sent.

use std::collections::{HashMap, VecDeque};

use safelight_api::uploads::{PartToSign, SignedUrl};
use safelight_model::codes::Code;
use safelight_model::limits;
use safelight_model::plan::Transport;
use tokio::sync::Mutex;

use super::send_file::Stop;
use super::{Failure, FileJob, blocking};
use crate::call_error::CallError;
use crate::fingerprint::range_sha256;
use crate::session::Session;

/// Gives out the URLs of one upload.
pub(super) struct Signer<'a> {
    session: &'a Session,
    job: &'a FileJob,
    window: usize,
    urls: Mutex<Urls>,
}

struct Urls {
    signed: HashMap<i64, SignedUrl>,
    upcoming: VecDeque<i64>,
    /// Why patience came to its end. The other parts that are under way, which waited meanwhile, do not begin it anew each.
    given_up: Option<Failure>,
}

impl<'a> Signer<'a> {
    /// A signer for the parts `missing`, which are asked for in about this order.
    pub(super) fn for_parts(session: &'a Session, job: &'a FileJob, missing: &[i64]) -> Self {
        // No further ahead than the second turn of the parts that travel at once, so that URLs do
        // not grow old on a slow link.
        let ahead = usize::try_from(job.upload.plan.concurrency).unwrap_or(1) * 2;
        let given = job.upload.urls.iter().map(|u| (u.number, u.clone()));
        Self {
            session,
            job,
            window: ahead.clamp(1, limits::SIGN_WINDOW),
            urls: Mutex::new(Urls {
                signed: given.collect(),
                upcoming: missing.iter().copied().collect(),
                given_up: None,
            }),
        }
    }

    /// A URL for part `number`. Each is given out once: asked again, another one is signed.
    pub(super) async fn url(&self, number: i64) -> Result<SignedUrl, Stop> {
        let mut urls = self.urls.lock().await;
        urls.upcoming.retain(|n| *n != number);
        if let Some(url) = urls.signed.remove(&number) {
            return Ok(url);
        }
        if let Some(failure) = &urls.given_up {
            return Err(Stop::Failed(failure.clone()));
        }
        let mut parts = Vec::new();
        if Transport::parse(&self.job.upload.plan.transport) == Some(Transport::Multipart) {
            let ahead = self.window - 1;
            let ahead = ahead.min(urls.upcoming.len());
            let numbers: Vec<i64> = std::iter::once(number)
                .chain(urls.upcoming.drain(..ahead))
                .collect();
            for number in numbers {
                parts.push(self.part(number).await?);
            }
        }
        let upload_id = &self.job.upload.upload_id;
        let signed = self.session.sign(upload_id, parts).await;
        if let Err(error) = &signed
            && error.is_passing()
        {
            urls.given_up = Some(Failure::from(error));
        }
        for url in signed.map_err(unclear_if_planned_anew)? {
            urls.signed.insert(url.number, url);
        }
        urls.signed
            .remove(&number)
            .ok_or_else(|| Stop::Unclear(format!("the server signed no URL for part {number}")))
    }

    async fn part(&self, number: i64) -> Result<PartToSign, Stop> {
        let Some((offset, length)) = range(self.job, number) else {
            let detail = format!("the file has no part {number}");
            return Err(Stop::Failed(Failure::of("plan_not_understood", detail)));
        };
        let path = self.job.file.source().to_owned();
        let sha256 = blocking(move || range_sha256(&path, offset, length))
            .await
            .map_err(|e| Stop::Failed(Failure::unreadable(&e)))?;
        Ok(PartToSign {
            number,
            sha256: Some(sha256),
        })
    }
}

/// A refusal of what the plan says: perhaps the upload was planned anew, or is whole. The server says what is true.
pub(super) fn unclear_if_planned_anew(error: CallError) -> Stop {
    if Code::parse(error.code()) == Some(Code::ValidationFailed) {
        return Stop::Unclear(error.to_string());
    }
    error.into()
}

/// Offset and length of a part in the file.
pub(super) fn range(job: &FileJob, number: i64) -> Option<(u64, u64)> {
    let size_bytes = job.file.sent().stamp.size_bytes;
    let part_size_bytes = job.upload.plan.part_size_bytes;
    let length = safelight_model::plan::part_length(size_bytes, part_size_bytes, number)?;
    let offset = (number - 1).checked_mul(part_size_bytes)?;
    Some((u64::try_from(offset).ok()?, u64::try_from(length).ok()?))
}
