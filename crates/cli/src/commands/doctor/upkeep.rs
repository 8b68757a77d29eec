//! Whether the store tells of what happens to it, what the last comparison of store and catalog found, whether
//! what is to go could be removed, and whether webhooks are taken.

use std::time::Duration;

use safelight_catalog::sweeps::{self, FindingKind};
use safelight_catalog::{SCHEMA_VERSION, catalog_mark, failed_removals, store_events, webhooks};
use safelight_objects::Verdict;
use safelight_service::context::Context;

use super::finding::{Finding, finding};
use crate::output;

/// Where events came and then for so long none did, something may have broken.
const SILENT: Duration = Duration::from_secs(24 * 3600);

/// All four; nothing of a catalog of an earlier version, which has no such rows.
pub async fn upkeep(context: &Context) -> Vec<Finding> {
    match context.catalog.schema_version().await {
        Ok(version) if version >= SCHEMA_VERSION => {}
        _ => return Vec::new(),
    }
    vec![
        settle("events", events(context).await),
        settle("sweep", sweep(context).await),
        settle("removals", removals(context).await),
        settle("webhooks", taken(context).await),
    ]
}

fn settle(check: &'static str, outcome: anyhow::Result<Finding>) -> Finding {
    outcome.unwrap_or_else(|error| {
        let advice = "look at catalog_url, and whether the database runs";
        finding(check, Err(error), advice)
    })
}

async fn events(context: &Context) -> anyhow::Result<Finding> {
    let ways = store_events::last(&mut context.catalog.reader().await?.tx()).await?;
    let quiet = context.settings.quiet.as_secs();
    let Some((way, last_at)) = ways.into_iter().max_by_key(|(_, at)| *at) else {
        return Ok(Finding {
            check: "events",
            verdict: Verdict::Ok,
            found: format!(
                "the store has told of nothing yet; uploads of silent clients are found after {quiet} s"
            ),
            what_to_do: None,
        });
    };
    let is_silent = context.now().since(last_at) > SILENT;
    Ok(Finding {
        check: "events",
        verdict: if is_silent {
            Verdict::Warning
        } else {
            Verdict::Ok
        },
        found: format!(
            "the store last told of something at {} ({way})",
            last_at.rfc3339()
        ),
        what_to_do: is_silent
            .then_some("if photos came since, see whether the store still sends its events here"),
    })
}

async fn sweep(context: &Context) -> anyhow::Result<Finding> {
    let mut reader = context.catalog.reader().await?;
    let mark = catalog_mark::find(&mut reader.tx()).await?;
    let last = sweeps::find(&mut reader.tx()).await?;
    let counts = sweeps::counts(&mut reader.tx()).await?;
    if let Some(why) = mark.and_then(|mark| mark.doubt) {
        let waiting = sweeps::waiting(&mut reader.tx()).await?;
        return Ok(Finding {
            check: "sweep",
            verdict: Verdict::Wrong,
            found: format!(
                "nothing is removed: {why}; what {} ended uploads left, {} doomed blobs and {} segments wait",
                waiting.uploads, waiting.blobs, waiting.segments
            ),
            what_to_do: Some(
                "look which catalog and store belong together and stop what else uses the bucket, then run safelight sweep --confirm-restored",
            ),
        });
    }
    let Some(last) = last else {
        return Ok(Finding {
            check: "sweep",
            verdict: Verdict::Ok,
            found: "store and catalog were not compared yet".to_owned(),
            what_to_do: None,
        });
    };
    let when = match last.ended_at {
        Some(at) => format!("ended {}", at.rfc3339()),
        None => format!("begun {}, under way", last.began_at.rfc3339()),
    };
    let said: Vec<String> = counts
        .iter()
        .filter(|(_, count, _)| *count > 0)
        .map(|(kind, count, bytes)| {
            let kind = kind.as_str().replace('_', " ");
            format!("{count} {kind} ({})", output::size(*bytes))
        })
        .collect();
    let lost = counts
        .iter()
        .any(|(kind, count, _)| *kind == FindingKind::MissingOriginal && *count > 0);
    let (verdict, what_to_do) = match (lost, said.is_empty()) {
        (true, _) => (
            Verdict::Wrong,
            Some(
                "safelight sweep names the originals that the store has lost; restore them from a backup",
            ),
        ),
        (false, false) => (Verdict::Warning, Some("safelight sweep names them")),
        (false, true) => (Verdict::Ok, None),
    };
    let said = if said.is_empty() {
        "store and catalog agree".to_owned()
    } else {
        said.join(", ")
    };
    Ok(Finding {
        check: "sweep",
        verdict,
        found: format!("{when}: {said}"),
        what_to_do,
    })
}

async fn removals(context: &Context) -> anyhow::Result<Finding> {
    let failed = failed_removals::count(&mut context.catalog.reader().await?.tx()).await?;
    let is_well = failed == 0;
    Ok(Finding {
        check: "removals",
        verdict: if is_well {
            Verdict::Ok
        } else {
            Verdict::Wrong
        },
        found: if is_well {
            "no removal has failed for good".to_owned()
        } else {
            format!("{failed} doomed blobs could not be removed, and nothing tries again")
        },
        what_to_do: (!is_well).then_some(
            "safelight sweep names them and says why; mend that, then run safelight sweep --retry-removals",
        ),
    })
}

async fn taken(context: &Context) -> anyhow::Result<Finding> {
    let mut reader = context.catalog.reader().await?;
    let (enabled, failing, disabled) = webhooks::count(&mut reader.tx()).await?;
    let is_well = failing == 0 && disabled == 0;
    Ok(Finding {
        check: "webhooks",
        verdict: if is_well {
            Verdict::Ok
        } else {
            Verdict::Warning
        },
        found: format!(
            "{enabled} enabled, {failing} of them failing; {disabled} disabled since they failed for days or answered 410"
        ),
        what_to_do: (!is_well).then_some(
            "GET /v1/webhooks and its deliveries say which and why; tell the tenants whose they are",
        ),
    })
}
