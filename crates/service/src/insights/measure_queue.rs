//! How much there is to do, told as metrics.

use safelight_catalog::{CatalogError, jobs};
use safelight_model::cost_class::CostClass;
use safelight_model::job::JobState;
use safelight_model::lane::Lane;

use crate::context::Context;

/// Counts the jobs of all processes, and tells for how long the first of each lane and class has been due.
///
/// # Errors
/// What the database says; the metrics stay as they were.
pub async fn measure_queue(context: &Context) -> Result<(), CatalogError> {
    let mut reader = context.catalog.reader().await?;
    let tx = &mut reader.tx();
    let (now, depths) = (tx.now().await?, jobs::depth(tx).await?);
    for lane in Lane::ALL {
        for class in CostClass::ALL {
            let labels = [("lane", lane.as_str()), ("class", class.as_str())];
            for state in JobState::ALL {
                let is_it = |d: &&jobs::Depth| (d.lane, d.class, d.state) == (lane, class, state);
                let depth = depths.iter().find(is_it);
                // What is not there any more is none, and not what it was.
                let count = depth.map_or(0, |d| d.jobs);
                let [of_lane, of_class] = labels;
                let labels = [of_lane, of_class, ("state", state.as_str())];
                metrics::gauge!("safelight_queue_jobs", &labels).set(count as f64);
                if state == JobState::Queued {
                    let waited = depth.map_or(0.0, |d| now.since(d.oldest).as_secs_f64());
                    metrics::gauge!("safelight_queue_oldest_seconds", &labels[..2]).set(waited);
                }
            }
        }
    }
    Ok(())
}
