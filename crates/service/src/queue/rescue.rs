//! Jobs of workers that went silent, found by every executor now and then.

use std::sync::Arc;

use safelight_catalog::jobs::{self, Rescue};
use safelight_catalog::{Catalog, CatalogError};
use safelight_model::codes::Code;

use super::settle::{Undone, tell};
use crate::work::Handler;

/// Jobs looked at in one go.
const AT_ONCE: usize = 100;

/// Rescues what can be rescued now. One that cannot holds up no other.
///
/// # Errors
/// What the database says.
pub(super) async fn sweep(
    catalog: &Catalog,
    handler: &Arc<dyn Handler>,
) -> Result<(), CatalogError> {
    let found = jobs::expired(&mut catalog.reader().await?.tx(), AT_ONCE).await?;
    for job in found {
        let (job_id, kind) = (job.job_id.clone(), job.kind.as_str());
        let handler = handler.clone();
        let rescued = catalog
            .write::<_, Undone, _>(move |tx| {
                Box::pin(async move {
                    let outcome = jobs::rescue(tx, &job).await?;
                    if outcome == Rescue::Buried {
                        tell(
                            handler.as_ref(),
                            tx,
                            &job,
                            Code::Internal,
                            jobs::LOST_DETAIL,
                        )
                        .await?;
                    }
                    Ok(outcome)
                })
            })
            .await;
        let outcome = match rescued {
            Ok(Rescue::Untouched) | Err(Undone::Lost) => continue,
            Ok(Rescue::Requeued) => "requeued",
            Ok(Rescue::Buried) => "buried",
            Err(Undone::Failed(error)) => {
                tracing::error!(job = job_id, %error, "a job could not be rescued");
                "failed"
            }
        };
        tracing::warn!(job = job_id, kind, outcome, "a job's worker went silent");
        metrics::counter!("safelight_jobs_rescued_total", "kind" => kind, "outcome" => outcome)
            .increment(1);
    }
    Ok(())
}
