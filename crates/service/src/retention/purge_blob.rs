//! `purge`: removes the bytes of a doomed blob that nothing points to any more, and its renditions.
//!
//! Bytes that came by one PUT can come again for as long as their URL works: they are removed at once, and once more when
//! nothing can arrive any more. Only then is the blob gone.

use safelight_catalog::jobs::Job;
use safelight_catalog::{assets, blobs, uploads};
use safelight_model::codes::Code;
use safelight_model::plan::Transport;
use safelight_model::{limits, preset};
use safelight_objects::ObjectKey;

use crate::context::Context;
use crate::work::{JobError, Results, results};

/// How long a purge waits at least for a store that is away.
const STORE_AWAY: std::time::Duration = std::time::Duration::from_secs(60);

/// Runs the job up to its results.
///
/// # Errors
/// Why it was not done.
pub async fn run(context: &Context, job: &Job) -> Result<Results, JobError> {
    let (tenant_id, blob_id) = (job.tenant_id.as_str(), job.subject_id.as_str());
    let mut reader = context.catalog.reader().await?;
    let blob = blobs::find(&mut reader.tx(), tenant_id, blob_id).await?;
    let holders = assets::of_blob(&mut reader.tx(), tenant_id, blob_id).await?;
    let upload = match &blob {
        Some(blob) => uploads::of_key(&mut reader.tx(), &blob.object_key).await?,
        None => None,
    };
    drop(reader);
    // Asked before the store is: what is removed then stays so.
    let now = context.now();
    if let Some(blob) = blob.filter(|b| b.state == "doomed" && holders.is_empty()) {
        let unreadable = |e: safelight_objects::keys::KeyError| JobError::Cancel {
            code: Code::Internal,
            detail: e.to_string(),
        };
        let mut keys = vec![ObjectKey::parse(&blob.object_key).map_err(unreadable)?];
        for preset in &preset::ALL {
            keys.push(ObjectKey::rendition(tenant_id, blob_id, preset).map_err(unreadable)?);
        }
        for key in &keys {
            context.objects.delete(key).await.map_err(|error| {
                tracing::warn!(%error, blob_id, "a doomed blob is not removed yet");
                match error.retry() {
                    Some(wait) => JobError::Snooze {
                        after: wait.max(STORE_AWAY),
                    },
                    None => JobError::Retry {
                        after: None,
                        code: error.code(),
                        detail: error.code().title().to_owned(),
                    },
                }
            })?;
        }
        let again_at = upload
            .filter(|upload| upload.transport == Transport::Single)
            .map(|upload| upload.signed_until.plus(limits::LATE_BYTES));
        if let Some(at) = again_at.filter(|at| *at > now) {
            return Err(JobError::Snooze {
                after: at.since(now),
            });
        }
    }
    let job = job.clone();
    Ok(results(move |tx| {
        Box::pin(async move {
            blobs::gone(tx, &job.tenant_id, &job.subject_id).await?;
            Ok(())
        })
    }))
}
