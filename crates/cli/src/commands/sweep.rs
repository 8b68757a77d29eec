//! `safelight sweep`: what is in the store and in no row, or in a row and not in the store.

use std::process::ExitCode;

use safelight_catalog::failed_removals::{self, FailedRemoval};
use safelight_catalog::sweeps::{self, Finding, FindingKind};
use safelight_catalog::{CatalogError, jobs};
use safelight_model::clock::Micros;
use safelight_service::context::Context;
use safelight_service::retention::catalog_mark;
use safelight_service::retention::sweep;
use serde::Serialize;

use super::open_present::open_present;
use crate::commands::serve::ServerArgs;
use crate::global::GlobalArgs;
use crate::output;
use crate::server::compose::Shared;

/// Findings that are read at once.
const PAGE: i64 = 500;
/// What helps where a removal failed for good.
const TRY_AGAIN: &str = "mend what stands in the way, then run safelight sweep --retry-removals";

/// What `sweep` takes.
#[derive(Debug, clap::Args)]
pub struct SweepArgs {
    /// Sweep as the servers do: record what is found, make lost renditions again, and remove orphans whose grace is over; without it
    /// nothing is changed, neither in the catalog nor in the store
    #[arg(long)]
    remove: bool,
    /// Confirm that this catalog is the one that counts, once nothing else uses the bucket; all grace begins anew
    #[arg(long, conflicts_with = "remove")]
    confirm_restored: bool,
    /// Have removals that failed for good tried again by the workers, with all their attempts
    #[arg(long)]
    retry_removals: bool,
    #[command(flatten)]
    pub source: ServerArgs,
}

/// All of it, as JSON.
#[derive(Serialize)]
struct Report {
    examined: i64,
    /// Why nothing is removed.
    doubt: Option<String>,
    findings: Vec<Shown>,
    /// What rows say is to go, and could not be removed.
    failed_removals: Vec<ShownRemoval>,
    /// Removals that are tried again from now on.
    retried_removals: usize,
}

#[derive(Serialize)]
struct ShownRemoval {
    tenant_id: String,
    blob_id: String,
    object_key: String,
    size_bytes: i64,
    attempts: i64,
    code: String,
    why: String,
    failed_at: String,
    what_to_do: &'static str,
}

#[derive(Serialize)]
struct Shown {
    kind: &'static str,
    tenant_id: String,
    object_key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    store_upload_id: String,
    size_bytes: Option<i64>,
    modified_at: Option<String>,
    first_seen_at: String,
    what_becomes_of_it: String,
}

/// Sweeps.
pub async fn run(args: SweepArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let settings = args.source.resolve(global)?;
    let Shared { mut context, .. } = open_present(&settings).await?;
    let retried_removals = if args.retry_removals {
        retry_removals(&context).await?
    } else {
        0
    };
    let mut report = if args.remove || args.confirm_restored {
        let (clock, entropy) = (context.clock.clone(), context.entropy.clone());
        let named = catalog_mark::named(&context.catalog, clock.as_ref(), entropy.as_ref()).await?;
        context.catalog_id = named.into();
        if args.confirm_restored {
            catalog_mark::trust(&context).await?;
        }
        let doubt = catalog_mark::doubt(&context).await?;
        sweep::sweep_all(&context, args.remove).await?;
        recorded(&context, doubt).await?
    } else {
        // Who only looks, perhaps from a copy that is never to be served, leaves no trace.
        let doubt = catalog_mark::suspicion(&context).await?;
        let (examined, findings) = sweep::look_only(&context).await?;
        report(&context, examined, findings, doubt)
    };
    report.retried_removals = retried_removals;
    let failed = failed_removals(&context).await?;
    report.failed_removals = failed.into_iter().map(shown_removal).collect();
    context.catalog.close().await;
    if global.json {
        output::json(&report)?;
    } else {
        print(&report)?;
    }
    let lost = FindingKind::MissingOriginal.as_str();
    let is_wrong = report.doubt.is_some()
        || !report.failed_removals.is_empty()
        || report.findings.iter().any(|f| f.kind == lost);
    Ok(if is_wrong {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Removals that failed for good and are still to be done, of all tenants.
async fn failed_removals(context: &Context) -> anyhow::Result<Vec<FailedRemoval>> {
    let mut reader = context.catalog.reader().await?;
    let mut all: Vec<FailedRemoval> = Vec::new();
    loop {
        let page = failed_removals::list(&mut reader.tx(), all.last(), PAGE).await?;
        let more = i64::try_from(page.len())? >= PAGE;
        all.extend(page);
        if !more {
            return Ok(all);
        }
    }
}

/// Gives them all their attempts again; how many are tried again.
async fn retry_removals(context: &Context) -> anyhow::Result<usize> {
    let mut retried = 0;
    for failed in failed_removals(context).await? {
        let revived = context
            .catalog
            .write::<_, CatalogError, _>(move |tx| {
                Box::pin(async move { jobs::revive(tx, &failed.tenant_id, &failed.job_id).await })
            })
            .await?;
        retried += usize::from(revived);
    }
    Ok(retried)
}

fn shown_removal(failed: FailedRemoval) -> ShownRemoval {
    ShownRemoval {
        tenant_id: failed.tenant_id,
        blob_id: failed.blob_id,
        object_key: failed.object_key,
        size_bytes: failed.size_bytes,
        attempts: failed.attempts,
        code: failed.error_code.unwrap_or_default(),
        why: failed.error_detail.unwrap_or_default(),
        failed_at: failed.failed_at.rfc3339(),
        what_to_do: TRY_AGAIN,
    }
}

/// What is recorded of the last sweep.
async fn recorded(context: &Context, doubt: Option<String>) -> anyhow::Result<Report> {
    let mut reader = context.catalog.reader().await?;
    let examined = sweeps::find(&mut reader.tx())
        .await?
        .map_or(0, |sweep| sweep.examined);
    let mut findings = Vec::new();
    let mut last: Option<Finding> = None;
    loop {
        let page = sweeps::findings(&mut reader.tx(), last.as_ref(), PAGE).await?;
        let more = i64::try_from(page.len())? >= PAGE;
        last = page.last().cloned();
        findings.extend(page);
        if !more {
            break;
        }
    }
    Ok(report(context, examined, findings, doubt))
}

fn report(
    context: &Context,
    examined: i64,
    findings: Vec<Finding>,
    doubt: Option<String>,
) -> Report {
    let doubted = doubt.is_some();
    let findings = findings.into_iter();
    Report {
        examined,
        findings: findings.map(|f| shown(context, f, doubted)).collect(),
        doubt,
        failed_removals: Vec::new(),
        retried_removals: 0,
    }
}

fn shown(context: &Context, found: Finding, doubted: bool) -> Shown {
    let what_becomes_of_it = match (found.kind, &found.kept_because) {
        (FindingKind::MissingOriginal, _) => {
            "restore it from a backup of the store; the asset stays".to_owned()
        }
        (FindingKind::MissingRendition, _) => {
            "it is made again, if its original is there".to_owned()
        }
        (_, Some(why)) => format!("kept: {why}"),
        (_, None) if doubted => "kept until the catalog is confirmed".to_owned(),
        (_, None) => {
            let stored = found.modified_at.unwrap_or(found.first_seen_at);
            let due = sweep::due_at(&found, stored, context.settings.orphan_grace);
            if context.settings.sweep_removes {
                format!("removed after {}", due.rfc3339())
            } else {
                format!("kept; --remove may take it after {}", due.rfc3339())
            }
        }
    };
    Shown {
        kind: found.kind.as_str(),
        tenant_id: found.tenant_id,
        object_key: found.object_key,
        store_upload_id: found.store_upload_id,
        size_bytes: found.size_bytes,
        modified_at: found.modified_at.map(Micros::rfc3339),
        first_seen_at: found.first_seen_at.rfc3339(),
        what_becomes_of_it,
    }
}

fn print(report: &Report) -> anyhow::Result<()> {
    let mut table = output::Table::with(
        &["WHAT", "KEY", "SIZE", "FIRST SEEN", "WHAT BECOMES OF IT"],
        &["SIZE"],
    );
    for found in &report.findings {
        table.row([
            found.kind.replace('_', " "),
            output::printable(&found.object_key),
            found.size_bytes.map(output::size).unwrap_or_default(),
            found.first_seen_at.clone(),
            found.what_becomes_of_it.clone(),
        ]);
    }
    let mut removals = output::Table::with(
        &["NOT REMOVED", "KEY", "SIZE", "GIVEN UP", "WHY"],
        &["SIZE"],
    );
    for failed in &report.failed_removals {
        removals.row([
            failed.blob_id.clone(),
            output::printable(&failed.object_key),
            output::size(failed.size_bytes),
            failed.failed_at.clone(),
            output::printable(&format!("{}: {}", failed.code, failed.why)),
        ]);
    }
    let mut text = String::new();
    if !report.findings.is_empty() {
        text += &table.render();
    }
    text += &format!(
        "{} objects, uploads and rows were looked at; {} are on one side only.\n",
        report.examined,
        report.findings.len()
    );
    if report.retried_removals > 0 {
        text += &format!(
            "{} removals that had failed are tried again by the workers.\n",
            report.retried_removals
        );
    }
    if !report.failed_removals.is_empty() {
        text += &removals.render();
        text += &format!(
            "{} doomed blobs could not be removed: {TRY_AGAIN}.\n",
            report.failed_removals.len()
        );
    }
    if let Some(why) = &report.doubt {
        text += &format!(
            "Nothing is removed: {why}. Stop what else uses the bucket; then, if this catalog is the one that counts, run safelight sweep --confirm-restored.\n"
        );
    }
    output::write(text.as_bytes())
}
