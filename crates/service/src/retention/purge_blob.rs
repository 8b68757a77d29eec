//! `purge`: removes the bytes of a doomed blob that nothing points to any more, and its renditions.

use safelight_catalog::jobs::Job;
use safelight_catalog::{assets, blobs};
use safelight_model::codes::Code;
use safelight_model::preset;
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
    drop(reader);
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
    }
    let job = job.clone();
    Ok(results(move |tx| {
        Box::pin(async move {
            blobs::gone(tx, &job.tenant_id, &job.subject_id).await?;
            Ok(())
        })
    }))
}
